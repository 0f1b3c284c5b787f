//! Where a message ends. Two readers that disagree on it read two requests from one.

use headgate_testkit::Connection;

use super::super::setup::BINARY;
use super::{Entry, check, refused, scenario, served};

/// A POST with these fields and this body.
fn post(rest: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a.test\r\n{rest}")
}

/// A chunked POST.
fn chunked(body: &str) -> String {
    post(&format!("Transfer-Encoding: chunked\r\n\r\n{body}"))
}

#[test]
fn f1_to_f5_codings() {
    let mut entries = vec![
        refused(
            "F1",
            "length, then coding",
            post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
            400,
        ),
        refused(
            "F1",
            "coding, then length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG"),
            400,
        ),
        refused(
            "F1",
            "both, in a request without content",
            "GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        refused(
            "F3",
            "two lines",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
        ),
        refused(
            "F5",
            "HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ];
    for (id, coding, status) in [
        ("F2", "xchunked", 400),
        ("F2", "chunked, identity", 400),
        ("F2", "identity", 400),
        ("F2", "identity, chunked", 501),
        ("F2", "\"chunked\"", 400),
        ("F2", "\x0bchunked", 400),
        ("F2", "chunked;q=1", 400),
        ("F2", "chunked ;", 400),
        ("F2", ", chunked", 501),
        ("F2", "", 400),
        ("F3", "chunked, chunked", 400),
        ("F4", "gzip, chunked", 501),
        ("F4", "gzip", 400),
    ] {
        let alone = post(&format!("Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n"));
        entries.push(refused(id, "a coding", alone, status));
        let beside = post(&format!(
            "Transfer-Encoding: {coding}\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
        ));
        entries.push(refused(id, "a coding beside a length", beside, 400));
    }
    check(&entries);
}

#[test]
fn f6_and_f7_lengths() {
    let mut entries: Vec<Entry> = [
        "+5",
        "-5",
        "0x5",
        "5,6",
        "5, 5",
        "5 5",
        "5\x0b",
        "18446744073709551621",
        "5.0",
        "",
    ]
    .iter()
    .map(|length| {
        let text = post(&format!("Content-Length: {length}\r\n\r\nhello"));
        refused("F6", "a length", text, 400)
    })
    .collect();
    for pair in [("5", "6"), ("5", "5")] {
        let text = post(&format!(
            "Content-Length: {}\r\nContent-Length: {}\r\n\r\nhello",
            pair.0, pair.1
        ));
        entries.push(refused("F6", "two lengths", text, 400));
    }
    entries.push(served(
        "F7",
        "leading zeros",
        post("Content-Length: 0005\r\n\r\nhello"),
        &[&["Content-Length: 5", "!0005", "!transfer-encoding"]],
    ));
    check(&entries);
}

#[test]
fn f8_to_f11_chunks() {
    let mut entries: Vec<Entry> = [
        ("F8", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("F8", "+5\r\nhello\r\n0\r\n\r\n"),
        ("F8", "1_0\r\nhello\r\n0\r\n\r\n"),
        ("F8", " 5\r\nhello\r\n0\r\n\r\n"),
        ("F8", "-1\r\n\r\n0\r\n\r\n"),
        ("F8", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        ("F8", "5\r\nhelloX0\r\n\r\n"),
        ("F8", "5\r\nhello0\r\n\r\n"),
        ("F8", "\r\nhello\r\n0\r\n\r\n"),
        ("F9", "5;a\nhello\r\n0\r\n\r\n"),
        ("F9", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("F9", "5\nhello\r\n0\r\n\r\n"),
        ("F9", "5\r\nhello\n0\r\n\r\n"),
        ("F9", "5\r\nhello\r\n0\n\r\n"),
        ("F9", "5\r\nhello\r\n0\r\nX: 1\n\r\n"),
    ]
    .iter()
    .map(|(id, body)| refused(id, "chunks", chunked(body), 400))
    .collect();
    let long = "x".repeat(64 << 10);
    let many: String = (0..2000).map(|n| format!("X-{n}: 1\r\n")).collect();
    entries.extend([
        refused(
            "F10",
            "a long extension",
            chunked(&format!("5;{long}\r\nhello\r\n0\r\n\r\n")),
            400,
        ),
        refused(
            "F10",
            "extensions of many chunks",
            chunked(&format!("1;{}\r\nx\r\n", "e".repeat(100)).repeat(1000)),
            400,
        ),
        refused(
            "F10",
            "a long trailer",
            chunked(&format!("5\r\nhello\r\n0\r\nX: {long}\r\n\r\n")),
            400,
        ),
        refused(
            "F10",
            "many trailers",
            chunked(&format!("5\r\nhello\r\n0\r\n{many}\r\n")),
            400,
        ),
        served(
            "F11",
            "trailers that belong to a head",
            chunked(
                "2\r\nok\r\n0\r\nHost: evil.test\r\nContent-Length: 99\r\nTransfer-Encoding: gzip\r\n\
                 Authorization: evil\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\r\n",
            ),
            &[&["Host: a.test", "!evil", "!6.6.6.6", "!gzip", "!: 99"]],
        ),
    ]);
    check(&entries);
}

/// Tiny chunks are one body, whose size is bounded.
#[test]
fn f10_tiny_chunks() {
    let (scenario, upstream) = scenario();
    let program = scenario.start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(chunked(""));
    let chunks = "1\r\nx\r\n".repeat(1000);
    while connection.try_send(chunks.as_bytes()).is_ok() {}
    assert!(
        connection
            .try_response(false)
            .is_ok_and(|response| response.status == 413)
            || connection.is_closed()
    );
    assert_eq!(upstream.requests(), Vec::<String>::new());
}

#[test]
fn f13_and_f14_framing_depends_on_nothing_else() {
    const ONE: &[super::Conditions] = &[&["Content-Length: 5", "!expect"]];
    const TWO: &[super::Conditions] = &[
        &["!GET /inner HTTP/1.1\r\nHost: a.test\r\nX-Request"],
        &["GET /second HTTP/1.1"],
    ];
    let inner = "GET /inner HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let mut entries: Vec<Entry> = ["y 100-continue", "100-continue, x", "x", ""]
        .iter()
        .map(|expect| {
            let text = post(&format!(
                "Expect: {expect}\r\nContent-Length: 5\r\n\r\nhello"
            ));
            served("F13", "an odd expectation", text, ONE)
        })
        .collect();
    for method in ["GET", "OPTIONS", "DELETE", "PROPFIND"] {
        let second = "GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n";
        let sized = format!(
            "{method} / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{inner}{second}",
            inner.len()
        );
        entries.push(served("F14", "a body with a length", sized, TWO));
        let in_chunks = format!(
            "{method} / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n{second}",
            inner.len()
        );
        entries.push(served("F14", "a body in chunks", in_chunks, TWO));
    }
    let head = format!(
        "HEAD / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{inner}",
        inner.len()
    );
    entries.push(served("F14", "HEAD", head, &[&["HEAD / HTTP/1.1"]]));
    check(&entries);
}

#[test]
fn f16_what_is_not_a_request() {
    let good = "GET /first HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let mut entries = vec![refused("F16", "HTTP/0.9", "GET /\r\n\r\n", 400)];
    for garbage in [
        "garbage\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        entries.push(Entry {
            responses: vec![200, 400],
            forwarded: &[&["GET /first HTTP/1.1"]],
            ..refused(
                "F16",
                "garbage after a request",
                format!("{good}{garbage}"),
                0,
            )
        });
    }
    check(&entries);
}
