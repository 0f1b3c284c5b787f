//! A host's routes and where each leads.

use std::sync::Arc;

use crate::policy::HttpsRedirect;
use crate::{Pattern, Policy, Slot, Split, Template, UpstreamKey};

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

/// The object and Service that a route was made from. Labels of metrics and variables of logs are made from it where they
/// are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Kind of the object, as in its manifest; empty for the built-in default.
    pub kind: &'static str,
    /// Namespace of the object; empty for the built-in default.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Arc<str>,
    /// Service that the path names.
    pub service: Arc<str>,
    /// Its port, number or name, as the path names it.
    pub port: Arc<str>,
}

/// Where requests of a route go.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// To one of several backends.
    Forward(Split),
    /// To the default backend; without a ready endpoint there, 404.
    DefaultBackend(Option<UpstreamKey>),
    /// Nowhere: 503, because something that protects the route cannot be honoured.
    Closed(Closed),
}

/// Why a route is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// For the operator; never sent to clients.
    pub reason: Arc<str>,
}

/// Rewriting of the path before forwarding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewrite {
    /// Searched, without regard to case and unanchored, in the decoded, normalised path. No match: nothing is rewritten.
    pub pattern: Arc<Pattern>,
    /// What the whole path becomes.
    pub target: Template,
    /// The target is an `http://` or `https://` URL: redirect to it with 302 instead of forwarding.
    pub redirect: bool,
    /// `X-Forwarded-Prefix` for the upstream.
    pub forwarded_prefix: Option<Template>,
}
