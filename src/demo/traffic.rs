//! A few requests each second, so that there is something to see: over TLS to the demo itself, on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use headgate_compile::{Secret, Snapshot};
use http::Request;
use http::header::{HOST, USER_AGENT};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(250);
/// Time for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked for in turn: mostly what works, now and then what does not.
#[rustfmt::skip] // one line for each request
const REQUESTS: [(&str, &str); 12] = [
    ("www.ecommerce.com", "/"),
    ("api.ecommerce.com", "/products"),
    ("api.ecommerce.com", "/users/7"),
    ("api.ecommerce.com", "/products?page=2"),
    ("cart.ecommerce.com", "/"),
    ("api.ecommerce.com", "/orders"),
    ("search.ecommerce.com", "/?q=shoes"),
    ("api.ecommerce.com", "/products/12"),
    ("www.ecommerce.com", "/images/logo.svg"),
    ("partner.ecommerce.com", "/api/stock"),
    ("api.ecommerce.com", "/nothing-here"),
    ("api.ecommerce.com", "/products"),
];

/// Sends requests to one of `addresses`, whose certificates are those of `roots`, until it is dropped.
pub(super) async fn run(addresses: Vec<SocketAddr>, roots: RootCertStore) {
    let Some(address) = addresses.into_iter().next() else {
        return;
    };
    let address = match address.ip().is_unspecified() {
        true => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        false => address,
    };
    let config = ClientConfig::builder().with_root_certificates(roots);
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let mut pause = interval(PAUSE);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for (host, target) in REQUESTS.into_iter().cycle() {
        pause.tick().await;
        let sent = timeout(PATIENCE, send(&connector, address, (host, target))).await;
        if let Ok(Err(error)) = sent {
            // The examples may be edited while they are served.
            tracing::debug!(
                host,
                target,
                error = format!("{error:#}"),
                "a request of the demo failed"
            );
        }
    }
}

async fn send(
    connector: &TlsConnector,
    address: SocketAddr,
    (host, target): (&'static str, &'static str),
) -> Result<()> {
    let stream = TcpStream::connect(address).await.context("connecting")?;
    let stream = connector.connect(ServerName::try_from(host)?, stream).await;
    let stream = TokioIo::new(stream.context("the TLS handshake")?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let request = Request::get(target)
        .header(HOST, host)
        .header(USER_AGENT, "headgate-demo")
        .body(Empty::<Bytes>::new())?;
    let response = async {
        let response = sender.send_request(request).await?;
        response.into_body().collect().await?;
        Ok(())
    };
    tokio::select! {
        response = response => response,
        ended = connection => ended.context("the connection was closed"),
    }
}

/// The certificates of the Secrets in `snapshot`, which are their own authorities.
pub(super) fn roots(snapshot: &Snapshot) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let secrets = snapshot.all::<Secret>();
    let chains = secrets.filter_map(|secret| secret.get("tls.crt").map(<[u8]>::to_vec));
    for chain in chains {
        let certificates = CertificateDer::pem_slice_iter(&chain).filter_map(Result::ok);
        roots.add_parsable_certificates(certificates);
    }
    roots
}
