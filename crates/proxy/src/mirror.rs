//! Copies of requests for a mirror (behaviour.md 1.14): sent beside the requests, so that a mirror can neither slow nor fail
//! them.
//!
//! A mirror that does not keep up gets fewer copies: a worker has a bounded number in flight, for each mirror and for all. What
//! a mirror responds is read for a while, so that its connection can be kept, and thrown away.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_table::{Forwarding, PoolSettings, Template, Upstream, UpstreamKey};
use http::request::Parts;
use http_body_util::BodyExt as _;

use crate::record::Record;
use crate::telemetry::WorkerTelemetry;
use crate::upstream::{
    Call, CallError, CallOptions, Incomplete, Length, Payload, SelectionInput, UpstreamBody,
    Upstreams,
};

/// Copies in flight of one worker to one mirror.
const EACH: usize = 64;
/// Copies in flight of one worker.
const ALL: usize = 256;
/// Longest body of a copy, bytes.
const LONGEST_BODY: u64 = 8 << 20;
/// Longest body of a copy of a request that is not read before it is forwarded: it is in memory. Bytes.
const LONGEST_STREAM: usize = 64 << 10;
/// How much of a response is read, bytes: the connection of a longer one is closed.
const LONGEST_RESPONSE: u64 = 1 << 20;
/// Bound on a copy, from connecting to the end of the response.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The copies of one worker.
pub(crate) struct Mirrors {
    upstreams: Rc<Upstreams>,
    telemetry: Rc<WorkerTelemetry>,
    /// Copies in flight by mirror.
    flights: RefCell<HashMap<UpstreamKey, usize>>,
    all: Cell<usize>,
}

/// A copy of a request, without its body.
pub(crate) struct MirrorCopy {
    pub(crate) mirrors: Rc<Mirrors>,
    pub(crate) upstream: Arc<Upstream>,
    /// See [`Call::head`].
    pub(crate) head: Parts,
    pub(crate) pool: PoolSettings,
    /// The client of the request.
    pub(crate) client: IpAddr,
    /// The line of the access log, unless there is none.
    pub(crate) record: Option<Box<Record>>,
    /// It has the body of the request.
    pub(crate) has_body: bool,
}

/// What became of a copy: a label of the metric of copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The mirror responded.
    Sent,
    /// There was no response, or not in time.
    Failed,
    /// Dropped: too many are in flight.
    Busy,
    /// Dropped: the body is too long.
    TooLarge,
    /// Dropped: the body of the request was not read to its end.
    Incomplete,
}

impl Outcome {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Busy => "dropped-busy",
            Self::TooLarge => "dropped-body-too-large",
            Self::Incomplete => "dropped-body-incomplete",
        }
    }
}

impl Mirrors {
    pub(crate) fn new(upstreams: Rc<Upstreams>, telemetry: Rc<WorkerTelemetry>) -> Self {
        Self {
            upstreams,
            telemetry,
            flights: RefCell::default(),
            all: Cell::new(0),
        }
    }

    /// Counts what became of a copy.
    pub(crate) fn count(&self, outcome: Outcome) {
        self.telemetry.mirrored(outcome.label());
    }

    fn take_off(self: &Rc<Self>, key: &UpstreamKey) -> Option<Flight> {
        let mut flights = self.flights.borrow_mut();
        let count = flights.get(key).copied().unwrap_or_default();
        if count >= EACH || self.all.get() >= ALL {
            return None;
        }
        flights.insert(key.clone(), count + 1);
        self.all.set(self.all.get() + 1);
        Some(Flight {
            mirrors: self.clone(),
            key: key.clone(),
        })
    }
}

/// One copy in flight, until it is dropped.
struct Flight {
    mirrors: Rc<Mirrors>,
    key: UpstreamKey,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mirrors = &self.mirrors;
        mirrors.all.set(mirrors.all.get().saturating_sub(1));
        let mut flights = mirrors.flights.borrow_mut();
        if let Some(count) = flights.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                flights.remove(&self.key);
            }
        }
    }
}

/// Sends copies with what they need of `body`, that of the request: at once, or when a stream has ended.
pub(crate) fn follow(copies: Vec<MirrorCopy>, body: &mut Payload) {
    let is_too_long = matches!(body.length(), Length::Exact(length) if length > LONGEST_BODY);
    let mut waiting = Vec::new();
    for copy in copies {
        if !copy.has_body {
            copy.send(Payload::empty());
        } else if is_too_long {
            copy.mirrors.count(Outcome::TooLarge);
        } else if let Some(body) = body.duplicate() {
            copy.send(body);
        } else {
            waiting.push(copy);
        }
    }
    if waiting.is_empty() {
        return;
    }
    let send_all = move |result: Result<Bytes, Incomplete>| {
        for copy in waiting {
            copy.collected(result.clone());
        }
    };
    body.collect(LONGEST_STREAM, Box::new(send_all));
}

impl MirrorCopy {
    fn collected(self, result: Result<Bytes, Incomplete>) {
        match result {
            Ok(bytes) => self.send(Payload::bytes(bytes)),
            Err(Incomplete::TooLarge) => self.mirrors.count(Outcome::TooLarge),
            Err(Incomplete::Aborted) => self.mirrors.count(Outcome::Incomplete),
        }
    }

    fn send(self, body: Payload) {
        let Some(flight) = self.mirrors.take_off(&self.upstream.key) else {
            return self.mirrors.count(Outcome::Busy);
        };
        tokio::task::spawn_local(async move {
            let mirrors = flight.mirrors.clone();
            let outcome = tokio::time::timeout(TIMEOUT, self.exchange(body)).await;
            mirrors.count(outcome.unwrap_or(Outcome::Failed));
            drop(flight);
        });
    }

    async fn exchange(self, body: Payload) -> Outcome {
        let mirrors = self.mirrors.clone();
        let log = Log {
            telemetry: &mirrors.telemetry,
            record: self.record,
        };
        let copy = Self {
            record: None,
            ..self
        };
        match copy.respond(body, log).await {
            Ok(body) => {
                discard(body).await;
                Outcome::Sent
            }
            Err(error) => {
                tracing::debug!(%error, "cannot mirror request");
                Outcome::Failed
            }
        }
    }

    async fn respond(self, body: Payload, mut log: Log<'_>) -> Result<UpstreamBody, CallError> {
        let upstreams = &self.mirrors.upstreams;
        let options = CallOptions::of(&Forwarding::default(), &self.upstream, false);
        let target = upstreams.target(&self.upstream, options.connect_timeout);
        let call = Call {
            target: target.await?,
            head: self.head,
            body,
            options,
            pool: &self.pool,
            input: &Client(self.client),
        };
        let mut attempts = crate::upstream::Attempts::default();
        let reply = upstreams.call(call, &mut attempts).await;
        if let Some(record) = &mut log.record {
            record.attempts = attempts;
            record.status = reply.as_ref().ok().map(|reply| reply.response.status());
        }
        Ok(reply?.response.into_body())
    }
}

/// Writes the line of a copy at its end.
struct Log<'m> {
    telemetry: &'m WorkerTelemetry,
    record: Option<Box<Record>>,
}

impl Drop for Log<'_> {
    fn drop(&mut self) {
        if let Some(record) = &self.record {
            self.telemetry.log_copy(record);
        }
    }
}

async fn discard(mut body: UpstreamBody) {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, |data| data.len() as u64);
        if length > LONGEST_RESPONSE {
            return;
        }
    }
}

/// What the choice of an endpoint depends on: the client alone.
struct Client(IpAddr);

impl SelectionInput for Client {
    fn client(&self) -> IpAddr {
        self.0
    }

    fn evaluate(&self, _: &Template) -> String {
        self.0.to_string()
    }
}
