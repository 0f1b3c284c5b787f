//! Bodies that are long enough for the kernel to move them from socket to socket.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Gate, Request, Scenario, Scripted, ScriptedConnection};

use super::setup::BINARY;

/// Request bodies are not read whole before they are sent.
const STREAMED: &[(&str, &str)] = &[("proxy-request-buffering", "off"), ("proxy-body-size", "0")];

/// They are read whole, and long ones go to a file.
const BUFFERED: &[(&str, &str)] = &[("proxy-body-size", "0")];

/// Longer than what stays in memory.
const STORED: usize = (5 << 20) + 1;

/// Around the least that is moved, and others.
const LENGTHS: [usize; 8] = [
    32 << 10,
    (32 << 10) - 1,
    (32 << 10) + 1,
    3 << 20,
    10,
    100_000,
    0,
    1 << 20,
];

/// Bytes of which no two places look alike, which begin in another way for each `number`.
fn content(number: usize, length: usize) -> Vec<u8> {
    let words = (0_u64..).map(|word| {
        let seed = (number as u64 + 1) << 40;
        (seed + word)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .to_be_bytes()
    });
    words.flatten().take(length).collect()
}

/// A head, and `sent` of the bytes that it announces.
fn send(connection: &mut ScriptedConnection, announced: usize, sent: &[u8]) -> bool {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n");
    connection.send(head) && connection.send(sent)
}

#[test]
fn responses_arrive_as_they_were_sent() {
    let upstream = Scripted::start(|connection| {
        for (number, length) in LENGTHS.into_iter().enumerate() {
            connection.request();
            send(connection, length, &content(number, length));
        }
        connection.wait_for_close();
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    for (number, length) in LENGTHS.into_iter().enumerate() {
        connection.send(Request::get(&format!("/{length}")).bytes());
        let response = connection.response().is(200);
        assert!(response.complete, "{length}");
        assert!(response.body == content(number, length), "{length}");
        let logged = format!("\"GET /{length} HTTP/1.1\" 200 {length} ");
        program.until_access_log(&logged, |line| line.contains(&logged));
    }
    assert_eq!(upstream.connections(), 1, "it is kept after each of them");
}

#[test]
fn requests_may_be_pipelined() {
    const LENGTH: usize = 300_000;
    let upstream = Scripted::start(|connection| {
        for number in 0..3 {
            connection.request();
            send(connection, LENGTH, &content(number, LENGTH));
        }
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(Request::get("/").bytes().repeat(3));
    for number in 0..3 {
        let response = connection.response().is(200);
        assert!(response.body == content(number, LENGTH), "{number}");
    }
}

#[test]
fn a_response_that_ends_early_is_cut() {
    for sent in [0, 5, 5000, 500_000] {
        let upstream = Scripted::start(move |connection| {
            connection.request();
            send(connection, 1 << 20, &content(0, sent));
        });
        let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
        let mut connection = Connection::open(program.http());
        connection.send(Request::get("/").bytes());
        let response = connection.response().is(200);
        assert!(!response.complete);
        assert!(response.body == content(0, sent), "all that was sent");
        assert!(connection.is_closed(), "the framing is lost");
    }
}

#[test]
fn a_long_response_that_stalls_is_cut() {
    let upstream = Scripted::start(|connection| {
        connection.request();
        send(connection, 1 << 20, &content(0, 500_000));
        connection.wait_for_close();
    });
    let program =
        Scenario::simple(upstream.address(), &[("proxy-read-timeout", "1")]).start(BINARY);
    let response = Request::get("/").send(program.http()).is(200);
    assert!(!response.complete);
    assert!(response.body == content(0, 500_000), "all that was sent");
}

#[test]
fn bytes_after_the_end_of_a_response_reach_no_client() {
    let upstream = Scripted::start(|connection| {
        connection.request();
        let mut sent = content(0, 200_000);
        sent.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
        send(connection, 200_000, &sent);
        connection.wait_for_close();
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    for _ in 0..2 {
        connection.send(Request::get("/").bytes());
        let response = connection.response().is(200);
        assert!(response.body == content(0, 200_000));
    }
    assert_eq!(upstream.connections(), 2, "nothing after it can be trusted");
}

#[test]
fn a_client_that_reads_later_gets_all_of_it() {
    const LENGTH: usize = 32 << 20;
    let blocked = Gate::new();
    let seen = blocked.clone();
    let upstream = Scripted::start(move |connection| {
        connection.request();
        let body = content(0, LENGTH);
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"
        ));
        let accepted = connection.send_until_blocked(&body);
        seen.open();
        connection.send(&body[accepted..]);
        connection.wait_for_close();
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(Request::get("/").bytes());
    // Sockets and a pipe are full; nothing else holds any of it.
    blocked.pass();
    let response = connection.response().is(200);
    assert!(response.complete && response.body == content(0, LENGTH));
}

#[test]
fn the_connection_to_the_endpoint_ends_with_the_client() {
    let closed = Gate::new();
    let seen = closed.clone();
    let upstream = Scripted::start(move |connection| {
        connection.request();
        send(connection, 64 << 20, &content(0, 100_000));
        while connection.send([b'x'; 4096]) {}
        seen.open();
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(Request::get("/").bytes());
    connection.exactly(50_000);
    drop(connection);
    closed.pass();
    program.until_access_log("a request that the client gave up", |line| {
        line.contains("\"GET / HTTP/1.1\" 200")
    });
}

/// The head of a request whose body has this length.
fn post(length: usize, fields: &str) -> String {
    format!("POST /{length} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n{fields}\r\n")
}

/// Responds with 200 to every request of which the body is as it should be.
fn verifying(lengths: &'static [usize]) -> Scripted {
    Scripted::start(|connection| {
        for (number, length) in lengths.iter().enumerate() {
            connection.head();
            let body = connection.exactly(*length).unwrap();
            let status = match body == content(number, *length) {
                true => "200 OK",
                false => "500 Differs",
            };
            connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
        connection.wait_for_close();
    })
}

#[test]
fn requests_arrive_as_they_were_sent() {
    for (annotations, lengths) in [
        (STREAMED, &LENGTHS[..]),
        (BUFFERED, &[STORED, 10, 2 * STORED, STORED - 1]),
    ] {
        let upstream = verifying(lengths);
        let program = Scenario::simple(upstream.address(), annotations).start(BINARY);
        let mut connection = Connection::open(program.http());
        for (number, length) in lengths.iter().enumerate() {
            connection.send(post(*length, ""));
            connection.send(content(number, *length));
            connection.response().is(200);
        }
        assert_eq!(upstream.connections(), 1, "it is kept after each of them");
    }
}

#[test]
fn a_stored_request_is_sent_again_from_its_start() {
    let failed = Gate::new();
    let seen = failed.clone();
    let failing = Scripted::start(move |connection| {
        connection.head();
        connection.exactly(STORED / 2).unwrap();
        seen.open();
    });
    let good = verifying(&[STORED, STORED]);
    let program = Scenario::new()
        .service("web", &[failing.address(), good.address()])
        .settings(&[("retry-non-idempotent", "true")])
        .ingress(Ingress::new("web").path("/", "web").annotations(BUFFERED))
        .start(BINARY);
    // Whichever is first: one of two requests meets the endpoint that fails.
    let mut connection = Connection::open(program.http());
    for number in 0..2 {
        connection.send(post(STORED, ""));
        connection.send(content(number, STORED));
        connection.response().is(200);
    }
    failed.pass();
}

#[test]
fn a_request_that_waits_for_100_is_moved_after_it() {
    let upstream = Scripted::start(|connection| {
        connection.head();
        let body = connection.exactly(500_000).unwrap();
        assert!(body == content(0, 500_000));
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let program = Scenario::simple(upstream.address(), STREAMED).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(post(500_000, "Expect: 100-continue\r\n"));
    let interim = connection.try_head().unwrap();
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    connection.send(content(0, 500_000));
    connection.response().is(200);
}

#[test]
fn a_request_that_ends_early_reaches_no_endpoint_whole() {
    let received = Gate::new();
    let seen = received.clone();
    let upstream = Scripted::start(move |connection| {
        connection.head();
        assert!(connection.exactly(500_000).unwrap() == content(0, 500_000));
        assert!(connection.wait_for_close(), "no byte follows");
        seen.open();
    });
    let program = Scenario::simple(upstream.address(), STREAMED).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(post(1 << 20, ""));
    connection.send(content(0, 500_000));
    connection.half_close();
    received.pass();
    let log = program.until_access_log("its line", |line| line.contains("\"POST /1048576 "));
    assert!(!log.contains("\" 200 "), "{log}");
}

#[test]
fn a_request_that_stalls_is_refused() {
    let upstream = Scripted::start(|connection| {
        connection.head();
        connection.wait_for_close();
    });
    let program = Scenario::simple(upstream.address(), STREAMED)
        .settings(&[("client-body-timeout", "1")])
        .start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(post(1 << 20, ""));
    connection.send(content(0, 500_000));
    connection.response().is(408);
}

#[test]
fn the_next_request_follows_a_long_one() {
    let upstream = Scripted::start(|connection| {
        connection.head();
        assert!(connection.exactly(200_000).unwrap() == content(0, 200_000));
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        assert!(connection.head().unwrap().starts_with("GET /next "));
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext");
    });
    let program = Scenario::simple(upstream.address(), STREAMED).start(BINARY);
    let mut connection = Connection::open(program.http());
    let mut bytes = post(200_000, "").into_bytes();
    bytes.extend(content(0, 200_000));
    bytes.extend(Request::get("/next").bytes());
    connection.send(bytes);
    assert_eq!(connection.response().is(200).text(), "first");
    assert_eq!(connection.response().is(200).text(), "next");
}
