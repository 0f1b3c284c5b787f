//! The addresses that this process listens on.

use std::net::SocketAddr;

use headgate_table::TableReader;

/// The addresses that this process listens on. A request that is forwarded to one of them comes back and is forwarded
/// again, until no sockets are left; and the admin port is for the operator alone.
#[derive(Clone, Default)]
pub(crate) struct LocalAddresses {
    fixed: Vec<SocketAddr>,
    /// Its listeners are local as well.
    table: Option<TableReader>,
}

impl LocalAddresses {
    /// The addresses `fixed` and no others.
    pub(crate) fn new(fixed: Vec<SocketAddr>) -> Self {
        Self { fixed, table: None }
    }

    /// Adds those of the listeners in the current table.
    pub(crate) fn with_listeners(mut self, table: TableReader) -> Self {
        self.table = Some(table);
        self
    }

    /// Whether `endpoint` is one of them.
    pub(super) fn contains(&self, endpoint: SocketAddr) -> bool {
        let address = endpoint.ip().to_canonical();
        self.any(|local| {
            let any = local.ip().is_unspecified() && address.is_loopback();
            local.port() == endpoint.port() && (any || local.ip().to_canonical() == address)
        })
    }

    /// Whether a connection from `local` to `peer` reached this process. The addresses of the machine are not known in
    /// advance, but the system uses the same address at both ends of a connection to itself.
    pub(super) fn reached(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        local.ip() == peer.ip()
            && self.any(|address| address.port() == peer.port() && address.ip().is_unspecified())
    }

    /// Whether `address` is one that this process receives datagrams on: what is sent there would be forwarded again.
    pub(crate) fn has_udp(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.any_udp(|local| {
            let any = local.ip().is_unspecified() && ip.is_loopback();
            local.port() == address.port() && (any || local.ip().to_canonical() == ip)
        })
    }

    /// As [`Self::reached`], for datagrams.
    pub(super) fn reached_udp(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        local.ip() == peer.ip()
            && self
                .any_udp(|address| address.port() == peer.port() && address.ip().is_unspecified())
    }

    fn any_udp(&self, is: impl Fn(SocketAddr) -> bool) -> bool {
        let table = self.table.as_ref().map(TableReader::current);
        let listeners = table.iter().flat_map(|table| table.udp_listeners());
        listeners.map(|listener| listener.address).any(is)
    }

    fn any(&self, is: impl Fn(SocketAddr) -> bool) -> bool {
        let table = self.table.as_ref().map(TableReader::current);
        let listeners = table.iter().flat_map(|table| table.listeners());
        let listeners = listeners.map(|listener| listener.address);
        self.fixed.iter().copied().chain(listeners).any(is)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::sync::Arc;

    use headgate_table::{
        Arm, Backend, Listener, Plain, PublicPorts, RoutingTable, Settings, Socket, Split,
        StreamRoute, publisher,
    };

    use super::*;

    #[test]
    fn addresses_of_this_process_are_local() {
        let at = |address: &str| address.parse::<SocketAddr>().unwrap();
        let all = LocalAddresses::new(vec![at("0.0.0.0:80"), at("[::]:80")]);
        for endpoint in [
            "127.0.0.1:80",
            "127.0.0.9:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(all.contains(at(endpoint)), "{endpoint}");
        }
        assert!(!all.contains(at("127.0.0.1:81")) && !all.contains(at("10.0.0.1:80")));
        assert!(all.reached(at("10.0.0.1:4000"), at("10.0.0.1:80")));
        assert!(!all.reached(at("10.0.0.1:4000"), at("10.0.0.1:81")));
        assert!(!all.reached(at("10.0.0.1:4000"), at("10.0.0.2:80")));

        let one = LocalAddresses::new(vec![at("127.0.0.1:80")]);
        assert!(one.contains(at("127.0.0.1:80")) && one.contains(at("[::ffff:127.0.0.1]:80")));
        assert!(
            !one.contains(at("127.0.0.2:80")),
            "an address of another process"
        );
        assert!(!one.reached(at("127.0.0.2:4000"), at("127.0.0.2:80")));
    }

    #[test]
    fn listeners_of_the_table_are_local() {
        let address: SocketAddr = "10.0.0.1:9".parse().unwrap();
        let settings = Arc::<Settings>::default();
        let mut table = RoutingTable::new(settings.clone());
        table.set_listeners(vec![Listener {
            address,
            ports: PublicPorts { own: 9, https: 9 },
            socket: Socket::Plain(Plain::Stream(StreamRoute::plain(Arc::new(Split::new(
                Backend {
                    arm: Arm::Status(http::StatusCode::NOT_FOUND),
                    edits: None,
                },
            ))))),
        }]);
        let (mut publisher, reader) = publisher(Arc::new(RoutingTable::new(settings)));
        let local = LocalAddresses::new(Vec::new()).with_listeners(reader);
        assert!(!local.contains(address));
        publisher.publish(Arc::new(table));
        assert!(local.contains(address));
    }
}
