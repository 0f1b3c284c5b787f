//! The phase of TCP and UDP services: their ConfigMaps, and the upstreams of their ports.

use std::net::IpAddr;

use super::*;
use crate::ConfigMap;
use crate::ingress::streams::{self, PortMap, StreamEntry};
use crate::objects::Protocol;

const PROTOCOLS: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

impl Compiled {
    /// The entry of the ConfigMap of TCP or UDP services for the port that clients use.
    pub fn stream_entry(
        &self,
        protocol: Protocol,
        port: u16,
        options: &Options,
    ) -> Option<StreamEntry> {
        self.ingress.streams.entry(protocol, port, options)
    }
}

impl Pass<'_> {
    /// The ports of the ConfigMaps, whether or not they are open.
    pub(crate) fn stream_ports(&self) -> Vec<(u16, Protocol)> {
        let of = |protocol| {
            self.state
                .streams
                .ports(protocol)
                .map(move |port| (port, protocol))
        };
        PROTOCOLS.into_iter().flat_map(of).collect()
    }

    /// Reads the ConfigMaps that changed, or all.
    pub(super) fn streams(&mut self, changes: &Changes, all: bool) {
        for protocol in PROTOCOLS {
            let Some(name) = streams::map_name(self.options, protocol) else {
                continue;
            };
            let is_map =
                |object: &ObjectRef| object.kind == Kind::ConfigMap && object.name == *name;
            if !all && !changes.objects.iter().any(is_map) {
                continue;
            }
            let map = self.snapshot.get::<ConfigMap>(name).map(|map| &**map);
            let inputs = streams::Inputs {
                options: self.options,
                real_ip: self.table.settings.forwarded.real_ip,
            };
            let ports = PortMap::read((name, map), protocol, inputs);
            for draft in ports.upstreams() {
                self.builder.acquire(draft.clone());
            }
            let former = self.state.streams.replace(protocol, ports);
            for draft in former.upstreams() {
                self.builder.release_upstream(&draft.key());
            }
        }
    }

    /// Builds the upstream of a port.
    pub(super) fn stream_upstream(
        &mut self,
        key: UpstreamKey,
        port: &ServicePort,
        protocol: Protocol,
    ) {
        let inputs = build::Inputs {
            snapshot: self.snapshot,
            options: self.options.endpoints,
        };
        let policy = streams::policy(port, protocol);
        let problem = self
            .builder
            .build_upstream(key.clone(), policy, inputs, self.table);
        self.state.streams.set_problem(&key, Some(problem));
    }

    /// Adds the TCP listeners of open ports to those for HTTP, and returns those for UDP. Replaces the findings about ports.
    pub(super) fn open_ports(
        &mut self,
        addresses: &[IpAddr],
        listeners: &mut Vec<Listener>,
    ) -> Vec<UdpListener> {
        let streams = &self.state.streams;
        listeners.extend(streams.tcp_listeners(addresses, self.table));
        let udp = streams.udp_listeners(addresses, self.table).collect();
        if !std::mem::take(&mut self.state.streams.touched) {
            return udp;
        }
        for protocol in PROTOCOLS {
            let findings = self.state.streams.findings(protocol, self.options);
            self.findings.replace(Source::Ports(protocol), findings);
        }
        udp
    }
}
