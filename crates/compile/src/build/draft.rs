//! Hosts and routes as a source describes them, before they are a table.

use std::sync::Arc;

use headgate_table::{
    AppRoot, Closed, Conditions, HeaderEdits, HostTls, HttpsRedirect, PathKind, Pattern, Policy,
    Rewrite, Rule, Unavailable,
};
use http::StatusCode;
use smallvec::SmallVec;

use super::service_port::{ServicePort, Transport};
use crate::ObjectRef;

/// A universe of hosts. Each source has universes of its own; listeners lead to them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Universe(Arc<str>);

impl Universe {
    /// The universe of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

/// Routes of one object to one target, with one policy.
///
/// `P` is the source's order: of routes with the same host, path and conditions the one with the least precedence serves,
/// and routes of one path are tried in this order.
#[derive(Clone, Debug)]
pub struct RouteDraft<P> {
    /// The universes that it is in.
    pub universes: SmallVec<[Universe; 1]>,
    /// The hosts, lower-case: names, `*.x`, or `_` for all others.
    pub hosts: SmallVec<[Arc<str>; 1]>,
    /// The paths. A request that fits one of them is the route's.
    pub matches: SmallVec<[PathDraft; 1]>,
    /// Its place in the source's order.
    pub precedence: P,
    /// What is done to requests.
    pub policy: RoutePolicy,
    /// Where they go.
    pub target: TargetDraft,
    /// Whose route it is; `None`: the process's own.
    pub owner: Option<ObjectRef>,
    /// The field of the owner that declares it, for findings.
    pub field: Arc<str>,
    /// The Service and port that the field names, for labels; they may differ from where requests go.
    pub names: Option<(Arc<str>, Arc<str>)>,
}

/// A path with further conditions.
#[derive(Clone, Debug)]
pub struct PathDraft {
    /// The path as its object has it: what logs and metrics show.
    pub path: Arc<str>,
    /// How it matches where `expressions` are empty.
    pub kind: PathKind,
    /// The texts that decide the order of a host in regex mode, each with its expression. Every route of such a host but its
    /// root needs one.
    pub expressions: SmallVec<[(Arc<str>, Arc<Pattern>); 1]>,
    /// What else a request must match.
    pub conditions: Conditions,
}

/// What is done to the requests of a route.
#[derive(Clone, Debug)]
pub struct RoutePolicy {
    /// All that routes of one object share.
    pub policy: Arc<Policy>,
    /// Redirect to https.
    pub https: HttpsRedirect,
    /// Rewriting of the path.
    pub rewrite: Option<Arc<Rewrite>>,
    /// The route itself configures cookie affinity, so it may set the cookie.
    pub sets_affinity_cookie: bool,
}

/// Where the requests of a route go.
#[derive(Clone, Debug)]
pub enum TargetDraft {
    /// To one of several backends.
    Split(SplitDraft),
    /// To the default backend; without one, 404.
    DefaultBackend(Option<BackendDraft>),
    /// Nowhere: 503, because something that protects the route cannot be honoured.
    Closed(Closed),
}

/// Backends and how one of them is picked; see [`headgate_table::Split`].
#[derive(Clone, Debug)]
pub struct SplitDraft {
    /// Takes what neither rules nor weights give to an alternative.
    pub primary: BackendDraft,
    /// The other backends.
    pub alternatives: Vec<AlternativeDraft>,
    /// Rules about them, by their index.
    pub rules: Vec<Rule>,
    /// What weights are shares of.
    pub total: u32,
    /// Takes requests while the primary has no endpoints.
    pub fallback: Option<BackendDraft>,
}

/// A backend beside the primary.
#[derive(Clone, Debug)]
pub struct AlternativeDraft {
    /// The backend.
    pub backend: BackendDraft,
    /// Its share of the total.
    pub weight: u32,
    /// What becomes of its share while it has no endpoints.
    pub unavailable: Unavailable,
}

/// Where requests may go.
#[derive(Clone, Debug)]
pub struct BackendDraft {
    /// To a Service port, or to a status.
    pub arm: ArmDraft,
    /// Edits of headers.
    pub edits: Option<Arc<HeaderEdits>>,
}

/// See [`headgate_table::Arm`].
#[derive(Clone, Debug)]
pub enum ArmDraft {
    /// A Service port and how its endpoints are spoken to.
    Service(ServicePort, Transport),
    /// Requests get this status.
    Status(StatusCode),
}

/// A host, its routes aside.
#[derive(Clone, Debug)]
pub struct HostDraft {
    /// `shop.example`, `*.shop.example` or `_`; lower-case.
    pub name: Arc<str>,
    /// Other names: exact ones and `*.x` of any depth.
    pub aliases: Vec<Arc<str>>,
    /// Its certificate.
    pub tls: HostTls,
    /// What it does.
    pub behaviour: BehaviourDraft,
}

/// What a host does with requests.
#[derive(Clone, Debug)]
pub enum BehaviourDraft {
    /// Redirects everything to another host.
    Redirect(Arc<str>),
    /// Serves the routes that are given with it.
    Routes {
        /// `GET /` is redirected to a path of the application.
        app_root: Option<AppRoot>,
        /// Paths are expressions.
        regex: bool,
    },
}

impl SplitDraft {
    /// All requests go to `primary`.
    pub fn new(primary: BackendDraft) -> Self {
        Self {
            primary,
            alternatives: Vec::new(),
            rules: Vec::new(),
            total: 1,
            fallback: None,
        }
    }
}

impl BackendDraft {
    /// A Service port, headers as they are.
    pub fn service(port: ServicePort, transport: Transport) -> Self {
        Self {
            arm: ArmDraft::Service(port, transport),
            edits: None,
        }
    }
}

impl PathDraft {
    /// A literal path without conditions.
    pub fn literal(path: Arc<str>, kind: PathKind) -> Self {
        Self {
            path,
            kind,
            expressions: SmallVec::new(),
            conditions: Conditions::default(),
        }
    }
}
