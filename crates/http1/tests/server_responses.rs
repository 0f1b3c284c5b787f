//! Responses as this crate and hyper write them to clients: the same bytes, and the same end of the connection.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::convert::Infallible;
use std::future::{Future, poll_fn, ready};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use headgate_http1::server::{Connection, Next, Reply};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use support::{LIMITS, Pieces, Script};

#[derive(Clone, Debug)]
struct Exchange {
    request: String,
    keeps: bool,
    status: StatusCode,
    reason: Option<&'static str>,
    headers: HeaderMap,
    body: Pieces,
    /// See [`Script::takes`].
    takes: usize,
}

impl Exchange {
    fn script(&self) -> Script {
        Script {
            sends: self.request.clone().into_bytes(),
            speaks_first: true,
            takes: self.takes,
            ..Script::default()
        }
    }
}

/// The outcome of `future`, unless it waits for something that does not come.
async fn soon<F: Future>(future: F) -> Option<F::Output> {
    tokio::time::timeout(Duration::from_secs(1), future)
        .await
        .ok()
}

/// What was written, without the date, and whether the connection ends.
type Outcome = (String, bool);

fn outcome(written: &std::sync::Mutex<Vec<u8>>, ends: bool) -> Outcome {
    let written = written.lock().unwrap();
    let at = written.windows(7).position(|bytes| bytes == b"\nDate: ");
    let without_date = match at {
        None => written.clone(),
        Some(at) => {
            let after = written.get(at + 38..).unwrap_or_default();
            [&written[..=at], after].concat()
        }
    };
    (without_date.escape_ascii().to_string(), ends)
}

async fn ours(exchange: &Exchange) -> Outcome {
    let script = exchange.script();
    let written = script.written.clone();
    let mut connection = Connection::new(Box::new(script), LIMITS, exchange.keeps);
    let request = poll_fn(|cx| connection.poll_head(cx)).await.unwrap();
    let (request, fault) = request.unwrap();
    assert_eq!(fault, None);
    drop(request);
    let mut served = pin!(ready(()));
    let served = poll_fn(|cx| connection.poll_served(served.as_mut(), cx));
    served.await.unwrap();
    let reply = Reply {
        status: exchange.status,
        reason: exchange.reason.map(str::as_bytes),
        headers: &exchange.headers,
    };
    connection.respond(&reply, exchange.body.clone()).unwrap();
    let next = poll_fn(|cx| connection.poll_sent(cx)).await;
    outcome(&written, next.unwrap() != Next::Request)
}

async fn hypers(exchange: &Exchange) -> Outcome {
    let script = exchange.script();
    let written = script.written.clone();
    let service = service_fn(|_| {
        let mut response = Response::new(exchange.body.clone());
        *response.status_mut() = exchange.status;
        *response.headers_mut() = exchange.headers.clone();
        if let Some(reason) = exchange.reason {
            let reason = ReasonPhrase::try_from(reason.as_bytes()).unwrap();
            response.extensions_mut().insert(reason);
        }
        ready(Ok::<_, Infallible>(response))
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .keep_alive(exchange.keeps)
        .half_close(false)
        .title_case_headers(true)
        .max_buf_size(LIMITS.buffer);
    let end = soon(builder.serve_connection(TokioIo::new(script), service)).await;
    outcome(&written, end.is_some())
}

fn compare(exchange: &Exchange) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (ours, hypers) = runtime.block_on(async { (ours(exchange).await, hypers(exchange).await) });
    assert_eq!(ours, hypers, "{exchange:?}");
}

const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, Trailers\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhi",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
];
const FIELDS: &[(&str, &str)] = &[
    ("server", "a"),
    ("x--odd-", "b"),
    ("set-cookie", "c=d"),
    ("set-cookie", "e=f"),
    ("connection", "close"),
    ("connection", "x, Keep-Alive"),
    ("connection", "x"),
    ("date", "yesterday"),
    ("trailer", "X-Sum, host"),
    ("trailer", "x-other"),
];

fn exchange() -> impl Strategy<Value = Exchange> {
    let status = prop_oneof![
        3 => Just(200),
        3 => prop::sample::select(vec![101, 204, 206, 304, 302, 404, 499, 500, 599])
    ];
    let reason = prop::option::weighted(0.2, Just("Moved Temporarily"));
    let fields = prop::collection::vec(prop::sample::select(FIELDS), 0..5);
    let size = prop::sample::select(vec![0, 1, 15, 16, 2048, 2049, 5000, 9000]);
    let pieces = prop::collection::vec(size, 0..12);
    let framing = prop::sample::select(vec!["none", "length", "both", "known"]);
    let trailers = prop::option::of(prop::sample::select(vec!["x-sum", "host", "x-other"]));
    let head = (
        prop::sample::select(REQUESTS),
        any::<bool>(),
        status,
        reason,
        fields,
    );
    let takes = prop::sample::select(vec![0, 97, 3000, 40_000]);
    (head, pieces, framing, trailers, takes).prop_map(
        |((request, keeps, status, reason, fields), sizes, framing, trailers, takes)| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let name = HeaderName::from_static(name);
                headers.append(name, HeaderValue::from_static(value));
            }
            let length: usize = sizes.iter().sum();
            if framing == "length" || framing == "both" {
                headers.insert("content-length", HeaderValue::from(length));
            }
            let known = framing == "known" || framing == "both";
            let trailers = trailers.filter(|_| !known).map(|name| {
                let name = HeaderName::from_static(name);
                HeaderMap::from_iter([(name, HeaderValue::from_static("7"))])
            });
            Exchange {
                request: request.to_owned(),
                keeps,
                status: StatusCode::from_u16(status).unwrap(),
                reason,
                headers,
                body: Pieces {
                    data: sizes.iter().map(|size| vec![b'x'; *size].into()).collect(),
                    trailers,
                    known,
                },
                takes,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn responses_are_written_as_by_hyper(exchange in exchange()) {
        // A tunnel has no length, which hyper takes for an error of the service.
        let opens = exchange.request.starts_with("CONNECT") && exchange.status.is_success();
        prop_assume!(!opens || !exchange.headers.contains_key("content-length"));
        compare(&exchange);
    }
}

/// A body that is not as long as its head says is cut, or ends the connection.
#[test]
fn lengths_that_are_wrong_end_as_with_hyper() {
    for (announced, size) in [(3, 5), (5, 3)] {
        let body = Pieces {
            data: vec![Bytes::from(vec![b'x'; size])],
            ..Pieces::default()
        };
        compare(&Exchange {
            request: REQUESTS[0].to_owned(),
            keeps: true,
            status: StatusCode::OK,
            reason: None,
            headers: HeaderMap::from_iter([("content-length".parse().unwrap(), announced.into())]),
            body,
            takes: 0,
        });
    }
}
