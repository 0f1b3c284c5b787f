//! Load balancing: which endpoint a request goes to.
//!
//! Precedence: cookie affinity, client-address affinity, the configured balancer. Endpoints that have failed the same
//! request, or that cannot be connected to, are avoided while there are others.

mod candidates;
mod client_ip;
mod ewma;
mod ring;
mod round_robin;
mod view;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use foldhash::quality::RandomState;
use headgate_table::{Balance, Upstream};
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::time::Instant;

pub(super) use candidates::Candidates;
pub(super) use ring::hash;
pub(super) use view::View;

use super::affinity;
use super::health::Health;
use super::load::Load;
use super::retry_window::RetryWindow;
use super::target::Target;
use super::{CallError, SelectionInput, Upstreams};
use client_ip::Clients;
use ewma::Scores;
use round_robin::Cursors;

/// State of an upstream between requests. It lives in the upstream's slot and outlives tables.
pub(super) struct UpstreamState {
    view: ArcSwapOption<View>,
    cursors: Cursors,
    scores: Mutex<Scores>,
    clients: Clients,
    /// Which endpoints should get no requests for now.
    pub(super) health: Health,
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
                load: Load::new(workers),
                window: Mutex::default(),
                binding: affinity::binding(&upstream.log_name),
                resolved: ArcSwapOption::empty(),
            })
        });
        state.ok_or(CallError::NoEndpoints)
    }

    /// The view of `endpoints`, rebuilt when they have changed.
    pub(super) fn view(
        &self,
        endpoints: &Arc<[SocketAddr]>,
        balance: &Balance,
        loopback: bool,
    ) -> arc_swap::Guard<Option<Arc<View>>> {
        let view = self.view.load();
        if view
            .as_ref()
            .is_some_and(|view| view.is_of(endpoints, balance))
        {
            return view;
        }
        let next = match view
            .as_ref()
            .and_then(|view| view.moved_to(endpoints, balance))
        {
            Some(moved) => moved,
            None => {
                let rebuilt = View::new(endpoints, balance, loopback);
                self.scores.lock().retain(rebuilt.endpoints());
                rebuilt
            }
        };
        drop(view);
        self.view.store(Some(Arc::new(next)));
        self.view.load()
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
    pub(super) fn next(&mut self, tried: &[SocketAddr]) -> Option<SocketAddr> {
        let Target {
            upstream,
            state,
            endpoints,
        } = self.target;
        let loopback = self.upstreams.environment.loopback;
        let view = state.view(endpoints, &upstream.balance, loopback);
        let view = view.as_deref()?;
        let candidates = Candidates::new(&state.health, view, tried);
        let endpoint = self.choose(&candidates)?;
        if candidates.is_trial(&endpoint) && !state.health.claim(endpoint, Instant::now()) {
            return self.choose(&candidates.without_trials());
        }
        Some(endpoint)
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

    fn balanced(&self, candidates: &Candidates<'_>) -> Option<SocketAddr> {
        let state = self.target.state;
        let (endpoints, tried) = (candidates.endpoints(), candidates.tried);
        match &self.target.upstream.balance {
            Balance::RoundRobin => state.cursors.pick(self.upstreams.worker, endpoints, tried),
            Balance::Ewma => state.scores.lock().pick(endpoints, tried, Instant::now()),
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

/// A random one of `endpoints`, preferably one that `suits`.
pub(super) fn random(
    endpoints: &[SocketAddr],
    suits: impl Fn(&SocketAddr) -> bool,
) -> Option<SocketAddr> {
    if endpoints.is_empty() {
        return None;
    }
    let start = fastrand::usize(..endpoints.len());
    let mut turn = endpoints.iter().cycle().skip(start).take(endpoints.len());
    turn.find(|endpoint| suits(endpoint))
        .or_else(|| endpoints.get(start))
        .copied()
}
