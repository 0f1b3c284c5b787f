//! The way of a request: body, endpoint, connection, exchange, and again where the policy allows it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    BackendProtocol, Balance, ConnectionHeader, Endpoints, Forwarding, HttpVersion, PoolSettings,
    Upstream,
};
use http::header::{HeaderName, SET_COOKIE, UPGRADE};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::balance::{Selection, UpstreamState};
use super::connect::{Dial, connect};
use super::exchange::{Bounds, Failure, exchange};
use super::payload::{Length, Payload};
use super::pool::{Key, Lease};
use super::request_body::BodyRules;
use super::request_head::{RequestHead, Wire};
use super::response_body::{Completion, Direct};
use super::retry::{Cause, Tries};
use super::tls::{self, TlsIdentity};
use super::tunnel::{self, Tunnel};
use super::{Forward, ForwardError, UpstreamBody, endpoints};
use crate::body::Body;
use crate::record::{Attempt, Progress, Record};
use crate::worker::Worker;

static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What is read ahead of an HTTP/1 response, bytes: what a slow client costs is some four times that.
const READ_BUFFER: usize = 64 << 10;
/// The same where the route allows larger heads; and no head is larger, whatever the route says.
const LARGEST_BUFFER: usize = 256 << 10;

/// Forwards a request and gives the response, whose body streams.
///
/// # Errors
/// What went wrong, when there is no response to pass on.
pub(crate) async fn forward(
    forward: Forward<'_>,
    record: &mut Record,
) -> Result<Response<Body>, ForwardError> {
    let Forward {
        worker,
        table,
        route,
        upstream,
        head,
        body,
        upgrade,
        request,
    } = forward;
    let forwarding = &*route.policy.forwarding;
    let state = UpstreamState::of(upstream, worker)?;
    let resolved;
    let endpoints = match &upstream.endpoints {
        Endpoints::None(_) => return Err(ForwardError::NoEndpoints),
        Endpoints::Addresses(addresses) => addresses,
        Endpoints::Name { host, port } => {
            resolved = endpoints::of_name(worker, state, (host, *port), forwarding.connect_timeout)
                .await?;
            &resolved
        }
    };
    let upgrade =
        upgrade.filter(|_| head.headers.contains_key(UPGRADE) && !upstream.protocol.is_grpc());
    let wire = wire(
        upstream.protocol,
        forwarding,
        &table.settings.pool,
        request.https(),
        upgrade.is_some(),
    );
    let rules = BodyRules {
        limit: forwarding.body_limit,
        timeout: table.settings.client.body_timeout,
    };
    let announced = body.size_hint().exact().is_some();
    let payload = Payload::receive(body, forwarding, rules, wire.http2 || wire.upgrade).await?;
    let head = RequestHead::new(head, payload.length(), forwarding, wire);
    // An announced length is known from the head.
    if let (Length::Exact(length), false) = (payload.length(), announced) {
        record.request_length += length;
    }
    let way = Way {
        worker,
        upstream,
        forwarding,
        wire,
        pool: &table.settings.pool,
        record,
    };
    let selection = Selection {
        worker,
        route,
        upstream,
        state,
        endpoints,
        request,
        cookie: None,
    };
    way.run(
        selection,
        Sending {
            head: Some(head),
            payload,
        },
        upgrade,
    )
    .await
}

/// How the endpoints of a route are spoken to.
fn wire(
    protocol: BackendProtocol,
    forwarding: &Forwarding,
    pool: &PoolSettings,
    https: bool,
    upgrade: bool,
) -> Wire {
    let http2 = protocol.is_grpc();
    let closes = forwarding.connection_header == Some(ConnectionHeader::Close);
    let kept =
        http2 || (pool.idle > 0 && forwarding.http_version == HttpVersion::Http11 && !closes);
    Wire {
        http2,
        tls: protocol.tls(https),
        kept,
        upgrade,
    }
}

/// What stays the same from try to try.
struct Way<'r> {
    worker: &'r Rc<Worker>,
    upstream: &'r Arc<Upstream>,
    forwarding: &'r Forwarding,
    wire: Wire,
    pool: &'r PoolSettings,
    record: &'r mut Record,
}

/// The request between tries. The head is `None` once a connection has taken the last copy.
struct Sending {
    head: Option<RequestHead>,
    payload: Payload,
}

impl Sending {
    fn can_be_sent(&self) -> bool {
        self.head.is_some() && self.payload.can_be_sent()
    }

    fn restore(&mut self, request: http::Request<super::request_body::RequestBody>) {
        let (head, body) = RequestHead::recover(request);
        self.head = Some(head);
        self.payload.restore(body);
    }
}

impl Way<'_> {
    async fn run(
        mut self,
        mut selection: Selection<'_>,
        mut sending: Sending,
        mut upgrade: Option<OnUpgrade>,
    ) -> Result<Response<Body>, ForwardError> {
        let start = Instant::now();
        let method = sending
            .head
            .as_ref()
            .map_or(http::Method::GET, |head| head.method.clone());
        let mut tries = Tries::new(
            self.forwarding.retry,
            &method,
            selection.endpoints.len(),
            start,
        );
        let mut tried = SmallVec::<[SocketAddr; 2]>::new();
        let mut now = start;
        loop {
            let endpoint = selection.next(&tried).ok_or(ForwardError::NoEndpoints)?;
            let failure = match self.attempt(endpoint, &mut sending, &tries, now).await {
                Ok((lease, response)) if !self.is_retried(&response, &mut tries, &sending) => {
                    return self.accept(
                        Accepted {
                            endpoint,
                            lease,
                            response,
                            start: now,
                        },
                        upgrade.take(),
                        selection.cookie,
                    );
                }
                Ok(_) => None,
                Err(failure) => Some(failure),
            };
            now = Instant::now();
            if let Some(failure) = failure {
                let again = failure
                    .cause
                    .is_some_and(|cause| tries.again(cause, failure.sent, now));
                if let Some(request) = failure.unsent {
                    sending.restore(*request);
                }
                if !again || !sending.can_be_sent() {
                    return Err(failure.error);
                }
            }
            tried.push(endpoint);
        }
    }

    /// Whether the answer is one that the policy would rather have from another endpoint.
    fn is_retried(
        &self,
        response: &Response<Incoming>,
        tries: &mut Tries,
        sending: &Sending,
    ) -> bool {
        self.forwarding.retry.on.status(response.status())
            && sending.can_be_sent()
            && tries.again(Cause::Status(response.status()), true, Instant::now())
    }

    /// One try at `endpoint`. A kept connection that turns out to be closed is replaced by a fresh one within the try.
    async fn attempt(
        &mut self,
        endpoint: SocketAddr,
        sending: &mut Sending,
        tries: &Tries,
        start: Instant,
    ) -> Result<(Lease, Response<Incoming>), Failure> {
        let key = self.key(endpoint);
        let mut kept = self.kept(&key, start);
        self.begin(endpoint, start);
        loop {
            let was_kept = kept.is_some();
            let mut lease = match kept.take() {
                Some(lease) => lease,
                None => self.fresh(key.clone()).await?,
            };
            self.note(|attempt| {
                attempt.connect = Some(if was_kept {
                    Duration::ZERO
                } else {
                    start.elapsed()
                })
            });
            let failure = match self
                .send(
                    &mut lease,
                    sending,
                    tries.may_resend() || (was_kept && tries.renew()),
                )
                .await
            {
                Ok(response) => return Ok((lease, response)),
                Err(failure) => failure,
            };
            let closed = was_kept && failure.error == ForwardError::Broken;
            if closed && failure.unsent.is_some() {
                failure
                    .unsent
                    .into_iter()
                    .for_each(|request| sending.restore(*request));
            } else if !(closed && tries.renew() && sending.can_be_sent()) {
                self.note(|attempt| attempt.status = status(failure.error));
                return Err(failure);
            }
        }
    }

    /// Sends the request; `copied`: it may be needed again.
    async fn send(
        &mut self,
        lease: &mut Lease,
        sending: &mut Sending,
        copied: bool,
    ) -> Result<Response<Incoming>, Failure> {
        let start = Instant::now();
        let head = if copied {
            sending.head.clone()
        } else {
            sending.head.take()
        };
        let (Some(head), Some((body, watch))) = (head, sending.payload.body(start)) else {
            return Err(Failure {
                cause: None,
                ..Failure::before(ForwardError::Broken)
            });
        };
        let bounds = Bounds {
            forwarding: self.forwarding,
            start,
            watch,
        };
        let response = exchange(lease, head.request(body), &bounds).await?;
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switched && !self.wire.upgrade {
            return Err(Failure::sent(ForwardError::InvalidResponse));
        }
        self.note(|attempt| {
            attempt.header = Some(attempt.start.elapsed());
            attempt.status = Some(response.status());
        });
        Ok(response)
    }

    fn key(&self, address: SocketAddr) -> Key {
        let tls = self
            .wire
            .tls
            .then(|| TlsIdentity::new(self.upstream.tls.as_ref(), self.upstream));
        Key {
            address,
            http2: self.wire.http2,
            tls,
            buffer: self
                .forwarding
                .response_head_limit
                .clamp(READ_BUFFER, LARGEST_BUFFER),
        }
    }

    fn kept(&self, key: &Key, now: Instant) -> Option<Lease> {
        if self.wire.kept {
            self.worker.pools.take(key, self.pool, now)
        } else {
            None
        }
    }

    async fn fresh(&mut self, key: Key) -> Result<Lease, Failure> {
        let result = self.dial(key).await;
        result.map_err(|error| {
            self.note(|attempt| (attempt.connect, attempt.status) = (None, status(error)));
            Failure::before(error)
        })
    }

    async fn dial(&self, key: Key) -> Result<Lease, ForwardError> {
        let tls = match &key.tls {
            None => None,
            Some(identity) => {
                let settings = self.upstream.tls.as_ref();
                let handshake = tls::handshake(settings, identity, key.address, key.http2);
                Some(handshake.map_err(|error| {
                    tracing::warn!(upstream = %self.upstream.key, %error, "no TLS towards an upstream");
                    ForwardError::Connect
                })?)
            }
        };
        let timeout = self.forwarding.connect_timeout;
        connect(
            self.worker,
            Dial {
                key,
                upstream: self.upstream.key.clone(),
                tls,
                timeout,
            },
        )
        .await
    }

    fn begin(&mut self, endpoint: SocketAddr, start: Instant) {
        self.record.attempts.push(Attempt {
            endpoint,
            start: start.into_std(),
            connect: None,
            header: None,
            status: None,
            progress: Rc::new(Progress::default()),
        });
    }

    fn note(&mut self, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.record.attempts.last_mut() {
            change(attempt);
        }
    }

    /// Makes the client's response of the endpoint's.
    fn accept(
        self,
        accepted: Accepted,
        upgrade: Option<OnUpgrade>,
        cookie: Option<http::HeaderValue>,
    ) -> Result<Response<Body>, ForwardError> {
        let Accepted {
            endpoint,
            lease,
            mut response,
            start,
        } = accepted;
        if let Some(cookie) = cookie {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        let progress = self
            .record
            .attempts
            .last()
            .map(|attempt| attempt.progress.clone())
            .unwrap_or_default();
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let client = upgrade.ok_or(ForwardError::InvalidResponse)?;
            let endpoint = hyper::upgrade::on(&mut response);
            let idle = self.forwarding.read_timeout;
            let end = tunnel::open(Tunnel {
                client,
                endpoint,
                idle,
                start,
                progress,
            });
            return Ok(response.map(|_| Body::upstream(UpstreamBody::tunnel(end))));
        }
        let scores = self.upstream.balance == Balance::Ewma;
        let completion = Completion {
            lease,
            reusable: self.wire.kept,
            worker: self.worker.clone(),
            progress,
            start,
            scored: scores.then(|| (self.upstream.clone(), endpoint)),
        };
        let ahead = reads_ahead(
            self.forwarding.buffer_response && !self.wire.http2,
            response.headers(),
        );
        let timeout = self.forwarding.read_timeout;
        Ok(response.map(|body| {
            let direct = Direct::new(body, timeout, completion);
            let ahead = ahead && !direct.is_end();
            Body::upstream(if ahead {
                UpstreamBody::ahead(direct)
            } else {
                UpstreamBody::direct(direct)
            })
        }))
    }
}

/// An answer to pass on.
struct Accepted {
    endpoint: SocketAddr,
    lease: Lease,
    response: Response<Incoming>,
    start: Instant,
}

/// Whether the body is read ahead: as configured, unless the endpoint says otherwise.
fn reads_ahead(configured: bool, headers: &HeaderMap) -> bool {
    match headers
        .get(&ACCEL_BUFFERING)
        .map(|value| value.as_bytes().to_ascii_lowercase())
    {
        Some(value) if value == b"no" => false,
        Some(value) if value == b"yes" => true,
        _ => configured,
    }
}

/// The status that a failed try stands for; `None` when the endpoint is not at fault.
fn status(error: ForwardError) -> Option<StatusCode> {
    super::exchange::cause(error).map(|cause| match cause {
        Cause::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Cause::Error | Cause::InvalidHeader | Cause::Status(_) => StatusCode::BAD_GATEWAY,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_endpoint_decides_on_reading_ahead() {
        for (said, configured, ahead) in [
            (None, true, true),
            (None, false, false),
            (Some("no"), true, false),
            (Some("Yes"), false, true),
            (Some("maybe"), true, true),
        ] {
            let mut headers = HeaderMap::new();
            headers
                .extend(said.map(|said| (ACCEL_BUFFERING.clone(), HeaderValue::from_static(said))));
            assert_eq!(
                reads_ahead(configured, &headers),
                ahead,
                "{said:?} {configured}"
            );
        }
    }
}
