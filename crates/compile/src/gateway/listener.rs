//! One listener: what its spec says, and whether that can be served (gateway-api.md 2.2, 2.8, 2.9).

use std::sync::Arc;

use headgate_table::{Certificate, ListenerClients};

use super::condition::Problem;
use super::frontend::Frontend;
use super::grants::{Grants, Reference};
use super::hostname::Hostname;
use super::namespaces::NamespaceRule;
use crate::build::certificates::Certificates;
use crate::objects::custom::{GATEWAY_GROUP, ListenerSpec, ObjectReference, RouteKind};
use crate::{Kind, Name, ObjectRef, Snapshot, objects};

/// A listener of a Gateway or ListenerSet.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// The Gateway or ListenerSet that has it.
    pub(crate) parent: ObjectRef,
    /// Its name, unique in its parent.
    pub(crate) name: Arc<str>,
    /// The port, as clients see it.
    pub(crate) port: u16,
    /// `None`: not supported.
    pub(crate) protocol: Option<Protocol>,
    /// The names that it serves.
    pub(crate) hostname: Hostname,
    /// The kinds of routes that may be attached.
    pub(crate) kinds: Vec<Kind>,
    /// The namespaces whose routes may be attached.
    pub(crate) namespaces: NamespaceRule,
    /// Its certificates; the first one is for names that none covers.
    pub(crate) certificates: Vec<Arc<Certificate>>,
    /// What it demands of clients; `None`: nothing.
    pub(crate) clients: Option<Arc<ListenerClients>>,
    /// Why it is not accepted.
    pub(crate) refused: Option<Problem>,
    /// A reference or kind that cannot be resolved.
    pub(crate) unresolved: Option<Problem>,
    /// Another listener of its port that it conflicts with.
    pub(crate) conflict: Option<Problem>,
    /// Another listener of its port that clients may take it for: both serve, each for its own hostname.
    pub(crate) overlap: Option<Problem>,
    /// Its port.
    pub(crate) place: Place,
}

/// Where the port of a listener is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has no socket yet.
    #[default]
    Pending,
    /// It has a socket on this port.
    Open(u16),
    /// It shares the socket of Ingresses.
    Shared,
    /// Something else has its socket.
    Taken(Problem),
}

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Https,
    /// TLS that ends here; its bytes are forwarded.
    TlsTerminated,
    /// TLS that is forwarded undecrypted.
    TlsPassedThrough,
    Tcp,
    Udp,
}

/// Protocols that can share a port: their listeners are told apart by hostname, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Family {
    Http,
    Tls,
    Tcp,
    Udp,
}

impl Family {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Http, Self::Tls, Self::Tcp, Self::Udp];
}

/// What listeners are read with.
pub(crate) struct Inputs<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) grants: &'a Grants,
    pub(crate) certificates: &'a mut Certificates,
}

impl Protocol {
    /// That of a listener; `None`: not supported.
    fn of(spec: &ListenerSpec) -> Option<Self> {
        let mode = spec.tls.as_ref().and_then(|tls| tls.mode.as_deref());
        match &*spec.protocol {
            "HTTP" => Some(Self::Http),
            "HTTPS" => Some(Self::Https),
            "TLS" if mode == Some("Passthrough") => Some(Self::TlsPassedThrough),
            "TLS" => Some(Self::TlsTerminated),
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            _ => None,
        }
    }

    /// The kinds of routes that it can have.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Http | Self::Https => &[Kind::HttpRoute, Kind::GrpcRoute],
            Self::TlsTerminated | Self::TlsPassedThrough => &[Kind::TlsRoute],
            Self::Tcp => &[Kind::TcpRoute],
            Self::Udp => &[Kind::UdpRoute],
        }
    }

    /// Whether TLS ends here.
    pub(crate) fn terminates_tls(self) -> bool {
        matches!(self, Self::Https | Self::TlsTerminated)
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::Http => Family::Http,
            Self::Https | Self::TlsTerminated | Self::TlsPassedThrough => Family::Tls,
            Self::Tcp => Family::Tcp,
            Self::Udp => Family::Udp,
        }
    }
}

impl Listener {
    /// The listener of a spec, without regard to other listeners.
    pub(crate) fn read(
        spec: &ListenerSpec,
        parent: &ObjectRef,
        frontend: &Frontend,
        inputs: &mut Inputs<'_>,
    ) -> Self {
        let protocol = Protocol::of(spec);
        let (kinds, kind_problem) = kinds(spec, protocol);
        let (certificates, certificate_problem) = match protocol {
            Some(protocol) if protocol.terminates_tls() => certificates(spec, parent, inputs),
            _ => (Vec::new(), None),
        };
        let terminates_tls = protocol.is_some_and(Protocol::terminates_tls);
        let clients = frontend.of_port(spec.port).filter(|_| terminates_tls);
        let clients_refused = clients.and_then(|clients| clients.refused.clone());
        let clients_unresolved = clients.and_then(|clients| clients.unresolved.clone());
        Self {
            parent: parent.clone(),
            name: (&*spec.name).into(),
            port: spec.port,
            protocol,
            hostname: Hostname::of(spec.hostname.as_deref()),
            kinds,
            namespaces: NamespaceRule::of_routes(spec, &parent.name.namespace),
            certificates,
            clients: clients.and_then(|clients| clients.clients.clone()),
            refused: refused(spec, protocol).or(clients_refused),
            unresolved: certificate_problem.or(clients_unresolved).or(kind_problem),
            conflict: None,
            place: Place::default(),
            overlap: None,
        }
    }

    /// Whether it serves: it is accepted, conflicts with no other, and TLS that ends here has a certificate.
    pub(crate) fn is_served(&self) -> bool {
        let lacks_certificate =
            self.protocol.is_some_and(Protocol::terminates_tls) && self.certificates.is_empty();
        self.is_accepted() && !lacks_certificate
    }

    /// Whether it is valid and its port is available.
    pub(crate) fn is_accepted(&self) -> bool {
        self.is_valid() && !matches!(self.place, Place::Taken(_))
    }

    /// Whether it could be served if its port is available.
    pub(crate) fn is_valid(&self) -> bool {
        self.refused.is_none() && self.conflict.is_none()
    }

    /// The port that it needs; `None`: its protocol is not supported.
    pub(crate) fn socket(&self) -> Option<(u16, objects::Protocol)> {
        let protocol = match self.protocol? {
            Protocol::Udp => objects::Protocol::Udp,
            _ => objects::Protocol::Tcp,
        };
        Some((self.port, protocol))
    }

    /// Whether clients may take it for another one of its port, or the reverse: it terminates TLS.
    pub(super) fn may_overlap(&self) -> bool {
        self.is_accepted() && self.protocol.is_some_and(Protocol::terminates_tls)
    }

    /// Why a client may use a connection of this listener for requests that are for `other`, or the reverse (RFC 9113 section
    /// 9.1.1).
    pub(crate) fn overlap_with(&self, other: &Self) -> Option<Problem> {
        if self.port != other.port || !self.may_overlap() || !other.may_overlap() {
            return None;
        }
        let (own, theirs) = (&self.hostname, &other.hostname);
        let of = || format!("listener {} of {}", other.name, other.parent);
        if own.intersection(theirs).is_some() {
            let message = format!("hostname {own} overlaps with {theirs} of {}", of());
            return Some(Problem::new("OverlappingHostnames", message));
        }
        let covers = |one: &Self, hostname: &Hostname| {
            let hostname = hostname.host();
            let mut certificates = one.certificates.iter();
            certificates.any(|certificate| certificate.covers(&hostname))
        };
        (covers(self, theirs) || covers(other, own)).then(|| {
            let message = format!(
                "a certificate is valid for {own} and for {theirs} of {}",
                of()
            );
            Problem::new("OverlappingCertificates", message)
        })
    }

    /// Why this listener and `other` cannot both be served.
    pub(crate) fn conflict_with(&self, other: &Self) -> Option<Problem> {
        let (Some(own), Some(theirs)) = (self.protocol, other.protocol) else {
            return None;
        };
        let datagrams = |protocol: Protocol| protocol.family() == Family::Udp;
        if self.port != other.port || datagrams(own) != datagrams(theirs) {
            return None;
        }
        let of = || format!("listener {} of {}", other.name, other.parent);
        if own.family() != theirs.family() {
            let message = format!("port {} has the protocol of {}", self.port, of());
            return Some(Problem::new("ProtocolConflict", message));
        }
        (self.hostname == other.hostname).then(|| {
            let message = format!(
                "port {} has hostname {} from {}",
                self.port,
                self.hostname,
                of()
            );
            Problem::new("HostnameConflict", message)
        })
    }
}

fn refused(spec: &ListenerSpec, protocol: Option<Protocol>) -> Option<Problem> {
    let Some(protocol) = protocol else {
        let message = format!(
            "protocol {} is not supported; HTTP, HTTPS, TLS, TCP and UDP are",
            spec.protocol.escape_debug()
        );
        return Some(Problem::new("UnsupportedProtocol", message));
    };
    let mode = spec.tls.as_ref().and_then(|tls| tls.mode.as_deref());
    match mode {
        None | Some("Terminate") => None,
        Some("Passthrough") if protocol == Protocol::TlsPassedThrough => None,
        Some(mode) => Some(Problem::new(
            "UnsupportedValue",
            format!(
                "tls.mode {} is not supported for protocol {}",
                mode.escape_debug(),
                spec.protocol
            ),
        )),
    }
}

/// The kinds of routes that may be attached, and the first one that cannot be.
fn kinds(spec: &ListenerSpec, protocol: Option<Protocol>) -> (Vec<Kind>, Option<Problem>) {
    let possible = protocol.map_or(&[][..], Protocol::kinds);
    let wanted = spec
        .allowed_routes
        .as_ref()
        .map_or(&[][..], |allowed| &allowed.kinds);
    if wanted.is_empty() {
        return (possible.to_vec(), None);
    }
    let find = |wanted: &RouteKind| {
        let group = wanted.group.as_deref().unwrap_or(GATEWAY_GROUP);
        let mut possible = possible.iter().copied();
        possible.find(|kind| group == GATEWAY_GROUP && kind.as_str() == wanted.kind)
    };
    let mut kinds: Vec<Kind> = wanted.iter().filter_map(find).collect();
    kinds.sort();
    kinds.dedup();
    let invalid = wanted.iter().find(|wanted| find(wanted).is_none());
    let problem = invalid.map(|wanted| {
        let message = format!(
            "a listener of protocol {} has no routes of kind {}",
            spec.protocol.escape_debug(),
            wanted.kind.escape_debug()
        );
        Problem::new("InvalidRouteKinds", message)
    });
    (kinds, problem)
}

/// The certificates of a listener, and the first reference that cannot be used.
fn certificates(
    spec: &ListenerSpec,
    parent: &ObjectRef,
    inputs: &mut Inputs<'_>,
) -> (Vec<Arc<Certificate>>, Option<Problem>) {
    let references = spec
        .tls
        .as_ref()
        .map_or(&[][..], |tls| &tls.certificate_refs);
    let mut certificates = Vec::with_capacity(references.len());
    let mut problem = None;
    for reference in references {
        match certificate(reference, parent, inputs, "InvalidCertificateRef") {
            Ok(certificate) => certificates.push(certificate),
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    if references.is_empty() {
        let message = "TLS that ends here needs a certificate: tls.certificateRefs is empty";
        problem = Some(Problem::new("InvalidCertificateRef", message));
    }
    (certificates, problem)
}

/// The Secret of a certificate reference of a Gateway or ListenerSet, if it is one and is allowed.
///
/// # Errors
/// Another kind, or another namespace without a ReferenceGrant.
fn secret(
    reference: &ObjectReference,
    parent: &ObjectRef,
    grants: &Grants,
    invalid: &'static str,
) -> Result<Name, Problem> {
    let group = reference.group.as_deref().unwrap_or_default();
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    if !group.is_empty() || kind != "Secret" {
        let message = format!(
            "certificates are in Secrets, not in {} of group {:?}",
            kind.escape_debug(),
            group
        );
        return Err(Problem::new(invalid, message));
    }
    let own = &parent.name.namespace;
    let namespace = reference.namespace.as_deref().unwrap_or(own);
    let name = Name::new(namespace, &reference.name);
    let allowed = grants.allow(&Reference {
        from: parent.kind,
        from_namespace: own,
        to_group: "",
        to_kind: "Secret",
        to_namespace: namespace,
        to_name: &reference.name,
    });
    if allowed {
        return Ok(name);
    }
    let message = format!(
        "no ReferenceGrant in namespace {namespace} allows {} of namespace {own} to refer to Secret {name}",
        parent.kind.as_str()
    );
    Err(Problem::new("RefNotPermitted", message))
}

/// The certificate that a Gateway or ListenerSet refers to.
///
/// # Errors
/// Why there is none; `invalid` is the reason unless a ReferenceGrant is missing.
pub(super) fn certificate(
    reference: &ObjectReference,
    parent: &ObjectRef,
    inputs: &mut Inputs<'_>,
    invalid: &'static str,
) -> Result<Arc<Certificate>, Problem> {
    let name = secret(reference, parent, inputs.grants, invalid)?;
    let current = inputs.certificates.current(&name, inputs.snapshot);
    current.map_err(|reason| Problem::new(invalid, reason))
}
