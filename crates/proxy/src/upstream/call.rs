//! A request to an upstream: endpoint, connection, exchange, and retries.
//!
//! Every request that leaves this process is a call: those of clients, which `pipeline` forwards, and those of the process
//! itself. So nothing here knows a route, a client's request or its record.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Balance, PoolSettings, Upstream};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::balance::{Selection, UpstreamState};
use super::connect::{ConnectError, Dial};
use super::exchange::{Bounds, Failure, cause, exchange};
use super::options::{CallOptions, Security};
use super::payload::{Length, Payload};
use super::pool::{Key, Lease};
use super::request_body::RequestBody;
use super::request_head::RequestHead;
use super::response_body::{Completion, Direct};
use super::retry::{Cause, RetryState};
use super::target::Target;
use super::{Attempts, CallError, Fault, SelectionInput, UpstreamBody, Upstreams, fastcgi, tls};

static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A request to an upstream.
pub(crate) struct Call<'c> {
    pub(crate) target: Target<'c>,
    /// Method, target in origin form, and final fields: with `Host`, without hop-by-hop ones but the pair of an upgrade.
    pub(crate) head: http::request::Parts,
    pub(crate) body: Payload,
    pub(crate) options: CallOptions<'c>,
    /// Bounds on kept connections: those of the table that the target is from.
    pub(crate) pool: &'c PoolSettings,
    /// What the choice of an endpoint depends on.
    pub(crate) input: &'c dyn SelectionInput,
}

/// The response of an upstream.
pub(crate) struct Reply {
    /// Its body streams. A 101 has none; hyper's `OnUpgrade` is among its extensions.
    pub(crate) response: Response<UpstreamBody>,
    /// `Set-Cookie` of a session that begins with this call.
    pub(crate) session_cookie: Option<HeaderValue>,
}

impl Upstreams {
    /// Sends a request and waits for the head of its response. Every attempt is in `attempts` from its start.
    ///
    /// # Errors
    /// The failure of the last attempt.
    pub(crate) async fn call(
        self: &Rc<Self>,
        call: Call<'_>,
        attempts: &mut Attempts,
    ) -> Result<Reply, CallError> {
        let options = &call.options;
        let payload = call.body.framable(options).await?;
        let kept = options.keeps(call.pool);
        let fastcgi = options.fastcgi.map(|params| {
            let length = match payload.length() {
                Length::Exact(length) => length,
                Length::None | Length::Unknown => 0,
            };
            let bodiless = call.head.method == Method::HEAD;
            Box::new(params.request(length, bodiless, options.response_head_limit))
        });
        let head = RequestHead::new(call.head, payload.length(), options, kept);
        let outgoing = Outgoing {
            head: Some(head),
            payload,
        };
        let selection = Selection {
            upstreams: self,
            target: &call.target,
            input: call.input,
            cookie: None,
        };
        let caller = Caller {
            upstreams: self,
            upstream: call.target.upstream,
            state: call.target.state,
            options,
            pool: call.pool,
            kept,
            fastcgi,
            attempts,
        };
        caller.run(selection, outgoing).await
    }
}

/// What all attempts of a call share.
struct Caller<'c> {
    upstreams: &'c Rc<Upstreams>,
    upstream: &'c Arc<Upstream>,
    state: &'c UpstreamState,
    options: &'c CallOptions<'c>,
    pool: &'c PoolSettings,
    /// Connections may be kept.
    kept: bool,
    /// The request that each connection serves, if it is FastCGI.
    fastcgi: Option<Box<fastcgi::Request>>,
    attempts: &'c mut Attempts,
}

/// The request between attempts. The head is `None` once a connection has taken the last copy.
struct Outgoing {
    head: Option<RequestHead>,
    payload: Payload,
}

impl Outgoing {
    fn can_be_sent(&self) -> bool {
        self.head.is_some() && self.payload.can_be_sent()
    }

    fn restore(&mut self, request: http::Request<RequestBody>) {
        let (head, body) = RequestHead::recover(request);
        self.head = Some(head);
        self.payload.restore(body);
    }
}

impl Caller<'_> {
    async fn run(
        mut self,
        mut selection: Selection<'_>,
        mut outgoing: Outgoing,
    ) -> Result<Reply, CallError> {
        let start = Instant::now();
        let method = outgoing
            .head
            .as_ref()
            .map_or(Method::GET, |head| head.method.clone());
        let endpoints = selection.target.endpoints.len();
        let mut retries = RetryState::new(self.options.retry, &method, endpoints, start);
        let mut tried = SmallVec::<[SocketAddr; 2]>::new();
        let mut now = start;
        loop {
            let endpoint = selection.next(&tried).ok_or(CallError::NoEndpoints)?;
            let outcome = self.attempt(endpoint, &mut outgoing, &retries, now).await;
            if outcome.is_ok() {
                self.state.health.reached(endpoint, now);
            }
            let failure = match outcome {
                Ok((lease, response)) if !self.is_retried(&response, &mut retries, &outgoing) => {
                    let accepted = Accepted {
                        endpoint,
                        lease,
                        response,
                        start: now,
                    };
                    return Ok(Reply {
                        response: self.accept(accepted),
                        session_cookie: selection.cookie,
                    });
                }
                Ok(_) => None,
                Err(failure) => Some(failure),
            };
            now = Instant::now();
            if let Some(failure) = failure {
                let retry = failure
                    .cause
                    .is_some_and(|cause| retries.retry(cause, failure.sent, now));
                if let Some(request) = failure.unsent {
                    outgoing.restore(*request);
                }
                if !retry || !outgoing.can_be_sent() {
                    return Err(failure.error);
                }
            }
            tried.push(endpoint);
        }
    }

    /// Whether the retry policy discards this response for one of another endpoint.
    fn is_retried(
        &self,
        response: &Response<Incoming>,
        retries: &mut RetryState,
        outgoing: &Outgoing,
    ) -> bool {
        self.options.retry.on.status(response.status())
            && outgoing.can_be_sent()
            && retries.retry(Cause::Status(response.status()), true, Instant::now())
    }

    /// One attempt at `endpoint`. A kept connection that turns out to be closed is replaced by a new one within the attempt.
    async fn attempt(
        &mut self,
        endpoint: SocketAddr,
        outgoing: &mut Outgoing,
        retries: &RetryState,
        start: Instant,
    ) -> Result<(Lease, Response<Incoming>), Failure> {
        let key = self.key(endpoint);
        let mut kept = self.kept(&key, start);
        self.attempts.begin(endpoint, start.into_std());
        self.begin_span(outgoing, retries);
        loop {
            let was_kept = kept.is_some();
            let mut lease = match kept.take() {
                Some(lease) => lease,
                None => self.fresh(key.clone()).await?,
            };
            self.attempts.note(|attempt| {
                attempt.connect = Some(if was_kept {
                    Duration::ZERO
                } else {
                    start.elapsed()
                })
            });
            let failure = match self
                .send(
                    &mut lease,
                    outgoing,
                    retries.may_resend() || (was_kept && retries.may_reconnect()),
                )
                .await
            {
                Ok(response) => return Ok((lease, response)),
                Err(failure) => failure,
            };
            let closed = was_kept && failure.error == CallError::Broken;
            if closed && failure.unsent.is_some() {
                failure
                    .unsent
                    .into_iter()
                    .for_each(|request| outgoing.restore(*request));
            } else if !(closed && retries.may_reconnect() && outgoing.can_be_sent()) {
                self.attempts.note(|attempt| {
                    attempt.status = status(failure.error);
                    let fault = || Box::new(Fault::of(failure.error));
                    attempt.fault = Some(failure.fault.clone().unwrap_or_else(fault));
                });
                return Err(failure);
            }
        }
    }

    /// Begins the span of an attempt, of which the endpoint gets the id.
    fn begin_span(&mut self, outgoing: &mut Outgoing, retries: &RetryState) {
        let (Some(span), Some(head)) = (self.options.span, &mut outgoing.head) else {
            return;
        };
        let security = matches!(self.options.security, Security::Tls(_));
        let protocol = (security, self.options.is_http2());
        let own = head.begin_span(span, protocol, retries.resends());
        self.attempts
            .note(|attempt| attempt.span = Some(Box::new(own)));
    }

    /// Sends the request. `copied`: keeps a copy for another attempt.
    async fn send(
        &mut self,
        lease: &mut Lease,
        outgoing: &mut Outgoing,
        copied: bool,
    ) -> Result<Response<Incoming>, Failure> {
        let start = Instant::now();
        let head = if copied {
            outgoing.head.clone()
        } else {
            outgoing.head.take()
        };
        let (Some(head), Some((body, watch))) = (head, outgoing.payload.body(start)) else {
            return Err(Failure {
                cause: None,
                ..Failure::before(CallError::Broken)
            });
        };
        let bounds = Bounds {
            options: self.options,
            start,
            watch,
        };
        let response = exchange(lease, head.request(body), &bounds).await?;
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switched && !self.options.upgrade {
            const SWITCHED: &str = "101 without a request to switch protocols";
            return Err(Failure::because(CallError::InvalidResponse, SWITCHED));
        }
        self.attempts.note(|attempt| {
            attempt.header = Some(attempt.start.elapsed());
            attempt.status = Some(response.status());
        });
        Ok(response)
    }

    fn key(&self, address: SocketAddr) -> Key {
        Key {
            address,
            http2: self.options.is_http2(),
            tls: self.options.identity(self.upstream),
            buffer: self.options.buffer(),
        }
    }

    fn kept(&self, key: &Key, now: Instant) -> Option<Lease> {
        if self.kept {
            self.upstreams.pools.take(key, self.pool, now)
        } else {
            None
        }
    }

    async fn fresh(&mut self, key: Key) -> Result<Lease, Failure> {
        let (endpoint, start) = (key.address, Instant::now());
        // Boxed, lest its states, TLS and HTTP/2 handshakes among them, make the future of every request large.
        let failed = match Box::pin(self.dial(key)).await {
            Ok(lease) => {
                self.state.health.reached(endpoint, start);
                return Ok(lease);
            }
            Err(failed) => failed,
        };
        if failed.unreachable {
            self.state.health.unreachable(endpoint, Instant::now());
        }
        self.attempts.note(|attempt| {
            (attempt.connect, attempt.status) = (None, status(failed.error));
            attempt.fault = Some(Box::new(failed.fault));
        });
        Err(Failure::before(failed.error))
    }

    async fn dial(&self, key: Key) -> Result<Lease, ConnectError> {
        let tls = match (&key.tls, self.options.security) {
            (Some(identity), Security::Tls(settings)) => {
                let handshake = tls::handshake(settings, identity, key.address, key.http2);
                Some(handshake.map_err(|error| {
                    tracing::warn!(upstream = %self.upstream.key, %error, "cannot connect to upstream over TLS");
                    ConnectError {
                        error: CallError::Connect,
                        fault: Fault { reason: "tls-failed", detail: error.to_string().into() },
                        unreachable: false,
                    }
                })?)
            }
            _ => None,
        };
        let dial = Dial {
            key,
            upstream: self.upstream.key.clone(),
            tls,
            fastcgi: self.fastcgi.clone(),
            timeout: self.options.connect_timeout,
        };
        self.upstreams.connect(dial).await
    }

    /// The response for the caller.
    fn accept(self, accepted: Accepted) -> Response<UpstreamBody> {
        let Accepted {
            endpoint,
            lease,
            response,
            start,
        } = accepted;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return response.map(|_| UpstreamBody::empty());
        }
        let scores = self.upstream.balance == Balance::Ewma;
        let completion = Completion {
            lease,
            reusable: self.kept,
            upstreams: self.upstreams.clone(),
            progress: self.attempts.progress(),
            start,
            scored: scores.then(|| (self.upstream.clone(), endpoint)),
        };
        let ahead = reads_ahead(
            self.options.read_ahead && !self.options.is_http2(),
            response.headers(),
        );
        let (timeout, file_limit) = (self.options.read_timeout, self.options.file_limit);
        response.map(|body| {
            let direct = Direct::new(body, timeout, completion);
            if ahead && !direct.is_end() {
                UpstreamBody::ahead(direct, file_limit)
            } else {
                UpstreamBody::direct(direct)
            }
        })
    }
}

/// A response that is not retried.
struct Accepted {
    endpoint: SocketAddr,
    lease: Lease,
    response: Response<Incoming>,
    start: Instant,
}

/// Whether the body is read ahead: as configured, unless the endpoint sends `X-Accel-Buffering`.
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

/// The status of a failed attempt; `None` if the endpoint is not at fault.
fn status(error: CallError) -> Option<StatusCode> {
    cause(error).map(|cause| match cause {
        Cause::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Cause::Error | Cause::InvalidHeader | Cause::Status(_) => StatusCode::BAD_GATEWAY,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_accel_buffering_overrides_the_configuration() {
        for (buffering, configured, ahead) in [
            (None, true, true),
            (None, false, false),
            (Some("no"), true, false),
            (Some("Yes"), false, true),
            (Some("maybe"), true, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(
                buffering.map(|value| (ACCEL_BUFFERING.clone(), HeaderValue::from_static(value))),
            );
            assert_eq!(
                reads_ahead(configured, &headers),
                ahead,
                "{buffering:?} {configured}"
            );
        }
    }
}
