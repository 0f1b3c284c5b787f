//! Protocols of clients.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Authority, Connection, Echo, Http2, Request, Scenario, Scripted, Tls};
use http_body_util::Full;
use tokio_tungstenite::tungstenite::Message;

use super::setup::{BINARY, serve, serve_with, tls_scenario};

#[test]
fn http_1_1_keeps_connections_alive() {
    let (program, web) = serve(&[]);
    let mut connection = Connection::open(program.http());
    for number in 0..5 {
        let target = format!("/{number}?q={number}");
        let response = connection.exchange(&Request::get(&target)).is(200);
        assert_eq!(response.version, "HTTP/1.1");
        assert_eq!(response.echo().target(), target);
        assert_eq!(response.echo().version(), "HTTP/1.1");
    }
    assert_eq!(web.connections(), 1, "upstream connections are reused");
}

#[test]
fn every_method_and_its_body_arrive() {
    let (program, _web) = serve(&[]);
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
    ] {
        let request = Request::new(method, "/").body("hello");
        let echo = request.send(program.http()).is(200).echo();
        assert_eq!((echo.method(), echo.body()), (method, "hello"));
    }
}

#[test]
fn http_1_0_closes_and_is_never_chunked() {
    let (program, _web) = serve(&[]);
    let mut connection = Connection::open(program.http());
    connection.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
    let response = connection.response().is(200).has("transfer-encoding", None);
    assert_eq!(
        response.echo().version(),
        "HTTP/1.1",
        "the upstream receives 1.1"
    );
    assert!(connection.is_closed(), "HTTP/1.0 closes\n{response:?}");
}

#[test]
fn http_1_0_chunked_upstream_is_delimited_by_close() {
    let upstream = Scripted::responding(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
    let response = connection.response().is(200).has("transfer-encoding", None);
    assert_eq!(response.text(), "hello", "{response:?}");
}

#[test]
fn http_1_0_keep_alive_on_request() {
    let (program, _web) = serve(&[]);
    let mut connection = Connection::open(program.http());
    for _ in 0..2 {
        connection.send("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
        connection.response().is(200).echo();
    }
}

#[test]
fn http_1_0_without_host_gets_the_catch_all() {
    let (program, web) = serve(&[]);
    let mut connection = Connection::open(program.http());
    connection.send("GET / HTTP/1.0\r\n\r\n").response().is(404);
    assert_eq!(web.requests(), 0);
}

#[test]
fn responses_to_pipelined_requests_are_in_order() {
    let (program, _web) = serve(&[]);
    let mut connection = Connection::open(program.http());
    let mut bytes = Vec::new();
    for number in 0..10 {
        bytes.extend(Request::post(&format!("/{number}"), format!("body {number}")).bytes());
    }
    connection.send(bytes);
    for number in 0..10 {
        let echo = connection.response().is(200).echo();
        assert_eq!(echo.target(), format!("/{number}"));
        assert_eq!(echo.body(), format!("body {number}"));
    }
}

#[test]
fn http_2_by_prior_knowledge() {
    let (program, _web) = serve(&[]);
    let mut client = Http2::clear(program.http());
    for body in ["", "hello"] {
        let request = http::Request::post("http://a.test/x?y=1")
            .body(Full::from(body))
            .unwrap();
        let response = client.send(request);
        assert_eq!(response.head.status(), 200, "{response:?}");
        let text = String::from_utf8_lossy(&response.body);
        assert!(text.contains(r#""target":"/x?y=1""#), "{text}");
        assert!(text.contains(r#""host":["a.test"]"#), "{text}");
        assert!(text.contains(&format!(r#""body":"{body}""#)), "{text}");
    }
}

#[test]
fn http_2_over_tls() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    let mut client = Http2::tls(program.https(), &Tls::name("a.test"));
    for _ in 0..3 {
        let request = http::Request::get("https://a.test/x").body(Full::default());
        let response = client.send(request.unwrap());
        assert_eq!(response.head.status(), 200, "{response:?}");
        assert_eq!(response.head.version(), http::Version::HTTP_2);
        assert!(response.field("strict-transport-security").is_some());
        assert_eq!(response.field("connection"), None, "{response:?}");
    }
}

#[test]
fn http_2_announces_the_number_of_streams() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    let (program, _web) = serve_with(&[("http2-max-concurrent-streams", "4")], &[]);
    let mut connection = Connection::open(program.http());
    connection.send(PREFACE).send(EMPTY_SETTINGS);
    // RFC 9113 section 6.5: the first frame of the server, whose payload is pairs of identifier and value.
    let head = connection.exactly(9);
    assert_eq!(head[3], 4, "SETTINGS");
    let payload = connection.exactly(usize::from(head[2]));
    let streams = payload
        .chunks(6)
        .find(|pair| pair[..2] == MAX_CONCURRENT_STREAMS.to_be_bytes());
    assert_eq!(streams.map(|pair| &pair[2..]), Some(&[0, 0, 0, 4][..]));
}

#[test]
fn cookie_crumbs_of_http_2_become_one_field() {
    let (program, _web) = serve(&[]);
    let request = http::Request::get("http://a.test/")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Full::default());
    let response = Http2::clear(program.http()).send(request.unwrap());
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert!(text.contains(r#""cookie":["a=1; b=2"]"#), "{text}");
}

fn grpc_program() -> (headgate_testkit::Program, Echo) {
    let web = Echo::start("greeter");
    let program = Scenario::simple(web.address(), &[("backend-protocol", "GRPC")]).start(BINARY);
    (program, web)
}

fn grpc_call(status: &str) -> http::Request<Full<Bytes>> {
    http::Request::post("http://a.test/greeter.Greeter/SayHello")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-grpc-status", status)
        .body(Full::from(Bytes::from_static(b"\0\0\0\0\x05hello")))
        .unwrap()
}

#[test]
fn grpc_calls_pass_with_their_trailers() {
    let (program, _web) = grpc_program();
    let response = Http2::clear(program.http()).send(grpc_call("0"));
    assert_eq!(response.head.status(), 200, "{response:?}");
    assert_eq!(&response.body[..], b"\0\0\0\0\x05hello");
    assert_eq!(response.field("x-name"), Some("greeter"));
    assert_eq!(
        response.field("x-te"),
        Some("trailers"),
        "TE is kept: {response:?}"
    );
    assert_eq!(response.trailer("grpc-status"), Some("0"), "{response:?}");
}

#[test]
fn grpc_errors_of_the_application_pass() {
    let (program, _web) = grpc_program();
    let response = Http2::clear(program.http()).send(grpc_call("5"));
    assert_eq!(response.head.status(), 200, "{response:?}");
    assert_eq!(response.trailer("grpc-status"), Some("5"), "{response:?}");
}

#[test]
fn websocket_messages_pass_both_ways() {
    let (program, _web) = serve(&[]);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(exchange_messages(program.http()));
}

async fn exchange_messages(address: std::net::SocketAddr) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut socket, response) = tokio_tungstenite::client_async("ws://a.test/chat", stream)
        .await
        .unwrap();
    assert_eq!(response.status(), 101);
    for text in ["one", "two", &"long".repeat(50_000)] {
        socket.send(Message::text(text)).await.unwrap();
        let echoed = socket.next().await.unwrap().unwrap();
        assert_eq!(echoed, Message::text(text));
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
}

#[test]
fn any_other_upgrade_passes_bytes_both_ways() {
    let (program, _web) = serve(&[]);
    let mut connection = Connection::open(program.http());
    let upgrade = Request::get("/")
        .field("Connection", "Upgrade")
        .field("Upgrade", "raw");
    connection.exchange(&upgrade).is(101).has("upgrade", "raw");
    for bytes in [&b"\0\x01\x02"[..], b"GET / HTTP/1.1\r\n\r\n", &[7; 100_000]] {
        connection.send(bytes);
        assert_eq!(connection.exactly(bytes.len()), bytes);
    }
    connection.half_close();
    assert!(connection.is_closed(), "the close is forwarded");
}

#[test]
fn an_upgrade_that_the_upstream_declines_is_an_ordinary_response() {
    let upstream = Scripted::responding("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    let upgrade = Request::get("/")
        .field("Connection", "Upgrade")
        .field("Upgrade", "raw");
    assert_eq!(connection.exchange(&upgrade).is(200).text(), "no");
    let received = upstream.wait_for(1);
    assert!(
        received[0]
            .to_ascii_lowercase()
            .contains("\r\nupgrade: raw\r\n"),
        "{received:?}"
    );
    connection.exchange(&Request::get("/next")).is(200);
}

#[test]
fn h2c_upgrade_is_never_offered_to_the_upstream() {
    let (program, _web) = serve(&[]);
    let response = Request::get("/")
        .field("Connection", "Upgrade, HTTP2-Settings")
        .field("Upgrade", "h2c")
        .field("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")
        .send(program.http())
        .is(200);
    response
        .echo()
        .has("upgrade", None)
        .has("http2-settings", None);
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let upstream = Scripted::start(|connection| {
        while connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-A: 1\r\n\r\n");
        }
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    for _ in 0..2 {
        let response = connection.exchange(&Request::new("HEAD", "/")).is(200);
        response.has("content-length", "1234").has("x-a", "1");
    }
}

#[test]
fn expect_100_continue_gets_100() {
    let (program, _web) = serve(&[]);
    let mut connection = Connection::open(program.http());
    connection.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    let interim = connection.try_head().unwrap();
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    let echo = connection.send("hello").response().is(200).echo();
    assert_eq!(echo.body(), "hello");
    echo.has("expect", None);
}

#[test]
fn connect_and_trace_are_refused() {
    let (program, web) = serve(&[]);
    let mut connection = Connection::open(program.http());
    // Bytes after CONNECT belong to a tunnel that is not opened; they are not a request.
    connection.send("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n");
    connection.send(Request::get("/inner").bytes());
    connection.response().is(405).has("connection", "close");
    assert!(connection.is_closed());
    let trace = "TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    Connection::open(program.http())
        .send(trace)
        .response()
        .is(405);
    assert_eq!(web.requests(), 0, "nothing reaches the upstream");
}

#[test]
fn one_connection_serves_several_hosts() {
    let (one, two) = (Echo::start("one"), Echo::start("two"));
    let program = Scenario::new()
        .service("one", &[one.address()])
        .service("two", &[two.address()])
        .ingress(Ingress::new("one").host("one.test").path("/", "one"))
        .ingress(Ingress::new("two").host("two.test").path("/", "two"))
        .start(BINARY);
    let mut connection = Connection::open(program.http());
    for (host, name) in [
        ("one.test", "one"),
        ("TWO.test", "two"),
        ("one.test:8080", "one"),
    ] {
        let response = connection.exchange(&Request::get("/").host(host));
        assert_eq!(response.echo().name(), name, "{response:?}");
        response.echo().has("host", host);
    }
}
