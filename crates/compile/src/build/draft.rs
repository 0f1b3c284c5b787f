//! Hosts and routes as a source describes them, before they become part of a table.

use std::sync::Arc;

use headgate_table::{
    AppRoot, BackendFilters, Closed, Conditions, ErrorPages, HostCiphers, HostClients, HostScript,
    HostTls, HttpsRedirect, PathKind, Pattern, Policy, Rewrite, RouteRule, Rule, Unavailable,
    UpstreamKey,
};
use http::StatusCode;
use smallvec::SmallVec;

use super::service_port::{ServicePort, Transport};
use crate::ObjectRef;

/// The name of a universe of hosts. Each source has universes of its own; each listener uses one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Universe {
    name: Arc<str>,
    layered: bool,
}

impl Universe {
    /// The universe with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            layered: false,
        }
    }

    /// The [layered](headgate_table::VirtualHosts::layered) universe with this name.
    pub fn layered(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            layered: true,
        }
    }

    pub(super) fn is_layered(&self) -> bool {
        self.layered
    }
}

/// Routes of one object to one target, with one policy.
///
/// `P` is the order of precedence: of routes with the same host, path and conditions, the least serves, and routes of one path
/// are tried in this order.
#[derive(Clone, Debug)]
pub struct RouteDraft<P> {
    /// The universes that it is in.
    pub universes: SmallVec<[Universe; 1]>,
    /// The hosts, lower-case: names, `*.x`, or `_` for all other names.
    pub hosts: SmallVec<[Arc<str>; 1]>,
    /// The paths. The route serves requests that match any of them.
    pub matches: SmallVec<[PathDraft; 1]>,
    /// Its order of precedence.
    pub precedence: P,
    /// How requests are handled.
    pub policy: RoutePolicy,
    /// The backends, or why there are none.
    pub target: TargetDraft,
    /// The object that declares it; `None` for built-in routes.
    pub owner: Option<ObjectRef>,
    /// The field of the owner that declares it, for findings.
    pub field: Arc<str>,
    /// The rule of the owner that declares it, if explanations name it.
    pub rule: Option<Arc<RouteRule>>,
    /// The Service and port in that field, for metric labels; the target may be another.
    pub names: Option<(Arc<str>, Arc<str>)>,
}

/// A path with further conditions.
#[derive(Clone, Debug)]
pub struct PathDraft {
    /// The path as written in its object, for logs and metrics.
    pub path: Arc<str>,
    /// How it matches if `expressions` is empty.
    pub kind: PathKind,
    /// For [`PathOrder::Expressions`]: texts that determine the order, each with its expression; every route of such a host
    /// except its root needs one. For [`PathOrder::Specific`]: the expression, if the path is one.
    pub expressions: SmallVec<[(Arc<str>, Arc<Pattern>); 1]>,
    /// Further conditions that a request must meet.
    pub conditions: Conditions,
}

/// How the requests of a route are handled.
#[derive(Clone, Debug)]
pub struct RoutePolicy {
    /// The policy that routes of one object share.
    pub policy: Arc<Policy>,
    /// Redirect to https.
    pub https: HttpsRedirect,
    /// Rewriting of the path.
    pub rewrite: Option<Arc<Rewrite>>,
    /// Replacement of error responses. Its upstreams must be acquired from the builder.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// The route itself configures cookie affinity, so it may set the cookie.
    pub sets_affinity_cookie: bool,
}

/// Where a route forwards requests to.
#[derive(Clone, Debug)]
pub enum TargetDraft {
    /// One of several backends.
    Split(SplitDraft),
    /// The default backend; without one, 404.
    DefaultBackend(Option<BackendDraft>),
    /// None: the response is an error, because the route cannot be served as configured.
    Closed(Closed),
}

/// Backends and how one of them is picked; see [`headgate_table::Split`].
#[derive(Clone, Debug)]
pub struct SplitDraft {
    /// Gets the requests that neither rules nor weights send to an alternative.
    pub primary: BackendDraft,
    /// The other backends.
    pub alternatives: Vec<AlternativeDraft>,
    /// Rules that pick one of them by its index.
    pub rules: Vec<Rule>,
    /// Weights are shares of this total.
    pub total: u32,
    /// Gets the requests while the primary has no endpoints.
    pub fallback: Option<BackendDraft>,
    /// Each backend has its share whether or not others have endpoints.
    pub independent: bool,
}

/// A backend besides the primary.
#[derive(Clone, Debug)]
pub struct AlternativeDraft {
    /// The backend.
    pub backend: BackendDraft,
    /// Its share of the total.
    pub weight: u32,
    /// How its requests are handled while it has no endpoints.
    pub unavailable: Unavailable,
}

/// A backend of a split.
#[derive(Clone, Debug)]
pub struct BackendDraft {
    /// A Service port or a fixed status.
    pub arm: ArmDraft,
    /// Edits of header fields.
    pub edits: Option<Arc<BackendFilters>>,
}

/// See [`headgate_table::Arm`].
#[derive(Clone, Debug)]
pub enum ArmDraft {
    /// A Service port, with the protocol and TLS settings of its endpoints.
    Service(ServicePort, Transport),
    /// The response has this status.
    Status(StatusCode),
}

/// A host without its routes.
#[derive(Clone, Debug)]
pub struct HostDraft {
    /// `shop.example`, `*.shop.example` or `_`; lower-case.
    pub name: Arc<str>,
    /// Other names: exact ones and `*.x` of any depth.
    pub aliases: Vec<Arc<str>>,
    /// Its certificate.
    pub tls: HostTls,
    /// Which clients it serves, judged by their certificates.
    pub clients: HostClients,
    /// Its cipher suites.
    pub ciphers: HostCiphers,
    /// Runs before the route of a request is known.
    pub script: Option<Arc<HostScript>>,
    /// Serves routes or redirects.
    pub behaviour: BehaviourDraft,
}

impl HostDraft {
    /// A host that has nothing but routes, without a certificate.
    pub fn of_routes(name: Arc<str>, order: PathOrder) -> Self {
        Self {
            name,
            aliases: Vec::new(),
            tls: HostTls::None,
            clients: HostClients::Any,
            ciphers: HostCiphers::default(),
            script: None,
            behaviour: BehaviourDraft::Routes {
                app_root: None,
                order,
            },
        }
    }
}

/// How the paths of a host match, and in which order they are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathOrder {
    /// Literally ([`headgate_table::PathIndex::literal`]).
    #[default]
    Literal,
    /// As expressions ([`headgate_table::PathIndex::regex`]).
    Expressions,
    /// Literally or as expressions, the more specific first ([`headgate_table::PathIndex::specific`]).
    Specific,
}

/// What a host does with requests.
#[derive(Clone, Debug)]
pub enum BehaviourDraft {
    /// Redirects everything to another host.
    Redirect(Arc<str>),
    /// Serves the routes that are passed with it.
    Routes {
        /// `GET /` is redirected to a path of the application.
        app_root: Option<AppRoot>,
        /// How their paths match and in which order.
        order: PathOrder,
    },
}

impl BackendDraft {
    /// The key of its upstream; `None` for a fixed status.
    pub fn upstream(&self) -> Option<UpstreamKey> {
        match &self.arm {
            ArmDraft::Service(port, transport) => Some(port.id().upstream(transport)),
            ArmDraft::Status(_) => None,
        }
    }
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
            independent: false,
        }
    }

    /// All backends, the primary first and the fallback last.
    pub fn backends(&self) -> impl Iterator<Item = &BackendDraft> {
        let others = self.alternatives.iter().map(|other| &other.backend);
        let all = std::iter::once(&self.primary).chain(others);
        all.chain(&self.fallback)
    }

    /// Each backend has its weight of the sum of weights, whether or not others have endpoints. `None` without weights.
    pub fn by_weight(mut backends: Vec<(BackendDraft, u32)>) -> Option<Self> {
        backends.retain(|(_, weight)| *weight > 0);
        Self::by_weight_with_idle(backends)
    }

    /// As [`SplitDraft::by_weight`], but with the backends whose weight is zero, which get requests by other rules.
    pub fn by_weight_with_idle(mut backends: Vec<(BackendDraft, u32)>) -> Option<Self> {
        // The sort is stable. The primary gets what is left, so it needs a weight.
        backends.sort_by_key(|(_, weight)| *weight == 0);
        let weights = backends.iter().map(|(_, weight)| *weight);
        let total = weights.fold(0, u32::saturating_add);
        let mut weighted = backends.into_iter();
        let (primary, _) = weighted.next().filter(|_| total > 0)?;
        let alternatives = weighted.map(|(backend, weight)| AlternativeDraft {
            backend,
            weight,
            unavailable: Unavailable::Respond503,
        });
        Some(Self {
            alternatives: alternatives.collect(),
            total,
            independent: true,
            ..Self::new(primary)
        })
    }
}

impl BackendDraft {
    /// A Service port, without edits of header fields.
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
