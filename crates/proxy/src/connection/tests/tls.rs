//! The https port: handshakes, certificates by server name, and clients without TLS.

use headgate_table::{ClientTrust, ListenerClients, PrivateBytes, Slot};
use rustls::{AlertDescription, ClientConfig, HandshakeKind, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// A client that trusts one certificate and speaks the protocols of `alpn`.
pub(crate) fn trusting(trusted: &Certificate, alpn: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.key.cert[0].clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn connect(
    fixture: &Fixture,
    config: &Arc<ClientConfig>,
    name: &'static str,
) -> std::io::Result<TlsStream<DuplexStream>> {
    let connector = TlsConnector::from(config.clone());
    connector
        .connect(ServerName::try_from(name).unwrap(), fixture.connect(HTTPS))
        .await
}

async fn facts_over(mut stream: TlsStream<DuplexStream>) -> String {
    let request = "GET /facts HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.lines().last().unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn while_connections_are_short_the_first_request_has_a_second() {
    locally(async {
        let own = certificate("a.example");
        let fixture = Fixture::serving(Settings::default(), &[("a.example", &own)]);
        let config = Arc::new(trusting(&own, &[]));
        fixture.context.worker.shedding.connections_short();
        let stream = connect(&fixture, &config, "a.example").await.unwrap();
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(facts_over(stream).await, "HTTP/1.1 a.example TLSv1.3 - #1");

        let mut stream = connect(&fixture, &config, "a.example").await.unwrap();
        let begin = Instant::now();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(begin.elapsed().as_secs(), 1, "without a request");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_name_gets_its_certificate() {
    locally(async {
        let (a, b) = (certificate("a.example"), certificate("b.example"));
        let fixture =
            Fixture::serving(Settings::default(), &[("a.example", &a), ("b.example", &b)]);
        for (name, own, other) in [("a.example", &a, &b), ("b.example", &b, &a)] {
            let stream = connect(&fixture, &Arc::new(trusting(own, &[])), name)
                .await
                .unwrap();
            assert_eq!(
                facts_over(stream).await,
                format!("HTTP/1.1 {name} TLSv1.3 - #1")
            );
            assert!(
                connect(&fixture, &Arc::new(trusting(other, &[])), name)
                    .await
                    .is_err(),
                "{name}"
            );
        }
        let table = fixture.context.worker.table();
        let terminate = table.listener(HTTPS).unwrap().terminate(None);
        let default = terminate.unwrap().certificate(None).unwrap().clone();
        assert!(
            connect(
                &fixture,
                &Arc::new(trusting(&default, &[])),
                "default.example"
            )
            .await
            .is_ok()
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unknown_names_are_rejected_when_configured() {
    locally(async {
        let a = certificate("a.example");
        let mut settings = Settings::default();
        settings.tls.reject_unknown = true;
        let fixture = Fixture::serving(settings, &[("a.example", &a)]);
        let config = Arc::new(trusting(&a, &[]));
        assert!(connect(&fixture, &config, "a.example").await.is_ok());
        let error = connect(&fixture, &config, "c.example").await.unwrap_err();
        let error = error
            .into_inner()
            .unwrap()
            .downcast::<rustls::Error>()
            .unwrap();
        assert_eq!(
            *error,
            rustls::Error::AlertReceived(AlertDescription::UnrecognisedName)
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn versions_and_protocols_are_those_of_the_settings() {
    locally(async {
        let a = certificate("a.example");
        let both = Arc::new(trusting(&a, &["h2", "http/1.1"]));
        let mut settings = Settings::default();
        let fixture = Fixture::serving(settings.clone(), &[("a.example", &a)]);
        let stream = connect(&fixture, &both, "a.example").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));

        settings.http2 = false;
        settings.tls.tls13 = false;
        settings.tls.ciphers = Arc::new(["ECDHE-ECDSA-AES256-GCM-SHA384".to_owned()]);
        let fixture = Fixture::serving(settings, &[("a.example", &a)]);
        let stream = connect(&fixture, &both, "a.example").await.unwrap();
        let connection = stream.get_ref().1;
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        let suite = connection.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(
            suite,
            rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        );
        assert_eq!(facts_over(stream).await, "HTTP/1.1 a.example TLSv1.2 - #1");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn sessions_are_resumed_when_configured() {
    locally(async {
        let a = certificate("a.example");
        for (session_cache, session_tickets) in [(true, false), (false, true), (false, false)] {
            let mut settings = Settings::default();
            settings.tls.session_cache = session_cache;
            settings.tls.session_tickets = session_tickets;
            let fixture = Fixture::serving(settings, &[("a.example", &a)]);
            let config = Arc::new(trusting(&a, &[]));
            facts_over(connect(&fixture, &config, "a.example").await.unwrap()).await;
            let again = connect(&fixture, &config, "a.example").await.unwrap();
            let resumed = again.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            assert_eq!(
                resumed,
                session_cache || session_tickets,
                "cache {session_cache}, tickets {session_tickets}"
            );
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn sessions_are_resumed_in_their_universe_alone() {
    locally(async {
        let a = certificate("a.example");
        let addresses: [SocketAddr; 4] =
            std::array::from_fn(|i| SocketAddr::new(HTTPS.ip(), 1 + i as u16));
        let [one, same, other_hosts, other_source] = addresses;
        let hosts = || Arc::new(VirtualHosts::new(host(CATCH_ALL, HostTls::Own(a.clone()))));
        let of_hosts = Certificates::OfHosts {
            default: a.clone(),
            reject_unknown: false,
        };
        let listener = |address, hosts: &Arc<VirtualHosts>, certificates: &Certificates| Listener {
            address,
            ports: PublicPorts { own: 0, https: 0 },
            socket: Socket::Tls(TlsSocket::new(TlsRoute::Terminate(Terminate {
                hosts: hosts.clone(),
                certificates: certificates.clone(),
                clients: None,
            }))),
        };
        let (first, second) = (hosts(), hosts());
        let mut table = RoutingTable::new(Arc::new(Settings::default()));
        table.set_listeners(vec![
            listener(one, &first, &of_hosts),
            // A later version of the universe.
            listener(same, &Arc::new((*first).clone()), &of_hosts),
            listener(other_hosts, &second, &of_hosts),
            listener(
                other_source,
                &first,
                &Certificates::OfListener(Arc::new([a.clone()])),
            ),
        ]);
        let fixture = Fixture::new(Settings::default());
        fixture.publisher.borrow_mut().publish(Arc::new(table));

        for (address, resumes) in [(same, true), (other_hosts, false), (other_source, false)] {
            let connector = TlsConnector::from(Arc::new(trusting(&a, &[])));
            let connect = |address| {
                let name = ServerName::try_from("a.example").unwrap();
                connector.connect(name, fixture.connect(address))
            };
            facts_over(connect(one).await.unwrap()).await;
            let again = connect(address).await.unwrap();
            let resumed = again.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            assert_eq!(resumed, resumes, "{address}");
        }
    })
    .await;
}

/// Rules for all clients of a listener; the authority is `a`.
fn listener_clients(a: &Certificate, id: &str, required: bool) -> Arc<ListenerClients> {
    Arc::new(ListenerClients {
        trust: ClientTrust {
            id: id.into(),
            authorities: a.key.cert.as_slice().into(),
            revocations: Arc::default(),
            depth: u32::MAX,
        },
        required,
        slot: Slot::default(),
    })
}

#[tokio::test(start_paused = true)]
async fn sessions_are_resumed_under_the_same_rules_for_clients_alone() {
    locally(async {
        let a = certificate("a.example");
        let mut settings = Settings::default();
        // Replicas share it, and so do all rules.
        settings.tls.ticket_key = Some(PrivateBytes(vec![7; 48]));
        let settings = Arc::new(settings);
        let addresses: [SocketAddr; 4] =
            std::array::from_fn(|i| SocketAddr::new(HTTPS.ip(), 1 + i as u16));
        let [one, same, other, required] = addresses;
        let hosts = Arc::new(VirtualHosts::new(host(CATCH_ALL, HostTls::None)));
        let first = listener_clients(&a, "first", false);
        let listener = |address, clients: &Arc<ListenerClients>| Listener {
            address,
            ports: PublicPorts { own: 0, https: 0 },
            socket: Socket::Tls(TlsSocket::new(TlsRoute::Terminate(Terminate {
                hosts: hosts.clone(),
                certificates: Certificates::OfListener(Arc::new([a.clone()])),
                clients: Some(clients.clone()),
            }))),
        };
        let mut table = RoutingTable::new(settings.clone());
        table.set_listeners(vec![
            listener(one, &first),
            listener(same, &first),
            listener(other, &listener_clients(&a, "other", false)),
            listener(required, &listener_clients(&a, "required", true)),
        ]);
        let fixture = Fixture::new(Settings::default());
        fixture.publisher.borrow_mut().publish(Arc::new(table));
        for (address, resumes) in [(same, true), (other, false)] {
            let connector = TlsConnector::from(Arc::new(trusting(&a, &[])));
            let connect = |address| {
                let name = ServerName::try_from("a.example").unwrap();
                connector.connect(name, fixture.connect(address))
            };
            facts_over(connect(one).await.unwrap()).await;
            let again = connect(address).await.unwrap();
            let resumed = again.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            assert_eq!(resumed, resumes, "{address}");
        }
        // A session without a certificate does not help where one is required.
        let connector = TlsConnector::from(Arc::new(trusting(&a, &[])));
        let connect = |address| {
            let name = ServerName::try_from("a.example").unwrap();
            connector.connect(name, fixture.connect(address))
        };
        facts_over(connect(one).await.unwrap()).await;
        let refused = async { connect(required).await?.read_u8().await };
        assert!(refused.await.is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn handshakes_have_a_deadline() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        for hello in [&b""[..], b"\x16\x03\x01\x02\0\x01"] {
            let begin = Instant::now();
            assert_eq!(fixture.exchange(HTTPS, hello).await, "");
            assert_eq!(begin.elapsed().as_secs(), 10, "{hello:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn plain_http_on_the_https_port_gets_400() {
    locally(async {
        let text = Fixture::new(Settings::default())
            .exchange(HTTPS, get("/"))
            .await;
        assert_eq!(statuses(&text), [400]);
        assert!(
            text.contains("The plain HTTP request was sent to HTTPS port"),
            "{text}"
        );
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_header_comes_before_the_handshake() {
    locally(async {
        let a = certificate("a.example");
        let mut settings = Settings::default();
        settings.forwarded.proxy_protocol = true;
        let fixture = Fixture::serving(settings, &[("a.example", &a)]);
        let mut stream = fixture.connect(HTTPS);
        stream
            .write_all(b"PROXY TCP4 203.0.113.9 192.0.2.1 5000 443\r\n")
            .await
            .unwrap();
        let connector = TlsConnector::from(Arc::new(trusting(&a, &[])));
        let stream = connector
            .connect(ServerName::try_from("a.example").unwrap(), stream)
            .await
            .unwrap();
        assert_eq!(
            facts_over(stream).await,
            "HTTP/1.1 a.example TLSv1.3 203.0.113.9:5000 #1"
        );
    })
    .await;
}
