//! Bodies in both directions: limits, buffering, streaming, truncation.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Echo, Gate, Request, Scenario, Scripted};

use super::setup::{Annotations, BINARY, serve, serve_with};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A POST in chunks of these sizes.
fn chunked(sizes: &[usize]) -> Vec<u8> {
    let mut bytes =
        b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for size in sizes {
        bytes.extend(format!("{size:x}\r\n").bytes());
        bytes.extend(std::iter::repeat_n(b'x', *size));
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

#[test]
fn a_length_over_the_limit_is_413_at_once() {
    for (annotations, settings, limit) in [
        (&[][..], &[][..], 1 << 20),
        (&[("proxy-body-size", "8k")], &[], 8 << 10),
        (&[], &[("proxy-body-size", "8K")], 8 << 10),
    ] {
        let (program, web) = serve_with(settings, annotations);
        let body = vec![b'x'; limit];
        assert_eq!(
            Request::post("/", body)
                .send(program.http())
                .is(200)
                .echo()
                .body()
                .len(),
            limit
        );
        let mut connection = Connection::open(program.http());
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n",
            limit + 1
        );
        let page = connection.send(head).response().is(413);
        assert!(
            page.text().contains("413 Request Entity Too Large"),
            "{page:?}"
        );
        assert_eq!(
            web.requests(),
            1,
            "a body that is too large never reaches the upstream"
        );
    }
}

#[test]
fn chunks_over_the_limit_are_413() {
    let (program, web) = serve(&[("proxy-body-size", "8k")]);
    Connection::open(program.http())
        .send(chunked(&[4096, 4096]))
        .response()
        .is(200);
    let mut connection = Connection::open(program.http());
    // The proxy may respond before it has read everything.
    let _ = connection.try_send(&chunked(&[4096, 4096, 1]));
    connection.response().is(413);
    assert_eq!(web.requests(), 1);
}

#[test]
fn chunks_over_the_limit_of_a_streamed_body_never_complete_the_upstream_request() {
    let upstream = Scripted::responding(OK);
    let program = Scenario::simple(
        upstream.address(),
        &[
            ("proxy-body-size", "8k"),
            ("proxy-request-buffering", "off"),
        ],
    )
    .start(BINARY);
    let mut connection = Connection::open(program.http());
    let _ = connection.try_send(&chunked(&[4096, 4096, 4096]));
    connection.response().is(413);
    assert_eq!(upstream.requests(), Vec::<String>::new());
}

#[test]
fn a_body_limit_of_zero_is_no_limit() {
    let (program, _web) = serve(&[("proxy-body-size", "0")]);
    let response = Request::post("/", vec![b'x'; 3 << 20])
        .send(program.http())
        .is(200);
    assert_eq!(response.echo().body().len(), 3 << 20);
}

#[test]
fn a_buffered_body_has_a_length_and_arrives_whole() {
    let upstream = Scripted::responding(OK);
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    let bytes = chunked(&[5, 70_000]);
    let (early, late) = bytes.split_at(1000);
    connection.send(early);
    assert_eq!(upstream.requests().len(), 0);
    connection.send(late).response().is(200);
    let received = upstream.wait_for(1).remove(0);
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-length: 70005"), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert_eq!(body.len(), 70_005);
}

#[test]
fn an_unbuffered_body_is_streamed() {
    let gate = Gate::new();
    let (opener, first) = (gate.clone(), b"5\r\nhello\r\n");
    let upstream = Scripted::start(move |connection| {
        connection.head();
        if connection
            .exactly(first.len())
            .is_ok_and(|bytes| bytes == first)
        {
            opener.open();
        }
        let _ = connection.exactly(b"5\r\nworld\r\n0\r\n\r\n".len());
        connection.send(OK);
    });
    let program =
        Scenario::simple(upstream.address(), &[("proxy-request-buffering", "off")]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    );
    gate.pass(); // the upstream has the first part while the second is not yet sent
    connection
        .send("5\r\nworld\r\n0\r\n\r\n")
        .response()
        .is(200);
}

#[test]
fn a_large_body_buffered_in_a_file_is_unchanged() {
    let (program, _web) = serve(&[
        ("proxy-body-size", "20m"),
        ("client-body-buffer-size", "16k"),
    ]);
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    let response = Request::post("/", body.clone())
        .send(program.http())
        .is(200);
    assert!(
        response.echo().body().as_bytes() == body,
        "the body differs"
    );
}

#[test]
fn a_large_response_arrives_whole() {
    for annotations in [&[][..], &[("proxy-buffering", "on")]] {
        let (program, _web) = serve(annotations);
        let request = Request::get("/").field("X-Echo-Bytes", "8000000");
        let response = request.send(program.http()).is(200);
        assert!(
            response.complete && response.body.len() == 8_000_000,
            "{annotations:?}"
        );
    }
}

#[test]
fn a_response_is_streamed() {
    let gate = Gate::new();
    let waiter = gate.clone();
    let upstream = Scripted::start(move |connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        waiter.pass();
        connection.send("5\r\nworld\r\n0\r\n\r\n");
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(Request::get("/").bytes());
    let head = connection.try_head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(connection.exactly(10), b"5\r\nhello\r\n");
    gate.open();
    assert_eq!(connection.exactly(15), b"5\r\nworld\r\n0\r\n\r\n");
}

#[test]
fn a_response_head_larger_than_the_buffer_is_502() {
    let field = |length: usize| format!("X-Long: {}\r\n", "x".repeat(length));
    for (annotations, length, status) in [
        (&[][..], 3000, 200),
        (&[], 5000, 502),
        (&[("proxy-buffer-size", "16k")], 5000, 200),
        (&[("proxy-buffer-size", "16k")], 17_000, 502),
    ] {
        let response = format!(
            "HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n",
            field(length)
        );
        let upstream = Scripted::responding(&response);
        let program = Scenario::simple(upstream.address(), annotations).start(BINARY);
        let response = Request::get("/").send(program.http());
        assert_eq!(
            response.status, status,
            "{annotations:?} {length}\n{response:?}"
        );
    }
}

#[test]
fn a_truncated_response_never_looks_complete() {
    for start in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhello",
    ] {
        let upstream = Scripted::start(move |connection| {
            connection.request();
            connection.send(start);
        });
        let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
        let mut connection = Connection::open(program.http());
        connection.send(Request::get("/").bytes());
        // Whether a head is sent depends on when the proxy detects the end; a complete 200 must never be sent.
        match connection.try_response(false) {
            Ok(response) if response.status == 200 => {
                assert!(!response.complete, "{start:?}\n{response:?}");
                assert_eq!(response.text(), "hello");
            }
            Ok(response) => assert_eq!(response.status, 502, "{response:?}"),
            Err(_) => {}
        }
        assert!(connection.is_closed(), "the framing is lost");
    }
}

#[test]
fn a_response_that_stalls_is_cut_off() {
    let upstream = Scripted::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
        connection.wait_for_close();
    });
    let program =
        Scenario::simple(upstream.address(), &[("proxy-read-timeout", "1")]).start(BINARY);
    let response = Request::get("/").send(program.http()).is(200);
    assert!(!response.complete, "{response:?}");
}

#[test]
fn a_response_delimited_by_close_gets_framing() {
    let upstream = Scripted::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\n\r\nhello");
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    for _ in 0..2 {
        let response = connection.exchange(&Request::get("/")).is(200);
        assert_eq!(response.text(), "hello");
        response.has("transfer-encoding", "chunked");
    }
}

#[test]
fn responses_without_a_body_stay_without_one() {
    for (status, line) in [(204, "204 No Content"), (304, "304 Not Modified")] {
        let upstream = Scripted::responding(&format!("HTTP/1.1 {line}\r\nX-A: 1\r\n\r\n"));
        let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
        let mut connection = Connection::open(program.http());
        for _ in 0..2 {
            let response = connection.exchange(&Request::get("/")).is(status);
            response.has("x-a", "1").has("transfer-encoding", None);
        }
    }
}

#[test]
fn an_early_response_reaches_a_client_that_still_sends() {
    let upstream = Scripted::start(|connection| {
        connection.head();
        connection.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        connection.half_close();
        connection.wait_for_close();
    });
    let program =
        Scenario::simple(upstream.address(), &[("proxy-request-buffering", "off")]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\nhello");
    assert_eq!(connection.response().is(403).text(), "no");
}

#[test]
fn a_client_that_disconnects_closes_the_upstream_connection() {
    let released = Gate::new();
    let opener = released.clone();
    let upstream = Scripted::start(move |connection| {
        connection.request();
        connection.wait_for_close();
        opener.open();
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(Request::get("/").bytes());
    upstream.wait_for(1);
    drop(connection);
    released.pass();
}

#[test]
fn each_path_has_its_own_limit() {
    let web = Echo::start("web");
    let limit = |name: &str, annotations: Annotations<'_>, path: &str| {
        Ingress::new(name)
            .annotations(annotations)
            .path(path, "web")
    };
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(limit("small", &[("proxy-body-size", "1k")], "/small"))
        .ingress(limit("large", &[("proxy-body-size", "1m")], "/large"))
        .start(BINARY);
    let body = vec![b'x'; 2000];
    Request::post("/small", body.clone())
        .send(program.http())
        .is(413);
    Request::post("/large", body).send(program.http()).is(200);
}
