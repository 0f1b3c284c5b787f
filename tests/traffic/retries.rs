//! Failing endpoints: retries, timeouts and invalid responses.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Echo, Program, Request, Scenario, Scripted};

use super::setup::{Annotations, BINARY, closed_port, serve_with};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn start(addresses: &[SocketAddr], annotations: Annotations<'_>) -> Program {
    Scenario::new()
        .service("web", addresses)
        .ingress(
            Ingress::new("web")
                .annotations(annotations)
                .path("/", "web"),
        )
        .start(BINARY)
}

/// Closes after reading a request.
fn closing() -> Scripted {
    Scripted::start(|connection| {
        connection.request();
    })
}

fn unavailable() -> Scripted {
    Scripted::responding("HTTP/1.1 503 Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
}

#[test]
fn a_refused_connection_tries_the_next_endpoint() {
    let web = Echo::start("web");
    let program = start(&[closed_port(), web.address()], &[]);
    for request in [Request::get("/"), Request::post("/", "hello")] {
        for _ in 0..10 {
            request.send(program.http()).is(200);
        }
    }
}

#[test]
fn no_reachable_endpoint_is_502() {
    let program = start(&[closed_port(), closed_port()], &[]);
    let page = Request::get("/").send(program.http()).is(502);
    assert!(page.text().contains("502 Bad Gateway"), "{page:?}");
}

#[test]
fn a_sent_get_is_retried_and_a_sent_post_is_not() {
    let (failing, good) = (closing(), Scripted::responding(OK));
    let program = start(&[failing.address(), good.address()], &[]);
    for _ in 0..4 {
        Request::get("/").send(program.http()).is(200);
    }
    let gets = failing.requests().len();
    assert!(gets >= 1, "the failing endpoint was tried");
    for method in ["POST", "LOCK", "PATCH"] {
        let statuses: Vec<u16> = (0..4)
            .map(|_| {
                Request::new(method, "/")
                    .body("x")
                    .send(program.http())
                    .status
            })
            .collect();
        assert!(statuses.contains(&502), "{method}: {statuses:?}");
    }
    let posts = failing.requests().len() - gets;
    let served = good.requests().len() - 4;
    assert_eq!(posts + served, 12, "no request was sent twice");
}

#[test]
fn put_and_delete_are_retried_with_their_body() {
    let (failing, good) = (closing(), Scripted::responding(OK));
    let program = start(&[failing.address(), good.address()], &[]);
    let body = "x".repeat(100_000);
    for _ in 0..4 {
        Request::new("PUT", "/")
            .body(&*body)
            .send(program.http())
            .is(200);
    }
    assert!(!failing.requests().is_empty());
    for request in good.requests() {
        assert!(request.ends_with(&body), "the body is replayed whole");
    }
}

#[test]
fn non_idempotent_requests_are_retried_when_allowed() {
    let (failing, good) = (closing(), Scripted::responding(OK));
    let program = start(
        &[failing.address(), good.address()],
        &[("proxy-next-upstream", "error timeout non_idempotent")],
    );
    for _ in 0..6 {
        Request::post("/", "hello").send(program.http()).is(200);
    }
    assert!(!failing.requests().is_empty());
    assert!(
        good.requests()
            .iter()
            .all(|request| request.ends_with("hello"))
    );
    let good = Scripted::responding(OK);
    let program = Scenario::new()
        .service("web", &[failing.address(), good.address()])
        .settings(&[("retry-non-idempotent", "true")])
        .ingress(Ingress::new("web").path("/", "web"))
        .start(BINARY);
    for _ in 0..6 {
        Request::post("/", "hello").send(program.http()).is(200);
    }
}

#[test]
fn statuses_are_retried_only_when_listed() {
    let (failing, good) = (unavailable(), Scripted::responding(OK));
    let addresses = [failing.address(), good.address()];
    let statuses = |annotations: Annotations<'_>| -> Vec<u16> {
        let program = start(&addresses, annotations);
        (0..6)
            .map(|_| Request::get("/").send(program.http()).status)
            .collect()
    };
    let by_default = statuses(&[]);
    assert!(
        by_default.contains(&503) && by_default.contains(&200),
        "{by_default:?}"
    );
    let listed = statuses(&[("proxy-next-upstream", "error http_503")]);
    assert_eq!(listed, [200; 6]);
    let other = statuses(&[("proxy-next-upstream", "error http_502")]);
    assert!(other.contains(&503), "{other:?}");
}

#[test]
fn the_last_response_is_sent_when_every_attempt_fails() {
    let (one, two) = (unavailable(), unavailable());
    let addresses = [one.address(), two.address()];
    let program = start(&addresses, &[("proxy-next-upstream", "http_503")]);
    let response = Request::get("/").send(program.http()).is(503);
    assert_eq!(response.text(), "busy", "{response:?}");
    let attempts = (one.requests().len(), two.requests().len());
    assert!(
        [(1, 2), (2, 1)].contains(&attempts),
        "three attempts on two endpoints: {attempts:?}"
    );
}

#[test]
fn the_number_of_attempts_is_limited() {
    for (tries, expected) in [("1", 1), ("2", 2), ("3", 3)] {
        let failing: Vec<Scripted> = (0..4).map(|_| closing()).collect();
        let addresses: Vec<_> = failing.iter().map(Scripted::address).collect();
        let program = start(&addresses, &[("proxy-next-upstream-tries", tries)]);
        Request::get("/").send(program.http()).is(502);
        let sent: usize = failing.iter().map(|one| one.requests().len()).sum();
        assert_eq!(sent, expected, "proxy-next-upstream-tries {tries}");
    }
}

#[test]
fn proxy_next_upstream_off_means_one_attempt() {
    let (failing, good) = (closing(), Scripted::responding(OK));
    let program = start(
        &[failing.address(), good.address()],
        &[("proxy-next-upstream", "off")],
    );
    let statuses: Vec<u16> = (0..4)
        .map(|_| Request::get("/").send(program.http()).status)
        .collect();
    assert!(
        statuses.contains(&502) && statuses.contains(&200),
        "{statuses:?}"
    );
}

#[test]
fn malformed_and_broken_upstream_responses_are_502() {
    for (what, upstream) in [
        ("close after the request", closing()),
        (
            "reset",
            Scripted::start(|connection| {
                connection.request();
                connection.reset();
            }),
        ),
        ("not HTTP", Scripted::responding("nonsense\r\n\r\n")),
        (
            "half a head",
            Scripted::start(|connection| {
                connection.request();
                connection.send("HTTP/1.1 200 OK\r\nContent-Le");
            }),
        ),
        (
            "two lengths",
            Scripted::responding(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
            ),
        ),
        (
            "a folded field",
            Scripted::responding("HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"),
        ),
        (
            "101 without an upgrade request",
            Scripted::responding(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            ),
        ),
    ] {
        let program = start(&[upstream.address()], &[]);
        let response = Request::get("/").send(program.http());
        assert_eq!(response.status, 502, "{what}\n{response:?}");
    }
}

#[test]
fn an_upstream_response_with_length_and_chunks_is_never_ambiguous() {
    let upstream = Scripted::responding(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let program = start(&[upstream.address()], &[]);
    let mut connection = Connection::open(program.http());
    for _ in 0..2 {
        // The client's parser rejects a response with both.
        let response = connection.exchange(&Request::get("/"));
        assert!(
            response.status == 502 || response.text() == "hello",
            "{response:?}"
        );
    }
    assert_eq!(
        upstream.connections(),
        2,
        "such a connection is not used again"
    );
}

#[test]
fn bytes_after_a_response_never_become_the_next_one() {
    let upstream = Scripted::responding(&format!(
        "{OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    ));
    let program = start(&[upstream.address()], &[]);
    let mut connection = Connection::open(program.http());
    for _ in 0..4 {
        let response = connection.exchange(&Request::get("/"));
        assert!(response.text() != "evil", "{response:?}");
    }
}

#[test]
fn a_stale_pooled_connection_is_replaced_silently() {
    // Each connection serves one request and closes without `Connection: close`.
    let upstream = Scripted::start(|connection| {
        connection.request();
        connection.send(OK);
    });
    let program = start(&[upstream.address()], &[]);
    let mut connection = Connection::open(program.http());
    for _ in 0..20 {
        connection.exchange(&Request::get("/")).is(200);
    }
}

#[test]
fn an_upstream_that_never_responds_is_504() {
    let upstream = Scripted::start(|connection| {
        connection.request();
        connection.wait_for_close();
    });
    let program = start(&[upstream.address()], &[("proxy-read-timeout", "1")]);
    let start = Instant::now();
    let page = Request::post("/", "x").send(program.http()).is(504);
    let took = start.elapsed();
    assert!(page.text().contains("504 Gateway Time-out"), "{page:?}");
    assert!(took >= Duration::from_millis(900), "{took:?} is too early");
}

#[test]
fn a_timeout_tries_the_next_endpoint() {
    let silent = Scripted::start(|connection| {
        connection.request();
        connection.wait_for_close();
    });
    let good = Scripted::responding(OK);
    let program = start(
        &[silent.address(), good.address()],
        &[("proxy-read-timeout", "1")],
    );
    // On one connection, so on one worker, whose balancer alternates.
    let mut connection = Connection::open(program.http());
    for _ in 0..2 {
        connection.exchange(&Request::get("/")).is(200);
    }
    let attempts = silent.requests().len();
    assert!((1..=2).contains(&attempts), "{attempts}");
}

/// A listener with a full backlog: connecting hangs.
struct Blackhole {
    listener: socket2::Socket,
    _queue: Vec<TcpStream>,
}

impl Blackhole {
    fn new() -> Self {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queue.push(stream);
        }
        Self {
            listener,
            _queue: queue,
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap().as_socket().unwrap()
    }
}

#[test]
fn a_connect_timeout_tries_the_next_endpoint() {
    let hole = Blackhole::new();
    let program = start(&[hole.address()], &[("proxy-connect-timeout", "1")]);
    Request::get("/").send(program.http()).is(504);
    let web = Echo::start("web");
    let addresses = [hole.address(), web.address()];
    let program = start(&addresses, &[("proxy-connect-timeout", "1")]);
    for _ in 0..2 {
        // Nothing was sent, so even a POST is retried.
        Request::post("/", "hello").send(program.http()).is(200);
    }
}

#[test]
fn next_upstream_timeout_ends_retries() {
    let silent: Vec<Scripted> = (0..3)
        .map(|_| {
            Scripted::start(|connection| {
                connection.request();
                connection.wait_for_close();
            })
        })
        .collect();
    let addresses: Vec<_> = silent.iter().map(Scripted::address).collect();
    let program = start(
        &addresses,
        &[
            ("proxy-read-timeout", "1"),
            ("proxy-next-upstream-timeout", "1"),
        ],
    );
    Request::get("/").send(program.http()).is(504);
    let sent: usize = silent.iter().map(|one| one.requests().len()).sum();
    assert_eq!(sent, 1);
}

#[test]
fn settings_are_the_defaults_of_annotations() {
    let settings: Annotations<'_> = &[("proxy-read-timeout", "1")];
    let upstream = Scripted::start(|connection| {
        connection.request();
        connection.wait_for_close();
    });
    let program = Scenario::simple(upstream.address(), &[])
        .settings(settings)
        .start(BINARY);
    Request::post("/", "x").send(program.http()).is(504);
    let (program, _web) = serve_with(&[("proxy-next-upstream", "off")], &[]);
    Request::get("/").send(program.http()).is(200);
}

/// Sends requests one after the other for that time, and returns how many there were and how many failed.
fn requests_for(time: Duration, program: &Program) -> (usize, usize) {
    let (start, mut sent, mut failed) = (Instant::now(), 0, 0);
    while start.elapsed() < time {
        sent += 1;
        failed += usize::from(Request::get("/").send(program.http()).status != 200);
    }
    (sent, failed)
}

#[test]
fn endpoints_that_vanish_at_once_fail_no_request_after_the_first_second() {
    let (web, other) = (Echo::start("web"), Echo::start("other"));
    let mut addresses: Vec<SocketAddr> = (0..28).map(|_| closed_port()).collect();
    addresses.extend([web.address(), other.address()]);
    let program = start(&addresses, &[]);
    requests_for(Duration::from_secs(1), &program);
    // Endpoints that refused are tried again each second, but no request tries two of them.
    let (sent, failed) = requests_for(Duration::from_secs(3), &program);
    assert_eq!(failed, 0, "of {sent}");
}
