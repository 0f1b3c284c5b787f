//! Where the listeners of Gateways are: their sockets, and the addresses that clients use (gateway-api.md 2.4, 2.12).
//!
//! With a record of local ports, each port of a Gateway has a socket on the local port that the record names, and its Service
//! has the addresses. Without one, the socket is on the port itself, at the addresses of the spec or those of the process. A
//! socket that the process uses for something else is not available; of two Gateways that need the same one, the more senior
//! has it. The Gateway on the ports of Ingresses has no socket of its own.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use foldhash::fast::RandomState;
use headgate_table::{Listener, UdpListener};

use super::Pass;
use super::shared::IngressPorts;
use crate::gateway::addresses::Addresses;
use crate::gateway::condition::Problem;
use crate::gateway::listener::Place;
use crate::gateway::parameters;
use crate::gateway::ports::GatewayPort;
use crate::gateway::seniority::Seniority;
use crate::gateway::service::{GatewayService, is_own};
use crate::gateway::universe::Universe;
use crate::objects::custom::{Custom, GatewayClassSpec, ServiceParameters};
use crate::{Address, ConfigMap, Name, Protocol, PublishedAddresses, Service};

/// The local ports of reports, as the chart has them.
const SIMULATED: Range<u16> = 20_000..28_000;

/// What the process listens on besides the sockets of Gateways.
pub(crate) struct OtherSockets<'a> {
    pub(crate) tcp: &'a [Listener],
    pub(crate) udp: &'a [UdpListener],
    /// The ports of TCP and UDP services, whether or not they are open.
    pub(crate) streams: Vec<(u16, Protocol)>,
    /// The addresses of the process.
    pub(crate) addresses: &'a [IpAddr],
}

/// Where the listeners of a Gateway are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    /// By port, as clients see it.
    pub(crate) ports: BTreeMap<(u16, Protocol), Place>,
    /// The ports of Ingresses, if they are where its listeners are.
    pub(crate) shared: Option<IngressPorts>,
    /// The addresses that its sockets are bound to.
    pub(crate) bound: Vec<IpAddr>,
    /// The addresses that clients use.
    pub(crate) addresses: Addresses,
    /// Those of its Service. `None`: they cannot be used.
    pub(crate) parameters: Option<ServiceParameters>,
}

/// Sockets in use.
type Taken = HashMap<(SocketAddr, Protocol), User, RandomState>;

/// What a socket is used for.
#[derive(Clone, Debug)]
enum User {
    Process(&'static str),
    Gateway(Name),
}

impl Pass<'_> {
    /// Places the listeners of all Gateways. The statuses of Gateways whose placement changes are made anew.
    pub(crate) fn place(&mut self, others: &OtherSockets<'_>) {
        if self.state.gateways.is_empty() {
            self.state.services_of_gateways.clear();
            return;
        }
        self.state.services_outdated |= self.read_record();
        let mut taken = self.taken(others);
        let mut all: Vec<&Universe> = self.state.gateways.values().collect();
        all.sort_by_cached_key(|gateway| Seniority::of(&gateway.gateway));
        let placements = all.into_iter().map(|gateway| {
            let mut placement = self.placement(gateway, others, &mut taken);
            match self.parameters(gateway) {
                Ok(parameters) => placement.parameters = Some(parameters),
                Err(problem) => placement.addresses.refused = Some(problem),
            }
            (gateway.gateway.name.clone(), placement)
        });
        let placements: Vec<_> = placements.collect();
        for (name, placement) in placements {
            let Some(gateway) = self.state.gateways.get_mut(&name) else {
                continue;
            };
            if gateway.placement != placement {
                gateway.place(placement);
                self.state.recount(&name);
                self.state.services_outdated = true;
                self.state.hosts_changed = true;
            }
        }
        if std::mem::take(&mut self.state.services_outdated) {
            self.services();
        }
    }

    /// Reads the record of local ports if it changed; returns whether it did.
    fn read_record(&mut self) -> bool {
        let name = self
            .options
            .gateway
            .as_ref()
            .and_then(|own| own.ports.as_ref());
        let map = name.and_then(|name| self.snapshot.get::<ConfigMap>(name));
        self.state.record.update(map)
    }

    fn parameters(&self, gateway: &Universe) -> Result<ServiceParameters, Problem> {
        let gateway = &gateway.gateway;
        let class = Name::new("", &gateway.spec.gateway_class_name);
        let class = self.snapshot.get::<Custom<GatewayClassSpec>>(&class);
        parameters::of_gateway(gateway, class.map(|class| &**class), self.snapshot)
    }

    fn taken(&self, others: &OtherSockets<'_>) -> Taken {
        let mut taken = Taken::default();
        for (port, protocol) in &others.streams {
            for address in others.addresses {
                let user = match protocol {
                    Protocol::Tcp => User::Process("the ConfigMap of TCP services"),
                    Protocol::Udp => User::Process("the ConfigMap of UDP services"),
                };
                taken.insert((SocketAddr::new(*address, *port), *protocol), user);
            }
        }
        let tcp = others.tcp.iter().map(|one| (one.address, Protocol::Tcp));
        let udp = others.udp.iter().map(|one| (one.address, Protocol::Udp));
        for socket in tcp.chain(udp) {
            taken.entry(socket).or_insert(User::Process("Ingresses"));
        }
        taken
    }

    fn placement(
        &self,
        gateway: &Universe,
        others: &OtherSockets<'_>,
        taken: &mut Taken,
    ) -> Placement {
        let requested = &gateway.gateway.spec.addresses;
        if self.shares(gateway) {
            let available = self.addresses_of_ingresses(others);
            return Placement {
                shared: Some(IngressPorts::of(others.tcp)),
                addresses: Addresses::of(requested, available.as_deref().map_err(Problem::clone)),
                ..Placement::default()
            };
        }
        let options = self.options.gateway.as_ref();
        if options.is_some_and(|own| own.simulated) {
            let bound = others.addresses.to_vec();
            let local = |port, protocol, taken: &Taken| {
                let is_free = |local: &u16| self.is_free((*local, protocol), &bound, taken);
                iter::once(port).chain(SIMULATED).find(is_free)
            };
            let available = self.simulated_addresses(gateway, &bound);
            return Placement {
                ports: self.take(gateway, &bound, local, taken),
                addresses: Addresses::of(requested, available.as_deref().map_err(Problem::clone)),
                bound,
                ..Placement::default()
            };
        }
        if options.is_some_and(|own| own.ports.is_some()) {
            let bound = others.addresses.to_vec();
            let local = |port, protocol, _: &Taken| {
                let record = self.state.record.ports();
                record.local(&GatewayPort {
                    gateway: gateway.gateway.name.clone(),
                    port,
                    protocol,
                })
            };
            let available = self.addresses_of_service(gateway);
            return Placement {
                ports: self.take(gateway, &bound, local, taken),
                addresses: Addresses::of(requested, available),
                bound,
                ..Placement::default()
            };
        }
        let own = requested.iter();
        let own: Vec<IpAddr> = own
            .filter_map(|address| address.value.as_deref()?.parse().ok())
            .collect();
        let (bound, available) = if own.is_empty() {
            let bound = others.addresses.to_vec();
            let available = self.published().unwrap_or_else(|| addresses(&bound));
            (bound, available)
        } else {
            (own.clone(), addresses(&own))
        };
        Placement {
            ports: self.take(gateway, &bound, |port, _, _: &Taken| Some(port), taken),
            addresses: Addresses::of(requested, Ok(&available)),
            bound,
            ..Placement::default()
        }
    }

    /// Takes the sockets of the ports of a Gateway that are available at all addresses.
    fn take(
        &self,
        gateway: &Universe,
        bound: &[IpAddr],
        local: impl Fn(u16, Protocol, &Taken) -> Option<u16>,
        taken: &mut Taken,
    ) -> BTreeMap<(u16, Protocol), Place> {
        let mut ports = BTreeMap::new();
        for (port, protocol) in gateway.ports() {
            let place = match local(port, protocol, taken) {
                None => Place::Pending,
                Some(local) => {
                    let sockets = bound
                        .iter()
                        .map(|ip| (SocketAddr::new(*ip, local), protocol));
                    match sockets.clone().find_map(|socket| self.user(socket, taken)) {
                        Some(user) => {
                            let message = format!("port {local} is already used by {user}");
                            Place::Taken(Problem::new("PortUnavailable", message))
                        }
                        None => {
                            let user = User::Gateway(gateway.gateway.name.clone());
                            taken.extend(sockets.map(|socket| (socket, user.clone())));
                            Place::Open(local)
                        }
                    }
                }
            };
            ports.insert((port, protocol), place);
        }
        ports
    }

    /// Whether no socket with this port is in use at any of the addresses.
    fn is_free(&self, (port, protocol): (u16, Protocol), bound: &[IpAddr], taken: &Taken) -> bool {
        let mut sockets = bound
            .iter()
            .map(|ip| (SocketAddr::new(*ip, port), protocol));
        sockets.all(|socket| self.user(socket, taken).is_none())
    }

    /// What a socket is used for.
    fn user(&self, socket: (SocketAddr, Protocol), taken: &Taken) -> Option<User> {
        let (address, protocol) = socket;
        let mut reserved = self.options.reserved_ports.iter();
        let reserved = reserved
            .find(|(port, _)| protocol == Protocol::Tcp && *port == address.port())
            .map(|(_, user)| User::Process(user));
        reserved.or_else(|| taken.get(&socket).cloned())
    }

    /// The addresses of the Service of a Gateway.
    ///
    /// # Errors
    /// There is no such Service, or it is somebody else's.
    fn addresses_of_service(&self, gateway: &Universe) -> Result<&[Address], Problem> {
        let name = &gateway.service;
        let missing = |message| Problem::new("AddressNotAssigned", message);
        let service = self.snapshot.get::<Service>(name);
        let service = service.ok_or_else(|| missing(format!("there is no Service {name} yet")))?;
        if !is_own(service, &gateway.gateway) {
            let message = format!(
                "the Gateway needs a Service of the name {name}, which exists and belongs to something else; rename or delete it"
            );
            return Err(Problem::new("Invalid", message));
        }
        Ok(&service.addresses)
    }

    /// Those of its Service where that is known, else what it asks for or the addresses of the process.
    ///
    /// # Errors
    /// Its Service is somebody else's.
    fn simulated_addresses(
        &self,
        gateway: &Universe,
        bound: &[IpAddr],
    ) -> Result<Vec<Address>, Problem> {
        let requested = gateway.gateway.spec.addresses.iter();
        let requested = requested.filter_map(|address| address.value.as_deref()?.parse().ok());
        let requested: Vec<IpAddr> = requested.collect();
        match self.addresses_of_service(gateway) {
            Ok(known) => Ok(known.to_vec()),
            Err(problem) if problem.reason == "Invalid" => Err(problem),
            Err(_) if requested.is_empty() => Ok(addresses(bound)),
            Err(_) => Ok(addresses(&requested)),
        }
    }

    /// The addresses of the sockets of Ingresses.
    ///
    /// # Errors
    /// They are not known.
    fn addresses_of_ingresses(&self, others: &OtherSockets<'_>) -> Result<Vec<Address>, Problem> {
        if let Some(published) = self.published() {
            return Ok(published);
        }
        let is_one = |address: &IpAddr| !address.is_unspecified();
        if !others.addresses.is_empty() && others.addresses.iter().all(is_one) {
            return Ok(addresses(others.addresses));
        }
        let message = "the addresses of Ingresses are those of nodes, which are not known here; name their Service with             --publish-service, or list them with --publish-status-address";
        Err(Problem::new("AddressNotAssigned", message))
    }

    /// Where clients reach the sockets of the process, if that is known.
    fn published(&self) -> Option<Vec<Address>> {
        match self.options.gateway.as_ref()?.published.as_ref()? {
            PublishedAddresses::Fixed(addresses) => Some(addresses.clone()),
            PublishedAddresses::OfService(name) => {
                let service = self.snapshot.get::<Service>(name);
                Some(service.map_or_else(Vec::new, |service| service.published_addresses()))
            }
        }
    }

    /// The Services of Gateways, as they should be.
    fn services(&mut self) {
        let has_record = self
            .options
            .gateway
            .as_ref()
            .is_some_and(|own| own.ports.is_some());
        let gateways = self.state.gateways.values().filter(|_| has_record);
        let gateways = gateways.filter(|gateway| !self.shares(gateway));
        let services =
            gateways.filter_map(|gateway| GatewayService::of(gateway, self.state.record.ports()));
        self.state.services_of_gateways = services.collect();
    }
}

fn addresses(of: &[IpAddr]) -> Vec<Address> {
    of.iter().copied().map(Address::Ip).collect()
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(what) => f.write_str(what),
            Self::Gateway(name) => write!(f, "Gateway {name}"),
        }
    }
}
