//! All annotations of one Ingress as types. Defaults of the ConfigMap are not merged in: `None` is "not set".

mod affinity;
mod balance;
mod canary;
mod cors;
mod limits;
mod load;
mod protects;
mod proxy;
mod routing;
mod upstream_tls;

pub use affinity::{Affinity, SameSite, SessionCookie, StickyMode};
pub use balance::{Algorithm, Balance, HashBy};
pub use canary::{Canary, CanaryHeader};
pub use cors::Cors;
pub use limits::Limits;
pub(crate) use proxy::http_version;
pub use proxy::{BackendProtocol, ConnectionHeader, HttpVersion, Proxy};
pub use routing::{Redirect, Redirects, Routing};
pub use upstream_tls::UpstreamTls;

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{Bad, DEFAULT_PREFIX, Denial, NameRef, Problem, Reader, Risk, Validation};

/// What the operator decided about annotations as such.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// The prefix without its slash (`--annotations-prefix`).
    pub prefix: &'a str,
    /// Whether texts are checked (`--enable-annotation-validation`).
    pub validation: Validation,
    /// The highest risk allowed (ConfigMap `annotations-risk-level`).
    pub max_risk: Risk,
    /// Words no value may contain (ConfigMap `annotation-value-word-blocklist`).
    pub blocklist: &'a [String],
    /// Whether `--enable-ssl-passthrough` is set; without it the annotation means nothing, as in ingress-nginx.
    pub ssl_passthrough: bool,
}

impl Default for Policy<'_> {
    fn default() -> Self {
        Self {
            prefix: DEFAULT_PREFIX,
            validation: Validation::Full,
            max_risk: Risk::High,
            blocklist: &[],
            ssl_passthrough: false,
        }
    }
}

/// Address lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Only these clients pass. Replaces the ConfigMap's `whitelist-source-range`.
    pub allowlist: Option<Vec<IpNet>>,
    /// These clients never pass. Replaces the ConfigMap's `denylist-source-range`.
    pub denylist: Option<Vec<IpNet>>,
}

/// Headers set towards either side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// Host towards the backend, as written; may contain variables such as `$host`.
    pub upstream_vhost: Option<String>,
    /// X-Forwarded-Prefix, as written; may name capture groups of the path.
    pub x_forwarded_prefix: Option<String>,
    /// ConfigMap with response headers. When it is missing or holds a header that is not allowed, the route is closed.
    pub custom: Option<NameRef>,
}

/// All annotations of one Ingress.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngressAnnotations {
    /// Which requests, and how the path changes.
    pub routing: Routing,
    /// Answers that are redirects.
    pub redirects: Redirects,
    /// `Some` when the Ingress is a canary.
    pub canary: Option<Box<Canary>>,
    /// Rate and connection limits.
    pub limits: Limits,
    /// `Some` when clients stay on one endpoint.
    pub affinity: Option<Box<Affinity>>,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// `Some` when TLS to the backend is configured (`proxy-ssl-secret`).
    pub upstream_tls: Option<Box<UpstreamTls>>,
    /// Timeouts, retries, buffers and protocol towards the backend.
    pub proxy: Proxy,
    /// `Some` when CORS is on and an origin is allowed.
    pub cors: Option<Box<Cors>>,
    /// Address lists.
    pub access: Access,
    /// Headers.
    pub headers: Headers,
    /// `enable-access-log`; on when not set.
    pub access_log: Option<bool>,
    /// Everything worth telling the owner, in the order of the names.
    pub problems: Vec<Problem>,
    /// Why every route of the Ingress answers 503.
    pub denied: Option<Denial>,
    /// `false` exempts from authentication that the settings ask of every route (`enable-global-auth`).
    pub global_auth: Option<bool>,
    /// Why this version of the Ingress is not to be used: the last good one stays, without one it is not served.
    pub refused: Option<String>,
}

impl IngressAnnotations {
    /// Parses the annotations of one Ingress. Never fails: what can't be used is a problem, a denial or a refusal.
    pub fn parse(policy: &Policy<'_>, annotations: &BTreeMap<String, String>) -> Self {
        let mut reader = load::load(policy, annotations);
        protects::close(&mut reader, policy);
        let mut parsed = Self {
            routing: Routing::read(&reader),
            redirects: Redirects::read(&mut reader),
            canary: Canary::read(&mut reader).map(Box::new),
            limits: Limits::read(&mut reader),
            affinity: Affinity::read(&reader).map(Box::new),
            balance: Balance::read(&mut reader),
            upstream_tls: UpstreamTls::read(&mut reader).map(Box::new),
            proxy: Proxy::read(&mut reader),
            cors: Cors::read(&mut reader).map(Box::new),
            access: Access::read(&reader),
            headers: Headers::read(&mut reader),
            access_log: reader.bool("enable-access-log"),
            global_auth: reader.bool("enable-global-auth"),
            ..Self::default()
        };
        let outcome = reader.finish();
        parsed.problems = outcome.problems;
        parsed.denied = outcome.denied;
        parsed.refused = outcome.refused;
        parsed
    }
}

impl Access {
    fn read(reader: &Reader) -> Self {
        let list = |name| reader.cidrs(name).map(<[IpNet]>::to_vec);
        Self {
            allowlist: list("allowlist-source-range"),
            denylist: list("denylist-source-range"),
        }
    }
}

impl Headers {
    fn read(reader: &mut Reader) -> Self {
        Self {
            upstream_vhost: reader.string("upstream-vhost"),
            x_forwarded_prefix: reader.string("x-forwarded-prefix"),
            custom: custom_headers(reader),
        }
    }
}

/// The ConfigMap has to be named with its namespace.
fn custom_headers(reader: &mut Reader) -> Option<NameRef> {
    let named = reader.parsed("custom-headers", NameRef::parse)?;
    if named.namespace.is_none() {
        reader.reject(
            "custom-headers",
            Bad::Ignore,
            "the ConfigMap is to be named namespace/name",
        );
        return None;
    }
    Some(named)
}
