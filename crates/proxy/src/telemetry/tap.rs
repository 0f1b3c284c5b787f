//! Watching requests as they end.
//!
//! A worker asks once for each request, with one relaxed load, whether a tap is open. Only then it keeps what a tap may
//! see of the request, for a bounded number of requests a second; each tap gets a bounded number of those that its filter
//! selects, and loses requests, which are counted, rather than memory if it is slow.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use headgate_table::Origin;
use http::Uri;
use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::observation::Observation;
use super::series::RouteSeries;
use crate::details::Details;
use crate::values::{Source as _, protocol};

/// Most taps at once.
const MOST_TAPS: usize = 16;
/// Most requests of one tap in a second.
const MOST_EVENTS: u32 = 200;
/// Requests of one worker in a second that taps may look at.
const MOST_LOOKS: u32 = 1000;
/// Requests that wait for a reader.
const QUEUE: usize = 256;
/// Longest text of a request that is shown, characters.
const LONGEST_TEXT: usize = 2048;

/// Which requests to watch; those to which everything that is set applies.
#[derive(Clone, Debug, Default)]
pub struct TapFilter {
    /// Part of the host, as configured or as the client named it, in lower case; empty: any.
    pub host: String,
    /// Beginning of the path; empty: any.
    pub path: String,
    /// Statuses; `None`: any.
    pub status: Option<RangeInclusive<u16>>,
    /// Addresses of clients; `None`: any.
    pub clients: Option<IpNet>,
    /// Namespace of the object of the route; empty: any.
    pub namespace: String,
    /// Name of the object of the route; empty: any.
    pub object: String,
    /// [`route_number`](crate::route_number) of the route; `None`: any.
    pub route: Option<u64>,
    /// Show the values of queries.
    pub show_query: bool,
    /// Requests in a second; 0: as many as may be, 200.
    pub rate: u32,
}

/// A request that has ended.
#[derive(Clone, Debug)]
pub struct TappedRequest {
    /// When it ended.
    pub end: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// The client, after real-IP processing.
    pub client: IpAddr,
    /// The method.
    pub method: String,
    /// It came over TLS.
    pub https: bool,
    /// The host that the client named; empty: none, or not valid.
    pub authority: String,
    /// Path and query as received; the values of the query are `*` unless the filter shows them.
    pub target: String,
    /// Such as `HTTP/1.1`.
    pub version: &'static str,
    /// Status sent; 499: the client left before.
    pub status: u16,
    /// Bytes received, head and body.
    pub request_bytes: u64,
    /// Bytes sent, head and body.
    pub response_bytes: u64,
    /// The host as configured.
    pub host: Option<Arc<str>>,
    /// [`route_number`](crate::route_number) of its route.
    pub route: Option<u64>,
    /// The object of its route.
    pub origin: Option<Arc<Origin>>,
    /// The path of its route.
    pub path: Option<Arc<str>>,
    /// The alternative, such as a canary, that served.
    pub canary: Option<Arc<str>>,
    /// The last endpoint.
    pub endpoint: Option<SocketAddr>,
    /// How many endpoints were asked.
    pub attempts: usize,
    /// Time of the last endpoint, to the end of its response.
    pub endpoint_time: Option<Duration>,
    /// Why the proxy made an error of it; empty: it did not.
    pub reason: &'static str,
    /// `X-Request-ID`; empty: none.
    pub request_id: String,
}

/// There are as many taps as may be.
#[derive(Debug, thiserror::Error)]
#[error("{MOST_TAPS} taps are open, which is the most: close one")]
pub struct TooManyTaps;

/// The requests that a filter selects, until it is dropped.
pub struct TapReceiver {
    taps: Arc<Taps>,
    tap: Arc<Tap>,
    requests: mpsc::Receiver<TappedRequest>,
}

impl TapReceiver {
    /// The next request, and how many were lost before it. Cancel safe.
    pub async fn next(&mut self) -> Option<(TappedRequest, u64)> {
        let request = self.requests.recv().await?;
        Some((request, self.tap.lost.swap(0, Ordering::Relaxed)))
    }

    /// The next request, if one is there.
    pub fn try_next(&mut self) -> Option<TappedRequest> {
        self.requests.try_recv().ok()
    }
}

impl Drop for TapReceiver {
    fn drop(&mut self) {
        self.taps.remove(&self.tap);
    }
}

/// The taps of all workers.
#[derive(Default)]
pub(super) struct Taps {
    open: AtomicUsize,
    list: ArcSwap<Vec<Arc<Tap>>>,
    /// Serialises changes of the list.
    changes: Mutex<()>,
}

struct Tap {
    filter: TapFilter,
    rate: Mutex<Rate>,
    requests: mpsc::Sender<TappedRequest>,
    lost: AtomicU64,
}

impl Taps {
    /// Whether a tap is open.
    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Opens a tap.
    ///
    /// # Errors
    /// When there are as many as may be.
    pub(super) fn open(self: &Arc<Self>, filter: TapFilter) -> Result<TapReceiver, TooManyTaps> {
        let _change = self.changes.lock();
        let mut list = Vec::clone(&self.list.load());
        if list.len() >= MOST_TAPS {
            return Err(TooManyTaps);
        }
        let (sender, requests) = mpsc::channel(QUEUE);
        let tap = Arc::new(Tap {
            filter,
            rate: Mutex::default(),
            requests: sender,
            lost: AtomicU64::new(0),
        });
        list.push(tap.clone());
        self.open.store(list.len(), Ordering::Relaxed);
        self.list.store(Arc::new(list));
        Ok(TapReceiver {
            taps: self.clone(),
            tap,
            requests,
        })
    }

    fn remove(&self, tap: &Arc<Tap>) {
        let _change = self.changes.lock();
        let mut list = Vec::clone(&self.list.load());
        list.retain(|other| !Arc::ptr_eq(other, tap));
        self.open.store(list.len(), Ordering::Relaxed);
        self.list.store(Arc::new(list));
    }

    /// Sends a finished request to those that it interests.
    pub(super) fn offer(&self, seen: &Observation<'_>) {
        for tap in self.list.load().iter() {
            if tap.filter.selects(seen) {
                tap.offer(seen);
            }
        }
    }
}

impl Tap {
    fn offer(&self, seen: &Observation<'_>) {
        let most = match self.filter.rate {
            0 => MOST_EVENTS,
            rate => rate.min(MOST_EVENTS),
        };
        let sent = self.rate.lock().admit(seen.end, most)
            && self
                .requests
                .try_send(TappedRequest::of(seen, self.filter.show_query))
                .is_ok();
        if !sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl TapFilter {
    fn selects(&self, seen: &Observation<'_>) -> bool {
        let origin = seen.route.map(|route| route.origin);
        let is = |wanted: &str, actual: Option<&str>| wanted.is_empty() || actual == Some(wanted);
        let mut hosts = [
            Some(seen.server_name()),
            seen.details.map(|details| &*details.name),
        ]
        .into_iter()
        .flatten();
        let mut statuses = self.status.iter();
        let mut networks = self.clients.iter();
        (self.host.is_empty() || hosts.any(|host| host.contains(&self.host)))
            && seen.target.path().starts_with(&self.path)
            && statuses.all(|range| range.contains(&seen.status))
            && networks.all(|network| network.contains(&seen.client.to_canonical()))
            && is(&self.namespace, origin.map(|origin| &*origin.namespace))
            && is(&self.object, origin.map(|origin| &*origin.name))
            && (self.route.is_none() || self.route == number(seen))
    }
}

fn number(seen: &Observation<'_>) -> Option<u64> {
    let series = seen.route?.slot.get::<RouteSeries>()?;
    Some(series.number())
}

impl TappedRequest {
    fn of(seen: &Observation<'_>, show_query: bool) -> Self {
        let last = seen.attempts.len().checked_sub(1);
        let id = seen.request_id.map(String::from_utf8_lossy);
        Self {
            end: SystemTime::now(),
            duration: seen.duration,
            client: seen.client.to_canonical(),
            method: shortened(seen.method.as_str()),
            https: seen.https(),
            authority: shortened(seen.details.map_or("", |details| &details.name)),
            target: shortened(&target(seen.target, show_query)),
            version: protocol(seen.version),
            status: seen.status,
            request_bytes: seen.request_length,
            response_bytes: seen.bytes_sent(),
            host: seen.host.cloned(),
            route: number(seen),
            origin: seen.route.map(|route| route.origin.clone()),
            path: seen.route.map(|route| route.path.clone()),
            canary: seen.alternative.cloned(),
            endpoint: seen.attempts.last().map(|attempt| attempt.endpoint),
            attempts: seen.attempts.len(),
            endpoint_time: last.and_then(|last| seen.response_time(last)),
            reason: seen.reason.map_or("", |fault| fault.reason),
            request_id: shortened(id.as_deref().unwrap_or_default()),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

/// Path and query. A value may be a password or token, and so may a part without a name.
fn target(uri: &Uri, show_query: bool) -> String {
    let Some(query) = uri.query() else {
        return uri.path().to_owned();
    };
    if show_query {
        return format!("{}?{query}", uri.path());
    }
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) => format!("{name}=*"),
        None if pair.is_empty() => String::new(),
        None => "*".to_owned(),
    });
    let masked: Vec<String> = masked.collect();
    format!("{}?{}", uri.path(), masked.join("&"))
}

/// How many there were in the current second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    since: Option<Instant>,
    used: u32,
}

impl Rate {
    /// Counts one at `now`, unless there are `most` in this second already.
    fn admit(&mut self, now: Instant, most: u32) -> bool {
        let is_over =
            |since: Instant| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(is_over) {
            *self = Self {
                since: Some(now),
                used: 0,
            };
        }
        let admitted = self.used < most;
        self.used += u32::from(admitted);
        admitted
    }
}

/// The requests of one worker that taps look at.
#[derive(Default)]
pub(super) struct Looks(Cell<Rate>);

impl Looks {
    /// Whether taps may look at a request that began at `now`.
    pub(super) fn admit(&self, now: Instant) -> bool {
        let mut rate = self.0.get();
        let admitted = rate.admit(now, MOST_LOOKS);
        self.0.set(rate);
        admitted
    }
}

/// Whether taps may look at the request with these details.
pub(super) fn is_watched(details: Option<&Details>) -> bool {
    details.is_some_and(|details| details.is_watched)
}
