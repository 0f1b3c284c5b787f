//! TCP and UDP services: the ConfigMaps that map ports to Service ports (behaviour.md 12).

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::{
    Backend, Endpoints, Listener, Plain, PublicPorts, RoutingTable, Socket, Split, StreamRoute,
    UdpListener, UpstreamKey,
};

use crate::build::{ServicePort, Transport, UpstreamDraft, UpstreamPolicy, UpstreamProblem};
use crate::finding::{Finding, Severity, Subject};
use crate::ingress::registry::excerpt;
use crate::objects::{ConfigMap, Protocol};
use crate::{Kind, Name, ObjectRef, Options};

/// The ports that both ConfigMaps open.
#[derive(Default)]
pub(crate) struct Streams {
    tcp: PortMap,
    udp: PortMap,
    /// Problems of their upstreams.
    problems: HashMap<UpstreamKey, UpstreamProblem, RandomState>,
    /// Findings may have changed.
    pub(crate) touched: bool,
}

/// The ports of one ConfigMap.
#[derive(Default)]
pub(crate) struct PortMap {
    ports: Vec<StreamPort>,
    /// Findings about the text.
    findings: Vec<Finding>,
}

/// A port and where it leads to.
struct StreamPort {
    port: u16,
    /// `data.<key>`
    field: Arc<str>,
    draft: UpstreamDraft,
    route: StreamRoute,
}

/// An entry of the ConfigMap of TCP or UDP services that is served, or would be if its Service had endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// The ConfigMap.
    pub map: Name,
    /// The key, which is the port that clients use.
    pub key: Arc<str>,
    /// The Service.
    pub service: Name,
    /// The port of the Service: its number or name.
    pub port: Arc<str>,
}

/// What reading the ConfigMaps needs besides them.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) options: &'a Options,
    /// Client addresses are taken from PROXY headers (`enable-real-ip`).
    pub(crate) real_ip: bool,
}

/// The ConfigMap of a protocol by flag.
pub(crate) fn map_name(options: &Options, protocol: Protocol) -> Option<&Name> {
    match protocol {
        Protocol::Tcp => options.tcp_services.as_ref(),
        Protocol::Udp => options.udp_services.as_ref(),
    }
}

/// The policy of an upstream of streams: always round robin.
pub(crate) fn policy(port: &ServicePort, protocol: Protocol) -> UpstreamPolicy {
    let Name { namespace, name } = &port.service;
    let protocol = protocol.as_str().to_ascii_lowercase();
    UpstreamPolicy {
        log_name: format!("{protocol}-{namespace}-{name}-{}", port.port).into(),
        ..UpstreamPolicy::plain(port)
    }
}

impl Streams {
    /// The ports of a protocol.
    fn of(&self, protocol: Protocol) -> &PortMap {
        match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
        }
    }

    /// The ports of a protocol, whether or not they are open.
    pub(crate) fn ports(&self, protocol: Protocol) -> impl Iterator<Item = u16> {
        self.of(protocol).ports.iter().map(|port| port.port)
    }

    /// Replaces the ports of a protocol, and returns the former ones.
    pub(crate) fn replace(&mut self, protocol: Protocol, ports: PortMap) -> PortMap {
        self.touched = true;
        let map = match protocol {
            Protocol::Tcp => &mut self.tcp,
            Protocol::Udp => &mut self.udp,
        };
        std::mem::replace(map, ports)
    }

    /// Notes the problem of an upstream that was built, or that it is gone.
    pub(crate) fn set_problem(&mut self, key: &UpstreamKey, problem: Option<UpstreamProblem>) {
        let former = match problem {
            Some(problem) => {
                self.touched = true;
                self.problems.insert(key.clone(), problem)
            }
            None => self.problems.remove(key),
        };
        self.touched |= former.is_some();
    }

    /// The entry for a port.
    pub(crate) fn entry(
        &self,
        protocol: Protocol,
        port: u16,
        options: &Options,
    ) -> Option<StreamEntry> {
        let mut ports = self.of(protocol).ports.iter();
        let port = ports.find(|known| known.port == port)?;
        Some(StreamEntry {
            map: map_name(options, protocol)?.clone(),
            key: port.field.trim_start_matches("data.").into(),
            service: port.draft.port.service.clone(),
            port: port.draft.port.port.clone(),
        })
    }

    /// All findings about the ports of a protocol.
    pub(crate) fn findings(&self, protocol: Protocol, options: &Options) -> Vec<Finding> {
        let map = self.of(protocol);
        let mut findings = map.findings.clone();
        let Some(name) = map_name(options, protocol) else {
            return findings;
        };
        for port in &map.ports {
            let Some(problem) = self.problems.get(&port.draft.key()) else {
                continue;
            };
            let report = |severity, message| finding(name, severity, &port.field, message);
            if let Some(fact) = &problem.no_endpoints {
                let message = format!("{fact}; port {} is closed", port.port);
                findings.push(report(Severity::Warning, message));
            }
            let service = &port.draft.port.service;
            findings.extend(problem.refused.iter().map(|address| {
                let message =
                    format!("refused endpoint address {address} of Service {service}; left out");
                report(Severity::Error, message)
            }));
        }
        findings
    }

    /// The listeners for TCP. A port without endpoints is closed: there is nothing to respond with.
    pub(crate) fn tcp_listeners<'a>(
        &'a self,
        addresses: &'a [IpAddr],
        table: &'a RoutingTable,
    ) -> impl Iterator<Item = Listener> + 'a {
        let open = self.tcp.open(table);
        open.flat_map(move |port| {
            addresses.iter().map(move |address| Listener {
                address: SocketAddr::new(*address, port.port),
                ports: PublicPorts {
                    own: port.port,
                    https: port.port,
                },
                socket: Socket::Plain(Plain::Stream(port.route.clone())),
            })
        })
    }

    /// The sockets for UDP, likewise.
    pub(crate) fn udp_listeners<'a>(
        &'a self,
        addresses: &'a [IpAddr],
        table: &'a RoutingTable,
    ) -> impl Iterator<Item = UdpListener> + 'a {
        let open = self.udp.open(table);
        open.flat_map(move |port| {
            addresses.iter().map(move |address| UdpListener {
                address: SocketAddr::new(*address, port.port),
                backends: port.route.backends.clone(),
            })
        })
    }
}

impl PortMap {
    /// Reads the ConfigMap `name`. Never fails: an entry that cannot be served is a finding.
    pub(crate) fn read(
        (name, map): (&Name, Option<&ConfigMap>),
        protocol: Protocol,
        inputs: Inputs<'_>,
    ) -> Self {
        let mut read = Self::default();
        let Some(map) = map else {
            let protocol = protocol.as_str();
            let message = format!("there is no ConfigMap {name}; no {protocol} port is open");
            let missing = finding(name, Severity::Warning, "", message);
            read.findings.push(missing);
            return read;
        };
        let mut known: BTreeMap<u16, &str> = BTreeMap::new();
        for (key, value) in &map.data {
            let mut findings = Vec::new();
            let port = external_port(key, inputs.options).and_then(|port| {
                if let Some(former) = known.get(&port) {
                    return Err(format!("port {port} is in \"{former}\" already; ignored"));
                }
                let entry = Entry::parse(value, protocol, &mut findings);
                let entry = entry.map_err(|reason| format!("{reason}; port {port} is closed"))?;
                Ok((port, entry))
            });
            match port {
                Ok((port, entry)) => {
                    known.insert(port, key);
                    findings.extend(entry.hidden_clients(inputs));
                    read.ports.push(entry.port(port, key, protocol));
                }
                Err(reason) => findings.push((Severity::Error, reason)),
            }
            let field = format!("data.{key}");
            let findings = findings.into_iter();
            read.findings.extend(
                findings.map(|(severity, message)| finding(name, severity, &field, message)),
            );
        }
        read
    }

    /// The upstreams of its ports; one may occur several times.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &UpstreamDraft> {
        self.ports.iter().map(|port| &port.draft)
    }

    /// The ports whose upstream has endpoints.
    fn open<'a>(&'a self, table: &'a RoutingTable) -> impl Iterator<Item = &'a StreamPort> {
        self.ports.iter().filter(|port| {
            let upstream = table.upstream(&port.draft.key());
            upstream.is_some_and(|upstream| !matches!(upstream.endpoints, Endpoints::None(_)))
        })
    }
}

/// The port of a key.
fn external_port(key: &str, options: &Options) -> Result<u16, String> {
    let port = key.parse::<u16>().ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| {
        format!(
            "\"{}\" is not a port from 1 to 65535; ignored",
            excerpt(key)
        )
    })?;
    let listeners = &options.listeners;
    let has = |addresses: &[SocketAddr]| addresses.iter().any(|address| address.port() == port);
    let reserved = options.reserved_ports.iter();
    let mut reserved = reserved.filter(|(reserved, _)| *reserved == port);
    let user = match reserved.next() {
        Some((_, user)) => *user,
        None if has(&listeners.http) => "HTTP",
        None if has(&listeners.https) => "HTTPS",
        None => return Ok(port),
    };
    Err(format!("port {port} is the port for {user}; ignored"))
}

/// The value of a key: `namespace/service:port[:PROXY][:PROXY]`.
struct Entry {
    service: Name,
    port: Arc<str>,
    accepts_proxy: bool,
    sends_proxy: bool,
}

impl Entry {
    /// # Errors
    /// Why the value cannot be served.
    fn parse(
        value: &str,
        protocol: Protocol,
        findings: &mut Vec<(Severity, String)>,
    ) -> Result<Self, String> {
        let invalid = || {
            let value = excerpt(value);
            format!("\"{value}\" is not namespace/service:port, with :PROXY or ::PROXY after it")
        };
        let fields: Vec<&str> = value.split(':').collect();
        let (Some(service), Some(port)) = (fields.first(), fields.get(1)) else {
            return Err(invalid());
        };
        let (namespace, name) = service.split_once('/').ok_or_else(invalid)?;
        let is_name = |text: &str| {
            !text.is_empty() && !text.contains(|c: char| c == '/' || c.is_whitespace())
        };
        if !is_name(namespace) || !is_name(name) || !is_name(port) {
            return Err(invalid());
        }
        let flags = fields.get(2..).unwrap_or_default();
        let flag = |index: usize| {
            let text = flags.get(index);
            text.is_some_and(|text| text.eq_ignore_ascii_case("PROXY"))
        };
        let tcp = protocol == Protocol::Tcp;
        let unknown = flags.iter().find(|text| {
            let known = text.is_empty() || text.eq_ignore_ascii_case("PROXY");
            !known
        });
        if let Some(unknown) = unknown {
            let unknown = excerpt(unknown);
            findings.push((
                Severity::Warning,
                format!("\"{unknown}\" is not PROXY; ignored"),
            ));
        } else if !tcp && flags.iter().any(|text| !text.is_empty()) {
            let message = "the PROXY protocol is for TCP only; ignored".to_owned();
            findings.push((Severity::Warning, message));
        } else if flags.len() > 2 {
            let message = "more than four fields; no PROXY header is sent to endpoints".to_owned();
            findings.push((Severity::Warning, message));
        }
        Ok(Self {
            service: Name::new(namespace, name),
            port: (*port).into(),
            accepts_proxy: tcp && flag(0),
            sends_proxy: tcp && flags.len() == 2 && flag(1),
        })
    }

    /// That endpoints receive a PROXY header without the client's address.
    fn hidden_clients(&self, inputs: Inputs<'_>) -> Option<(Severity, String)> {
        let hidden = self.accepts_proxy && self.sends_proxy && !inputs.real_ip;
        let message = "endpoints receive the address of the balancer, not of the client; \
                       enable-real-ip takes it from the PROXY header";
        hidden.then(|| (Severity::Info, message.to_owned()))
    }

    fn port(self, port: u16, key: &str, protocol: Protocol) -> StreamPort {
        let draft = UpstreamDraft {
            port: ServicePort::new(self.service, self.port),
            transport: Transport::stream(protocol),
        };
        let split = Split::new(Backend::upstream_only(draft.key()));
        StreamPort {
            port,
            field: format!("data.{key}").into(),
            route: StreamRoute {
                backends: Arc::new(split),
                accepts_proxy: self.accepts_proxy,
                sends_proxy: self.sends_proxy,
            },
            draft,
        }
    }
}

fn finding(map: &Name, severity: Severity, field: &str, message: String) -> Finding {
    Finding {
        severity,
        subject: Subject::Object(ObjectRef {
            kind: Kind::ConfigMap,
            name: map.clone(),
        }),
        field: field.into(),
        message: message.into(),
    }
}
