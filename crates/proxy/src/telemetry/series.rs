//! Request metrics of routes.
//!
//! The series of a route live in its slot, one chain per worker. A series is found by comparing a few pointers and
//! numbers; label text is built when metrics are gathered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use headgate_table::Origin;
use http::Method;
use parking_lot::Mutex;

use super::chain::Chain;
use super::count::{Histogram, Scales, Total};
use super::observation::{Observation, RouteLabels};

/// Most series of one route and worker. A backend that sends ever new statuses exceeds it; these are counted by class of
/// status then, so that neither memory nor the search grows.
const MOST_SERIES: usize = 128;

/// Labels of request metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// From a closed set.
    pub(super) method: &'static str,
    /// A status, or its first digit alone for its class.
    pub(super) status: u16,
    /// The host as configured.
    pub(super) host: Option<Arc<str>>,
    /// The alternative, such as a canary, that served.
    pub(super) canary: Option<Arc<str>>,
    /// Object and Service. Part of the key because a slot may outlive a change of the Service.
    pub(super) origin: Arc<Origin>,
    /// The path as its object wrote it.
    pub(super) path: Arc<str>,
    /// Exposed as a metric; the others are for the console only.
    pub(super) is_exposed: bool,
}

/// Which labels request metrics have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labelling {
    /// By host; default true.
    pub(super) host: bool,
    /// Count hosts that no object names, too; default false.
    pub(super) undefined_host: bool,
    /// By class of status instead of status; default false.
    pub(super) status_classes: bool,
    /// Count the requests that are in no metric, too, for the console; default false.
    pub(super) everything: bool,
}

/// The counters of one key and worker.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) key: Key,
    request_duration: Histogram,
    response_duration: Histogram,
    header_duration: Histogram,
    connect_duration: Histogram,
    request_size: Histogram,
    response_size: Histogram,
    bytes_sent: Histogram,
}

/// The counters of one key over all workers.
#[derive(Default)]
pub(super) struct SeriesTotal {
    /// Its count is also the number of requests.
    pub(super) request_duration: Total,
    /// Of the last attempt.
    pub(super) response_duration: Total,
    /// Of the last attempt.
    pub(super) header_duration: Total,
    /// Of the last attempt.
    pub(super) connect_duration: Total,
    /// Head and body.
    pub(super) request_size: Total,
    /// Head and body.
    pub(super) response_size: Total,
    /// The same, with coarser buckets.
    pub(super) bytes_sent: Total,
}

/// The counters of one route, by worker.
#[derive(Debug)]
pub(super) struct RouteSeries {
    /// Distinguishes it from those of all other routes, also former ones.
    number: u64,
    workers: Box<[Chain<Series>]>,
}

/// All routes that have counters, which are dropped with their route.
#[derive(Debug)]
pub(super) struct Routes {
    labelling: Labelling,
    scales: Scales,
    /// How many workers count.
    workers: usize,
    routes: Mutex<Vec<Weak<RouteSeries>>>,
    /// How many there have been.
    numbers: AtomicU64,
}

impl Routes {
    /// None yet.
    pub(super) fn new(labelling: Labelling, scales: Scales, workers: usize) -> Self {
        Self {
            labelling,
            scales,
            workers,
            routes: Mutex::default(),
            numbers: AtomicU64::new(0),
        }
    }

    pub(super) fn labelling(&self) -> Labelling {
        self.labelling
    }

    pub(super) fn scales(&self) -> &Scales {
        &self.scales
    }

    /// Counts a request that a worker served. Requests without a route are not counted, and those of Ingresses for hosts that no
    /// object names are in no metric unless the labelling includes them (behaviour.md 7).
    pub(super) fn observe(&self, seen: &Observation<'_>, worker: usize) {
        let labelling = self.labelling;
        let Some(route) = seen.route else { return };
        let is_undefined = labelling.host && !seen.host_is_literal && route.is_of_ingress();
        let is_exposed = !is_undefined || labelling.undefined_host;
        if !is_exposed && !labelling.everything {
            return;
        }
        let Some(series) = route.slot.get_or_init(|| self.add()) else {
            return;
        };
        if let Some(chain) = series.workers.get(worker) {
            let key = KeyRef {
                is_exposed,
                ..KeyRef::new(seen, route, labelling)
            };
            find(chain, &key, &self.scales).observe(seen, &self.scales);
        }
    }

    /// The routes that still exist.
    pub(super) fn live(&self) -> Vec<Arc<RouteSeries>> {
        let mut live = Vec::new();
        self.routes
            .lock()
            .retain(|route| route.upgrade().map(|route| live.push(route)).is_some());
        live
    }

    fn add(&self) -> Arc<RouteSeries> {
        let series = Arc::new(RouteSeries {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            workers: (0..self.workers).map(|_| Chain::default()).collect(),
        });
        let mut routes = self.routes.lock();
        if routes.len() == routes.capacity() {
            // If metrics are never gathered, dropped routes are removed here only.
            routes.retain(|route| route.strong_count() > 0);
        }
        routes.push(Arc::downgrade(&series));
        series
    }
}

impl RouteSeries {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Series of all workers, not added up.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Series> {
        self.workers.iter().flat_map(Chain::iter)
    }
}

impl Series {
    fn new(key: Key, scales: &Scales) -> Self {
        let Scales { time, length, size } = scales;
        Self {
            key,
            request_duration: Histogram::new(time),
            response_duration: Histogram::new(time),
            header_duration: Histogram::new(time),
            connect_duration: Histogram::new(time),
            request_size: Histogram::new(length),
            response_size: Histogram::new(length),
            bytes_sent: Histogram::new(size),
        }
    }

    /// Adds its requests to `times`, by duration. Returns their number.
    pub(super) fn add_times(&self, times: &mut Vec<u64>) -> u64 {
        self.request_duration.add_to(times)
    }

    fn observe(&self, seen: &Observation<'_>, scales: &Scales) {
        let Scales { time, length, size } = scales;
        self.request_duration.observe(time, nanos(seen.duration));
        self.request_size.observe(length, seen.request_length);
        self.response_size.observe(length, seen.bytes_sent());
        self.bytes_sent.observe(size, seen.bytes_sent());
        let Some(last) = seen.attempts.len().checked_sub(1) else {
            return;
        };
        if let Some(taken) = seen.response_time(last) {
            self.response_duration.observe(time, nanos(taken));
        }
        let Some(attempt) = seen.attempts.get(last) else {
            return;
        };
        if let Some(taken) = attempt.header {
            self.header_duration.observe(time, nanos(taken));
        }
        if let Some(taken) = attempt.connect {
            self.connect_duration.observe(time, nanos(taken));
        }
    }
}

impl Key {
    /// The first digit of the status.
    pub(super) fn class(&self) -> u16 {
        if self.status >= 100 {
            self.status / 100
        } else {
            self.status
        }
    }
}

impl SeriesTotal {
    /// Adds the present counts of `series`.
    pub(super) fn add(&mut self, series: &Series) {
        self.request_duration.add(&series.request_duration);
        self.response_duration.add(&series.response_duration);
        self.header_duration.add(&series.header_duration);
        self.connect_duration.add(&series.connect_duration);
        self.request_size.add(&series.request_size);
        self.response_size.add(&series.response_size);
        self.bytes_sent.add(&series.bytes_sent);
    }
}

/// A borrowed [`Key`].
struct KeyRef<'r> {
    method: &'static str,
    status: u16,
    host: Option<&'r Arc<str>>,
    canary: Option<&'r Arc<str>>,
    route: RouteLabels<'r>,
    is_exposed: bool,
}

impl<'r> KeyRef<'r> {
    fn new(seen: &Observation<'r>, route: RouteLabels<'r>, labelling: Labelling) -> Self {
        let status = if labelling.status_classes {
            seen.status / 100
        } else {
            seen.status
        };
        let host = seen.host.filter(|_| labelling.host);
        Self {
            method: method_label(seen.method),
            status,
            host,
            canary: seen.alternative,
            route,
            is_exposed: true,
        }
    }

    /// This key with the class of the status.
    fn folded(&self) -> Self {
        let status = if self.status >= 100 {
            self.status / 100
        } else {
            self.status
        };
        Self { status, ..*self }
    }

    fn equals(&self, key: &Key) -> bool {
        self.status == key.status
            && self.method == key.method
            && same(self.host, key.host.as_ref())
            && same(self.canary, key.canary.as_ref())
            && same(Some(self.route.origin), Some(&key.origin))
            && same(Some(self.route.path), Some(&key.path))
            && self.is_exposed == key.is_exposed
    }

    fn to_key(&self) -> Key {
        Key {
            method: self.method,
            status: self.status,
            host: self.host.cloned(),
            canary: self.canary.cloned(),
            origin: self.route.origin.clone(),
            path: self.route.path.clone(),
            is_exposed: self.is_exposed,
        }
    }
}

fn find<'c>(chain: &'c Chain<Series>, key: &KeyRef<'_>, scales: &Scales) -> &'c Series {
    let lookup = |key: &KeyRef<'_>| chain.iter().find(|series| key.equals(&series.key));
    if let Some(series) = lookup(key) {
        return series;
    }
    if chain.iter().count() < MOST_SERIES {
        return chain.push(|| Series::new(key.to_key(), scales));
    }
    let folded = key.folded();
    lookup(&folded).unwrap_or_else(|| chain.push(|| Series::new(folded.to_key(), scales)))
}

/// Whether they are equal; usually they are the same allocation, which is cheap to check.
fn same<T: PartialEq + ?Sized>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (None, None) => true,
        _ => false,
    }
}

/// The method if it is a standard one: clients must not create labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "OTHER",
    }
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
