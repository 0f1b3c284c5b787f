//! An upstream with a name that responds with the request it received, as JSON. HTTP/1, HTTP/2 by prior knowledge,
//! WebSocket, any other upgrade, and gRPC; in plain text or over TLS.
//!
//! Fields of the request control it: `X-Echo-Status: 503`, `X-Echo-Field: Name: value` (repeatable), `X-Echo-Bytes: 1000`
//! (that many bytes instead of the JSON).

mod tls;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::certificate::Issued;
use crate::listening::Listening;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A running echo upstream; it stops when dropped.
#[derive(Debug)]
pub struct Echo {
    name: Arc<str>,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    server: Listening,
}

impl Echo {
    /// Starts an echo upstream.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(name: &str) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), name)
    }

    /// Starts an echo upstream on this address.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start_at(address: IpAddr, name: &str) -> Self {
        Self::start_with(address, name, None)
    }

    /// Starts an echo upstream over TLS with this certificate. It requests the certificates of its clients and accepts any.
    ///
    /// # Panics
    /// When there is no free port, or the certificate is unusable.
    pub fn secure(name: &str, own: &Issued) -> Self {
        Self::start_with(Ipv4Addr::LOCALHOST.into(), name, Some(tls::acceptor(own)))
    }

    fn start_with(address: IpAddr, name: &str, tls: Option<TlsAcceptor>) -> Self {
        let name = Arc::<str>::from(name);
        let (requests, connections) = (Arc::default(), Arc::default());
        let server = Listening::start((address, 0).into(), |listener| {
            let (requests, connections) = (Arc::clone(&requests), Arc::clone(&connections));
            accept(listener, name.clone(), tls, requests, connections)
        });
        Self {
            name,
            requests,
            connections,
            server,
        }
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The name in its responses.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }
}

async fn accept(
    listener: TcpListener,
    name: Arc<str>,
    tls: Option<TlsAcceptor>,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::AcqRel);
        // A failure costs only speed.
        let _ = stream.set_nodelay(true);
        let (name, requests, tls) = (name.clone(), requests.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, (name, None), requests).await,
                Some(tls) => {
                    // A client may refuse the certificate.
                    if let Ok(stream) = tls.accept(stream).await {
                        let facts = tls::facts(stream.get_ref().1);
                        serve(stream, (name, Some(facts)), requests).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    (name, tls): (Arc<str>, Option<serde_json::Value>),
    requests: Arc<AtomicUsize>,
) {
    let service = hyper::service::service_fn(move |request| {
        requests.fetch_add(1, Ordering::AcqRel);
        let (name, tls) = (name.clone(), tls.clone());
        async move { Ok::<_, Infallible>(respond(request, &name, tls).await) }
    });
    // Clients may close connections early.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    mut request: Request<Incoming>,
    name: &str,
    tls: Option<serde_json::Value>,
) -> Response<Body> {
    if let Some(kind) = upgrade(&request) {
        return switch(&mut request, &kind);
    }
    let (head, body) = request.into_parts();
    // A body that ends early counts as empty.
    let body = body.collect().await;
    let (body, trailers) = match body {
        Ok(collected) => {
            let trailers = collected.trailers().cloned();
            (collected.to_bytes(), trailers)
        }
        Err(_) => (Bytes::new(), None),
    };
    if is_grpc(&head.headers) {
        return grpc(name, &head.headers, body);
    }
    let mut content = json!({
        "name": name,
        "method": head.method.as_str(),
        "target": target(&head.uri, head.version),
        "version": format!("{:?}", head.version),
        "authority": head.uri.authority().map(|authority| authority.as_str()),
        "fields": fields(&head.headers),
        "trailers": trailers.as_ref().map(fields),
        "length": body.len(),
        "body": String::from_utf8_lossy(&body),
    });
    if let Some(tls) = tls {
        content["tls"] = tls;
    }
    with_controls(&head.headers, content.to_string())
}

/// The request target, from the request line or `:path`.
fn target(uri: &http::Uri, version: Version) -> String {
    match uri.path_and_query() {
        Some(path) if version == Version::HTTP_2 => path.as_str().to_owned(),
        _ => uri.to_string(),
    }
}

fn fields(headers: &HeaderMap) -> serde_json::Value {
    let mut object = serde_json::Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers.get_all(name).iter().map(text).collect();
        object.insert(name.as_str().to_owned(), values.into());
    }
    object.into()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn with_controls(headers: &HeaderMap, content: String) -> Response<Body> {
    let number = |name| headers.get(name)?.to_str().ok()?.parse().ok();
    let body = match number("x-echo-bytes") {
        Some(length) => Bytes::from(vec![b'x'; length]),
        None => Bytes::from(content),
    };
    let mut response = Response::new(Full::new(body).boxed_unsync());
    if let Some(status) = number("x-echo-status")
        && let Ok(code) = u16::try_from(status)
        && let Ok(status) = StatusCode::from_u16(code)
    {
        *response.status_mut() = status;
    }
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    for field in headers.get_all("x-echo-field") {
        let field = text(field);
        if let Some((name, value)) = field.split_once(':')
            && let Ok(name) = name.parse::<HeaderName>()
            && let Ok(value) = HeaderValue::from_str(value.trim())
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Returns the messages, and in the trailers the status: `X-Grpc-Status` of the request, else 0.
fn grpc(name: &str, headers: &HeaderMap, body: Bytes) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    let status = headers.get("x-grpc-status").cloned();
    trailers.insert(
        "grpc-status",
        status.unwrap_or(HeaderValue::from_static("0")),
    );
    let body = Full::new(body)
        .with_trailers(std::future::ready(Some(Ok(trailers))))
        .boxed_unsync();
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if let Ok(name) = HeaderValue::from_str(name) {
        response.headers_mut().insert("x-name", name);
    }
    if let Some(te) = headers.get(header::TE) {
        response.headers_mut().insert("x-te", te.clone());
    }
    response
}

fn upgrade(request: &Request<Incoming>) -> Option<String> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    let connection = text(request.headers().get(header::CONNECTION)?);
    connection
        .to_ascii_lowercase()
        .contains("upgrade")
        .then(|| request.headers().get(header::UPGRADE).map(text))
        .flatten()
}

/// Switches protocols, then echoes every message or byte.
fn switch(request: &mut Request<Incoming>, kind: &str) -> Response<Body> {
    let on_upgrade = hyper::upgrade::on(&mut *request);
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(header::UPGRADE, kind);
    }
    let websocket = request.headers().get(header::SEC_WEBSOCKET_KEY);
    match websocket.map(|key| derive_accept_key(key.as_bytes())) {
        Some(accept) => {
            if let Ok(accept) = HeaderValue::from_str(&accept) {
                headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            }
            tokio::spawn(echo_messages(on_upgrade));
        }
        None => {
            tokio::spawn(echo_bytes(on_upgrade));
        }
    }
    response
}

async fn echo_messages(on_upgrade: OnUpgrade) {
    let Ok(stream) = on_upgrade.await else { return };
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        let echoed = message.is_text() || message.is_binary();
        if echoed && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn echo_bytes(on_upgrade: OnUpgrade) {
    let Ok(stream) = on_upgrade.await else { return };
    let (mut read, mut write) = tokio::io::split(TokioIo::new(stream));
    // Ends when either side closes.
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
}
