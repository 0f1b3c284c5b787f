//! A request to an upstream: endpoint, connection, exchange, and retries.
//!
//! Every request that leaves this process is a call: those of clients, which `pipeline` forwards, and those of the process
//! itself. So nothing here knows a route, a client's request or its record.

mod attempt;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use headgate_table::{Balance, PoolSettings, Upstream};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::balance::{Chosen, Selection, UpstreamState};
use super::exchange::{Answer, Failure};
use super::health::Failed;
use super::load::{Counted, Counts};
use super::options::CallOptions;
use super::payload::{Length, Payload};
use super::pool::Lease;
use super::request_body::RequestBody;
use super::request_head::RequestHead;
use super::response_body::{Completion, Direct};
use super::retry::{Cause, RetryState};
use super::target::Target;
use super::{Attempts, Bound, CallError, SelectionInput, UpstreamBody, Upstreams, fastcgi};

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
    /// Its body streams. A 101 has none, but the connection, for a tunnel.
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
        let Target {
            upstream, state, ..
        } = call.target;
        let most = upstream.resilience.max_connections;
        let counted = state
            .load
            .admit(self.worker, most)
            .ok_or(CallError::Overloaded(Bound::Connections))?;
        let payload = call.body.framable(options, self).await?;
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
            upstream,
            state,
            endpoints: call.target.endpoints.len(),
            counted,
            retrying: None,
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
    /// Number of the endpoints.
    endpoints: usize,
    /// The request, among those of the upstream.
    counted: Counted,
    /// The request, among those that are sent again.
    retrying: Option<Counted>,
    options: &'c CallOptions<'c>,
    pool: &'c PoolSettings,
    /// Connections may be kept.
    kept: bool,
    /// The request that each connection serves, if it is FastCGI.
    fastcgi: Option<Box<fastcgi::Request>>,
    attempts: &'c mut Attempts,
}

/// The request between attempts. The head is `None` once a connection of HTTP/2 has taken the last copy.
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
        let mut retries = RetryState::new(self.options.retry, &method, self.endpoints, start);
        let mut tried = SmallVec::<[SocketAddr; 2]>::new();
        let mut first_failure = None;
        let mut now = start;
        if let Some(rate) = self.upstream.resilience.retry_rate {
            self.state.window.lock().add(rate, start);
        }
        loop {
            let chosen = selection.next(&tried).ok_or(CallError::NoEndpoints)?;
            let Chosen { endpoint, counted } = chosen;
            let outcome = match self.options.attempt_timeout {
                None => self.attempt(endpoint, &mut outgoing, &retries, now).await,
                Some(bound) => {
                    let bounded = self.attempt_within(bound, endpoint, &mut outgoing, &retries);
                    // Boxed, lest it makes the future of every request large.
                    Box::pin(bounded).await
                }
            };
            self.judge(endpoint, &outcome, now);
            let failure = match outcome {
                Ok((lease, response)) if !self.is_retried(&response, &mut retries, &outgoing) => {
                    self.within_rate()?;
                    let accepted = Accepted {
                        endpoint,
                        counted,
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
                if matches!(failure.error, CallError::Overloaded(_)) {
                    return Err(first_failure.unwrap_or(failure.error));
                }
                let retry = retry && outgoing.can_be_sent();
                if !retry || (failure.sent && !self.may_retry()) {
                    return self.within_rate().and(Err(failure.error));
                }
                first_failure.get_or_insert(failure.error);
            }
            tried.push(endpoint);
            drop(counted);
            if let Some(backoff) = retries.backoff(fastrand::f32()) {
                tokio::time::sleep(backoff).await;
                now = Instant::now();
            }
        }
    }

    /// Records what the outcome of an attempt that began at `start` says of the health of `endpoint`.
    fn judge(
        &self,
        endpoint: SocketAddr,
        outcome: &Result<(Lease, Answer), Failure>,
        start: Instant,
    ) {
        let health = &self.state.health;
        let rules = &self.upstream.resilience.outliers;
        let failed = match outcome {
            Ok((_, response)) => rules.status_5xx && response.status().is_server_error(),
            Err(failure) => failure.sent && is_fault_of_endpoint(failure.error),
        };
        if failed {
            health.report(self.upstream, endpoint, Failed::NoResponse, self.endpoints);
        } else if outcome.is_ok() {
            self.state.succeeded(self.upstream, endpoint, start);
        }
    }

    /// Whether the retry budget allows another attempt of a request that an endpoint may have received.
    fn may_retry(&mut self) -> bool {
        if let Some(rate) = self.upstream.resilience.retry_rate {
            self.attempts.over_budget = !self.state.window.lock().retry(rate, Instant::now());
            return !self.attempts.over_budget;
        }
        if self.retrying.is_none() {
            self.retrying = self.state.load.retry(self.upstream.resilience.retries);
            self.attempts.over_budget = self.retrying.is_none();
        }
        self.retrying.is_some()
    }

    /// Fails if another attempt would have been made, but for the bound on retries over a time: the response is one of that
    /// bound then.
    fn within_rate(&mut self) -> Result<(), CallError> {
        let is_bounded = self.upstream.resilience.retry_rate.is_some();
        // The error is counted instead.
        match is_bounded && std::mem::take(&mut self.attempts.over_budget) {
            true => Err(CallError::Overloaded(Bound::Retries)),
            false => Ok(()),
        }
    }

    /// Whether the retry policy discards this response for one of another endpoint.
    fn is_retried(
        &mut self,
        response: &Answer,
        retries: &mut RetryState,
        outgoing: &Outgoing,
    ) -> bool {
        self.options.retry.on.statuses.contains(response.status())
            && outgoing.can_be_sent()
            && retries.may_try_again()
            && self.may_retry()
            && retries.retry(Cause::Status(response.status()), true, Instant::now())
    }

    /// The response for the caller.
    fn accept(self, accepted: Accepted) -> Response<UpstreamBody> {
        let Accepted {
            endpoint,
            counted,
            lease,
            response,
            start,
        } = accepted;
        let counted = Counts {
            _of_upstream: self.counted,
            _of_endpoint: counted,
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return response.map(|_| UpstreamBody::switched(lease, counted));
        }
        let scores = self.upstream.balance == Balance::Ewma;
        let completion = Completion {
            lease,
            _counted: counted,
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
                UpstreamBody::ahead(direct, file_limit, self.upstreams.disk(0))
            } else {
                UpstreamBody::direct(direct)
            }
        })
    }
}

/// A response that is not retried.
struct Accepted {
    endpoint: SocketAddr,
    counted: Option<Counted>,
    lease: Lease,
    response: Answer,
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

/// Whether `error`, after a request was sent, says that the endpoint is not well: other endpoints would have responded. A large
/// head is that of the application.
fn is_fault_of_endpoint(error: CallError) -> bool {
    matches!(
        error,
        CallError::Broken
            | CallError::SendTimeout
            | CallError::ReadTimeout
            | CallError::InvalidResponse
    )
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
