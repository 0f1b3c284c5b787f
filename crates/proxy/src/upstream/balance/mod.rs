//! Load balancing: which endpoint a request goes to.
//!
//! Precedence: cookie affinity, client-address affinity, the configured balancer. Endpoints that have failed the same
//! request, or that cannot be connected to, are avoided while there are others.

mod candidates;
mod client_ip;
mod ewma;
mod least_conn;
mod random;
mod ring;
mod round_robin;
mod starting;
mod view;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use foldhash::quality::RandomState;
use headgate_table::{Balance, Endpoints, Upstream};
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::time::Instant;

pub(super) use candidates::Candidates;
pub(super) use random::random;
pub(super) use ring::hash;
pub(super) use starting::Shares;
pub(super) use view::View;

use super::affinity;
use super::health::Health;
use super::load::{Counted, Load};
use super::retry_window::RetryWindow;
use super::target::Target;
use super::{CallError, SelectionInput, Upstreams};
use client_ip::Clients;
use ewma::Scores;
use round_robin::Cursors;
use starting::Starting;

/// State of an upstream between requests. It lives in the upstream's slot and outlives tables.
pub(super) struct UpstreamState {
    view: ArcSwapOption<View>,
    cursors: Cursors,
    scores: Mutex<Scores>,
    clients: Clients,
    /// Which endpoints should get no requests for now.
    pub(super) health: Health,
    /// Which should get few.
    starting: Starting,
    /// How many requests there are.
    pub(super) load: Load,
    /// How many there were, if retries are bounded over a time.
    pub(super) window: Mutex<RetryWindow>,
    /// Second half of the affinity cookies of this upstream.
    pub(super) binding: String,
    /// The last resolution of the upstream's name.
    pub(super) resolved: ArcSwapOption<Resolved>,
}

/// Addresses of a name, and the endpoints built from them: the same set while the addresses stay, so that its views stay.
pub(super) struct Resolved {
    pub(super) addresses: Arc<[std::net::IpAddr]>,
    pub(super) endpoints: Arc<[SocketAddr]>,
}

impl UpstreamState {
    /// The state of `upstream`, shared by this number of `workers`.
    pub(super) fn of(upstream: &Upstream, workers: usize) -> Result<&Self, CallError> {
        let state = upstream.slot.get_or_init(|| {
            Arc::new(Self {
                view: ArcSwapOption::empty(),
                cursors: Cursors::new(workers),
                scores: Mutex::default(),
                clients: Clients::default(),
                health: Health::default(),
                starting: Starting::default(),
                load: Load::new(workers),
                window: Mutex::default(),
                binding: affinity::binding(&upstream.log_name),
                resolved: ArcSwapOption::empty(),
            })
        });
        state.ok_or(CallError::NoEndpoints)
    }

    /// The view of the endpoints of `target`, rebuilt when they have changed. A request from before the change, such as one
    /// whose body was long in coming, gets the endpoints of now: were they the former ones, those of now would be new again for
    /// the next request.
    fn view(
        &self,
        target: &Target<'_>,
        upstreams: &Upstreams,
    ) -> arc_swap::Guard<Option<Arc<View>>> {
        let Target {
            upstream,
            endpoints,
            ..
        } = target;
        let view = self.view.load();
        let is_of = |endpoints| {
            let view = view.as_ref();
            view.is_some_and(|view| view.is_of(endpoints, &upstream.balance))
        };
        if is_of(endpoints) {
            return view;
        }
        let endpoints = self.latest(target, upstreams);
        if is_of(&endpoints) {
            return view;
        }
        let next = self.successor(view.as_deref(), upstream, (&endpoints, upstreams));
        drop(view);
        self.view.store(Some(Arc::new(next)));
        self.view.load()
    }

    /// The endpoints of the upstream in the table of now; those of `target` if that has none.
    fn latest(&self, target: &Target<'_>, upstreams: &Upstreams) -> Arc<[SocketAddr]> {
        let table = upstreams.table.get();
        let upstream = table.upstream(&target.upstream.key).filter(|upstream| {
            let state = upstream.slot.get::<Self>();
            state.is_some_and(|state| std::ptr::eq(state, self))
        });
        match upstream.map(|upstream| &upstream.endpoints) {
            Some(Endpoints::Addresses(addresses)) => addresses.clone(),
            Some(Endpoints::None(_) | Endpoints::Name { .. }) | None => {
                Arc::clone(&target.endpoints)
            }
        }
    }

    /// The view of `endpoints` after `former`.
    fn successor(
        &self,
        former: Option<&View>,
        upstream: &Upstream,
        (endpoints, upstreams): (&Arc<[SocketAddr]>, &Upstreams),
    ) -> View {
        let balance = &upstream.balance;
        if let Some(moved) = former.and_then(|former| former.moved_to(endpoints, balance)) {
            return moved;
        }
        let next = View::new(endpoints, balance, upstreams.environment.loopback);
        self.scores.lock().retain(next.endpoints());
        let Some(former) = former else {
            return next;
        };
        if let Some(time) = upstream.resilience.slow_start {
            let (former, new) = (former.endpoints(), next.endpoints());
            self.starting.follow(former, new, time);
        }
        next.after(former)
    }

    /// The shares of the endpoints of `upstream`, if some are starting.
    pub(super) fn shares(&self, upstream: &Upstream) -> Option<Shares> {
        self.starting.shares(upstream.resilience.slow_start?)
    }

    /// How many requests `endpoint` of `upstream` has, if its balancer counts them.
    pub(super) fn in_flight(&self, upstream: &Upstream, endpoint: &SocketAddr) -> Option<usize> {
        let view = self.view.load();
        let counts = upstream.balance == Balance::LeastConn;
        let view = view.as_ref().filter(|_| counts)?;
        Some(view.in_flight().count(endpoint))
    }

    /// Records that an attempt at `endpoint` of `upstream` that began at `start` was successful.
    pub(super) fn succeeded(&self, upstream: &Upstream, endpoint: SocketAddr, start: Instant) {
        if self.health.succeeded(endpoint, start) {
            tracing::info!(upstream = %upstream.key, %endpoint, "ejected endpoint responds again");
            self.comes_back(upstream, endpoint);
        }
    }

    /// Records the result of health checks of `endpoint` of `upstream`.
    pub(super) fn checked(&self, upstream: &Upstream, endpoint: SocketAddr, healthy: bool) {
        let changed = self.health.checked(endpoint, healthy, Instant::now());
        if changed && healthy {
            self.comes_back(upstream, endpoint);
        }
    }

    fn comes_back(&self, upstream: &Upstream, endpoint: SocketAddr) {
        if upstream.resilience.slow_start.is_some() {
            self.starting.begin(endpoint);
        }
    }

    /// The moving averages of response times.
    pub(super) fn averages(&self) -> HashMap<SocketAddr, Duration, RandomState> {
        self.scores.lock().averages(Instant::now())
    }

    /// Adds a response time to the score of `endpoint`.
    pub(super) fn score(&self, endpoint: SocketAddr, seconds: f64) {
        self.scores
            .lock()
            .observe(endpoint, seconds, Instant::now());
    }
}

/// The endpoint of an attempt.
pub(super) struct Chosen {
    pub(super) endpoint: SocketAddr,
    /// The attempt among the requests of the endpoint, if the balancer counts them.
    pub(super) counted: Option<Counted>,
}

/// The selection of endpoints for one request.
pub(super) struct Selection<'r> {
    pub(super) upstreams: &'r Upstreams,
    pub(super) target: &'r Target<'r>,
    pub(super) input: &'r dyn SelectionInput,
    /// `Set-Cookie` of a session that begins with this request.
    pub(super) cookie: Option<HeaderValue>,
}

impl Selection<'_> {
    /// The next endpoint to try, after those in `tried`. `None` if there is no endpoint.
    pub(super) fn next(&mut self, tried: &[SocketAddr]) -> Option<Chosen> {
        let Target {
            upstream, state, ..
        } = self.target;
        let view = state.view(self.target, self.upstreams);
        let view = view.as_deref()?;
        let candidates = Candidates::new(&state.health, view, tried);
        let mut endpoint = self.choose(&candidates)?;
        if candidates.is_trial(&endpoint) && !state.health.claim(endpoint, Instant::now()) {
            endpoint = self.choose(&candidates.without_trials())?;
        }
        let counted = match upstream.balance {
            Balance::LeastConn => view.in_flight().add(&endpoint),
            Balance::RoundRobin | Balance::Ewma | Balance::Hash { .. } => None,
        };
        Some(Chosen { endpoint, counted })
    }

    fn choose(&mut self, candidates: &Candidates<'_>) -> Option<SocketAddr> {
        let Target {
            upstream, state, ..
        } = self.target;
        if let Some(endpoint) = self.input.session_endpoint()
            && candidates.suits(&endpoint)
            && candidates.endpoints().contains(&endpoint)
        {
            return Some(endpoint);
        }
        if let Some(affinity) = &upstream.affinity {
            return affinity::pick(self, affinity, candidates);
        }
        match upstream.client_ip_affinity {
            Some(timeout) => {
                let client = self.input.client().to_canonical();
                let pick = || self.balanced(candidates);
                let rules = client_ip::Rules {
                    timeout,
                    now: Instant::now(),
                    candidates,
                };
                state.clients.pick(client, rules, pick)
            }
            None => self.balanced(candidates),
        }
    }

    pub(super) fn balanced(&self, candidates: &Candidates<'_>) -> Option<SocketAddr> {
        let Target {
            upstream, state, ..
        } = self.target;
        let (endpoints, tried) = (candidates.endpoints(), candidates.tried);
        let shares = state.shares(upstream);
        let shares = shares.as_ref();
        match &upstream.balance {
            Balance::RoundRobin => {
                let worker = self.upstreams.worker;
                state.cursors.pick(worker, endpoints, tried, shares)
            }
            Balance::Ewma => {
                let scores = state.scores.lock();
                scores.pick(endpoints, tried, shares, Instant::now())
            }
            Balance::LeastConn => {
                let in_flight = candidates.view.in_flight();
                in_flight.pick(endpoints, tried, shares)
            }
            Balance::Hash { key, subset } => {
                let hash = hash(self.input.evaluate(key).as_bytes());
                let suits = |endpoint: &SocketAddr| candidates.suits(endpoint);
                if subset.is_some() {
                    candidates.view.by_subset(hash, suits)
                } else {
                    candidates.view.by_hash(hash, suits)
                }
            }
        }
    }
}
