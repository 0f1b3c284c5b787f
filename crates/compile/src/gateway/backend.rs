//! References of routes to Services (gateway-api.md 3.5, 3.18).

use std::sync::Arc;

use headgate_table::{BackendFilters, BackendProtocol, Certificate, UpstreamTls};
use http::StatusCode;

use super::applied::Applied;
use super::condition::Problem;
use super::grants::{Grants, Reference};
use super::policies::Policies;
use super::tls_policy::TlsPolicy;
use super::traffic_policy::TrafficPolicy;
use crate::build::{ArmDraft, BackendDraft, ServicePort, SplitDraft, Transport};
use crate::objects::custom::{BackendRef, Custom, HeadgatePolicySpec};
use crate::objects::{self, Protocol, Service};
use crate::{Kind, Name, Snapshot};

/// The pool of upstreams that routes of the Gateway API use: how Ingresses balance a Service port does not concern them.
pub(crate) const POOL: &str = "gateway";

/// What backends are resolved with.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) grants: &'a Grants,
    pub(crate) policies: &'a Policies<TlsPolicy>,
    pub(crate) traffic: &'a Policies<TrafficPolicy>,
    pub(crate) origin: &'a Origin,
    /// What HeadgatePolicies configure of each rule.
    pub(crate) applied: &'a [Option<Arc<Applied>>],
}

/// Where requests and connections come from, as far as a route depends on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Origin {
    /// The certificate of the Gateway, which endpoints get that request one.
    pub(crate) client: Option<Arc<Certificate>>,
    /// A listener that passes TLS through: it is not put into TLS once more.
    pub(crate) is_passthrough: bool,
    /// The HeadgatePolicies of the Gateway and of the listener.
    pub(crate) defaults: Vec<Arc<Custom<HeadgatePolicySpec>>>,
}

impl Inputs<'_> {
    /// TLS towards the endpoints of a port of `service`, if a policy demands it.
    fn tls(&self, service: &Name, port: &objects::ServicePort) -> Option<Arc<UpstreamTls>> {
        if self.origin.is_passthrough {
            return None;
        }
        let policy = self.policies.of_port(service, port.name.as_deref())?;
        Some(policy.tls(self.origin.client.as_ref()))
    }
}

/// The route that refers to backends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Referrer<'a> {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its namespace.
    pub(crate) namespace: &'a str,
}

impl Referrer<'_> {
    /// The Service that a reference names.
    pub(crate) fn service(&self, reference: &BackendRef) -> Name {
        let namespace = reference.namespace.as_deref().unwrap_or(self.namespace);
        Name::new(namespace, &reference.name)
    }

    /// The Service port that a reference names, with the protocol that its endpoints speak.
    ///
    /// # Errors
    /// It cannot be resolved.
    pub(crate) fn resolve(
        &self,
        reference: &BackendRef,
        inputs: Inputs<'_>,
    ) -> Result<(ServicePort, Transport), Problem> {
        let (group, kind) = reference.group_and_kind();
        let name = self.service(reference);
        let allowed = inputs.grants.allow(&Reference {
            from: self.kind,
            from_namespace: self.namespace,
            to_group: group,
            to_kind: kind,
            to_namespace: &name.namespace,
            to_name: &name.name,
        });
        if !allowed {
            let message = format!(
                "no ReferenceGrant in namespace {} allows {} of namespace {} to refer to {kind} {name}",
                name.namespace,
                self.kind.as_str(),
                self.namespace
            );
            return Err(Problem::new("RefNotPermitted", message));
        }
        if !reference.is_service() {
            let message = format!(
                "a backend of kind {} of group {group:?} is not supported; Services are",
                kind.escape_debug()
            );
            return Err(Problem::new("InvalidKind", message));
        }
        let missing = |message| Problem::new("BackendNotFound", message);
        let service = inputs.snapshot.get::<Service>(&name);
        let service = service.ok_or_else(|| missing(format!("there is no Service {name}")))?;
        let number = reference.port;
        let number =
            number.ok_or_else(|| missing(format!("no port of Service {name} is named")))?;
        let port = self.port(service, number);
        let port = port.ok_or_else(|| missing(format!("Service {name} has no port {number}")))?;
        let transport = self.transport(port, inputs.tls(&name, port));
        let port_text: Arc<str> = number.to_string().into();
        Ok((ServicePort::new(name, port_text).exactly(), transport))
    }

    fn port<'s>(&self, service: &'s Service, number: u16) -> Option<&'s objects::ServicePort> {
        let protocol = match self.kind {
            Kind::UdpRoute => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        let mut ports = service.ports.iter();
        ports.find(|port| port.port == number && port.protocol == protocol)
    }

    /// How connections to the endpoints of `port` are made. A protocol that is not known means HTTP/1.1, as none does.
    /// Over TLS, HTTP/2 is still spoken where it would be in plain text.
    fn transport(&self, port: &objects::ServicePort, tls: Option<Arc<UpstreamTls>>) -> Transport {
        use BackendProtocol::{Grpc, Grpcs, Http, Https};
        let over =
            |plain, secure| Transport::new(if tls.is_some() { secure } else { plain }, tls.clone());
        let transport = match (self.kind, port.app_protocol.as_deref()) {
            (Kind::UdpRoute, _) => Transport::stream(Protocol::Udp),
            (Kind::TcpRoute | Kind::TlsRoute, _) => Transport::stream(Protocol::Tcp).over(tls),
            (Kind::GrpcRoute, _) | (_, Some("kubernetes.io/h2c")) => over(Grpc, Grpcs),
            _ => over(Http, Https),
        };
        transport.in_pool(POOL.into())
    }
}

/// The same endpoints, spoken to with HTTP/2 whatever their port says: calls of gRPC need it.
pub(crate) fn for_calls(transport: &Transport) -> Transport {
    let tls = transport.tls().cloned();
    let protocol = match tls {
        None => BackendProtocol::Grpc,
        Some(_) => BackendProtocol::Grpcs,
    };
    Transport::new(protocol, tls).in_pool(POOL.into())
}

/// The backends of a rule, each with its share. What cannot be resolved responds with 500 for its share.
#[derive(Debug)]
pub(crate) struct Backends {
    /// `None`: there is none with a weight.
    pub(crate) split: Option<SplitDraft>,
    /// The first reference that cannot be resolved.
    pub(crate) problem: Option<Problem>,
}

/// What becomes of backends with a weight of zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    LeftOut,
    /// They get requests of sessions.
    Kept,
}

/// A reference with what is done only for the requests that it gets.
pub(crate) struct Weighted<'a> {
    pub(crate) reference: &'a BackendRef,
    pub(crate) edits: Option<Arc<BackendFilters>>,
}

impl Backends {
    /// Those of `references`.
    pub(crate) fn of<'a>(
        references: impl Iterator<Item = Weighted<'a>>,
        idle: Idle,
        referrer: Referrer<'_>,
        inputs: Inputs<'_>,
    ) -> Self {
        let mut problem = None;
        let mut backends = Vec::new();
        for Weighted { reference, edits } in references {
            let arm = match referrer.resolve(reference, inputs) {
                Ok((port, transport)) => ArmDraft::Service(port, transport),
                Err(error) => {
                    problem = problem.or(Some(error));
                    ArmDraft::Status(StatusCode::INTERNAL_SERVER_ERROR)
                }
            };
            let backend = BackendDraft { arm, edits };
            backends.push((backend, reference.weight.unwrap_or(1)));
        }
        Self {
            split: match idle {
                Idle::LeftOut => SplitDraft::by_weight(backends),
                Idle::Kept => SplitDraft::by_weight_with_idle(backends),
            },
            problem,
        }
    }
}
