//! A host's routes and where each leads.

use std::sync::Arc;

use http::HeaderName;

use crate::policy::HttpsRedirect;
use crate::{Pattern, Policy, Slot, Template, UpstreamId};

/// One path of one host.
#[derive(Clone, Debug)]
pub struct Route {
    /// The path as its object wrote it: what logs and metrics show.
    pub path: Arc<str>,
    /// How the path matches outside regex mode.
    pub kind: PathKind,
    /// Whose route it is.
    pub origin: Arc<Origin>,
    /// What is done to requests.
    pub policy: Arc<Policy>,
    /// Redirect to https; per route because exempt paths are.
    pub https: HttpsRedirect,
    /// Rewriting of the path.
    pub rewrite: Option<Arc<Rewrite>>,
    /// Where requests go.
    pub target: Target,
    /// This route set up cookie affinity itself, so it may set the cookie.
    pub sets_affinity_cookie: bool,
    /// Run-time state: counters.
    pub slot: Slot,
}

/// How a path matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathKind {
    /// The whole path, byte by byte.
    Exact,
    /// Whole leading segments.
    Prefix,
}

/// The object and Service that a route was made from: labels of metrics, fields of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Namespace of the object; empty for the built-in default.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub ingress: Arc<str>,
    /// Service that the path names.
    pub service: Arc<str>,
    /// Its port, number or name, as the path names it.
    pub port: Arc<str>,
}

/// Where requests of a route go.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// To an upstream, perhaps with a canary.
    Forward(Split),
    /// To the default backend; without a ready endpoint there, 404.
    DefaultBackend(Option<UpstreamId>),
    /// Nowhere: 503, because something that protects the route cannot be honoured.
    Closed(Closed),
}

/// Why a route is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// For the operator; never sent to clients.
    pub reason: Arc<str>,
}

/// An upstream and what may take its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Where requests go by default.
    pub primary: UpstreamId,
    /// The alternative.
    pub canary: Option<Arc<Canary>>,
    /// Takes requests, with `X-Code: 503`, when the chosen upstream has no endpoints.
    pub fallback: Option<UpstreamId>,
}

/// Conditions under which a request goes to an alternative upstream. Header, then cookie, then weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// The alternative.
    pub upstream: UpstreamId,
    /// By request header.
    pub header: Option<CanaryHeader>,
    /// By the cookie of this name: `always` or `never`.
    pub cookie: Option<Arc<str>>,
    /// Requests in `total` that go to the canary.
    pub weight: u32,
    /// At least 1; default 100.
    pub total: u32,
}

/// Canary rule on a request header.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryHeader {
    /// Which header.
    pub name: HeaderName,
    /// What its value decides.
    pub test: HeaderTest,
}

/// What a canary header's value decides.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderTest {
    /// `always`: canary, `never`: primary, else the next rule.
    AlwaysNever,
    /// Exactly this: canary, else the next rule.
    Value(Arc<str>),
    /// Found: canary, else the next rule.
    Pattern(Pattern),
    /// The pattern of the object does not compile: primary.
    Broken,
}

/// Rewriting of the path before forwarding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewrite {
    /// Searched, without regard to case and unanchored, in the decoded, normalised path. No match: nothing is rewritten.
    pub pattern: Arc<Pattern>,
    /// What the whole path becomes.
    pub target: Template,
    /// The target is an `http://` or `https://` URL: answer 302 to it instead of forwarding.
    pub redirect: bool,
    /// `X-Forwarded-Prefix` for the upstream.
    pub forwarded_prefix: Option<Template>,
}
