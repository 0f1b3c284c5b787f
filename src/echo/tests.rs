//! The echo backend over real sockets.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{EchoArgs, accept_all, acceptor, serve};

type Body = Full<Bytes>;

/// An echo server named `b`, until it is stopped.
struct Server {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, "b".into(), shutdown));
        Self {
            address,
            stop,
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn http1(&self) -> http1::SendRequest<Body> {
        let io = TokioIo::new(self.connect().await);
        let (sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn http2(&self) -> http2::SendRequest<Body> {
        let io = TokioIo::new(self.connect().await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Sends one HTTP/1.1 request without a body.
    async fn request(&self, method: Method, target: &str) -> Response<Incoming> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "a.example")
            .body(Body::default())
            .unwrap();
        self.http1().await.send_request(request).await.unwrap()
    }

    async fn get(&self, target: &str) -> Response<Incoming> {
        self.request(Method::GET, target).await
    }

    /// Stops the server and waits until it has ended.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

async fn json(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&collect(response).await.to_bytes()).unwrap()
}

async fn collect(response: Response<Incoming>) -> Collected<Bytes> {
    response.into_body().collect().await.unwrap()
}

/// Reads a response head from a raw connection, byte by byte so that nothing behind it is lost.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn responds_with_the_request_it_received() {
    let server = Server::start().await;
    let request = Request::post("/p%20q?x=1&y")
        .header("Host", "a.example:8080")
        .header("X-A", "1")
        .header("x-a", "2")
        .body(Body::from("hello"))
        .unwrap();
    let response = server.http1().await.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["x-echo-name"], "b");
    let mut received = json(response).await;
    let remote = received.as_object_mut().unwrap().remove("remote").unwrap();
    assert!(remote.as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(
        received,
        json!({
            "name": "b",
            "method": "POST",
            "uri": "/p%20q?x=1&y",
            "path": "/p%20q",
            "query": "x=1&y",
            "version": "HTTP/1.1",
            "host": "a.example:8080",
            "headers": {
                "content-length": ["5"],
                "host": ["a.example:8080"],
                "x-a": ["1", "2"],
            },
            "body": "hello",
            "bodyBytes": 5,
        })
    );
}

#[tokio::test]
async fn speaks_http2_on_the_same_port() {
    let server = Server::start().await;
    let request = Request::get("http://a.example/p")
        .body(Body::default())
        .unwrap();
    let received = json(server.http2().await.send_request(request).await.unwrap()).await;
    assert_eq!(received["version"], "HTTP/2.0");
    assert_eq!(received["host"], "a.example");
    assert_eq!(received["path"], "/p");
}

#[tokio::test]
async fn the_query_controls_the_response() {
    let server = Server::start().await;
    let response = server
        .get("/?status=418&bytes=100000&header=Content-Type:a/b&header=X-A:1&header=X-A:2")
        .await;
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(response.headers()["content-length"], "100000");
    assert_eq!(response.headers().get_all("content-type").iter().count(), 1);
    assert_eq!(response.headers()["content-type"], "a/b");
    assert_eq!(response.headers().get_all("x-a").iter().count(), 2);
    assert_eq!(collect(response).await.to_bytes(), vec![b'x'; 100_000]);
}

#[tokio::test]
async fn statuses_that_forbid_a_body_have_none() {
    let server = Server::start().await;
    for status in [204, 205, 304] {
        let response = server.get(&format!("/?status={status}&bytes=5")).await;
        assert_eq!(response.status(), status);
        assert!(collect(response).await.to_bytes().is_empty());
    }
}

#[tokio::test]
async fn the_response_to_head_is_that_to_get_without_the_body() {
    let server = Server::start().await;
    let response = server.request(Method::HEAD, "/?bytes=70000").await;
    assert_eq!(response.headers()["content-length"], "70000");
    assert!(collect(response).await.to_bytes().is_empty());

    let request = Request::head("http://a.example/?bytes=70000")
        .body(Body::default())
        .unwrap();
    let response = server.http2().await.send_request(request).await.unwrap();
    assert_eq!(response.headers()["content-length"], "70000");
    assert!(collect(response).await.to_bytes().is_empty());
}

#[tokio::test]
async fn is_healthy() {
    let server = Server::start().await;
    assert_eq!(
        collect(server.get("/healthz").await).await.to_bytes(),
        "ok\n"
    );
}

#[tokio::test]
async fn echoes_websocket_messages() {
    let server = Server::start().await;
    let mut request = "ws://a.example/".into_client_request().unwrap();
    let offered = "chat, other".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offered);
    let (mut socket, response) = tokio_tungstenite::client_async(request, server.connect().await)
        .await
        .unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for message in [Message::text("hi"), Message::binary(vec![0, 255])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    while let Some(message) = socket.next().await {
        assert!(message.unwrap().is_close());
    }
}

#[tokio::test]
async fn refuses_another_websocket_version() {
    let server = Server::start().await;
    let request = Request::get("/")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "8")
        .body(Body::default())
        .unwrap();
    let response = server.http1().await.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(response.headers()["sec-websocket-version"], "13");
}

#[tokio::test]
async fn echoes_the_bytes_of_other_protocols() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let head =
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("upgrade: echo\r\n"), "{head}");
    stream.write_all(b"\0raw bytes").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut echoed = Vec::new();
    stream.read_to_end(&mut echoed).await.unwrap();
    assert_eq!(echoed, b"\0raw bytes");
}

#[tokio::test]
async fn an_offer_of_h2c_changes_nothing() {
    let server = Server::start().await;
    let request = Request::get("/")
        .header("connection", "upgrade, http2-settings")
        .header("upgrade", "h2c")
        .header("http2-settings", "")
        .body(Body::default())
        .unwrap();
    let response = server.http1().await.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

/// Calls with a message of two bytes and returns the headers, messages and trailers of the response.
async fn call(server: &Server, requested_status: Option<&str>) -> (HeaderMap, Bytes, HeaderMap) {
    let mut request = Request::post("http://a.example/shop.Stock/Watch")
        .header("content-type", "application/grpc+proto")
        .header("x-name", "caller")
        .header("te", "trailers");
    if let Some(status) = requested_status {
        request = request.header("x-grpc-status", status);
    }
    let request = request.body(Body::from(&b"\0\0\0\0\x02hi"[..])).unwrap();
    let response = server.http2().await.send_request(request).await.unwrap();
    let headers = response.headers().clone();
    let collected = collect(response).await;
    let trailers = collected.trailers().unwrap().clone();
    (headers, collected.to_bytes(), trailers)
}

#[tokio::test]
async fn echoes_grpc_messages() {
    let server = Server::start().await;
    let (headers, messages, trailers) = call(&server, None).await;
    assert_eq!(headers["content-type"], "application/grpc+proto");
    assert_eq!(headers["x-name"], "caller");
    assert!(!headers.contains_key("content-length"));
    assert_eq!(messages, &b"\0\0\0\0\x02hi"[..]);
    assert_eq!(trailers["grpc-status"], "0");
    for (requested, status) in [("0", "0"), ("14", "14"), ("no", "3")] {
        let (_, _, trailers) = call(&server, Some(requested)).await;
        assert_eq!(trailers["grpc-status"], status);
    }
}

#[tokio::test]
async fn speaks_tls_with_both_versions_of_http() {
    let directory = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
    let (cert, key) = (directory.path().join("crt"), directory.path().join("key"));
    std::fs::write(&cert, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = acceptor(&cert, &key).unwrap();
    tokio::spawn(accept_all(
        listener,
        "b".into(),
        Some(tls),
        std::future::pending(),
    ));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for (offered, version) in [("h2", "HTTP/2.0"), ("http/1.1", "HTTP/1.1")] {
        config.alpn_protocols = vec![offered.into()];
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config.clone()));
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = connector
            .connect("a.example".try_into().unwrap(), stream)
            .await
            .unwrap();
        let request = Request::get("https://a.example/").header("host", "a.example");
        let request = request.body(Body::default()).unwrap();
        let io = TokioIo::new(stream);
        let response = if offered == "h2" {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        assert_eq!(json(response).await["version"], version);
    }
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_tunnels() {
    let server = Server::start().await;
    let mut idle = server.connect().await;
    let head = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    idle.write_all(head).await.unwrap();
    read_head(&mut idle).await;
    let mut tunnel = server.connect().await;
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    tunnel.write_all(head).await.unwrap();
    read_head(&mut tunnel).await;

    let address = server.address;
    server.stop().await;
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"ok\n");
    assert_eq!(tunnel.read_to_end(&mut rest).await.unwrap(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    echo: EchoArgs,
}

#[test]
fn flags() {
    let parsed = Cli::try_parse_from(["x", "--listen", "127.0.0.1:0", "--listen=[::1]:0"]).unwrap();
    assert_eq!(parsed.echo.listen.len(), 2);
    assert_eq!(parsed.echo.name, "echo");
    assert!(Cli::try_parse_from(["x", "--tls-cert", "c.pem"]).is_err());
    assert!(Cli::try_parse_from(["x", "--tls-key", "k.pem"]).is_err());
    assert!(Cli::try_parse_from(["x", "--listen", "nowhere"]).is_err());
}
