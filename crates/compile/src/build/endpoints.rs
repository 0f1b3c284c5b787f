//! The endpoints of a Service port: addresses from EndpointSlices, or a DNS name (behaviour.md 2.7).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use headgate_table::{Endpoints, NoEndpoints, may_be_endpoint};

use super::service_port::{self, FIRST_PORT};
use super::upstream::Inputs;
use crate::objects::{
    EndpointPort, EndpointSlice, EndpointState, Protocol, Service, ServicePort, TargetPort, Zones,
};
use crate::{Kind, ObjectRef, Snapshot};

/// Which endpoints of a Service are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointOptions {
    /// Use Services of type ExternalName (off with `--disable-svc-external-name`); default true.
    pub external_names: bool,
    /// Use loopback addresses; default false.
    pub loopback: bool,
    /// Prefer endpoints with a hint for the zone that the process runs in (`--enable-topology-aware-routing`); default false.
    pub topology: bool,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            external_names: true,
            loopback: false,
            topology: false,
        }
    }
}

/// The port whose endpoints are looked up.
pub(super) struct Lookup<'a> {
    pub(super) port: &'a service_port::ServicePort,
    /// Use the Service's cluster address instead, if it has one.
    pub(super) cluster_address: bool,
    /// Of streams, the protocol that the port has; else TCP.
    pub(super) stream: Option<Protocol>,
}

impl Lookup<'_> {
    fn protocol(&self) -> Protocol {
        self.stream.unwrap_or_default()
    }

    /// The port of `service` that is meant.
    fn find_port<'s>(&self, service: &'s Service) -> Option<&'s ServicePort> {
        match self.stream {
            Some(protocol) => exact_port(&service.ports, &self.port.port, protocol),
            None if self.port.exact => {
                exact_port(&service.ports, &self.port.port, Protocol::default())
            }
            None => find_port(&service.ports, &self.port.port),
        }
    }
}

/// The endpoints of a port of `service`. Addresses that must not get requests are moved to `refused`.
pub(super) fn of_service(
    service: &Service,
    lookup: &Lookup<'_>,
    inputs: Inputs<'_>,
    refused: &mut Vec<IpAddr>,
) -> Endpoints {
    let port = lookup.find_port(service);
    if lookup.stream.is_some() && port.is_none() {
        return Endpoints::None(NoEndpoints::NoPort);
    }
    if let Some(name) = &service.external_name {
        return external(name, port, lookup, inputs.options);
    }
    let Some(port) = port else {
        return Endpoints::None(NoEndpoints::NoPort);
    };
    let mut found = match cluster_address(service, port, lookup) {
        Some(address) => BTreeSet::from([address]),
        None => addresses(service, lookup, port, inputs),
    };
    found.retain(|address| {
        let is_allowed = may_be_endpoint(address.ip(), inputs.options.loopback);
        if !is_allowed {
            refused.push(address.ip());
        }
        is_allowed
    });
    if found.is_empty() {
        return Endpoints::None(NoEndpoints::NoneReady);
    }
    Endpoints::Addresses(found.into_iter().collect())
}

/// The first port of `protocol` that has this number, or this name if `reference` is not a number.
fn exact_port<'p>(
    ports: &'p [ServicePort],
    reference: &str,
    protocol: Protocol,
) -> Option<&'p ServicePort> {
    let number: Option<u16> = reference.parse().ok();
    ports.iter().find(|port| {
        let same = match number {
            Some(number) => port.port == number,
            None => port.name.as_deref() == Some(reference),
        };
        same && port.protocol == protocol
    })
}

/// The first port whose number, `targetPort` or name is `reference`; empty is the first.
pub(crate) fn find_port<'p>(ports: &'p [ServicePort], reference: &str) -> Option<&'p ServicePort> {
    if reference == FIRST_PORT {
        return ports.first();
    }
    let number: Option<u16> = reference.parse().ok();
    ports.iter().find(|port| {
        let target = match &port.target {
            Some(TargetPort::Number(target)) => Some(*target) == number,
            Some(TargetPort::Name(name)) => **name == *reference,
            None => false,
        };
        Some(port.port) == number || target || port.name.as_deref() == Some(reference)
    })
}

/// The proxy resolves the name while serving. Names of this machine, addresses and invalid DNS names are refused.
fn external(
    name: &str,
    port: Option<&ServicePort>,
    lookup: &Lookup<'_>,
    options: EndpointOptions,
) -> Endpoints {
    let bare = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let local =
        bare == "localhost" || bare.ends_with(".localhost") || bare == "localhost.localdomain";
    // An address, also in the spellings that some resolvers read as one: `2130706433`, `127.1`, `0177.0.0.1`, `0x7f.1`.
    let last = bare.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x");
    let is_address = bare.parse::<IpAddr>().is_ok()
        || last.bytes().all(|b| b.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let is_allowed = options.external_names && !local && !is_address && bare.split('.').all(label);
    if !is_allowed {
        return Endpoints::None(NoEndpoints::RefusedName);
    }
    let number = match port.map(|port| (&port.target, port.port)) {
        Some((Some(TargetPort::Number(target)), _)) => Some(*target),
        Some((_, port)) => Some(port),
        None => lookup.port.port.parse().ok(),
    };
    match number.filter(|port| *port > 0) {
        Some(port) => Endpoints::Name {
            host: name.into(),
            port,
        },
        None => Endpoints::None(NoEndpoints::NoPort),
    }
}

/// The Service's cluster address, if it is configured and the Service has one.
fn cluster_address(
    service: &Service,
    port: &ServicePort,
    lookup: &Lookup<'_>,
) -> Option<SocketAddr> {
    let address = service.cluster_ip.filter(|_| lookup.cluster_address)?;
    Some(SocketAddr::new(address, port.port))
}

/// Ready addresses from the Service's slices, or from its Endpoints object if it has no slices. While no endpoint is ready,
/// terminating ones that still serve are used.
fn addresses(
    service: &Service,
    lookup: &Lookup<'_>,
    port: &ServicePort,
    inputs: Inputs<'_>,
) -> BTreeSet<SocketAddr> {
    let mut ready = ReadyEndpoints::new(zone(service, inputs));
    let mut terminating = BTreeSet::new();
    let mut any = false;
    let whole = ObjectRef {
        kind: Kind::Service,
        name: lookup.port.service.clone(),
    };
    for slice in inputs.snapshot.parts_of::<EndpointSlice>(&whole) {
        any = true;
        let Some(number) = slice_port(&slice.ports, port, lookup.protocol()) else {
            continue;
        };
        for (index, endpoint) in slice.endpoints.iter().enumerate() {
            let address = SocketAddr::new(endpoint.address, number);
            match endpoint.state {
                EndpointState::Ready => ready.add(address, slice.hints.get(index)),
                EndpointState::Terminating => drop(terminating.insert(address)),
                EndpointState::Down => {}
            }
        }
    }
    if !any {
        return legacy_addresses(lookup, port, inputs.snapshot);
    }
    let ready = ready.choose();
    if ready.is_empty() { terminating } else { ready }
}

/// The zone whose endpoints are preferred; `None` if all zones are used.
fn zone<'a>(service: &Service, inputs: Inputs<'a>) -> Option<&'a str> {
    let zone = inputs.snapshot.environment().zone.as_deref();
    zone.filter(|_| inputs.options.topology && service.prefers_zone)
}

/// Ready endpoints, and those among them with a hint for a zone.
struct ReadyEndpoints<'a> {
    zone: Option<&'a str>,
    all: BTreeSet<SocketAddr>,
    of_zone: BTreeSet<SocketAddr>,
    /// Some endpoint has no hint: then all hints are ignored, as a rollout of hints may be in progress.
    incomplete: bool,
}

impl<'a> ReadyEndpoints<'a> {
    fn new(zone: Option<&'a str>) -> Self {
        Self {
            zone,
            all: BTreeSet::new(),
            of_zone: BTreeSet::new(),
            incomplete: false,
        }
    }

    fn add(&mut self, address: SocketAddr, hints: Option<&Zones>) {
        self.all.insert(address);
        let Some(zone) = self.zone else { return };
        match hints.filter(|zones| !zones.is_empty()) {
            Some(zones) if zones.iter().any(|hint| **hint == *zone) => {
                self.of_zone.insert(address);
            }
            Some(_) => {}
            None => self.incomplete = true,
        }
    }

    /// The endpoints of the zone, or all if there are none or hints are incomplete.
    fn choose(self) -> BTreeSet<SocketAddr> {
        if self.incomplete || self.of_zone.is_empty() {
            self.all
        } else {
            self.of_zone
        }
    }
}

/// The endpoint port for the Service's port. A slice without ports uses a numeric `targetPort`.
fn slice_port(ports: &[EndpointPort], port: &ServicePort, protocol: Protocol) -> Option<u16> {
    match (ports, &port.target) {
        ([], Some(TargetPort::Number(number))) => Some(*number),
        _ => same_name(ports, port, protocol),
    }
}

/// The port of the same name and this protocol. A Service port without a name is the only one, so the first endpoint port is used.
fn same_name(ports: &[EndpointPort], port: &ServicePort, protocol: Protocol) -> Option<u16> {
    let name = port.name.as_deref().unwrap_or_default();
    let same = ports
        .iter()
        .filter(|port| port.protocol == protocol)
        .find(|port| name.is_empty() || *port.name == *name)?;
    Some(same.port)
}

fn legacy_addresses(
    lookup: &Lookup<'_>,
    port: &ServicePort,
    snapshot: &Snapshot,
) -> BTreeSet<SocketAddr> {
    let mut found = BTreeSet::new();
    let endpoints = snapshot.get::<crate::Endpoints>(&lookup.port.service);
    for subset in endpoints.iter().flat_map(|endpoints| &endpoints.subsets) {
        if let Some(number) = same_name(&subset.ports, port, lookup.protocol()) {
            let addresses = subset.addresses.iter();
            found.extend(addresses.map(|address| SocketAddr::new(*address, number)));
        }
    }
    found
}
