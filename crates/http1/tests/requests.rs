//! Requests as this crate and hyper write them: the same bytes.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::future::poll_fn;

use bytes::Bytes;
use headgate_http1::{Connection, RequestHead};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use support::{Pieces, Script};

#[derive(Clone, Debug)]
struct Sent {
    method: Method,
    target: Uri,
    headers: HeaderMap,
    body: Pieces,
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn script(takes: usize) -> Script {
    Script {
        sends: OK.to_vec(),
        takes,
        ..Script::default()
    }
}

async fn ours(sent: &Sent, takes: usize) -> Vec<u8> {
    let script = script(takes);
    let written = script.written.clone();
    let mut connection = Connection::new(script, 64 << 10);
    let head = RequestHead {
        method: &sent.method,
        target: &sent.target,
        version: Version::HTTP_11,
        headers: &sent.headers,
    };
    connection.start(&head, sent.body.clone()).unwrap();
    poll_fn(|cx| connection.poll_head(cx)).await.unwrap();
    poll_fn(|cx| connection.poll_send(cx)).await.unwrap();
    assert!(connection.is_sent() && connection.is_usable());
    std::mem::take(&mut *written.lock().unwrap())
}

async fn hypers(sent: &Sent) -> Vec<u8> {
    let script = script(0);
    let written = script.written.clone();
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.title_case_headers(true);
    let (mut sender, connection) = builder.handshake(TokioIo::new(script)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::new(sent.body.clone());
    *request.method_mut() = sent.method.clone();
    *request.uri_mut() = sent.target.clone();
    *request.headers_mut() = sent.headers.clone();
    sender.send_request(request).await.unwrap();
    sender.ready().await.unwrap();
    std::mem::take(&mut *written.lock().unwrap())
}

fn compare(sent: &Sent, takes: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (ours, hypers) = runtime.block_on(async { (ours(sent, takes).await, hypers(sent).await) });
    assert_eq!(
        ours.escape_ascii().to_string(),
        hypers.escape_ascii().to_string(),
        "{sent:?}"
    );
}

fn sent() -> impl Strategy<Value = Sent> {
    let method = prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "PURGE"]);
    let target = prop::sample::select(vec!["/", "/a/b?c=d&e", "*", "/%20?", "http://a.test/x?y"]);
    let names = [
        "host",
        "x-request-id",
        "accept",
        "te",
        "x--odd-",
        "x1",
        "set-cookie",
    ];
    let field = (prop::sample::select(names.to_vec()), "[ -~]{0,20}");
    let fields = prop::collection::vec(field, 0..8);
    let size = prop::sample::select(vec![0, 1, 15, 16, 2048, 2049, 5000, 9000]);
    let pieces = prop::collection::vec(size, 0..24);
    let framing = prop::sample::select(vec!["length", "chunked", "none", "unknown"]);
    let trailers = prop::option::of(prop::sample::select(vec!["x-sum", "host", "x-other"]));
    (method, target, fields, pieces, framing, trailers).prop_map(
        |(method, target, fields, sizes, framing, trailers)| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let name = HeaderName::from_static(name);
                headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
            }
            let data: Vec<Bytes> = sizes.iter().map(|size| vec![b'x'; *size].into()).collect();
            let length: usize = sizes.iter().sum();
            let mut body = Pieces {
                data,
                trailers: None,
                known: framing == "none" || framing == "length",
            };
            match framing {
                "length" => drop(headers.insert("content-length", HeaderValue::from(length))),
                "chunked" => {
                    headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
                    headers.insert("trailer", HeaderValue::from_static("X-Sum, host"));
                    body.trailers = trailers.map(|name| {
                        let name = HeaderName::from_static(name);
                        HeaderMap::from_iter([(name, HeaderValue::from_static("7"))])
                    });
                }
                _ => {}
            }
            Sent {
                method: method.parse().unwrap(),
                target: target.parse().unwrap(),
                headers,
                body,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn requests_are_written_as_by_hyper(sent in sent(), takes in prop::sample::select(vec![0, 97, 3000, 40_000])) {
        // A body of unknown length, which hyper does not send with these methods.
        let bodiless = [Method::GET, Method::HEAD].contains(&sent.method);
        let framed = sent.headers.contains_key("transfer-encoding") || sent.body.known;
        prop_assume!(framed || !bodiless);
        compare(&sent, takes);
    }
}
