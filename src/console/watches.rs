//! How endpoints serve the route whose page is open: from a sample of its requests, because nothing counts by endpoint.
//!
//! The sample is taken while the page of the route is loaded again and again, and forgotten when it is not any more.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use headgate_console::model::Endpoint;
use headgate_proxy::{TapFilter, TapReceiver, TappedRequest, Telemetry};
use parking_lot::Mutex;

/// Most routes that are watched at once: each is a tap.
const MOST: usize = 4;
/// Requests of a sample, a second.
const RATE: u32 = 100;
/// How long a route is watched after it was looked at.
const UNUSED: Duration = Duration::from_secs(30);

/// The routes whose pages are open, by the numbers of their counters.
#[derive(Default)]
pub(super) struct Watches(Mutex<HashMap<u64, Watch>>);

struct Watch {
    requests: TapReceiver,
    endpoints: HashMap<String, Sampled>,
    used: Instant,
}

/// The requests of an endpoint in the sample.
#[derive(Clone, Copy, Default)]
struct Sampled {
    requests: u32,
    seconds: f64,
}

impl Watches {
    /// Fills in the share and the latency of endpoints, as far as requests of the route have shown them.
    pub(super) fn fill<'e>(
        &self,
        telemetry: &Telemetry,
        route: u64,
        endpoints: impl Iterator<Item = &'e mut Endpoint>,
    ) {
        let mut watches = self.0.lock();
        if !watches.contains_key(&route) {
            if watches.len() < MOST
                && let Ok(requests) = telemetry.tap(TapFilter {
                    route: Some(route),
                    rate: RATE,
                    ..TapFilter::default()
                })
            {
                watches.insert(route, Watch::new(requests));
            }
            return;
        }
        if let Some(watch) = watches.get_mut(&route) {
            watch.read();
            watch.fill(endpoints);
        }
    }

    /// Ends the watch of routes whose pages are closed.
    pub(super) fn forget_unused(&self) {
        let mut watches = self.0.lock();
        watches.retain(|_, watch| watch.used.elapsed() < UNUSED);
    }
}

impl Watch {
    fn new(requests: TapReceiver) -> Self {
        Self {
            requests,
            endpoints: HashMap::new(),
            used: Instant::now(),
        }
    }

    fn read(&mut self) {
        self.used = Instant::now();
        while let Some(request) = self.requests.try_next() {
            let TappedRequest {
                endpoint: Some(endpoint),
                endpoint_time: Some(time),
                ..
            } = request
            else {
                continue;
            };
            self.count(endpoint, time);
        }
    }

    fn count(&mut self, endpoint: SocketAddr, time: Duration) {
        let sampled = self.endpoints.entry(endpoint.to_string()).or_default();
        sampled.requests = sampled.requests.saturating_add(1);
        sampled.seconds += time.as_secs_f64();
    }

    fn fill<'e>(&self, endpoints: impl Iterator<Item = &'e mut Endpoint>) {
        let all: u32 = self.endpoints.values().map(|one| one.requests).sum();
        if all == 0 {
            return;
        }
        for endpoint in endpoints {
            let sampled = self.endpoints.get(&endpoint.address);
            let sampled = sampled.copied().unwrap_or_default();
            endpoint.share = Some(f64::from(sampled.requests) / f64::from(all));
            if sampled.requests > 0 {
                endpoint.average_seconds = Some(sampled.seconds / f64::from(sampled.requests));
            }
        }
    }
}
