//! Sockets that follow the table, with the whole data plane.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod datagrams;
mod load;
mod secure_streams;
mod spread;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    CATCH_ALL, Certificates, Host, HostBehaviour, HostCiphers, HostClients, HostTls, Listener,
    Plain, PublicPorts, Publisher, RoutingTable, Settings, Socket, Terminate, TlsRoute, Upstream,
    VirtualHosts, publisher,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::config::Config;
use crate::connection::tests::{certificate, config, free_addresses};
use crate::server::{Running, Server};
use crate::telemetry::Telemetry;

/// The data plane and its publisher.
struct World {
    running: Running,
    publisher: Publisher,
    settings: Arc<Settings>,
}

impl World {
    fn start(workers: usize) -> Self {
        let mut settings = Settings::default();
        settings.client.keep_alive_requests = u64::MAX;
        Self::with(workers, settings)
    }

    fn with(workers: usize, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let config = Config {
            workers,
            ..config()
        };
        let telemetry = Telemetry::new(&config);
        let bound = Server::bind(config).unwrap();
        let table = Arc::new(RoutingTable::new(settings.clone()));
        let (publisher, reader) = publisher(table);
        Self {
            running: bound.start(reader, telemetry).unwrap(),
            publisher,
            settings,
        }
    }

    fn publish(&mut self, listeners: &[Listener], upstreams: &[Arc<Upstream>]) {
        let mut table = RoutingTable::new(self.settings.clone());
        table.set_listeners(listeners.to_vec());
        for upstream in upstreams {
            table.insert_upstream(upstream.clone());
        }
        self.publisher.publish(Arc::new(table));
    }

    async fn stop(self) {
        self.running.drain(Duration::from_secs(60)).await;
    }
}

/// A universe that redirects every host to `target`.
fn universe(target: &str) -> Arc<VirtualHosts> {
    let behaviour = HostBehaviour::Redirect { to: target.into() };
    let host = |name: &str| {
        Arc::new(Host {
            name: name.into(),
            aliases: Arc::default(),
            tls: HostTls::None,
            clients: HostClients::Any,
            ciphers: HostCiphers::default(),
            script: None,
            behaviour: behaviour.clone(),
        })
    };
    let mut hosts = VirtualHosts::new(host(CATCH_ALL));
    hosts.insert(host("a.example"));
    Arc::new(hosts)
}

fn listener(address: SocketAddr, socket: Socket) -> Listener {
    let ports = PublicPorts {
        own: 80,
        https: 443,
    };
    Listener {
        address,
        ports,
        socket,
    }
}

fn http(address: SocketAddr, hosts: &Arc<VirtualHosts>) -> Listener {
    listener(address, Socket::Plain(Plain::Http(hosts.clone().into())))
}

/// A connection to `address`, as soon as a socket is open there.
pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    loop {
        match TcpStream::connect(address).await {
            Ok(stream) => return stream,
            Err(_) => yield_now().await,
        }
    }
}

/// Returns once no socket is open at `address`.
pub(crate) async fn refused(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        yield_now().await;
    }
}

/// The response to a request for a.example, which is a redirect.
async fn get<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<String> {
    let request = b"GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"</html>\r\n") {
        bytes.push(stream.read_u8().await?);
    }
    let response = String::from_utf8(bytes).unwrap();
    assert!(response.starts_with("HTTP/1.1 308 "), "{response}");
    Ok(response)
}

#[tokio::test]
async fn listeners_lead_to_universes_that_serve_the_same_host() {
    let mut world = World::start(1);
    let [one, two] = free_addresses();
    let (first, second) = (universe("first.example"), universe("second.example"));
    world.publish(&[http(one, &first), http(two, &second)], &[]);
    for (address, target) in [(one, "first.example"), (two, "second.example")] {
        let response = get(&mut connect(address).await).await.unwrap();
        let location = format!("\r\nLocation: http://{target}:");
        assert!(response.contains(&location), "{response}");
    }
    world.stop().await;
}

#[tokio::test]
async fn sockets_that_no_listener_uses_are_closed() {
    let mut world = World::start(2);
    let bound = world.running.addresses().clone();
    let hosts = universe("a.example");
    world.publish(&[http(bound.http[0], &hosts)], &[]);
    get(&mut connect(bound.http[0]).await).await.unwrap();
    refused(bound.https[0]).await;
    world.publish(&[http(bound.https[0], &hosts)], &[]);
    get(&mut connect(bound.https[0]).await).await.unwrap();
    refused(bound.http[0]).await;
    drop(std::net::TcpListener::bind(bound.http[0]).unwrap());
    world.stop().await;
}

#[tokio::test]
async fn an_address_in_use_affects_no_other_and_is_retried() {
    let mut world = World::start(1);
    let mut addresses: [SocketAddr; 2] = free_addresses();
    addresses.sort();
    let [taken, after] = addresses;
    let other = std::net::TcpListener::bind(taken).unwrap();
    let hosts = universe("first.example");
    world.publish(&[http(taken, &hosts), http(after, &hosts)], &[]);
    // Listeners are opened in the order of their addresses.
    let mut kept = connect(after).await;
    get(&mut kept).await.unwrap();
    drop(other);
    get(&mut connect(taken).await).await.unwrap();
    get(&mut kept).await.unwrap();
    world.stop().await;
}
