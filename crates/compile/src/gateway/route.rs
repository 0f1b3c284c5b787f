//! Routes of all kinds.

use std::sync::Arc;

use headgate_table::UpstreamKey;

use super::applied::Applied;
use super::backend::Inputs;
use super::condition::Problem;
use super::hostname::Hostname;
use super::http::{self, Precedence};
use super::seniority::Seniority;
use super::{grpc, stream};
use crate::build::{BackendDraft, RouteDraft, SplitDraft, TargetDraft, UpstreamDraft};
use crate::finding::Finding;
use crate::objects::custom::{
    Custom, GrpcRouteSpec, HttpRouteSpec, HttpRule, ParentRef, TcpRouteSpec, TlsRouteSpec,
    UdpRouteSpec,
};
use crate::{Kind, Name, ObjectRef, Snapshot};

/// The kinds of routes.
pub(crate) const KINDS: [Kind; 5] = [
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::TlsRoute,
    Kind::TcpRoute,
    Kind::UdpRoute,
];

/// A route as it is written.
#[derive(Clone, Copy)]
pub(crate) enum WrittenRoute<'a> {
    Http(&'a Custom<HttpRouteSpec>),
    Grpc(&'a Custom<GrpcRouteSpec>),
    Tls(&'a Custom<TlsRouteSpec>),
    Tcp(&'a Custom<TcpRouteSpec>),
    Udp(&'a Custom<UdpRouteSpec>),
}

/// A route with its references resolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompiledRoute {
    /// What it serves.
    pub(crate) serves: Serves,
    /// Why no rule is served as written.
    pub(crate) refused: Option<Problem>,
    /// Why some rules respond with 500, while others are served.
    pub(crate) partially: Option<Problem>,
    /// The first reference that cannot be resolved.
    pub(crate) unresolved: Option<Problem>,
    /// The Services that it refers to, whether or not they exist.
    pub(crate) services: Vec<Name>,
    /// The upstreams of its mirrors and authorization services.
    pub(crate) mirrors: Vec<UpstreamDraft>,
    /// What policies configure of its rules.
    pub(crate) applied: Vec<Arc<Applied>>,
    /// About policies that do not suit its rules.
    pub(crate) findings: Vec<Finding>,
}

/// What a route serves.
#[derive(Clone, Debug)]
pub(crate) enum Serves {
    /// Requests: one draft for each match of each rule, without universes and hosts.
    Requests(Vec<RouteDraft<Precedence>>),
    /// Connections or datagrams.
    Streams {
        /// Of several routes of one listener and name, the least serves.
        seniority: Arc<Seniority>,
        /// Where they are forwarded to; `None`: nowhere.
        split: Option<Box<SplitDraft>>,
    },
}

impl CompiledRoute {
    /// The upstreams of its backends, mirrors and authorization services; one may occur several times.
    pub(super) fn upstreams(&self) -> impl Iterator<Item = UpstreamKey> {
        let (drafts, stream) = match &self.serves {
            Serves::Requests(drafts) => (&drafts[..], None),
            Serves::Streams { split, .. } => (&[][..], split.as_deref()),
        };
        let splits = drafts.iter().filter_map(|draft| match &draft.target {
            TargetDraft::Split(split) => Some(split),
            TargetDraft::DefaultBackend(_) | TargetDraft::Closed(_) => None,
        });
        let backends = splits.chain(stream).flat_map(SplitDraft::backends);
        let backends = backends.filter_map(BackendDraft::upstream);
        backends.chain(self.mirrors.iter().map(UpstreamDraft::key))
    }
}

impl Default for Serves {
    fn default() -> Self {
        Self::Requests(Vec::new())
    }
}

impl<'a> WrittenRoute<'a> {
    /// The route that `object` is, if it exists.
    pub(crate) fn of(object: &ObjectRef, snapshot: &'a Snapshot) -> Option<Self> {
        let name = &object.name;
        match object.kind {
            Kind::HttpRoute => snapshot.get(name).map(|route| Self::Http(route)),
            Kind::GrpcRoute => snapshot.get(name).map(|route| Self::Grpc(route)),
            Kind::TlsRoute => snapshot.get(name).map(|route| Self::Tls(route)),
            Kind::TcpRoute => snapshot.get(name).map(|route| Self::Tcp(route)),
            Kind::UdpRoute => snapshot.get(name).map(|route| Self::Udp(route)),
            _ => None,
        }
    }

    /// Its generation.
    pub(crate) fn generation(self) -> i64 {
        match self {
            Self::Http(route) => route.generation,
            Self::Grpc(route) => route.generation,
            Self::Tls(route) => route.generation,
            Self::Tcp(route) => route.generation,
            Self::Udp(route) => route.generation,
        }
    }

    /// The listeners that it names.
    pub(crate) fn parents(self) -> &'a [ParentRef] {
        match self {
            Self::Http(route) => &route.spec.parent_refs,
            Self::Grpc(route) => &route.spec.parent_refs,
            Self::Tls(route) => &route.spec.parent_refs,
            Self::Tcp(route) => &route.spec.0.parent_refs,
            Self::Udp(route) => &route.spec.0.parent_refs,
        }
    }

    /// Its hostnames; none: those of its listeners.
    pub(crate) fn hostnames(self) -> Vec<Hostname> {
        let names: &[String] = match self {
            Self::Http(route) => &route.spec.hostnames,
            Self::Grpc(route) => &route.spec.hostnames,
            Self::Tls(route) => &route.spec.hostnames,
            Self::Tcp(_) | Self::Udp(_) => &[],
        };
        names.iter().map(|name| Hostname::of(Some(name))).collect()
    }

    /// The names of its rules, if policies can be for them.
    pub(crate) fn rules(self) -> Vec<Option<&'a str>> {
        // A route without rules has one for everything.
        let one = || vec![None];
        match self {
            Self::Http(route) => route.spec.rules.as_ref().map_or_else(one, |rules| {
                rules.iter().map(|rule| rule.name.as_deref()).collect()
            }),
            Self::Grpc(route) => route.spec.rules.as_ref().map_or_else(one, |rules| {
                rules.iter().map(|rule| rule.name.as_deref()).collect()
            }),
            Self::Tls(_) | Self::Tcp(_) | Self::Udp(_) => Vec::new(),
        }
    }

    /// Its rules about requests; a stream has none.
    pub(crate) fn http_rules(self) -> Vec<HttpRule> {
        match self {
            Self::Http(route) => http::rules(&route.spec),
            Self::Grpc(route) => grpc::rules(&route.spec),
            Self::Tls(_) | Self::Tcp(_) | Self::Udp(_) => Vec::new(),
        }
    }

    /// Resolves its references.
    pub(crate) fn compile(self, inputs: Inputs<'_>) -> CompiledRoute {
        match self {
            Self::Http(route) => {
                http::compile(route, Kind::HttpRoute, &http::rules(&route.spec), inputs)
            }
            Self::Grpc(route) => {
                http::compile(route, Kind::GrpcRoute, &grpc::rules(&route.spec), inputs)
            }
            Self::Tls(route) => stream::compile(route, Kind::TlsRoute, &route.spec.rules, inputs),
            Self::Tcp(route) => stream::compile(route, Kind::TcpRoute, &route.spec.0.rules, inputs),
            Self::Udp(route) => stream::compile(route, Kind::UdpRoute, &route.spec.0.rules, inputs),
        }
    }
}
