//! The helpers against each other, without a proxy.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use bytes::Bytes;
use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Connection, Echo, Http2, Load, Request, Scripted};
use http_body_util::Full;

#[test]
fn echo_returns_the_request() {
    let echo = Echo::start("one");
    let request = Request::post("/x?y", "hello")
        .field("X-A", "1")
        .field("X-A", "2");
    let echoed = request.send(echo.address()).is(200).echo();
    assert_eq!(
        (echoed.name(), echoed.method(), echoed.target()),
        ("one", "POST", "/x?y")
    );
    assert_eq!((echoed.body(), echoed.version()), ("hello", "HTTP/1.1"));
    assert_eq!(echoed.all("x-a"), ["1", "2"]);
    echoed.has("host", "a.test").has("x-b", None);
    assert_eq!((echo.requests(), echo.connections()), (1, 1));
}

#[test]
fn echo_follows_control_fields() {
    let echo = Echo::start("one");
    let response = Request::get("/")
        .field("X-Echo-Status", "404")
        .field("X-Echo-Field", "X-A: 1")
        .field("X-Echo-Bytes", "5")
        .send(echo.address());
    assert_eq!(response.is(404).has("x-a", "1").text(), "xxxxx");
}

#[test]
fn echo_serves_http_2_and_grpc() {
    let echo = Echo::start("one");
    let mut client = Http2::clear(echo.address());
    let request = http::Request::post("http://a.test/s/m")
        .header("content-type", "application/grpc")
        .header("x-grpc-status", "7")
        .body(Full::from(Bytes::from_static(b"message")));
    let response = client.send(request.unwrap());
    assert_eq!(response.trailer("grpc-status"), Some("7"), "{response:?}");
    assert_eq!(&response.body[..], b"message");
}

#[test]
fn echo_switches_protocols() {
    let echo = Echo::start("one");
    let mut connection = Connection::open(echo.address());
    let upgrade = Request::get("/")
        .field("Connection", "upgrade")
        .field("Upgrade", "raw");
    connection.exchange(&upgrade).is(101).has("upgrade", "raw");
    assert_eq!(connection.send("bytes").exactly(5), b"bytes");
    connection.half_close();
    assert!(connection.is_closed());
}

#[test]
fn scripted_records_every_byte() {
    let upstream = Scripted::responding("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let chunks =
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let mut connection = Connection::open(upstream.address());
    connection.send(chunks).response().is(200);
    connection.exchange(&Request::post("/", "hello")).is(200);
    let requests = upstream.wait_for(2);
    assert_eq!(requests[0], chunks);
    assert!(requests[1].ends_with("\r\n\r\nhello"), "{requests:?}");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_reset_is_an_error_and_a_close_is_not() {
    let resetting = Scripted::start(|connection| {
        connection.request();
        connection.reset();
    });
    let error = Request::get("/").try_send(resetting.address()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    let closing = Scripted::start(|connection| {
        connection.request();
    });
    let error = Request::get("/").try_send(closing.address()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
}

#[test]
fn a_truncated_response_is_incomplete() {
    for (response, complete) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            false,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello", true),
    ] {
        let upstream = Scripted::start(move |connection| {
            connection.request();
            connection.send(response);
        });
        let response = Request::get("/").send(upstream.address());
        assert_eq!(response.complete, complete, "{response:?}");
        assert_eq!(response.text(), "hello");
    }
}

#[test]
fn a_load_counts_failures() {
    let upstream = Scripted::start(|connection| {
        let mut count = 0;
        while connection.request().is_some() {
            count += 1;
            let status = if count == 3 { "500 No" } else { "200 OK" };
            connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let load = Load::start(upstream.address(), 2, &Request::get("/"), |_| Ok(()));
    load.wait_for(20);
    let report = load.stop();
    assert!(report.good >= 20, "{report:?}");
    assert!(report.failed >= 2, "{report:?}");
    assert!(report.failures[0].contains("500"), "{report:?}");
}

#[test]
fn manifests_are_complete() {
    let issued = Authority::new().issue(&["a.test"]);
    let text = manifest::file([
        &Ingress::new("web")
            .annotation("ssl-redirect", "false")
            .tls(&["a.test"], "cert")
            .path("/", "web")
            .object(),
        &manifest::tls_secret("cert", &issued),
    ]);
    for part in [
        "nginx.ingress.kubernetes.io/ssl-redirect",
        "a.test",
        "BEGIN CERTIFICATE",
        "---\n{",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}
