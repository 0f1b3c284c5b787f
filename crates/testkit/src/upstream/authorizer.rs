//! An authorization service of gRPC, `envoy.service.auth.v3.Authorization`, that records what it is asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
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

/// A running service; it stops when dropped.
#[derive(Debug)]
pub struct Authorizer {
    checks: Arc<Mutex<Vec<Check>>>,
    server: Listening,
}

/// What it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Path of the call.
    pub call: String,
    /// `:authority` of the call.
    pub authority: String,
    /// Address of the client.
    pub source: String,
    /// Of the request.
    pub method: String,
    /// With the query.
    pub path: String,
    /// `Host`
    pub host: String,
    /// `http` or `https`.
    pub scheme: String,
    /// `HTTP/1.1`
    pub protocol: String,
    /// Length of the body, -1 if it is not known.
    pub size: i64,
    /// Header fields.
    pub fields: BTreeMap<String, String>,
    /// The body, if it is text.
    pub body: String,
    /// The body, if it is not.
    pub raw_body: Vec<u8>,
}

/// A `CheckResponse`, or the status of the call.
type Outcome = Result<Vec<u8>, &'static str>;

impl Authorizer {
    /// Starts a service that responds with these messages, or fails calls with a status of gRPC.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(respond: impl Fn(&Check) -> Outcome + Send + Sync + 'static) -> Self {
        let checks = Arc::<Mutex<Vec<Check>>>::default();
        let server = Listening::start((Ipv4Addr::LOCALHOST, 0).into(), |listener| {
            accept(listener, checks.clone(), Arc::new(respond))
        });
        Self { checks, server }
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What it was asked so far.
    pub fn checks(&self) -> Vec<Check> {
        lock(&self.checks).clone()
    }
}

async fn accept(
    listener: TcpListener,
    checks: Arc<Mutex<Vec<Check>>>,
    respond: Arc<impl Fn(&Check) -> Outcome + Send + Sync + 'static>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (checks, respond) = (checks.clone(), respond.clone());
        let service = service_fn(move |request| {
            let (checks, respond) = (checks.clone(), respond.clone());
            async move {
                let check = check(request).await?;
                let outcome = respond(&check);
                lock(&checks).push(check);
                Ok::<_, hyper::Error>(response(outcome))
            }
        });
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            // The client may go away at any time.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn check(request: Request<Incoming>) -> Result<Check, hyper::Error> {
    let (head, body) = request.into_parts();
    let content = body.collect().await?.to_bytes();
    let message = content.get(5..).expect("a message has a prefix");
    let child = |message: &Message, field| message.messages(field).next().unwrap_or_default();
    let attributes = child(&Message::decode(message), 1);
    let http = child(&child(&attributes, 4), 2);
    let source = child(&child(&child(&attributes, 1), 1), 1);
    let fields = http.messages(3).map(|pair| (pair.text(1), pair.text(2)));
    let authority = head.uri.authority().map(ToString::to_string);
    Ok(Check {
        call: head.uri.path().to_owned(),
        authority: authority.unwrap_or_default(),
        source: source.text(2),
        method: http.text(2),
        fields: fields.collect(),
        path: http.text(4),
        host: http.text(5),
        scheme: http.text(6),
        size: http.number(9).cast_signed(),
        protocol: http.text(10),
        body: http.text(11),
        raw_body: http.bytes(12).to_vec(),
    })
}

fn response(outcome: Outcome) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let (status, message) = match outcome {
        Ok(message) => ("0", Some(message)),
        Err(status) => (status, None),
    };
    let mut content = Vec::new();
    if let Some(message) = message {
        let length = u32::try_from(message.len()).expect("the message is short");
        content.push(0);
        content.extend(length.to_be_bytes());
        content.extend(message);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(status),
    );
    let body = Full::new(Bytes::from(content))
        .with_trailers(std::future::ready(Some(Ok(trailers))))
        .boxed_unsync();
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    response
}
