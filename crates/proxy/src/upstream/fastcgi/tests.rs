//! The protocol against an application made of bytes.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::record::HEADER;
use super::*;

const ENDPOINT: &str = "192.0.2.1:9000";

/// Names and values of parameters.
pub(super) fn pairs(mut bytes: &[u8]) -> Vec<(String, String)> {
    fn length(bytes: &mut &[u8]) -> usize {
        if bytes[0] < 128 {
            let length = bytes[0];
            *bytes = &bytes[1..];
            return usize::from(length);
        }
        let (long, rest) = bytes.split_first_chunk().unwrap();
        *bytes = rest;
        usize::try_from(u32::from_be_bytes(*long) & !(1 << 31)).unwrap()
    }
    let mut list = Vec::new();
    while !bytes.is_empty() {
        let (name, value) = (length(&mut bytes), length(&mut bytes));
        let (pair, rest) = bytes.split_at(name + value);
        let (name, value) = pair.split_at(name);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        list.push((text(name), text(value)));
        bytes = rest;
    }
    list
}

/// The contents of records by type, in their order. Every record is for request 1 and padded to eight bytes.
fn contents(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut list = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() {
        let [version, kind, id_high, id_low, high, low, padding, _] = *header;
        assert_eq!((version, id_high, id_low), (1, 0, 1));
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (content, rest) = rest.split_at(length);
        let (padding, rest) = rest.split_at(usize::from(padding));
        assert!(
            (length + padding.len()).is_multiple_of(8) && padding.iter().all(|byte| *byte == 0)
        );
        list.push((kind, content.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a record");
    list
}

/// A record of a response.
fn record(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = [1, kind, 0, 1, high, low, padding, 0];
    [&header, content, &vec![9; usize::from(padding)]].concat()
}

fn stdout(content: &str) -> Vec<u8> {
    record(6, content.as_bytes(), 0)
}

fn stderr(content: &str) -> Vec<u8> {
    record(7, content.as_bytes(), 3)
}

fn end(status: u8) -> Vec<u8> {
    record(3, &[0, 0, 0, 0, status, 0, 0, 0], 0)
}

fn request(length: u64, bodiless: bool) -> Request {
    let mut params = Params::default();
    params.add(b"A", b"1");
    params.request(length, bodiless, 200)
}

/// What is read from a connection to an application that sends these bytes in pieces of `piece`.
async fn read(bytes: &[u8], piece: usize, bodiless: bool) -> Result<String, String> {
    let (ours, mut theirs) = tokio::io::duplex(piece);
    let endpoint = ENDPOINT.parse().unwrap();
    let mut responder = Responder::new(ours, endpoint, request(0, bodiless));
    let mut text = Vec::new();
    let sending = async {
        // It fails if the rest is not read.
        let _ = theirs.write_all(bytes).await;
        drop(theirs);
    };
    let reading = async {
        let result = responder.read_to_end(&mut text).await;
        drop(responder);
        result
    };
    let (result, ()) = tokio::join!(reading, sending);
    match result {
        Ok(_) => Ok(String::from_utf8(text).unwrap()),
        Err(error) => Err(match Malformed::of(&error) {
            Some(malformed) => malformed.to_string(),
            None => error.kind().to_string(),
        }),
    }
}

#[tokio::test]
async fn requests_are_records() {
    let mut params = Params::default();
    let long = "v".repeat(40_000);
    for (name, value) in [
        ("EMPTY", ""),
        ("LONG", &long),
        ("N", &long[..128]),
        ("S", &long[..127]),
    ] {
        params.add(name.as_bytes(), value.as_bytes());
    }
    let body = "b".repeat(100_000);
    let (ours, mut theirs) = tokio::io::duplex(1000);
    let endpoint = ENDPOINT.parse().unwrap();
    let mut responder = Responder::new(
        ours,
        endpoint,
        params.request(body.len() as u64, false, 200),
    );
    let written = async {
        // The head is ignored, whatever its pieces.
        for piece in ["POST / HTTP/1.1\r\nx: y\r", "\n\r", "\nbb", &body[2..]] {
            responder.write_all(piece.as_bytes()).await.unwrap();
        }
        assert!(responder.write_all(b"more").await.is_err());
        responder.shutdown().await.unwrap();
    };
    let mut bytes = Vec::new();
    let (_, read) = tokio::join!(written, theirs.read_to_end(&mut bytes));
    read.unwrap();
    let records = contents(&bytes);
    assert_eq!(
        records[0],
        (1, vec![0, 1, 0, 0, 0, 0, 0, 0]),
        "a responder, and no kept connection"
    );
    let of = |kind: u8| -> Vec<&Vec<u8>> {
        records
            .iter()
            .filter(|record| record.0 == kind)
            .map(|record| &record.1)
            .collect()
    };
    for kind in [4, 5] {
        assert!(
            of(kind)
                .iter()
                .rev()
                .skip(1)
                .all(|content| !content.is_empty())
        );
        assert!(of(kind).last().unwrap().is_empty(), "the stream ends");
    }
    let all = |kind: u8| of(kind).into_iter().flatten().copied().collect::<Vec<u8>>();
    assert_eq!(pairs(&all(4)), params.list());
    assert_eq!(params.list()[1], ("LONG".to_owned(), long));
    assert_eq!(all(5), body.as_bytes());
}

#[tokio::test]
async fn a_request_without_body_ends_with_its_head() {
    let (ours, mut theirs) = tokio::io::duplex(1000);
    let mut responder = Responder::new(ours, ENDPOINT.parse().unwrap(), request(0, false));
    responder
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    responder.flush().await.unwrap();
    drop(responder);
    let mut bytes = Vec::new();
    theirs.read_to_end(&mut bytes).await.unwrap();
    let records = contents(&bytes);
    assert_eq!(
        records[1..],
        [
            (4, b"\x01\x01A1".to_vec()),
            (4, Vec::new()),
            (5, Vec::new())
        ]
    );
}

#[tokio::test]
async fn responses_are_http() {
    let ok = "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
    let whole = [stdout("A: b\r\n\r\nbody"), end(0)].concat();
    for piece in [1, 7, 4096] {
        assert_eq!(read(&whole, piece, false).await.unwrap(), ok, "{piece}");
    }
    let halves = [
        stderr("warning"),
        stdout("A: b\n"),
        stderr("warning"),
        stdout("\nbo"),
        record(6, b"dy", 250),
        stdout(""),
        b"not read".to_vec(),
    ];
    assert_eq!(read(&halves.concat(), 5, false).await.unwrap(), ok);
    let head = read(&whole, 4096, true).await.unwrap();
    assert_eq!(head, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "to HEAD");
}

#[tokio::test]
async fn heads_are_those_of_cgi() {
    for (head, expected) in [
        ("", "200 OK"),
        ("Status: 404 Not Here\r\nA: b", "404 Not Here\r\nA: b"),
        ("status:201", "201 \r\n"),
        ("Location: /x", "302 Moved Temporarily\r\nLocation: /x"),
        ("Location:", "200 OK\r\nLocation: "),
        ("Location: /x\nStatus: 200", "200 \r\nLocation: /x"),
        (
            "field\r\nHTTP/1.1 200 OK\r\nA: b\r\nStatus: 403\r\nStatus: 200",
            "403 \r\nA: b",
        ),
        (
            "Connection: close\r\nTransfer-Encoding: chunked\r\nKeep-Alive: 1\r\nUpgrade: h2\r\nA:b",
            "200 OK\r\nA: b",
        ),
        ("Content-Length: 3", "200 OK\r\nContent-Length: 3"),
    ] {
        let line = if head.is_empty() { "" } else { "\r\n" };
        let bytes = [stdout(&format!("{head}{line}\r\n")), end(0)].concat();
        let text = read(&bytes, 4096, false).await.unwrap();
        assert_eq!(
            text.trim_end(),
            format!("HTTP/1.1 {expected}").trim_end(),
            "{head}"
        );
    }
    for status in ["", "20", "abc", "100 Continue", "101", "2000", "+20", "000"] {
        let bytes = stdout(&format!("Status: {status}\r\n\r\n"));
        let error = read(&bytes, 4096, false).await.unwrap_err();
        assert_eq!(error, Malformed::Status.to_string(), "{status}");
    }
}

#[tokio::test]
async fn a_name_with_a_space_is_an_error() {
    for head in [
        "Status : 403",
        " folded: x",
        "no field",
        "A\tB: c",
        "\x7f: c",
    ] {
        let error = read(&stdout(&format!("{head}\r\n\r\n")), 4096, false).await;
        assert_eq!(error.unwrap_err(), Malformed::Field.to_string(), "{head}");
    }
}

#[tokio::test]
async fn what_is_malformed_is_an_error_and_never_an_end() {
    let head = stdout("A: b\r\n\r\nbody");
    let with = |at: usize, byte: u8| {
        let mut bytes = stdout("A: b\r\n\r\n");
        bytes[at] = byte;
        bytes
    };
    let big = stdout(&format!("A: {}\r\n\r\n", "b".repeat(200)));
    for (bytes, expected) in [
        (with(0, 2), Malformed::Version(2)),
        (with(1, 5), Malformed::Kind(5)),
        (with(3, 2), Malformed::Id),
        (record(3, b"short", 0), Malformed::End(5)),
        ([stdout("A: b\r\n"), end(0)].concat(), Malformed::NoHead),
        (stdout(""), Malformed::NoHead),
        (end(0), Malformed::NoHead),
        (end(2), Malformed::Overloaded),
        (end(1), Malformed::Refused),
        (big, Malformed::HeadTooLarge(200)),
        ([head.clone(), with(1, 99)].concat(), Malformed::Kind(99)),
    ] {
        assert_eq!(
            read(&bytes, 64, false).await.unwrap_err(),
            expected.to_string()
        );
    }
    let cut = read(&head, 64, false).await.unwrap_err();
    assert_eq!(cut, io::ErrorKind::UnexpectedEof.to_string());
    // Without a head it is as of an HTTP endpoint that closes.
    assert_eq!(read(&head[..10], 64, false).await.unwrap(), "");
    // A head that just fits.
    let fits = [
        stdout(&format!("A: {}\r\n\r\n", "b".repeat(200 - 7))),
        end(0),
    ]
    .concat();
    assert!(read(&fits, 64, false).await.is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The output of an application does not depend on the records and pieces that it arrives in.
    #[test]
    fn records_and_pieces_do_not_matter(
        body in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(1_usize..40, 1..20),
        padding in any::<u8>(),
        piece in 1_usize..64,
    ) {
        let output = [&b"Status: 203\r\nA: b\r\n\r\n"[..], &body].concat();
        let mut bytes = Vec::new();
        let mut rest = output.as_slice();
        for cut in cuts.iter().cycle() {
            let (content, after) = rest.split_at((*cut).min(rest.len()));
            bytes.extend(record(6, content, padding));
            bytes.extend(stderr("noise"));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        bytes.extend(end(0));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(async {
            let (ours, mut theirs) = tokio::io::duplex(piece);
            let mut responder = Responder::new(ours, ENDPOINT.parse().unwrap(), request(0, false));
            let mut found = Vec::new();
            let sending = async {
                let _ = theirs.write_all(&bytes).await;
                drop(theirs);
            };
            let (result, ()) = tokio::join!(responder.read_to_end(&mut found), sending);
            result.map(|_| found)
        });
        prop_assert_eq!(found.unwrap(), [&b"HTTP/1.1 203 \r\nA: b\r\n\r\n"[..], &body].concat());
    }

    /// No bytes of an endpoint make it panic or wait for more than there is.
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in prop::sample::select(vec![3_u8, 6, 7]), text in "[ -~\r\n]{0,60}") {
        is_a_response_or_an_error(&[record(kind, text.as_bytes(), 1), bytes].concat());
    }
}

/// What an application sends becomes a head without faults and a body, or an error, in whatever pieces it arrives.
fn is_a_response_or_an_error(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let whole = runtime.block_on(read_bytes(bytes));
    let (ours, mut theirs) = tokio::io::duplex(7);
    let pieces = runtime.block_on(async {
        let (read, ()) = tokio::join!(read_bytes(ours), async {
            // It fails if the rest is not read.
            let _ = theirs.write_all(bytes).await;
            drop(theirs);
        });
        read
    });
    let shown = |result: &io::Result<Vec<u8>>| match result {
        Ok(found) => Ok(found.clone()),
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(shown(&whole), shown(&pieces));
    let Ok(found) = whole else { return };
    if !found.is_empty() {
        let mut fields = [httparse::EMPTY_HEADER; 256];
        let mut head = httparse::Response::new(&mut fields);
        let parsed = head.parse(&found);
        assert!(
            matches!(
                parsed,
                Ok(httparse::Status::Complete(_)) | Err(httparse::Error::HeaderValue)
            ),
            "{parsed:?} {}",
            found.escape_ascii()
        );
        assert_eq!(head.version, Some(1));
    }
}

#[test]
fn fuzz_fastcgi() {
    headgate_fuzz::check("fastcgi", is_a_response_or_an_error);
}

async fn read_bytes(bytes: impl tokio::io::AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut responder = Responder::new(bytes, ENDPOINT.parse().unwrap(), request(0, false));
    let mut found = Vec::new();
    responder.read_to_end(&mut found).await?;
    Ok(found)
}
