//! The routes of a host and their targets.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::policy::{ErrorPages, HttpsRedirect};
use crate::{PathEdit, Pattern, Policy, Slot, Split, Template, UpstreamKey};

/// One path of one host.
#[derive(Clone, Debug)]
pub struct Route {
    /// The path as written in its object, for logs and metrics.
    pub path: Arc<str>,
    /// How the path matches outside regex mode.
    pub kind: PathKind,
    /// The object that declares it.
    pub origin: Arc<Origin>,
    /// The rule of the object that declares it, if explanations name it.
    pub rule: Option<Arc<RouteRule>>,
    /// How requests are handled.
    pub policy: Arc<Policy>,
    /// Redirect to https; per route because paths can be exempt.
    pub https: HttpsRedirect,
    /// Rewriting of the path.
    pub rewrite: Option<Arc<Rewrite>>,
    /// Replacement of error responses; not part of the policy, because routes of one object can differ.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// The backend, or why there is none.
    pub target: Target,
    /// This route itself configures cookie affinity, so it may set the cookie.
    pub sets_affinity_cookie: bool,
    /// Run-time state: counters.
    pub slot: Slot,
}

impl Route {
    /// Whether no object declares it: it responds for paths that no object has.
    pub fn is_built_in(&self) -> bool {
        self.origin.kind.is_empty()
    }
}

/// How a path matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathKind {
    /// The whole path is equal, byte by byte.
    Exact,
    /// The leading segments are equal.
    Prefix,
    /// An expression matches the path.
    Expression,
}

/// The object and Service that a route is compiled from. Metrics and logs derive their labels and variables from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Kind of the object, as in its manifest; empty for the built-in default.
    pub kind: &'static str,
    /// Namespace of the object; empty for the built-in default.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Arc<str>,
    /// Service that the path refers to.
    pub service: Arc<str>,
    /// Its port, number or name, as in the path.
    pub port: Arc<str>,
}

/// A rule of an object. No label or variable is derived from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRule {
    /// Its index in `spec.rules`.
    pub index: usize,
    /// Its name, if it has one.
    pub name: Option<Box<str>>,
    /// The namespace of the Service in the origin, if it is not that of the object.
    pub namespace: Option<Arc<str>>,
}

impl fmt::Display for RouteRule {
    /// Its field, and the name in parentheses: `spec.rules[2] (checkout)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.rules[{}]", self.index)?;
        match &self.name {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// Where a route forwards requests to.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One of several backends.
    Forward(Split),
    /// The default backend; 404 while it has no ready endpoint.
    DefaultBackend(Option<UpstreamKey>),
    /// None: the response is an error, because the route cannot be served as configured, such as without a protection.
    Closed(Closed),
}

/// Why a route is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The reason for the operator; never sent to clients.
    pub reason: Arc<str>,
    /// The status of every response.
    pub status: StatusCode,
}

impl Closed {
    /// Responds with 503.
    pub fn unavailable(reason: Arc<str>) -> Self {
        Self {
            reason,
            status: StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Rewriting of the path before forwarding.
#[derive(Clone, Debug, PartialEq)]
pub enum Rewrite {
    /// By a regular expression.
    Pattern(PatternRewrite),
    /// As a whole, or its prefix.
    Path(PathEdit),
}

/// Rewriting of the path by a regular expression.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternRewrite {
    /// Case-insensitive and unanchored, matched against the decoded, normalised path. Without a match the path stays.
    pub pattern: Arc<Pattern>,
    /// Replaces the whole path.
    pub target: Template,
    /// The target is an `http://` or `https://` URL: redirect to it with 302 instead of forwarding.
    pub redirect: bool,
    /// `X-Forwarded-Prefix` for the upstream.
    pub forwarded_prefix: Option<Template>,
}
