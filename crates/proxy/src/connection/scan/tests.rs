//! Heads in, faults out.

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    request_line: 64,
    field: 48,
    head: 256,
    fields: 6,
};

fn scanned(bytes: &[u8]) -> Scanner {
    let mut scanner = Scanner::new(LIMITS);
    scanner.feed(bytes);
    scanner
}

/// Feeds `text` whole and in pieces of every size: the outcome must not depend on where reads end.
fn outcome(text: &str) -> (u64, Option<Fault>) {
    let whole = scanned(text.as_bytes());
    let expected = (whole.heads(), whole.fault());
    for size in 1..text.len() {
        let mut scanner = Scanner::new(LIMITS);
        for piece in text.as_bytes().chunks(size) {
            scanner.feed(piece);
        }
        assert_eq!(
            (scanner.heads(), scanner.fault()),
            expected,
            "{text:?} in pieces of {size}"
        );
        assert_eq!(
            scanner.in_head(),
            whole.in_head(),
            "{text:?} in pieces of {size}"
        );
    }
    expected
}

#[test]
fn framing_table() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n";
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    let old = "POST / HTTP/1.0\r\n";
    let bad = Some(Fault::Malformed);
    let unknown = Some(Fault::UnknownCoding);
    let cases: &[(String, u64, Option<Fault>)] = &[
        (format!("{get}\r\n"), 1, None),
        (format!("\r\n\r\n{get}\r\n{next}"), 2, None),
        ("GET / HTTP/1.1\nHost: a\n\n".into(), 1, None),
        (
            format!("{get}Content-Length: 5\r\n\r\nhello{next}"),
            2,
            None,
        ),
        (format!("{get}Content-Length: 0\r\n\r\n{next}"), 2, None),
        (
            format!("{get}Content-Length: 0005\r\n\r\nhello{next}"),
            2,
            None,
        ),
        (
            format!("{get}content-length:5\t\r\n\r\nhello{next}"),
            2,
            None,
        ),
        (
            format!("{get}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
            0,
            bad,
        ),
        (format!("{get}Content-Length: +5\r\n\r\nhello"), 0, bad),
        (format!("{get}Content-Length: 5,5\r\n\r\nhello"), 0, bad),
        (format!("{get}Content-Length:\r\n\r\n"), 0, bad),
        (
            format!("{get}Content-Length: 18446744073709551621\r\n\r\n"),
            0,
            bad,
        ),
        (
            format!("{get}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
            0,
            bad,
        ),
        (
            format!("{get}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG"),
            0,
            bad,
        ),
        (
            format!(
                "{get}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n{next}"
            ),
            2,
            None,
        ),
        (
            format!("{get}transfer-ENCODING: Chunked\r\n\r\n0\r\n\r\n{next}"),
            2,
            None,
        ),
        (
            format!("{get}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
            0,
            bad,
        ),
        (
            format!("{get}Transfer-Encoding: chunked, chunked\r\n\r\n"),
            0,
            bad,
        ),
        (
            format!("{get}Transfer-Encoding: gzip, chunked\r\n\r\n"),
            0,
            unknown,
        ),
        (
            format!("{get}Transfer-Encoding: xchunked\r\n\r\n"),
            0,
            unknown,
        ),
        (
            format!("{get}Transfer-Encoding: identity\r\n\r\n"),
            0,
            unknown,
        ),
        (
            format!("{get}Transfer-Encoding: \"chunked\"\r\n\r\n"),
            0,
            unknown,
        ),
        (
            format!("{get}Transfer-Encoding: chunked, \r\n\r\n"),
            0,
            unknown,
        ),
        (format!("{old}Transfer-Encoding: chunked\r\n\r\n"), 0, bad),
        (format!("{old}\r\n"), 1, None),
        (format!("{old}Host: a\r\nHost: b\r\n\r\n"), 0, bad),
        ("GET / HTTP/1.1\r\n\r\n".into(), 0, bad),
        (format!("{get}Host: a\r\n\r\n"), 0, bad),
        (format!("{get}host: b\r\n\r\n"), 0, bad),
        (
            format!("{get}\r\n{get}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            1,
            bad,
        ),
    ];
    for (text, heads, fault) in cases {
        assert_eq!(outcome(text), (*heads, *fault), "{text:?}");
    }
}

#[test]
fn bounds_hold_exactly_and_before_the_line_ends() {
    let long = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(n - 14));
    assert_eq!(outcome(&long(64)), (1, None));
    assert_eq!(outcome(&long(65)), (0, Some(Fault::LineTooLong)));
    assert_eq!(
        scanned(&[b'x'; 66]).fault(),
        Some(Fault::LineTooLong),
        "no line end yet"
    );

    let field = |n: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(n - 3)
        )
    };
    assert_eq!(outcome(&field(48)), (1, None));
    assert_eq!(outcome(&field(49)), (0, Some(Fault::HeadTooLarge)));

    let fields = |n: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(n - 1)
        )
    };
    assert_eq!(outcome(&fields(6)), (1, None));
    assert_eq!(outcome(&fields(7)), (0, Some(Fault::HeadTooLarge)));

    let total = |n: usize| {
        format!(
            "{}{}",
            "\r\n".repeat((n - 28) / 2),
            "GET / HTTP/1.1\r\nHost: ab\r\n\r\n"
        )
    };
    assert_eq!(outcome(&total(256)), (1, None));
    assert_eq!(outcome(&total(258)), (0, Some(Fault::HeadTooLarge)));
}

#[test]
fn positions_in_the_stream() {
    let empty = scanned(b"");
    assert!(!empty.in_head());
    let blank = scanned(b"\r\n\r");
    assert!(!blank.in_head(), "empty lines do not start a head");
    let head = scanned(b"G");
    assert!(head.in_head());
    let body = scanned(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
    assert!(!body.in_head());
    let broken = scanned(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert!(broken.fault().is_none(), "left to hyper");
}

#[test]
fn hyper_reads_nothing_after_broken_framing() {
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let next = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (sound, after) in [
        ("", "3\nabc\r\n0\r\n\r\n"),
        ("", "3;x=y\nabc\r\n0\r\n\r\n"),
        ("", "zz\r\nabc\r\n0\r\n\r\n"),
        ("3\r\nabc", "\n0\r\n\r\n"),
        ("3\r\nabc", "d\r\n0\r\n\r\n"),
        ("3\r\nabc\r\n", "0\n\r\n"),
        ("3\r\nabc\r\n0\r\n", "\n"),
        ("3\r\nabc\r\n0\r\n", "T: v\n\r\n"),
        ("3\r\nabc\r\n0\r\nT: v\r\n", "\n"),
    ] {
        let (text, sound) = (
            format!("{head}{sound}{after}{next}"),
            head.len() + sound.len(),
        );
        let mut scanner = Scanner::new(LIMITS);
        assert_eq!(scanner.feed(text.as_bytes()), sound, "{text:?}");
        assert!(scanner.broken());
        assert_eq!((scanner.heads(), scanner.fault()), (1, None), "{text:?}");
    }
    let mut scanner = Scanner::new(LIMITS);
    let sound = format!("{head}0\r\n\r\n{next}");
    assert_eq!(scanner.feed(sound.as_bytes()), sound.len());
    assert!(!scanner.broken());
}
