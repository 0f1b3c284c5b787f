//! A collector of traces: OTLP over gRPC and HTTP on one port.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::gate::lock;
use crate::listening::Listening;
use crate::protobuf::Message;
use crate::wait;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A running collector; it stops when dropped.
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    server: Listening,
}

#[derive(Debug, Default)]
struct Shared {
    exports: Mutex<Vec<Export>>,
    /// Exports that are still to be refused.
    refusals: AtomicUsize,
    refused: AtomicUsize,
}

/// One export that was taken.
#[derive(Clone, Debug)]
pub struct Export {
    /// `/v1/traces`, or the method of gRPC.
    pub path: String,
    /// HTTP/2 for gRPC.
    pub version: Version,
    /// The fields of the request.
    pub headers: HeaderMap,
    /// Attributes of the resource.
    pub resource: BTreeMap<String, String>,
    /// The spans in it.
    pub spans: Vec<Span>,
}

/// A span; ids are in hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// 32 digits.
    pub trace: String,
    /// 16 digits.
    pub id: String,
    /// 16 digits, or empty.
    pub parent: String,
    /// `tracestate`
    pub state: String,
    /// Its name.
    pub name: String,
    /// 2: of a server, 3: of a client.
    pub kind: u64,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// Numbers as text.
    pub attributes: BTreeMap<String, String>,
    /// Code of the status: 0 unset, 2 error.
    pub status: u64,
    /// Flags of the trace and of the parent.
    pub flags: u64,
}

impl Span {
    /// The text of an attribute; empty if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Whether it is that of a request that was received.
    pub fn is_server(&self) -> bool {
        self.kind == 2
    }
}

impl Collector {
    /// Starts a collector that takes every export.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start() -> Self {
        Self::refusing(0)
    }

    /// Starts a collector that is unavailable for this number of exports first.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn refusing(refusals: usize) -> Self {
        let shared = Arc::new(Shared {
            refusals: AtomicUsize::new(refusals),
            ..Shared::default()
        });
        let server = Listening::start((Ipv4Addr::LOCALHOST, 0).into(), |listener| {
            accept(listener, shared.clone())
        });
        Self { shared, server }
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Exports so far.
    pub fn exports(&self) -> Vec<Export> {
        lock(&self.shared.exports).clone()
    }

    /// Exports that were refused so far.
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Acquire)
    }

    /// Waits for this many spans in total, and returns them.
    ///
    /// # Panics
    /// When they do not come in time.
    pub fn spans(&self, number: usize) -> Vec<Span> {
        wait::until("spans", || {
            let exports = self.exports();
            let spans: Vec<Span> = exports
                .into_iter()
                .flat_map(|export| export.spans)
                .collect();
            (spans.len() >= number).then_some(spans)
        })
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let service = service_fn(move |request| export(request, shared.clone()));
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            // The client may go away at any time.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn export(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let content = body.collect().await?.to_bytes();
    let kind = head.headers.get(header::CONTENT_TYPE).cloned();
    let grpc = kind.is_some_and(|kind| kind == "application/grpc");
    let refuse = |left: usize| left.checked_sub(1);
    if shared
        .refusals
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, refuse)
        .is_ok()
    {
        shared.refused.fetch_add(1, Ordering::AcqRel);
        return Ok(response(grpc, false));
    }
    let encoding = if grpc {
        "grpc-encoding"
    } else {
        "content-encoding"
    };
    let gzip = head
        .headers
        .get(encoding)
        .is_some_and(|coding| coding == "gzip");
    let message = if grpc { content.slice(5..) } else { content };
    let message = if gzip {
        inflated(&message)
    } else {
        message.to_vec()
    };
    let (resource, spans) = decode(&message);
    lock(&shared.exports).push(Export {
        path: head.uri.path().to_owned(),
        version: head.version,
        headers: head.headers,
        resource,
        spans,
    });
    Ok(response(grpc, true))
}

fn response(grpc: bool, taken: bool) -> Response<Body> {
    let mut response = Response::builder();
    if !grpc {
        response = response.status(if taken { 200 } else { 503 });
        let response = response.header(header::CONTENT_TYPE, "application/x-protobuf");
        let body = Full::new(Bytes::new()).boxed_unsync();
        return response.body(body).expect("the response is valid");
    }
    let status = HeaderValue::from_static(if taken { "0" } else { "14" });
    response = response.header(header::CONTENT_TYPE, "application/grpc");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status);
    // An empty message.
    let message = if taken { &[0_u8; 5][..] } else { &[] };
    let body = Full::new(Bytes::from_static(message));
    let body = body.with_trailers(async { Some(Ok(trailers)) });
    response
        .body(body.boxed_unsync())
        .expect("the response is valid")
}

fn inflated(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(content)
        .read_to_end(&mut out)
        .expect("the content is gzip");
    out
}

/// `ExportTraceServiceRequest`
fn decode(message: &[u8]) -> (BTreeMap<String, String>, Vec<Span>) {
    let mut resource = BTreeMap::new();
    let mut spans = Vec::new();
    for of_resource in Message::decode(message).messages(1) {
        resource.extend(
            of_resource
                .messages(1)
                .flat_map(|resource| attributes(&resource, 1)),
        );
        for of_scope in of_resource.messages(2) {
            spans.extend(of_scope.messages(2).map(|message| span(&message)));
        }
    }
    (resource, spans)
}

fn span(message: &Message) -> Span {
    Span {
        trace: message.hex(1),
        id: message.hex(2),
        state: message.text(3),
        parent: message.hex(4),
        name: message.text(5),
        kind: message.number(6),
        start: message.number(7),
        end: message.number(8),
        attributes: attributes(message, 9),
        status: message.messages(15).map(|status| status.number(3)).sum(),
        flags: message.number(16),
    }
}

fn attributes(message: &Message, field: u64) -> BTreeMap<String, String> {
    let pair = |pair: Message| {
        let value = pair.messages(2).next().unwrap_or_default();
        let text = if value.has(3) {
            value.number(3).cast_signed().to_string()
        } else {
            value.text(1)
        };
        (pair.text(1), text)
    };
    message.messages(field).map(pair).collect()
}
