//! One attempt of a call: a connection, and the request on it.

use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::super::connect::{ConnectError, Dial};
use super::super::dials::Turn;
use super::super::exchange::{Answer, Bounds, Failure, cause, over_http1, over_http2};
use super::super::options::Security;
use super::super::pool::{Key, Lease};
use super::super::retry::{Cause, RetryState};
use super::super::timer::after;
use super::super::{Bound, CallError, Fault, tls};
use super::{Caller, Outgoing};

impl Caller<'_> {
    /// One attempt at `endpoint`. A kept connection that turns out to be closed is replaced by a new one within the attempt.
    pub(super) async fn attempt(
        &mut self,
        endpoint: SocketAddr,
        outgoing: &mut Outgoing,
        retries: &RetryState,
        start: Instant,
    ) -> Result<(Lease, Answer), Failure> {
        let key = self.key(endpoint);
        let mut kept = self.kept(&key, start);
        self.attempts.begin(endpoint, start.into_std());
        self.begin_span(outgoing, retries);
        loop {
            let (mut lease, was_kept, now) = match kept.take() {
                // It takes no time, not even that of a look at the clock.
                Some(lease) => (lease, true, start),
                None => {
                    let (lease, was_kept) = self.fresh(key.clone()).await?;
                    (lease, was_kept, Instant::now())
                }
            };
            self.attempts
                .note(|attempt| attempt.connect = Some(now.duration_since(start)));
            let copied = retries.may_resend() || (was_kept && retries.may_reconnect());
            let failure = match self.send(&mut lease, outgoing, (copied, now)).await {
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

    /// As [`Caller::attempt`], but fails after `bound`.
    pub(super) async fn attempt_within(
        &mut self,
        bound: Duration,
        endpoint: SocketAddr,
        outgoing: &mut Outgoing,
        retries: &RetryState,
    ) -> Result<(Lease, Answer), Failure> {
        let start = Instant::now();
        let attempt = self.attempt(endpoint, outgoing, retries, start);
        if let Ok(outcome) = tokio::time::timeout_at(after(start, bound), attempt).await {
            return outcome;
        }
        let connected = self
            .attempts
            .last()
            .is_some_and(|last| last.connect.is_some());
        let failure = match connected {
            true => Failure::sent(CallError::ReadTimeout),
            false => Failure::before(CallError::ConnectTimeout),
        };
        self.attempts.note(|attempt| {
            attempt.status = status(failure.error);
            attempt.fault = Some(Box::new(Fault::of(failure.error)));
        });
        Err(failure)
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

    /// Sends the request `now`. `copied`: keeps a copy for another attempt, if the connection would keep the head.
    async fn send(
        &mut self,
        lease: &mut Lease,
        outgoing: &mut Outgoing,
        (copied, start): (bool, Instant),
    ) -> Result<Answer, Failure> {
        let gone = || Failure {
            cause: None,
            ..Failure::before(CallError::Broken)
        };
        let (body, watch) = outgoing.payload.body(start).ok_or_else(gone)?;
        let bounds = Bounds {
            options: self.options,
            start,
            watch,
        };
        let response = match lease {
            Lease::Http1(connection) => {
                let head = outgoing.head.as_ref().ok_or_else(gone)?;
                over_http1(connection, head, body, &bounds).await?
            }
            Lease::Http2(stream) => {
                let head = match copied {
                    true => outgoing.head.clone(),
                    false => outgoing.head.take(),
                };
                let request = head.ok_or_else(gone)?.request(body);
                over_http2(stream, request, &bounds).await?
            }
        };
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

    /// A new connection, or one that another request was done with first, or that requests share: whether it was there before.
    async fn fresh(&mut self, key: Key) -> Result<(Lease, bool), Failure> {
        let most = self.upstream.resilience.max_pending;
        let Some(_waiting) = self.state.load.wait(self.upstreams.worker, most) else {
            let error = CallError::Overloaded(Bound::Pending);
            self.attempts
                .note(|attempt| attempt.fault = Some(Box::new(Fault::of(error))));
            return Err(Failure::before(error));
        };
        let endpoint = key.address;
        // Boxed, lest its states, TLS and HTTP/2 handshakes among them, make the future of every request large.
        let failed = match Box::pin(self.open(key)).await {
            Ok(opened) => return Ok(opened),
            Err(failed) => failed,
        };
        if let Some(how) = failed.failed {
            let (health, all) = (&self.state.health, self.endpoints);
            health.report(self.upstream, endpoint, how, all);
        }
        self.attempts.note(|attempt| {
            (attempt.connect, attempt.status) = (None, status(failed.error));
            attempt.fault = Some(Box::new(failed.fault));
        });
        Err(Failure::before(failed.error))
    }

    /// Opens a connection when it is the turn of the request, unless there is one before.
    async fn open(&self, key: Key) -> Result<(Lease, bool), ConnectError> {
        let (endpoint, timeout) = (key.address, self.options.connect_timeout);
        let begin = Instant::now();
        let _slot = match self.kept.then(|| self.upstreams.slot(&key)) {
            None => None,
            Some(Ok(slot)) => Some(slot),
            Some(Err(waiter)) => match waiter.turn(timeout).await {
                Turn::Use(lease) => return Ok((lease, true)),
                Turn::Open(slot) => Some(slot),
            },
        };
        let start = Instant::now();
        let left = timeout.saturating_sub(start.duration_since(begin));
        let lease = self.dial(key, left).await?;
        self.state.health.connected(endpoint, start);
        Ok((lease, false))
    }

    async fn dial(&self, key: Key, timeout: Duration) -> Result<Lease, ConnectError> {
        let tls = match (&key.tls, self.options.security) {
            (Some(identity), Security::Tls(settings)) => {
                let carries = match key.http2 {
                    true => tls::Carries::Http2,
                    false => tls::Carries::Http1,
                };
                let handshake = tls::handshake(settings, identity, key.address, carries);
                Some(handshake.map_err(|error| {
                    // For every request: what is wrong with the settings is a finding.
                    tracing::debug!(upstream = %self.upstream.key, %error, "cannot connect to upstream over TLS");
                    ConnectError {
                        error: CallError::Connect,
                        fault: Fault { reason: "tls-failed", detail: error.to_string().into() },
                        failed: None,
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
            timeout,
        };
        self.upstreams.connect(dial).await
    }
}

/// The status of a failed attempt; `None` if the endpoint is not at fault.
fn status(error: CallError) -> Option<StatusCode> {
    cause(error).map(|cause| match cause {
        Cause::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Cause::Error | Cause::InvalidHeader | Cause::Status(_) => StatusCode::BAD_GATEWAY,
    })
}
