//! Requests in frames of HTTP/2, which must not become another one in HTTP/1.

use headgate_testkit::Connection;

use super::super::setup::BINARY;
use super::http2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, field, frame, headers, outcome,
    preface,
};
use super::{Conditions, conditions, scenario};

pub(super) const METHOD: (&str, &str) = (":method", "GET");
pub(super) const POST: (&str, &str) = (":method", "POST");
pub(super) const SCHEME: (&str, &str) = (":scheme", "http");
pub(super) const AUTHORITY: (&str, &str) = (":authority", "a.test");
pub(super) const PATH: (&str, &str) = (":path", "/");

/// Frames after the preface, the last request on stream 1.
struct Entry {
    id: &'static str,
    what: String,
    frames: Vec<u8>,
    outcome: Outcome,
    forwarded: &'static [Conditions],
}

/// A request that never reaches the upstream.
fn refused(id: &'static str, fields: &[(&str, &str)]) -> Entry {
    Entry {
        id,
        what: format!("{fields:?}"),
        frames: headers(END_STREAM, 1, fields),
        outcome: Outcome::Refused,
        forwarded: &[],
    }
}

fn served(id: &'static str, fields: &[(&str, &str)], forwarded: &'static [Conditions]) -> Entry {
    Entry {
        outcome: Outcome::Served,
        forwarded,
        ..refused(id, fields)
    }
}

/// The pseudo-header fields of a GET, with another field.
fn with(name: &str, value: &str) -> Vec<(String, String)> {
    [METHOD, SCHEME, AUTHORITY, PATH, (name, value)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect()
}

fn check(entries: &[Entry]) {
    let (scenario, upstream) = scenario();
    let program = scenario.start(BINARY);
    let problems: Vec<String> = entries
        .iter()
        .filter_map(|entry| {
            let before = upstream.requests().len();
            let mut connection = Connection::open(program.http());
            connection.send([preface(), entry.frames.clone()].concat());
            let outcome = outcome(&mut connection, 1);
            let forwarded = upstream.requests().split_off(before);
            let conditions = conditions(entry.forwarded, &forwarded);
            let ends = outcome == Outcome::Ended && entry.outcome == Outcome::Refused;
            (!(outcome == entry.outcome || ends) || conditions.is_err()).then(|| {
                format!(
                    "== {} {}: {outcome:?} {conditions:?}\n",
                    entry.id, entry.what
                )
            })
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.concat());
}

#[test]
fn s7_fields_that_http_1_frames_by() {
    let mut entries: Vec<Entry> = [
        ("x", " 1"),
        ("x", "1 "),
        ("x", "\t1"),
        ("x", "1\r\nevil: 1"),
        ("x", "1\nevil: 1"),
        ("x", "1\rx"),
        ("x", "1\0"),
        ("x: 1\r\nevil", "1"),
        ("x y", "1"),
        ("x:", "1"),
        ("X", "1"),
        ("", "1"),
        ("connection", "close"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("content-length", "5"),
        ("content-length", "+0"),
        ("content-length", "x"),
    ]
    .iter()
    .map(|(name, value)| refused("S7", &borrowed(&with(name, value))))
    .collect();
    for (id, path) in [
        ("S7", "/ HTTP/1.1\r\nevil: 1"),
        ("S7", "/a b"),
        ("S7", "/a\r\n"),
        ("S8", "/a\0"),
        ("S8", "x"),
        ("S8", ""),
        ("S8", "*"),
        ("S8", "?x"),
        ("S8", "//evil.test@/\n"),
        ("S8", "http://b.test/"),
        ("P4", "/x/..;/denied"),
        ("P1", "/../x"),
    ] {
        entries.push(refused(id, &[METHOD, SCHEME, AUTHORITY, (":path", path)]));
    }
    for method in ["GET / HTTP/1.1\r\nx:", "G T", "", "get\n"] {
        entries.push(refused(
            "S7",
            &[(":method", method), SCHEME, AUTHORITY, PATH],
        ));
    }
    for authority in [
        "a.test\r\nx: 1",
        "u@a.test",
        "a.test/x",
        "a.test b.test",
        "a.test,b.test",
        "",
    ] {
        entries.push(refused(
            "T5",
            &[METHOD, SCHEME, (":authority", authority), PATH],
        ));
    }
    // Without a body of that length, or with a longer one.
    let post = |length: &str| {
        [POST, SCHEME, AUTHORITY, PATH, ("content-length", length)]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
    };
    for (length, body) in [
        ("5", "1234"),
        ("3", "1234"),
        ("0", "GET /inner HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    ] {
        entries.push(Entry {
            what: format!("content-length {length} of {body:?}"),
            frames: [
                headers(0, 1, &borrowed(&post(length))),
                frame(DATA, END_STREAM, 1, body.as_bytes()),
            ]
            .concat(),
            ..refused("S7", &[])
        });
    }
    check(&entries);
}

#[test]
fn s8_pseudo_header_fields() {
    let trailers = |name: &str| Entry {
        what: format!("{name} in trailers"),
        frames: [
            headers(0, 1, &[POST, SCHEME, AUTHORITY, PATH]),
            frame(DATA, 0, 1, b"hello"),
            headers(END_STREAM, 1, &[(name, "/denied")]),
        ]
        .concat(),
        ..refused("S8", &[])
    };
    check(&[
        refused("S8", &[SCHEME, AUTHORITY, PATH]),
        refused("S8", &[METHOD, AUTHORITY, PATH]),
        refused("S8", &[METHOD, SCHEME, AUTHORITY]),
        refused("S8", &[METHOD, SCHEME, PATH]),
        refused("S8", &[METHOD, METHOD, SCHEME, AUTHORITY, PATH]),
        refused("S8", &[METHOD, SCHEME, SCHEME, AUTHORITY, PATH]),
        refused("S8", &[METHOD, SCHEME, AUTHORITY, PATH, PATH]),
        refused("S8", &[METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH]),
        refused("S8", &[METHOD, SCHEME, AUTHORITY, ("x", "1"), PATH]),
        refused("S8", &[METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")]),
        refused("S8", &[METHOD, SCHEME, AUTHORITY, PATH, (":evil", "1")]),
        refused("S8", &[METHOD, (":scheme", "ftp"), AUTHORITY, PATH]),
        refused("S8", &[METHOD, (":scheme", ""), AUTHORITY, PATH]),
        trailers(":path"),
        trailers(":method"),
        trailers(":evil"),
        refused("T8", &[(":method", "CONNECT"), (":authority", "a.test:80")]),
        refused(
            "T8",
            &[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                SCHEME,
                AUTHORITY,
                PATH,
            ],
        ),
        refused("T8", &[(":method", "TRACE"), SCHEME, AUTHORITY, PATH]),
        refused("T5", &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "b.test")]),
        refused(
            "T5",
            &[
                METHOD,
                SCHEME,
                AUTHORITY,
                PATH,
                ("host", "a.test"),
                ("host", "a.test"),
            ],
        ),
        refused("T5", &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "")]),
        served(
            "T5",
            &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "A.test")],
            &[&["Host: a.test"]],
        ),
        served(
            "T5",
            &[METHOD, SCHEME, PATH, ("host", "a.test")],
            &[&["Host: a.test"]],
        ),
        served(
            "S8",
            &[METHOD, (":scheme", "https"), AUTHORITY, PATH],
            &[&["X-Forwarded-Proto: http", "X-Scheme: http"]],
        ),
        served(
            "H2",
            &[METHOD, SCHEME, AUTHORITY, PATH, ("te", "trailers")],
            &[&["!\r\nte:"]],
        ),
        served(
            "H4",
            &[METHOD, SCHEME, AUTHORITY, PATH, ("x_forwarded_for", "evil")],
            &[&["!evil"]],
        ),
        served(
            "P2",
            &[METHOD, SCHEME, AUTHORITY, (":path", "/x%5c..%5cdenied")],
            &[&["GET /x%5c..%5cdenied HTTP/1.1"]],
        ),
        refused(
            "P1",
            &[METHOD, SCHEME, AUTHORITY, (":path", "/x/%2e%2e/denied")],
        ),
        refused(
            "T3",
            &[
                METHOD,
                SCHEME,
                (":authority", "A.TEST."),
                (":path", "/denied"),
            ],
        ),
    ]);
}

/// Large heads: by fields, by bytes, and by references of one byte to one field.
#[test]
fn s4_and_h9_heads() {
    let request: Vec<u8> = [METHOD, SCHEME, AUTHORITY, PATH]
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect();
    let head = |what: &str, block: Vec<u8>| {
        let mut parts = block.chunks(16_000).peekable();
        let mut frames = frame(HEADERS, END_STREAM, 1, parts.next().unwrap());
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            frames.extend(frame(CONTINUATION, flags, 1, part));
        }
        if block.len() <= 16_000 {
            frames[4] |= END_HEADERS;
        }
        Entry {
            what: what.to_owned(),
            frames,
            ..refused("S4", &[])
        }
    };
    // A field that enters the dynamic table as its entry 62.
    let indexed = |length: usize| {
        let mut bytes = field("x", &"v".repeat(length));
        bytes[0] = 0x40;
        bytes
    };
    check(&[
        head(
            "100 more fields",
            [request.clone(), field("x", "1").repeat(101)].concat(),
        ),
        head(
            "crumbs of a cookie",
            [request.clone(), field("cookie", "a=b").repeat(101)].concat(),
        ),
        head(
            "64 KiB of cookies",
            [
                request.clone(),
                field("cookie", &"a".repeat(8000)).repeat(8),
            ]
            .concat(),
        ),
        head(
            "references to a long field",
            [request.clone(), indexed(3000), vec![0xbe; 90]].concat(),
        ),
        head(
            "references to a short field",
            [request.clone(), indexed(1), vec![0xbe; 12_000]].concat(),
        ),
        head(
            "an entry that does not exist",
            [request, vec![0xfe]].concat(),
        ),
    ]);
}
