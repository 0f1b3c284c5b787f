//! HTTPRoutes.

use serde::{Deserialize, Serialize};

use super::{BackendRef, LocalRef, ParentRef};

/// The spec of an HTTPRoute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteSpec {
    /// Its listeners.
    pub parent_refs: Vec<ParentRef>,
    /// Hostnames, precise or `*.x`; none: those of its listeners.
    pub hostnames: Vec<String>,
    /// Its rules; absent: one that matches everything.
    pub rules: Option<Vec<HttpRule>>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRule {
    /// For people.
    pub name: Option<String>,
    /// It serves requests that match any of these; none: all requests.
    pub matches: Vec<HttpMatch>,
    /// What is done with requests and responses.
    pub filters: Vec<HttpFilter>,
    /// Services with their weights.
    pub backend_refs: Vec<HttpBackendRef>,
    /// Time limits.
    pub timeouts: Option<Timeouts>,
    /// Further attempts (experimental).
    pub retry: Option<RetrySpec>,
    /// Keeps clients at one endpoint (experimental).
    pub session_persistence: Option<SessionPersistence>,
}

/// A match; all of its parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMatch {
    /// The path; default prefix `/`.
    pub path: Option<HttpPathMatch>,
    /// Header fields.
    pub headers: Vec<ValueMatch>,
    /// Query parameters.
    pub query_params: Vec<ValueMatch>,
    /// The method.
    pub method: Option<String>,
}

/// A match of the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpPathMatch {
    /// `Exact`, `PathPrefix` (default) or `RegularExpression`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The path; default `/`.
    pub value: Option<String>,
}

/// A match of the value of a header field or query parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ValueMatch {
    /// `Exact` (default) or `RegularExpression`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The name.
    pub name: String,
    /// The value or expression.
    pub value: String,
}

/// A filter: `kind` says which of the fields it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "named as in the Gateway API")]
pub struct HttpFilter {
    #[serde(rename = "type")]
    pub kind: String,
    pub request_header_modifier: Option<HeaderFilter>,
    pub response_header_modifier: Option<HeaderFilter>,
    pub request_mirror: Option<MirrorFilter>,
    pub request_redirect: Option<RedirectFilter>,
    pub url_rewrite: Option<RewriteFilter>,
    pub cors: Option<CorsFilter>,
    pub external_auth: Option<ExternalAuthFilter>,
    pub extension_ref: Option<LocalRef>,
}

/// Edits of header fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderFilter {
    /// Replace all fields of their names.
    pub set: Vec<HeaderValue>,
    /// Are appended.
    pub add: Vec<HeaderValue>,
    /// Names of fields that are removed.
    pub remove: Vec<String>,
}

/// A header field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderValue {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Copies requests to a second Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MirrorFilter {
    /// The Service.
    pub backend_ref: BackendRef,
    /// The share of requests, 0 to 100; default 100.
    pub percent: Option<u32>,
    /// The share of requests, instead of `percent`.
    pub fraction: Option<Fraction>,
}

/// A fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fraction {
    /// At most the denominator.
    pub numerator: u32,
    /// Default 100.
    pub denominator: Option<u32>,
}

/// Redirects requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RedirectFilter {
    /// `http` or `https`; default that of the request.
    pub scheme: Option<String>,
    /// Default that of the request.
    pub hostname: Option<String>,
    /// Default that of the request.
    pub path: Option<PathModifier>,
    /// Default that of the scheme, else of the listener.
    pub port: Option<u16>,
    /// Default 302.
    pub status_code: Option<u16>,
}

/// Changes the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathModifier {
    /// `ReplaceFullPath` or `ReplacePrefixMatch`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The new path.
    pub replace_full_path: Option<String>,
    /// Replaces the matched prefix.
    pub replace_prefix_match: Option<String>,
}

/// Changes the host and path of forwarded requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RewriteFilter {
    /// The new host.
    pub hostname: Option<String>,
    /// The new path.
    pub path: Option<PathModifier>,
}

/// Cross-origin resource sharing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CorsFilter {
    /// `*`, or origins whose host may begin with `*.`.
    pub allow_origins: Vec<String>,
    /// Whether credentials are allowed.
    pub allow_credentials: Option<bool>,
    /// Methods, or `*`.
    pub allow_methods: Vec<String>,
    /// Header fields, or `*`.
    pub allow_headers: Vec<String>,
    /// Header fields of responses, or `*`.
    pub expose_headers: Vec<String>,
    /// Seconds; default 5.
    pub max_age: Option<u32>,
}

/// Asks a service whether a request is allowed (experimental).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalAuthFilter {
    /// `HTTP` or `GRPC`.
    pub protocol: String,
    /// The service.
    pub backend_ref: BackendRef,
    /// For `HTTP`.
    pub http: Option<ExternalAuthHttp>,
    /// For `GRPC`.
    pub grpc: Option<ExternalAuthGrpc>,
    /// Whether the request's body is sent.
    pub forward_body: Option<ForwardBody>,
}

/// Over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalAuthHttp {
    /// Comes before the path of the request.
    pub path: Option<String>,
    /// Further header fields of the request.
    pub allowed_headers: Vec<String>,
    /// Header fields of the response that the endpoint gets; none: all.
    pub allowed_response_headers: Vec<String>,
}

/// Over gRPC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalAuthGrpc {
    /// Further header fields of the request.
    pub allowed_headers: Vec<String>,
}

/// Whether the request's body is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForwardBody {
    /// How much of it, bytes; zero: nothing.
    pub max_size: u32,
}

/// A Service with filters of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpBackendRef {
    /// The Service.
    #[serde(flatten)]
    pub backend: BackendRef,
    /// Run only for requests that it gets.
    pub filters: Vec<HttpFilter>,
}

/// Time limits; `0s` is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timeouts {
    /// For the whole exchange.
    pub request: Option<String>,
    /// For one attempt.
    pub backend_request: Option<String>,
}

/// Further attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetrySpec {
    /// Statuses that are tried again.
    pub codes: Vec<u16>,
    /// How many, after the first.
    pub attempts: Option<u32>,
    /// Least time between two.
    pub backoff: Option<String>,
}

/// Keeps clients at one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionPersistence {
    /// Name of the cookie or header field.
    pub session_name: Option<String>,
    /// After which a session ends.
    pub absolute_timeout: Option<String>,
    /// `Cookie` (default) or `Header`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Properties of the cookie.
    pub cookie_config: Option<CookieConfig>,
}

/// Properties of a session cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CookieConfig {
    /// `Session` (default) or `Permanent`.
    pub lifetime_type: Option<String>,
}
