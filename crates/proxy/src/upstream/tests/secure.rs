//! TLS towards endpoints.

use super::*;
use crate::upstream::options::Security;
use crate::upstream::{CallError, CallOptions, Payload};
use headgate_table::{AlternativeName, Authorities, BackendProtocol, Slot, Upstream, UpstreamTls};
use rustls_pki_types::CertificateDer;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a TLS endpoint saw: server name, protocol, whether a client certificate came.
type Seen = Rc<RefCell<Vec<(Option<String>, Option<Vec<u8>>, bool)>>>;

struct Secure {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    seen: Seen,
}

/// A TLS endpoint and the CA that issued its certificate.
async fn secure(name: &str) -> (Secure, CertificateDer<'static>) {
    secure_as(&[name], &[]).await
}

/// The same with a certificate for several names and URIs.
async fn secure_as(names: &[&str], uris: &[&str]) -> (Secure, CertificateDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::from_params(&authority, &key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut leaf = rcgen::CertificateParams::new(names).unwrap();
    for uri in uris {
        let uri = rcgen::string::Ia5String::try_from(*uri).unwrap();
        leaf.subject_alt_names.push(rcgen::SanType::URI(uri));
    }
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let leaf = rcgen::CertifiedKey {
        cert: leaf,
        signing_key: leaf_key,
    };
    (serve(&leaf).await, authority_certificate.der().clone())
}

async fn serve(identity: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Secure {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = certificate("endpoint", identity).key;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyClient))
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let log = seen.clone();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let session = stream.get_ref().1;
            let name = session.server_name().map(str::to_owned);
            log.borrow_mut().push((
                name,
                session.alpn_protocol().map(<[u8]>::to_vec),
                session.peer_certificates().is_some(),
            ));
            tokio::task::spawn_local(async move {
                let mut buffer = [0; 4096];
                while stream
                    .read(&mut buffer)
                    .await
                    .is_ok_and(|length| length > 0)
                {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                }
            });
        }
    });
    Secure {
        address,
        certificate: identity.cert.der().clone(),
        seen,
    }
}

/// Requests a client certificate and accepts any or none.
#[derive(Debug)]
struct AnyClient;

impl rustls::server::danger::ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::server::danger::ClientCertVerified, rustls::Error> {
        Ok(rustls::server::danger::ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A client of the TLS `endpoint`.
fn world(endpoint: SocketAddr, tls: Option<UpstreamTls>) -> Rc<World> {
    let upstream = Upstream {
        protocol: BackendProtocol::Https,
        tls: tls.map(Arc::new),
        ..upstream(&[endpoint])
    };
    World::new(upstream, forwarding())
}

fn settings(authority: &CertificateDer<'static>, name: Option<&str>) -> UpstreamTls {
    UpstreamTls {
        id: format!("{name:?}").into(),
        client: None,
        authorities: Authorities::Listed([authority.clone()].into()),
        verify: true,
        alternatives: Arc::default(),
        verify_depth: 1,
        server_name: false,
        name: name.map(Into::into),
        tls12: true,
        tls13: true,
        ciphers: Arc::default(),
        slot: Slot::default(),
    }
}

#[tokio::test]
async fn without_settings_nothing_is_verified_and_no_name_is_sent() {
    local(async {
        let endpoint = serve(&identity(&["whatever.example"])).await;
        let world = world(endpoint.address, None);
        for _ in 0..3 {
            assert!(world.get().await.ends_with("ok"));
        }
        assert_eq!(
            *endpoint.seen.borrow(),
            [(None, Some(b"http/1.1".to_vec()), false)]
        );
    })
    .await;
}

#[tokio::test]
async fn verification_is_of_chain_and_name() {
    local(async {
        let (endpoint, authority) = secure("api.internal").await;
        let (other, _) = (identity(&["other"]), ());
        for (authority, name, trusted) in [
            (&authority, Some("api.internal"), true),
            (&authority, Some("api.other"), false),
            (&authority, None, false),
            (other.cert.der(), Some("api.internal"), false),
        ] {
            let world = world(endpoint.address, Some(settings(authority, name)));
            assert_eq!(world.get().await.ends_with("ok"), trusted, "{name:?}");
            let failures: &[CallError] = if trusted { &[] } else { &[CallError::Connect] };
            assert_eq!(*world.failures.borrow(), failures);
        }
        assert_ne!(endpoint.certificate, authority);
    })
    .await;
}

#[tokio::test]
async fn any_alternative_name_of_the_settings_is_enough_and_the_server_name_is_not_verified() {
    local(async {
        let dns = |name: &str| AlternativeName::Dns(name.into());
        let uri = |uri: &str| AlternativeName::Uri(uri.into());
        let own = "spiffe://internal/api";
        for (alternatives, trusted) in [
            (vec![dns("api.internal")], true),
            (vec![uri(own)], true),
            (vec![dns("other"), uri(own)], true),
            (vec![dns("*.wild.internal")], true),
            (vec![dns("a.wild.internal")], true),
            (vec![dns("sent.internal")], false),
            (vec![dns("*.internal")], false),
            (vec![dns("other"), uri("spiffe://internal/ap")], false),
            // A name of one type is no name of the other.
            (vec![uri("api.internal"), dns(own)], false),
        ] {
            let names = ["api.internal", "*.wild.internal"];
            let (endpoint, authority) = secure_as(&names, &[own]).await;
            let tls = UpstreamTls {
                server_name: true,
                alternatives: alternatives.clone().into(),
                ..settings(&authority, Some("sent.internal"))
            };
            let world = world(endpoint.address, Some(tls));
            assert_eq!(
                world.get().await.ends_with("ok"),
                trusted,
                "{alternatives:?}"
            );
            let seen = endpoint.seen.borrow();
            let names = seen.iter().map(|(name, ..)| name.as_deref());
            assert!(names.into_iter().all(|name| name == Some("sent.internal")));
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_with_a_nul_byte_is_not_the_name_before_it() {
    local(async {
        for issued in [
            "api.internal\0.evil.test",
            "\0api.internal",
            "api.internal\0",
        ] {
            let (endpoint, authority) = secure(issued).await;
            let tls = settings(&authority, Some("api.internal"));
            let world = world(endpoint.address, Some(tls));
            world.get().await;
            assert_eq!(*world.failures.borrow(), [CallError::Connect], "{issued:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn name_and_client_certificate_are_sent_when_configured() {
    local(async {
        let (endpoint, authority) = secure("shop-web-80").await;
        let mut tls = settings(&authority, None);
        tls.server_name = true;
        tls.client = Some(Arc::new(certificate("client", &identity(&["client"]))));
        let world = world(endpoint.address, Some(tls));
        assert!(world.get().await.ends_with("ok"));
        assert_eq!(
            *endpoint.seen.borrow(),
            [(Some("shop-web-80".into()), Some(b"http/1.1".to_vec()), true)]
        );
    })
    .await;
}

#[tokio::test]
async fn the_tls_settings_are_those_of_the_call() {
    local(async {
        let (endpoint, authority) = secure("api.internal").await;
        let mut process = calls::Process::calling(&[endpoint.address]);
        let known = Arc::new(settings(&authority, Some("api.internal")));
        let unknown = Arc::new(settings(&authority, Some("api.other")));
        for (security, trusted) in [
            (Security::Plain, false),
            (Security::Tls(Some(&known)), true),
            (Security::Tls(Some(&unknown)), false),
            (Security::Tls(None), true),
        ] {
            let options = CallOptions {
                security,
                ..CallOptions::default()
            };
            let outcome = process.call(Payload::empty(), options).await;
            assert_eq!(outcome.is_ok(), trusted, "{security:?}");
        }
        assert_eq!(endpoint.seen.borrow().len(), 2, "no connection is shared");
    })
    .await;
}

#[tokio::test]
async fn unusable_tls_settings_close_the_route() {
    local(async {
        let (endpoint, authority) = secure("api.internal").await;
        let mut no_version = settings(&authority, Some("api.internal"));
        (no_version.tls12, no_version.tls13) = (false, false);
        let mut no_authority = settings(&authority, Some("api.internal"));
        no_authority.authorities = Authorities::default();
        for tls in [no_version, no_authority] {
            let world = world(endpoint.address, Some(tls));
            world.get().await;
            assert_eq!(*world.failures.borrow(), [CallError::Connect]);
        }
        assert!(endpoint.seen.borrow().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_speak_tls_is_an_error() {
    local(async {
        let plain = Endpoint::start(|_, mut conversation| async move {
            conversation.respond(OK).await;
            conversation.request().await;
        })
        .await;
        let world = world(plain.address, None);
        world.get().await;
        assert_eq!(*world.failures.borrow(), [CallError::Connect]);
    })
    .await;
}
