//! What the requests of one connection share, and how a request gets its response.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use headgate_table::Settings;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::time::Instant;

use super::activity::Activity;
use super::fault::Fault;
use super::tracked::{Track, Tracked};
use crate::body::Body;
use crate::buffers::{ConnectionBuffers, Gate};
use crate::downstream::Downstream;
use crate::drain::Registration;
use crate::incoming::Incoming;
use crate::limit::Limit;
use crate::process::Permit;
use crate::respond::Unanswered;
use crate::shedding::Shed;
use crate::telemetry::ConnectionGuard;

/// What a client that has just connected has for its first request, while idle connections are closed: the request is on its
/// way, and may need another round trip after the handshake.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// A connection that speaks HTTP.
pub(super) struct Session {
    /// The connection as requests see it.
    pub(super) downstream: Rc<Downstream>,
    /// Settings when it was accepted. Requests read newer ones; the connection keeps its bounds.
    pub(super) settings: Arc<Settings>,
    /// Shared with the stream.
    pub(super) activity: Rc<Activity>,
    /// What is held of its responses.
    pub(super) buffers: Arc<ConnectionBuffers>,
    /// Registers it among the worker's connections.
    pub(super) registration: Registration,
    /// Held to the end of the connection.
    #[expect(dead_code, reason = "dropping it has the effect")]
    pub(super) permit: Permit,
    /// Counts it in the gauges.
    pub(super) gauge: ConnectionGuard,
    /// When it is old enough to be closed after a response.
    pub(super) expires: Instant,
}

impl Session {
    /// Whether the connection ends with the current response.
    pub(super) fn ends(&self) -> bool {
        self.registration.announced().is_some()
            || self.downstream.listener.closed()
            || self.shed().keep_alive
            || self.downstream.requests.get() >= self.settings.client.keep_alive_requests
            || self.old()
    }

    /// How long the connection may be idle, if `limit` is its limit while there is room for others. `fresh`: it has had no
    /// request.
    pub(super) fn idle_limit(&self, fresh: bool, limit: Duration) -> Duration {
        match (self.shed().idle, fresh) {
            (false, _) => limit,
            (true, true) => limit.min(FIRST_REQUEST),
            (true, false) => Duration::ZERO,
        }
    }

    /// What its worker refuses now.
    pub(super) fn shed(&self) -> Shed {
        self.downstream.worker.shedding.current()
    }

    /// Whether the connection has reached its age.
    pub(super) fn old(&self) -> bool {
        Instant::now() >= self.expires
    }

    /// Counts a refusal that has no record.
    pub(super) fn refused(&self, limit: Limit) {
        self.downstream.worker.telemetry.refused(limit);
    }

    /// The response to a request with a fault.
    pub(super) fn refusal(&self, fault: Fault) -> Response<Body> {
        let telemetry = &self.downstream.worker.telemetry;
        telemetry.head_refused(
            self.downstream.peer(),
            fault.status().as_u16(),
            fault.limit(),
        );
        crate::respond::page(fault.status(), &self.settings)
    }

    fn panicked(&self) -> Response<Body> {
        self.downstream.worker.telemetry.panicked();
        crate::respond::page(StatusCode::INTERNAL_SERVER_ERROR, &self.settings)
    }
}

/// Serves requests. A trait, so that the drivers can be tested without endpoints.
pub(crate) trait Handler: Clone + 'static {
    /// Responds to a request; never fails.
    fn handle(
        &self,
        downstream: &Rc<Downstream>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>>;
}

/// The pipeline.
#[derive(Clone, Copy)]
pub(crate) struct Pipeline;

impl Handler for Pipeline {
    fn handle(
        &self,
        downstream: &Rc<Downstream>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> {
        crate::pipeline::handle(downstream, request)
    }
}

/// A request with its fault, if it has one.
pub(super) type CheckedRequest = (Request<Incoming>, Option<Fault>);

/// Responds to a request of `session`. A panic in its processing ends no other request: the client gets 500.
pub(super) async fn respond<H: Handler, T: Track>(
    session: Rc<Session>,
    handler: H,
    (request, fault): CheckedRequest,
    mut track: T,
) -> Result<Response<Tracked<T>>, Unanswered> {
    let downstream = &session.downstream;
    downstream.requests.set(downstream.requests.get() + 1);
    let (mut response, broken) = match fault {
        Some(fault) => (session.refusal(fault), true),
        None => {
            // Boxed: hyper moves the future of a service several times, and an idle connection would keep its room.
            let handled = boxed(|| handler.handle(downstream, request));
            let handled = AssertUnwindSafe(handled).catch_unwind().await;
            let broken = handled.is_err();
            (handled.unwrap_or_else(|_| session.panicked()), broken)
        }
    };
    if let Some(unanswered) = response.extensions().get::<Unanswered>() {
        return Err(*unanswered);
    }
    track.responded(&mut response, broken);
    let gate = Gate::new(session.buffers.clone());
    Ok(response.map(|body| Tracked::new(body, (gate, track))))
}

/// The future that `make` makes, in a box. [`Box::pin`] would copy the room for all of its states there, some kilobytes.
pub(super) fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    let room = Box::new_uninit();
    Box::into_pin(Box::write(room, make()))
}

/// Makes `response` the last of an HTTP/1 connection.
pub(super) fn set_close(response: &mut Response<Body>) {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}

/// The age at which a connection is closed: `age` give or take a tenth, lest connections that began together end together.
pub(super) fn jittered(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of what `handle` returns.
    fn size<'d, F>(_: impl FnOnce(&'d Rc<Downstream>, Request<Incoming>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_future_of_a_request_is_small() {
        let size = size(crate::pipeline::handle);
        assert!(size <= 10 << 10, "{size} bytes: box what is rare");
    }

    #[test]
    fn jitter_is_a_tenth_either_way() {
        let ages: Vec<Duration> = (0..1000)
            .map(|_| jittered(Duration::from_secs(100)))
            .collect();
        assert!(
            ages.iter()
                .all(|age| (90.0..=110.0).contains(&age.as_secs_f64()))
        );
        assert!(
            ages.iter().any(|age| age.as_secs() < 100)
                && ages.iter().any(|age| age.as_secs() >= 100)
        );
    }
}
