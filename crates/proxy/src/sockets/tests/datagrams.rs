//! UDP ports.

use headgate_table::{Backend, Split, UdpListener};
use tokio::net::UdpSocket;

use super::streams::upstream;
use super::*;

/// A data plane with a UDP port that leads to `endpoints`, as soon as it is open. `responses`: those that are expected.
async fn serving(responses: u32, endpoints: &[SocketAddr]) -> (World, SocketAddr) {
    let mut settings = Settings::default();
    settings.streams.responses = responses;
    let mut world = World::with(1, settings);
    let free = socket().await;
    let address = free.local_addr().unwrap();
    drop(free);
    world.publish_udp(1, address, endpoints);
    (world, address)
}

impl World {
    /// Publishes a table whose only socket is the UDP port.
    fn publish_udp(&mut self, generation: u64, address: SocketAddr, endpoints: &[SocketAddr]) {
        let upstream = upstream("shop/dns/53 udp", endpoints);
        let split = Split::new(Backend::upstream_only(upstream.key.clone()));
        let mut table = RoutingTable::new(self.settings.clone());
        table.generation = generation;
        table.insert_upstream(upstream);
        table.set_udp_listeners(vec![UdpListener {
            address,
            backends: Arc::new(split),
        }]);
        self.publisher.publish(Arc::new(table));
    }

    fn metric(&self, start: &str) -> f64 {
        let registry = prometheus::Registry::new();
        self.running.telemetry().register(&registry).unwrap();
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        let line = text.lines().find(|line| line.starts_with(start));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// Sends a datagram until `endpoint` receives it: the port may not be open yet. The sender that the endpoint sees.
async fn send(client: &UdpSocket, port: SocketAddr, endpoint: &UdpSocket) -> SocketAddr {
    let mut buffer = [0; 16];
    loop {
        client.send_to(b"request", port).await.unwrap();
        let received = endpoint.recv_from(&mut buffer);
        if let Ok(received) = tokio::time::timeout(Duration::from_millis(200), received).await {
            return received.unwrap().1;
        }
    }
}

#[tokio::test]
async fn another_endpoint_replaces_one_that_refuses() {
    let (live, dead) = (socket().await, socket().await);
    let endpoints = [dead.local_addr().unwrap(), live.local_addr().unwrap()];
    drop(dead);
    let (world, port) = serving(1, &endpoints).await;
    let mut buffer = [0; 16];
    for _ in 0..4 {
        let client = socket().await;
        let sender = send(&client, port, &live).await;
        live.send_to(b"response", sender).await.unwrap();
        let (length, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (b"response".as_slice(), port));
    }
    world.stop().await;
}

#[tokio::test]
async fn a_client_whose_endpoint_is_gone_gets_another_one() {
    let (one, two, client) = (socket().await, socket().await, socket().await);
    let at = |socket: &UdpSocket| socket.local_addr().unwrap();
    let (mut world, port) = serving(50, &[at(&one)]).await;
    let sender = send(&client, port, &one).await;
    assert_eq!(send(&client, port, &one).await, sender, "the same session");
    world.publish_udp(2, port, &[at(&one), at(&two)]);
    assert_eq!(send(&client, port, &one).await, sender, "the same session");
    world.publish_udp(3, port, &[at(&two)]);
    send(&client, port, &two).await;
    world.stop().await;
}

#[tokio::test]
async fn sessions_are_bounded_and_the_oldest_without_response_ends() {
    let endpoint = socket().await;
    let (world, port) = serving(50, &[endpoint.local_addr().unwrap()]).await;
    let most = config().max_connections / 4;
    let answered = socket().await;
    let sender = send(&answered, port, &endpoint).await;
    endpoint.send_to(b"response", sender).await.unwrap();
    answered.recv_from(&mut [0; 16]).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..most + 5 {
        let client = socket().await;
        send(&client, port, &endpoint).await;
        clients.push(client);
    }
    let open = world.metric("headgate_stream_sessions{");
    assert!(open <= most as f64, "{open} of {most}");
    assert_eq!(
        send(&answered, port, &endpoint).await,
        sender,
        "it has a response"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_port_that_comes_back_while_it_closes_serves_all_clients() {
    let (endpoint, waiting) = (socket().await, socket().await);
    let endpoints = [endpoint.local_addr().unwrap()];
    let (mut world, port) = serving(1, &endpoints).await;
    let waiting_sender = send(&waiting, port, &endpoint).await;
    // The first response shows that the table was taken up, and its listener that closes that the next one was.
    let [marker] = free_addresses();
    world.publish(&[http(marker, &universe("other.example"))], &[]);
    get(&mut connect(marker).await).await.unwrap();
    world.publish_udp(2, port, &endpoints);
    refused(marker).await;
    let mut buffer = [0; 16];
    for number in 0..20 {
        let client = socket().await;
        client.send_to(b"request", port).await.unwrap();
        let sender = loop {
            let received = endpoint.recv_from(&mut buffer);
            let received = tokio::time::timeout(Duration::from_secs(3), received).await;
            let sender = received.expect("a request of each client").unwrap().1;
            if sender != waiting_sender {
                break sender;
            }
        };
        endpoint.send_to(b"response", sender).await.unwrap();
        let (length, _) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"response", "client {number}");
    }
    endpoint.send_to(b"response", waiting_sender).await.unwrap();
    waiting.recv_from(&mut buffer).await.unwrap();
    world.stop().await;
}
