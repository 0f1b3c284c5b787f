//! Calls of webhooks over HTTPS. A connection is reused for the next review, as in kube-apiserver: when a webhook closes one
//! without notice, the review in flight fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::encode;
use super::shared::Shared;

/// Default of `timeoutSeconds`.
const TIMEOUT: u64 = 10;
/// Maximum length of a response.
const MAX_RESPONSE: usize = 3 * 1024 * 1024;
/// The default port.
const HTTPS: u16 = 443;

/// A connection to a webhook.
pub(crate) type PooledConnection = http1::SendRequest<Full<Bytes>>;

/// The address of a webhook.
#[derive(Debug)]
struct Target {
    url: String,
    server_name: String,
    authority: String,
    path: String,
    address: SocketAddr,
}

/// Calls a webhook and returns the `response` of its review, or the reason of the failure.
pub(super) async fn call(shared: &Shared, hook: &Value, review: &Value) -> Result<Value, String> {
    let seconds = hook["timeoutSeconds"].as_u64().unwrap_or(TIMEOUT);
    let mut target = target(shared, &hook["clientConfig"])?;
    let separator = if target.path.contains('?') { '&' } else { '?' };
    let limit = format!("{separator}timeout={seconds}s");
    target.path.push_str(&limit);
    target.url.push_str(&limit);
    let call = exchange(shared, &target, &hook["clientConfig"], review);
    let result = tokio::time::timeout(Duration::from_secs(seconds), call).await;
    let result = match result {
        Ok(result) => result,
        Err(_) => Err("context deadline exceeded".to_owned()),
    };
    let response = result.map_err(|why| format!("Post {:?}: {why}", target.url))?;
    if response["response"]["uid"] != review["request"]["uid"] {
        return Err(
            "received invalid webhook response: expected response.uid of the request".to_owned(),
        );
    }
    let version = &response["apiVersion"];
    if version != "admission.k8s.io/v1" || response["kind"] != "AdmissionReview" {
        return Err(format!(
            "received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {version}, Kind={}",
            response["kind"]
        ));
    }
    Ok(response["response"].clone())
}

fn target(shared: &Shared, config: &Value) -> Result<Target, String> {
    if let Some(url) = config["url"].as_str() {
        return by_url(url);
    }
    let service = &config["service"];
    let text = |field: &str| service[field].as_str().unwrap_or_default();
    let (namespace, name) = (text("namespace"), text("name"));
    let port = service["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    let port = port.unwrap_or(HTTPS);
    let path = if text("path").is_empty() {
        "/"
    } else {
        text("path")
    };
    let server_name = format!("{name}.{namespace}.svc");
    let key = (namespace.to_owned(), name.to_owned(), port);
    let address = shared.control().services.get(&key).copied();
    let url = format!("https://{server_name}:{port}{path}");
    let Some(address) = address else {
        return Err(format!("Post {url:?}: service {name:?} not found"));
    };
    Ok(Target {
        url,
        authority: format!("{server_name}:{port}"),
        server_name,
        path: path.to_owned(),
        address,
    })
}

/// A webhook at a loopback address; others are refused.
fn by_url(url: &str) -> Result<Target, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{url:?}: {error}"))?;
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(HTTPS);
    let ip = match host.trim_matches(['[', ']']) {
        "localhost" => Ok(std::net::Ipv4Addr::LOCALHOST.into()),
        host => host.parse::<std::net::IpAddr>(),
    };
    let loopback = ip.ok().filter(std::net::IpAddr::is_loopback);
    let ip =
        loopback.ok_or_else(|| format!("Post {url:?}: dial tcp: lookup {host}: no such host"))?;
    Ok(Target {
        url: url.to_owned(),
        server_name: host.trim_matches(['[', ']']).to_owned(),
        authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
        path: uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned(),
        address: SocketAddr::new(ip, port),
    })
}

async fn exchange(
    shared: &Shared,
    target: &Target,
    config: &Value,
    review: &Value,
) -> Result<Value, String> {
    let request = || {
        Request::post(&target.path)
            .header(header::HOST, &target.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, */*")
            .header(header::USER_AGENT, "kube-apiserver-admission")
            .body(Full::new(encode::bytes(review)))
            .map_err(|error| error.to_string())
    };
    let bundle = config["caBundle"].as_str().unwrap_or_default();
    let key = (
        target.address,
        target.server_name.clone(),
        bundle.to_owned(),
    );
    let pooled = shared.control().pool.remove(&key);
    let mut sender = match pooled.filter(|pooled| !pooled.is_closed()) {
        Some(pooled) => pooled,
        None => connect(target, config).await?,
    };
    let response = match sender.send_request(request()?).await {
        // The connection was closed before the request was written.
        Err(error) if error.is_canceled() => {
            sender = connect(target, config).await?;
            sender.send_request(request()?).await
        }
        result => result,
    };
    let response = response.map_err(|error| error.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_RESPONSE)
        .collect()
        .await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    if sender.ready().await.is_ok() {
        shared.control().pool.insert(key, sender);
    }
    read(status, &body)
}

async fn connect(target: &Target, config: &Value) -> Result<PooledConnection, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let connector = TlsConnector::from(Arc::new(trusting(config)?));
    let name = ServerName::try_from(target.server_name.clone()).map_err(|error| text(&error))?;
    let stream = TcpStream::connect(target.address)
        .await
        .map_err(|error| text(&error))?;
    let stream = connector.connect(name, stream).await;
    let stream = stream.map_err(|error| format!("tls: failed to verify certificate: {error}"))?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| text(&error))?;
    // Its errors fail its requests.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn read(status: StatusCode, body: &Bytes) -> Result<Value, String> {
    if !status.is_success() {
        let text = String::from_utf8_lossy(body);
        return Err(format!(
            "an error on the server ({text:?}) has prevented the request from succeeding ({status})"
        ));
    }
    serde_json::from_slice(body)
        .map_err(|error| format!("couldn't get version/kind; json parse error: {error}"))
}

/// A client that trusts `caBundle` alone.
fn trusting(config: &Value) -> Result<ClientConfig, String> {
    let bundle = config["caBundle"].as_str().unwrap_or_default();
    let pem = STANDARD
        .decode(bundle)
        .map_err(|error| format!("caBundle: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("caBundle: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("caBundle: {error}"))?;
    }
    if roots.is_empty() {
        return Err("x509: certificate signed by unknown authority".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
