//! Malformed and ambiguous requests. Each is refused, or proxy and upstream interpret it alike.

use headgate_testkit::{Connection, Echo, Program, Request, Scenario, Scripted};

use super::catalogue::scenario;
use super::setup::BINARY;

/// A request that must be refused with one of these statuses (0: without a response); no part may reach the upstream.
struct Case {
    what: &'static str,
    send: &'static str,
    statuses: &'static [u16],
}

const fn refused(what: &'static str, send: &'static str) -> Case {
    Case {
        what,
        send,
        statuses: &[400, 501],
    }
}

fn program() -> (Program, Scripted) {
    let (scenario, upstream) = scenario();
    (scenario.start(BINARY), upstream)
}

fn check(cases: &[Case]) {
    let (program, upstream) = program();
    let mut wrong = Vec::new();
    for case in cases {
        let before = upstream.requests().len();
        let mut connection = Connection::open(program.http());
        // Fails if the request is refused before it is complete.
        let _ = connection.try_send(case.send.as_bytes());
        let response = connection.try_response(false);
        let forwarded = upstream.requests().split_off(before);
        let is_expected = match &response {
            Ok(response) => case.statuses.contains(&response.status),
            Err(_) => case.statuses.contains(&0),
        };
        if !is_expected || !forwarded.is_empty() {
            wrong.push(format!(
                "== {}: expected {:?}\nsent:\n{}\nreceived: {:?}\nforwarded: {forwarded:?}\n",
                case.what, case.statuses, case.send, response
            ));
        }
        if let Ok(response) = response
            && !(response.field("connection") == Some("close") && connection.is_closed())
        {
            wrong.push(format!(
                "== {}: the connection stays open\n{response:?}\n",
                case.what
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.concat()
    );
}

#[test]
fn ambiguous_framing_is_refused() {
    check(&[
        refused(
            "length and coding",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
        ),
        refused(
            "coding and length",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
        ),
        refused(
            "unknown coding",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\nContent-Length: 1\r\n\r\nG",
        ),
        refused(
            "chunked, identity",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "gzip, chunked",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "chunked twice in one line",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "chunked on two lines",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "quoted coding",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "vertical tab before the coding",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "space before the colon",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "coding in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        refused(
            "two lengths",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nGG",
        ),
        refused(
            "signed length",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +5\r\n\r\nhello",
        ),
        refused(
            "hexadecimal length",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0x5\r\n\r\nhello",
        ),
        refused(
            "list of lengths",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5,6\r\n\r\nhello!",
        ),
        refused(
            "overflowing length",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
        ),
        refused(
            "empty length",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: \r\n\r\n",
        ),
    ]);
}

#[test]
fn broken_chunks_are_refused() {
    const START: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (program, upstream) = program();
    for chunks in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "1_0\r\nhello\r\n0\r\n\r\n",
        "-1\r\n\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "zz\r\n",
    ] {
        let mut connection = Connection::open(program.http());
        let _ = connection.try_send(format!("{START}{chunks}").as_bytes());
        let response = connection.try_response(false);
        let status = response.as_ref().map_or(0, |response| response.status);
        assert!([0, 400].contains(&status), "{chunks:?}: {response:?}");
        assert!(
            connection.is_closed(),
            "{chunks:?} leaves the connection open"
        );
    }
    assert_eq!(upstream.requests(), Vec::<String>::new());
}

#[test]
fn malformed_targets_and_hosts_are_refused() {
    check(&[
        refused("no Host", "GET / HTTP/1.1\r\n\r\n"),
        refused(
            "two Hosts",
            "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        ),
        refused(
            "two equal Hosts",
            "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "a list of hosts",
            "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
        ),
        refused("user in Host", "GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n"),
        refused("path in Host", "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n"),
        refused("space in Host", "GET / HTTP/1.1\r\nHost: a.test b\r\n\r\n"),
        refused(
            "open bracket in Host",
            "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        ),
        refused("two ports in Host", "GET / HTTP/1.1\r\nHost: a:b:c\r\n\r\n"),
        refused(
            "port that is not a number",
            "GET / HTTP/1.1\r\nHost: a.test:x\r\n\r\n",
        ),
        refused(
            "user as target",
            "GET @evil.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "target without slash",
            "GET x HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "asterisk with GET",
            "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "scheme other than http",
            "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "user in target",
            "GET http://u@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "above the root",
            "GET /../x HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "above the root, encoded",
            "GET /a/%2e%2e/%2e%2e/x HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "NUL in the path",
            "GET /a%00b HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "half an escape",
            "GET /a%4 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "broken escape",
            "GET /a%zz HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "space in the target",
            "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        refused(
            "control byte in the target",
            "GET /a\x01b HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
    ]);
}

#[test]
fn malformed_fields_are_refused() {
    check(&[
        refused(
            "folded field",
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\n 2\r\n\r\n",
        ),
        refused(
            "NUL in a value",
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\x002\r\n\r\n",
        ),
        refused(
            "bare CR in a value",
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: 1\rX-B: 2\r\n\r\n",
        ),
        refused(
            "space in a name",
            "GET / HTTP/1.1\r\nHost: a.test\r\nX A: 1\r\n\r\n",
        ),
        refused(
            "field without colon",
            "GET / HTTP/1.1\r\nHost: a.test\r\nnonsense\r\n\r\n",
        ),
        refused("leading space", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n"),
        refused(
            "empty name",
            "GET / HTTP/1.1\r\nHost: a.test\r\n: 1\r\n\r\n",
        ),
        Case {
            what: "HTTP/0.9",
            send: "GET /\r\n\r\n",
            statuses: &[0, 400],
        },
        Case {
            what: "unknown version",
            send: "GET / HTTP/3.7\r\nHost: a.test\r\n\r\n",
            statuses: &[0, 400, 505],
        },
        Case {
            what: "not HTTP",
            send: "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
            statuses: &[0, 400],
        },
    ]);
}

#[test]
fn oversized_heads_are_refused() {
    let (program, upstream) = program();
    let line = |length: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "x".repeat(length)
        )
    };
    let field = |length: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: {}\r\n\r\n",
            "x".repeat(length)
        )
    };
    let many = |count: usize| {
        let fields: String = (0..count).map(|n| format!("X-{n}: {n}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")
    };
    for (what, request, statuses) in [
        ("a long target", line(7000), &[200][..]),
        ("a target too long", line(9000), &[414]),
        ("a target over all buffers", line(200_000), &[414, 431]),
        ("a long field", field(7000), &[200]),
        ("a field too long", field(9000), &[400, 431]),
        ("a head too long", field(600_000), &[400, 431]),
        ("too many fields", many(2000), &[400, 431]),
        ("many cookies", field(64 << 10), &[400, 431]),
    ] {
        let mut connection = Connection::open(program.http());
        let _ = connection.try_send(request.as_bytes());
        let response = connection.try_response(false);
        let status = response.as_ref().map_or(0, |response| response.status);
        assert!(statuses.contains(&status), "{what}: {response:?}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_refused_body_never_becomes_a_request() {
    let (program, upstream) = program();
    let inner = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let mut connection = Connection::open(program.http());
    connection.send(Request::post("/denied", inner).bytes());
    connection.send(Request::get("/after").field("Connection", "close").bytes());
    connection.response().is(403);
    // Either the connection closes, or the next request gets a response; never the body.
    if let Ok(response) = connection.try_response(false) {
        response.is(200);
        assert!(
            connection.try_response(false).is_err(),
            "one more response than requests"
        );
    }
    let forwarded = upstream.requests().concat();
    assert!(!forwarded.contains("/smuggled"), "{forwarded}");
}

#[test]
fn bodies_of_bodiless_methods_are_framed() {
    let (program, upstream) = program();
    let inner = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";
    for method in ["GET", "OPTIONS", "DELETE"] {
        let mut connection = Connection::open(program.http());
        connection.send(Request::new(method, "/first").body(inner).bytes());
        connection.send(Request::get("/second").bytes());
        connection.response().is(200);
        connection.response().is(200);
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 6, "{requests:?}");
    assert!(
        requests
            .iter()
            .all(|text| !text.starts_with("GET /smuggled")),
        "{requests:?}"
    );
}

#[test]
fn bytes_after_an_upgrade_request_wait_for_the_upstreams_101() {
    let (program, upstream) = program();
    let mut connection = Connection::open(program.http());
    let upgrade = Request::get("/")
        .field("Connection", "Upgrade")
        .field("Upgrade", "x");
    connection.send([upgrade.bytes(), Request::get("/denied").bytes()].concat());
    connection.response().is(200);
    connection.response().is(403);
    let forwarded = upstream.requests();
    assert_eq!(forwarded.len(), 1, "{forwarded:?}");
}

#[test]
fn incomplete_upgrades_are_ordinary_requests() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[]).start(BINARY);
    for request in [
        Request::get("/").field("Upgrade", "websocket"),
        Request::get("/").field("Connection", "Upgrade"),
    ] {
        request
            .send(program.http())
            .is(200)
            .echo()
            .has("upgrade", None);
    }
    let mut connection = Connection::open(program.http());
    connection.send(
        "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    connection.response().is(200).echo().has("upgrade", None);
}

#[test]
fn proxy_and_upstream_agree_on_absolute_targets_fragments_and_lengths() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[]).start(BINARY);
    let get = |head: &str| {
        let mut connection = Connection::open(program.http());
        connection.send(head).response()
    };
    let absolute = get("GET http://a.test/x HTTP/1.1\r\nHost: b.test\r\n\r\n");
    if absolute.status != 400 {
        let echo = absolute.echo();
        echo.has("host", "a.test");
        assert_eq!(echo.target(), "/x", "{absolute:?}");
    }
    let fragment = get("GET /x#/y HTTP/1.1\r\nHost: a.test\r\n\r\n");
    if fragment.status != 400 {
        assert_eq!(fragment.echo().target(), "/x", "{fragment:?}");
    }
    let zeros = get("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0005\r\n\r\nhello");
    if zeros.status != 400 {
        zeros.echo().has("content-length", "5");
    }
    let equal = get(
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    );
    if equal.status != 400 {
        equal.echo().has("content-length", "5");
    }
}

#[test]
fn forbidden_trailers_are_ignored() {
    let (program, upstream) = program();
    let mut connection = Connection::open(program.http());
    connection.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTrailer: Host, X-Forwarded-For\r\n\r\n\
         2\r\nok\r\n0\r\nHost: evil.test\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 99\r\n\r\n",
    );
    let response = connection.response();
    assert!([200, 400].contains(&response.status), "{response:?}");
    for text in upstream.requests() {
        assert!(
            !text.contains("evil.test") && !text.contains("6.6.6.6"),
            "{text}"
        );
    }
}

#[test]
fn an_invalid_field_name_is_dropped_or_refused() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send("GET / HTTP/1.1\r\nHost: a.test\r\nX[a]: v\r\n\r\n");
    let response = connection.response();
    if response.status != 400 {
        response.echo().has("x[a]", None);
    }
}
