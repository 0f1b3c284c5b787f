//! Streams with TLS on one or both sides.

use std::io::ErrorKind;

use headgate_table::{
    Authorities, Backend, Certificate, Slot, Split, StreamRoute, TlsSocket, UpstreamTls,
};
use rustls::crypto::aws_lc_rs;
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::ServerName;
use tokio::net::TcpListener;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::streams::upstream;
use super::*;
use crate::connection::tests::trusting;

/// TLS towards an endpoint whose certificate for `name` is `trusted`.
fn settings(trusted: &Certificate, name: &str) -> Arc<UpstreamTls> {
    Arc::new(UpstreamTls {
        id: format!("{} {name}", trusted.fingerprint).into(),
        client: None,
        authorities: Authorities::Listed(trusted.key.cert.as_slice().into()),
        verify: true,
        alternatives: Arc::default(),
        verify_depth: 1,
        server_name: true,
        name: Some(name.into()),
        tls12: true,
        tls13: true,
        ciphers: Arc::default(),
        slot: Slot::default(),
    })
}

/// Sends what it received in reverse order, once the client has sent all. Over TLS it refuses every protocol of ALPN.
async fn reversing(own: Option<&Certificate>) -> SocketAddr {
    let acceptor = own.map(|own| {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(own.key.clone())));
        config.alpn_protocols = vec![b"of another service".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    });
    async fn reverse(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut bytes = Vec::new();
        if stream.read_to_end(&mut bytes).await.is_ok() {
            bytes.reverse();
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match &acceptor {
                None if begins_with_a_handshake(&stream).await => {}
                None => reverse(stream).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => reverse(stream).await,
                    Err(_) => continue,
                },
            }
        }
    });
    address
}

/// The socket that terminates TLS with `own` for the backends of `key`.
fn terminating(own: &Arc<Certificate>, backends: &Upstream) -> Socket {
    let terminate = Terminate {
        hosts: universe("none.example"),
        certificates: Certificates::OfListener(Arc::new([own.clone()])),
        clients: None,
    };
    let backends = Arc::new(Split::new(Backend::upstream_only(backends.key.clone())));
    Socket::Tls(TlsSocket::new(TlsRoute::Stream {
        terminate,
        backends,
    }))
}

async fn open(address: SocketAddr, trusted: &Certificate) -> TlsStream<TcpStream> {
    // Protocols that the client offers are those of the service.
    let config = trusting(trusted, &["mqtt"]);
    let name = ServerName::try_from("a.example").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector
        .connect(name, connect(address).await)
        .await
        .unwrap()
}

/// Whether a client of TLS speaks, which waits for an answer as long as the connection is open.
async fn begins_with_a_handshake(stream: &TcpStream) -> bool {
    let mut first = [0];
    stream.peek(&mut first).await.is_ok() && first == [22]
}

/// What comes back for `bytes`.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> Vec<u8> {
    let mut back = Vec::new();
    // If it is closed already, there is nothing to read either.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut back).await;
    back
}

#[tokio::test]
async fn streams_are_decrypted_and_encrypted() {
    let mut world = World::start(1);
    let (front, back) = (certificate("a.example"), certificate("b.example"));
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n / 7) as u8).collect();
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    for (own, settings, reaches) in [
        (None, None, true),
        (Some(&back), Some(settings(&back, "b.example")), true),
        (Some(&back), Some(settings(&back, "other.example")), false),
        (Some(&back), Some(settings(&front, "b.example")), false),
        (None, Some(settings(&back, "b.example")), false),
    ] {
        let expected = if reaches { &reversed[..] } else { b"" };
        let backend = Arc::new(Upstream {
            tls: settings.clone(),
            ..Upstream::clone(&upstream(
                "shop/stream/9",
                &[reversing(own.map(|own| &**own)).await],
            ))
        });
        let [plain, terminated] = free_addresses();
        let split = Split::new(Backend::upstream_only(backend.key.clone()));
        let route = StreamRoute::plain(Arc::new(split));
        world.publish(
            &[
                listener(plain, Socket::Plain(Plain::Stream(route))),
                listener(terminated, terminating(&front, &backend)),
            ],
            &[backend],
        );
        let name = settings.map(|settings| settings.id.clone());
        assert!(
            exchange(connect(plain).await, &bytes).await == expected,
            "plain {name:?}"
        );
        let stream = open(terminated, &front).await;
        assert!(
            exchange(stream, &bytes).await == expected,
            "terminated {name:?}"
        );
    }
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_resets_the_endpoint() {
    let mut world = World::start(1);
    let front = certificate("a.example");
    let [address] = free_addresses();
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = upstream("shop/stream/9", &[endpoint.local_addr().unwrap()]);
    let socket = terminating(&front, &backend);
    world.publish(&[listener(address, socket)], &[backend]);
    let mut client = open(address, &front).await;
    client.write_all(b"abc").await.unwrap();
    let (mut accepted, _) = endpoint.accept().await.unwrap();
    let mut bytes = [0; 3];
    accepted.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"abc");
    // Closed, but TLS does not say so: somebody may have cut it short.
    drop(client);
    let error = accepted.read(&mut bytes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    world.stop().await;
}

#[tokio::test]
async fn silence_of_both_sides_ends_a_decrypted_stream() {
    let mut settings = Settings::default();
    settings.streams.idle_timeout = Duration::from_millis(50);
    let mut world = World::with(1, settings);
    let front = certificate("a.example");
    let [address] = free_addresses();
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = upstream("shop/stream/9", &[endpoint.local_addr().unwrap()]);
    let socket = terminating(&front, &backend);
    world.publish(&[listener(address, socket)], &[backend]);
    let mut client = open(address, &front).await;
    let (mut accepted, _) = endpoint.accept().await.unwrap();
    assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);
    assert!(!client.read(&mut [0]).await.is_ok_and(|length| length > 0));
    world.stop().await;
}
