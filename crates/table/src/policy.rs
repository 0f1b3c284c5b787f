//! How requests of a route are handled, besides the choice of an upstream. A field that is `None` costs nothing at run time.

mod access;
mod authentication;
mod authorization;
mod credentials;
mod error_pages;
mod external_auth;
mod fastcgi;
mod mirror;
mod rate;
mod script;
mod session;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use headgate_limit::Quota;
use http::{HeaderName, HeaderValue, StatusCode};

pub use self::access::{AccessRules, AddressRule, Satisfy};
pub use self::authentication::Authentication;
pub use self::authorization::{Authorization, AuthorizationProtocol};
pub use self::credentials::{
    BasicUsers, Credentials, DigestUsers, HashFormat, PasswordHash, Users,
};
pub use self::error_pages::ErrorPages;
pub use self::external_auth::{AuthCache, CacheRule, ExternalAuth, SignIn};
pub use self::fastcgi::FastCgi;
pub use self::mirror::{Mirror, MirrorPath, Share};
pub use self::rate::ResponseRate;
pub use self::script::{
    AddedField, AfterRewrite, Assigned, Condition, Expires, ExpiresTime, FieldChoice,
    FixedResponse, InputEdit, Level, OutputEdit, PathRewrite, Script, Step, ValueTest,
};
pub use self::session::{Session, SessionCarrier};
use crate::{FieldTemplate, IpSet, PathEdit, Slot, StatusSet, Tracing};

/// The policy of every route of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Steps before all of the following, and edits that they select.
    pub script: Option<Arc<Script>>,
    /// Redirect instead of forwarding.
    pub redirect: Option<Redirect>,
    /// Cross-origin resource sharing.
    pub cors: Option<Arc<CorsRules>>,
    /// Request-rate and concurrency limits.
    pub limits: Option<Arc<Limits>>,
    /// Which client addresses are allowed.
    pub access: Option<Arc<AccessRules>>,
    /// How clients prove who they are.
    pub authentication: Option<Arc<Authentication>>,
    /// A service that is asked once these checks have passed.
    pub authorization: Option<Arc<Authorization>>,
    /// Whether one of `access` and `authentication` is enough.
    pub satisfy: Satisfy,
    /// Clients stay with an endpoint.
    pub session: Option<Arc<Session>>,
    /// A service that gets copies of requests.
    pub mirror: Option<Arc<Mirror>>,
    /// Tracing of requests.
    pub tracing: Option<Arc<Tracing>>,
    /// Header fields of every response; they replace those of the same name.
    pub response_headers: Arc<[(HeaderName, FieldTemplate)]>,
    /// Keep the final slash in the redirect to https.
    pub preserve_trailing_slash: bool,
    /// Include the port in redirects.
    pub port_in_redirects: bool,
    /// Redirects of the proxy have only a path in `Location`.
    pub relative_redirects: bool,
    /// Add `Strict-Transport-Security` to https responses, if settings say so; default true.
    pub hsts: bool,
    /// Write a line to the access log.
    pub access_log: bool,
    /// How requests are forwarded.
    pub forwarding: Arc<Forwarding>,
}

/// A redirect for every request of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 300 to 308.
    pub status: StatusCode,
    /// Where to.
    pub location: Location,
}

/// `Location` of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Literally.
    Fixed(HeaderValue),
    /// The URL of the request with some parts replaced (gateway-api.md 3.7).
    Url(Box<UrlParts>),
}

/// The parts of a URL that a redirect replaces; those that are `None` are the request's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlParts {
    /// `true`: https, `false`: http.
    pub https: Option<bool>,
    /// The host.
    pub host: Option<Arc<str>>,
    /// The port; `None`: that of the replaced scheme, else of the listener as clients see it.
    pub port: Option<u16>,
    /// The path.
    pub path: Option<PathEdit>,
}

/// When a plain-text request is redirected to https.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpsRedirect {
    /// Never.
    #[default]
    Never,
    /// When the host has a certificate entry.
    WhenHostHasTls,
    /// Always.
    Always,
}

/// Whose rules of cross-origin resource sharing apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsRules {
    /// Those of nginx: every response has all fields.
    Nginx(Cors),
    /// Those of the Fetch standard: responses to preflights say what is allowed, other responses only that it is.
    Fetch(FetchCors),
}

/// Cross-origin resource sharing by the Fetch standard (gateway-api.md 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchCors {
    /// Allowed origins.
    pub origins: Origins,
    /// Allowed methods; `None`: all.
    pub methods: Option<HeaderValue>,
    /// Allowed header fields of requests; `None`: all.
    pub headers: Option<HeaderValue>,
    /// Header fields of responses that scripts may read.
    pub expose: Option<HeaderValue>,
    /// Whether requests may have credentials.
    pub credentials: bool,
    /// Seconds for which clients keep the response to a preflight.
    pub max_age: HeaderValue,
}

/// Cross-origin resource sharing (behaviour.md 1.11); whole origins are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Allowed origins.
    pub origins: Origins,
    /// `Access-Control-Allow-Methods`
    pub methods: HeaderValue,
    /// `Access-Control-Allow-Headers`
    pub headers: HeaderValue,
    /// `Access-Control-Expose-Headers`
    pub expose: Option<HeaderValue>,
    /// `Access-Control-Allow-Credentials: true`
    pub credentials: bool,
    /// `Access-Control-Max-Age`, seconds.
    pub max_age: HeaderValue,
}

impl Default for Cors {
    /// Any origin, with credentials, cached for 20 days.
    fn default() -> Self {
        Self {
            origins: Origins::Any,
            methods: HeaderValue::from_static("GET, PUT, POST, DELETE, PATCH, OPTIONS"),
            headers: HeaderValue::from_static(
                "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
            ),
            expose: None,
            credentials: true,
            max_age: HeaderValue::from_static("1728000"),
        }
    }
}

/// Allowed origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// `*`
    Any,
    /// A list; empty allows none.
    List(Vec<OriginPattern>),
}

/// One allowed origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// The whole origin, lower-case.
    Exact(String),
    /// `scheme://` + one label + `.suffix[:port]`, lower-case.
    OneLabel {
        /// `scheme://`
        scheme: String,
        /// `.suffix[:port]`
        suffix: String,
    },
    /// `scheme://` + one or more labels + `.suffix[:port]`, lower-case.
    Labels {
        /// `scheme://`
        scheme: String,
        /// `.suffix[:port]`
        suffix: String,
    },
}

/// Limits of one object, counted per client over all its routes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Stable identity of the counters: `namespace/name/uid`.
    pub id: Arc<str>,
    /// Requests per second.
    pub per_second: Option<Quota>,
    /// Requests per minute.
    pub per_minute: Option<Quota>,
    /// Requests in flight.
    pub connections: Option<NonZeroU32>,
    /// Clients that are not counted.
    pub exempt: IpSet,
    /// Run-time state: the buckets.
    pub slot: Slot,
}

impl PartialEq for Limits {
    fn eq(&self, other: &Self) -> bool {
        let key = |l: &Self| {
            (
                l.id.clone(),
                l.per_second,
                l.per_minute,
                l.connections,
                l.exempt.clone(),
            )
        };
        key(self) == key(other)
    }
}

/// How requests are forwarded to an endpoint and responses relayed.
#[derive(Clone, Debug, PartialEq)]
pub struct Forwarding {
    /// Connect timeout, default 5 s.
    pub connect_timeout: Duration,
    /// Timeout between two writes to the endpoint, default 60 s.
    pub send_timeout: Duration,
    /// Timeout between two reads from the endpoint, default 60 s; also the idle timeout of upgraded connections.
    pub read_timeout: Duration,
    /// Bound on one attempt, from its beginning to the end of the response; default none. Beyond: 504, or the response ends early.
    pub attempt_timeout: Option<Duration>,
    /// Bound on the whole exchange with the client, all attempts included; default none. Beyond: 504, or the response ends early.
    pub request_timeout: Option<Duration>,
    /// When a request is retried.
    pub retry: Retry,
    /// How much of a streamed request body is kept, bytes, so that it can be sent again; default none. A longer one is sent once.
    pub replay_memory: usize,
    /// Largest request body, bytes, default 1 MiB; `None`: unlimited. Beyond: 413.
    pub body_limit: Option<u64>,
    /// Read the whole request body before an endpoint is chosen; default true.
    pub buffer_request: bool,
    /// How much of a buffered body is kept in memory, bytes, default 8 KiB; the rest is written to a file.
    pub body_memory: usize,
    /// Largest head of a response, bytes, default 4 KiB; beyond: 502.
    pub response_head_limit: usize,
    /// Read ahead of a slow client; default false.
    pub buffer_response: bool,
    /// How much of a response that is read ahead may be in a file, bytes, default 1 GiB; zero: memory only.
    pub response_file_limit: u64,
    /// How fast a response that is read ahead is sent; default unlimited.
    pub response_rate: Option<ResponseRate>,
    /// HTTP version of requests to HTTP/1 endpoints.
    pub http_version: HttpVersion,
    /// Parameters of FastCGI endpoints besides those of every request; `None` for other protocols.
    pub fastcgi: Option<Arc<FastCgi>>,
    /// `Host` sent to the endpoint instead of the client's, with variables.
    pub host: Option<FieldTemplate>,
    /// `Connection` sent to the endpoint instead of what the proxy would send.
    pub connection_header: Option<ConnectionHeader>,
    /// Replacement in `Domain` of `Set-Cookie`.
    pub cookie_domain: Option<ReplaceRule>,
    /// Replacement in `Path` of `Set-Cookie`.
    pub cookie_path: Option<ReplaceRule>,
    /// Replacement in `Location` and `Refresh`.
    pub location: Option<ReplaceRule>,
}

impl Default for Policy {
    /// Forwards without restrictions.
    fn default() -> Self {
        Self {
            script: None,
            redirect: None,
            cors: None,
            limits: None,
            access: None,
            authentication: None,
            authorization: None,
            satisfy: Satisfy::All,
            session: None,
            mirror: None,
            tracing: None,
            response_headers: Arc::default(),
            preserve_trailing_slash: false,
            port_in_redirects: false,
            relative_redirects: false,
            hsts: true,
            access_log: true,
            forwarding: Arc::default(),
        }
    }
}

impl Default for Forwarding {
    /// The defaults in the field docs.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            send_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(60),
            attempt_timeout: None,
            request_timeout: None,
            retry: Retry::default(),
            replay_memory: 0,
            body_limit: Some(1 << 20),
            buffer_request: true,
            body_memory: 8 << 10,
            response_head_limit: 4 << 10,
            buffer_response: false,
            response_file_limit: 1 << 30,
            response_rate: None,
            http_version: HttpVersion::Http11,
            fastcgi: None,
            host: None,
            connection_header: None,
            cookie_domain: None,
            cookie_path: None,
            location: None,
        }
    }
}

impl Default for Retry {
    /// Three attempts in total, on errors and timeouts.
    fn default() -> Self {
        Self {
            on: RetryOn {
                error: true,
                timeout: true,
                ..RetryOn::default()
            },
            tries: NonZeroU32::new(3),
            timeout: None,
            non_idempotent: false,
            backoff: None,
        }
    }
}

/// A leading `from` is replaced by `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplaceRule {
    /// The text to replace.
    pub from: String,
    /// The replacement.
    pub to: String,
}

/// HTTP/1 version of requests to endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0, one request per connection.
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// A fixed `Connection` header towards endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionHeader {
    /// `close`
    Close,
    /// `keep-alive`
    KeepAlive,
}

/// When a request is retried with another endpoint (`proxy-next-upstream`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Conditions.
    pub on: RetryOn,
    /// Maximum attempts, including the first; `None`: one per endpoint.
    pub tries: Option<NonZeroU32>,
    /// Timeout after which no further attempt starts.
    pub timeout: Option<Duration>,
    /// Also retry POST, LOCK and PATCH after they were sent.
    pub non_idempotent: bool,
    /// Least time between the first attempt and the second; it doubles from one to the next, up to its tenfold, and a quarter at
    /// most is added at random. Default: none.
    pub backoff: Option<Duration>,
}

/// Conditions of a retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// A connection failed or broke.
    pub error: bool,
    /// Connecting, writing or reading timed out.
    pub timeout: bool,
    /// The response head was empty or invalid.
    pub invalid_header: bool,
    /// The response has one of these statuses.
    pub statuses: StatusSet,
}
