//! What clients send, and what they should not.

use proptest::prelude::*;

pub(crate) const LINES: &[&str] = &[
    "GET /x?y HTTP/1.1\r\n",
    "POST /x HTTP/1.1\r\n",
    "GET / HTTP/1.0\r\n",
    "\r\n\nGET / HTTP/1.1\n",
    "HEAD * HTTP/1.1\r\n",
    "CONNECT a.example:80 HTTP/1.1\r\n",
    "GET http://a.example/x HTTP/1.1\r\n",
    "PURGE /%zz\"<> HTTP/1.1\r\n",
    "GET  / HTTP/1.1\r\n",
    "GET / HTTP/1.1 \r\n",
    "GET / HTTP/2.0\r\n",
    "GET / HTTP/1.2\r\n",
    "GET /\r\n",
    "G\u{e9}T / HTTP/1.1\r\n",
    "GET x HTTP/1.1\r\n",
    "GET /with-a-target-that-is-long HTTP/1.1\r\n",
    "\r\r\nGET / HTTP/1.1\r\n",
];
pub(crate) const FIELDS: &[&str] = &[
    "Host: b\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 0005\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 5, 5\r\n",
    "content-length:5\t\n",
    "Content-Length: 18446744073709551614\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Content-Length:\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: chunked,\r\n",
    "transfer-encoding:\tChunked \r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: x, Close\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: x\r\nConnection: upgrade\r\n",
    "TE: trailers\r\n",
    "X: \t a b \u{e9} \r\n",
    "X: a\r\n b\r\n",
    "X : a\r\n",
    "X-Empty:\r\n",
    "X: a\u{1}b\r\n",
    "X: a\rb\r\n",
    "No colon\r\n",
    ": a\r\n",
    "X-Long: 01234567890123456789012345678901234567890123456789\r\n",
    "A: b\r\nC: d\r\n",
];
pub(crate) const BODIES: &[&str] = &[
    "",
    "hello",
    "hel",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\"\r\nhello\r\n000\r\n\r\n",
    "5 \t;x\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Sum: 7\r\nY: z\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhelloX0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\n",
    "5\r\nhello\r\n0\r\nT: v\n\r\n",
    "5\r\nhello\r\n0\r\nT: v\r\n\n",
    "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
    "10000000000000000\r\nx",
    "0000000000005\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
];

fn request() -> impl Strategy<Value = String> {
    let fields = prop::collection::vec(prop::sample::select(FIELDS), 0..4);
    let line = prop_oneof![
        3 => Just(LINES[0]),
        3 => Just(LINES[1]),
        2 => prop::sample::select(LINES),
    ];
    let host = prop_oneof![4 => Just("Host: a\r\n"), 1 => Just("")];
    let body = prop::sample::select(BODIES);
    (line, host, fields, body)
        .prop_map(|(line, host, fields, body)| format!("{line}{host}{}\r\n{body}", fields.concat()))
}

/// Requests that are whole.
fn sound() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("GET /x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        Just("\r\nGET /x HTTP/1.1\nHost: a\n\n".to_owned()),
        Just("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned()),
        "[a-z\r\n]{0,20}".prop_map(|body| {
            let length = body.len();
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
        }),
        prop::collection::vec("[a-z\r\n]{1,20}", 0..4).prop_map(|chunks| {
            let chunk = |chunk: &String| format!("{:X};e\r\n{chunk}\r\n", chunk.len());
            let chunks: String = chunks.iter().map(chunk).collect();
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            format!("{head}{chunks}0\r\nT: v\r\n\r\n")
        }),
    ]
}

pub(crate) fn requests() -> impl Strategy<Value = Vec<u8>> {
    let parts = (prop::collection::vec(sound(), 0..3), request(), sound());
    super::damaged(
        parts.prop_map(|(before, request, after)| [before.concat(), request, after].concat()),
    )
}
