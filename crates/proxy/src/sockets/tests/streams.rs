//! Listeners whose connections are passed on.

use headgate_table::{
    Alternative, Alternatives, Arm, Backend, BackendProtocol, Balance, Certificate, Endpoints,
    Slot, Split, StreamRoute, TlsSocket, Unavailable, UpstreamKey,
};
use http::StatusCode;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::ServerName;
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::connection::tests::trusting;

pub(super) fn upstream(key: &str, endpoints: &[SocketAddr]) -> Arc<Upstream> {
    Arc::new(Upstream {
        key: UpstreamKey::new(key),
        name: key.into(),
        log_name: key.into(),
        protocol: BackendProtocol::Http,
        tls: None,
        endpoints: Endpoints::Addresses(endpoints.into()),
        balance: Balance::RoundRobin,
        affinity: None,
        client_ip_affinity: None,
        resilience: Arc::default(),
        slot: Slot::default(),
    })
}

fn to(upstream: &Upstream) -> Backend {
    Backend::upstream_only(upstream.key.clone())
}

fn status() -> Backend {
    Backend {
        arm: Arm::Status(StatusCode::INTERNAL_SERVER_ERROR),
        edits: None,
    }
}

fn stream(address: SocketAddr, split: Split) -> Listener {
    let route = StreamRoute::plain(Arc::new(split));
    listener(address, Socket::Plain(Plain::Stream(route)))
}

/// Sends the bytes in reverse order once the client has sent all.
async fn reversing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            bytes.reverse();
            stream.write_all(&bytes).await.unwrap();
        }
    });
    address
}

#[derive(Debug)]
struct OneCertificate(Arc<CertifiedKey>);

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Sends a fixed text over TLS.
async fn over_tls(certificate: &Certificate) -> SocketAddr {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(OneCertificate(certificate.key.clone())));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = acceptor.accept(stream).await.unwrap();
            stream.write_all(b"the endpoint").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    address
}

async fn exchange(address: SocketAddr, text: &str) -> String {
    let mut stream = connect(address).await;
    // If it is closed already, there is nothing to read either.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn bytes_are_copied_both_ways_and_each_side_closes_separately() {
    let mut world = World::start(1);
    let [address, dead] = free_addresses();
    let upstream = upstream("shop/stream/9", &[dead, reversing().await]);
    let split = Split::new(to(&upstream));
    world.publish(&[stream(address, split)], &[upstream]);
    for _ in 0..4 {
        assert_eq!(exchange(address, "abc").await, "cba");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_open_stream_counts_as_writing() {
    let mut world = World::start(1);
    let [address] = free_addresses();
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream("shop/stream/9", &[endpoint.local_addr().unwrap()]);
    let split = Split::new(to(&upstream));
    world.publish(&[stream(address, split)], &[upstream]);
    let client = connect(address).await;
    let (open, _) = endpoint.accept().await.unwrap();
    let page = world.running.telemetry().status_page();
    assert!(page.contains("Reading: 0 Writing: 1 Waiting: 0"), "{page}");
    drop((client, open));
    world.stop().await;
}

#[tokio::test]
async fn weights_pick_the_backend_and_a_status_closes() {
    let mut world = World::start(1);
    let [weighted, closed, looped] = free_addresses();
    let served = upstream("shop/stream/9", &[reversing().await]);
    let itself = upstream("shop/loop/9", &[looped]);
    let other = Alternative {
        backend: to(&served),
        weight: 100,
        unavailable: Unavailable::UsePrimary,
    };
    let others = Alternatives::new(vec![other], Vec::new(), 100);
    let listeners = [
        stream(weighted, Split::new(status()).with_alternatives(others)),
        stream(closed, Split::new(status())),
        stream(looped, Split::new(to(&itself))),
    ];
    world.publish(&listeners, &[served, itself]);
    assert_eq!(exchange(weighted, "abc").await, "cba");
    assert_eq!(exchange(closed, "abc").await, "");
    assert_eq!(
        exchange(looped, "abc").await,
        "",
        "a listener is not an endpoint"
    );
    world.stop().await;
}

#[tokio::test]
async fn server_names_choose_passthrough_or_a_universe() {
    let mut world = World::start(1);
    let [address] = free_addresses();
    let (passed, ended) = (certificate("b.example"), certificate("a.example"));
    let upstream = upstream("shop/tls/443", &[over_tls(&passed).await]);
    let terminate = |target: &str| {
        TlsRoute::Terminate(Terminate {
            hosts: universe(target),
            certificates: Certificates::OfListener(Arc::new([ended.clone()])),
            clients: None,
        })
    };
    let mut socket = TlsSocket::new(terminate("first.example"));
    socket.insert("a.example", terminate("second.example"));
    let split = Arc::new(Split::new(to(&upstream)));
    socket.insert("b.example", TlsRoute::Passthrough(split));
    world.publish(&[listener(address, Socket::Tls(socket))], &[upstream]);

    let over_tls = async |trusted: &Certificate, name: &'static str| {
        let connector = TlsConnector::from(Arc::new(trusting(trusted, &[])));
        let name = ServerName::try_from(name).unwrap();
        let stream = connect(address).await;
        connector.connect(name, stream).await.unwrap()
    };
    let mut text = String::new();
    let mut stream = over_tls(&passed, "b.example").await;
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "the endpoint");
    drop(stream); // an open stream would delay the drain
    let mut stream = over_tls(&ended, "a.example").await;
    let response = get(&mut stream).await.unwrap();
    assert!(response.contains("://second.example:"), "{response}");
    world.stop().await;
}
