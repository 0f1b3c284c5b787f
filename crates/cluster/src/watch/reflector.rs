//! Keeps up with the objects of one selection: lists them, watches them, and begins again when something goes wrong.
//!
//! It reports what it sees and remembers only its resource version. What a list says counts when it is complete; a watch that ends
//! goes on where it was; and only when the server no longer knows that place is the list made anew.
//!
//! Not the watcher of kube-runtime: there one object that cannot be decoded spoils its whole list, a server without streaming
//! lists is not listed in pages instead, and retries of its client may wait very long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use http::Request;
use kube::Client;
use kube::client::Body;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant as Clock, sleep};

use super::Timing;
use super::backoff::Backoff;
use super::body::{collect, send};
use super::decode::{Decoded, Decoder, Page};
use super::failure::Failure;
use super::message::{Id, Message, News, Problem, Progress, Sort};
use super::metrics::WatchMetrics;
use super::selection::Selection;

mod stream;

/// Objects of a page.
const PAGE: u32 = 500;
/// Objects that are read without letting others run.
const CHUNK: usize = 128;
/// A place from which no watch succeeds for so many attempts is given up.
const ATTEMPTS: u32 = 3;

/// What all reflectors share.
#[derive(Clone)]
pub(super) struct Shared {
    /// Sends requests.
    pub(super) client: Client,
    /// Where news go.
    pub(super) out: mpsc::Sender<Message>,
    /// Whether the server offers lists by watching, as far as is known.
    pub(super) streams: Arc<AtomicBool>,
    /// How long to wait for what.
    pub(super) timing: Timing,
    /// Metrics.
    pub(super) metrics: WatchMetrics,
}

/// Follows one selection.
pub(super) struct Reflector {
    id: Id,
    selection: Selection,
    decoder: Decoder,
    shared: Shared,
    /// Somebody asks for a new list.
    relist: Arc<Notify>,
    /// Attempts that failed one after the other.
    failures: u32,
    /// Failures that may be due to the place we want to go on from.
    stuck: u32,
    /// When to list anew, if ever.
    resync: Option<Clock>,
}

/// Where a watch is.
#[derive(Debug)]
struct Position {
    version: String,
    /// The version as a number, where it is one.
    number: Option<u64>,
    /// The list that it is of was read just now.
    is_fresh: bool,
}

/// How a watch ended, if not by a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A list is complete; the watch comes next.
    Listed,
    /// The server ended the watch.
    Closed,
    /// A new list is wanted.
    Relist,
    /// An event came after a younger one.
    Disorder,
    /// The server is behind us.
    Rewound,
    /// The server cannot list by watching.
    NoStreams,
}

impl End {
    fn reason(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Closed => "closed",
            Self::Relist => "resync",
            Self::Disorder => "disorder",
            Self::Rewound => "rewound",
            Self::NoStreams => "no_streams",
        }
    }
}

impl Reflector {
    /// Of this selection; `relist` asks it for a new list.
    pub(super) fn new(
        (id, selection): (Id, Selection),
        decoder: Decoder,
        shared: Shared,
        relist: Arc<Notify>,
    ) -> Self {
        Self {
            id,
            selection,
            decoder,
            shared,
            relist,
            failures: 0,
            stuck: 0,
            resync: None,
        }
    }

    /// Follows the selection until the one who listens is gone.
    pub(super) async fn run(mut self) {
        let timing = self.shared.timing;
        let mut backoff = Backoff::new(timing.first_retry);
        let mut position = None;
        while !self.shared.out.is_closed() {
            let begun = Clock::now();
            let before = position
                .as_ref()
                .map(|here: &Position| here.version.clone());
            let result = match position {
                Some(_) => self.watch(&mut position).await,
                None => self.list(&mut position).await,
            };
            self.ended(&result);
            let lasted = begun.elapsed() > timing.first_retry * 10;
            if lasted {
                backoff.reset();
            }
            if position.as_ref().map(|here| &here.version) != before.as_ref() {
                self.stuck = 0;
                // A list alone is no reason to hurry: what comes after it may fail every time.
                let has_followed = position.as_ref().is_some_and(|here| !here.is_fresh);
                if before.is_some() || has_followed {
                    backoff.reset();
                }
            }
            let wait = match result {
                Ok(End::Listed | End::NoStreams) => None,
                Ok(End::Closed) if lasted => None,
                // A server that closes at once is not asked again at once.
                Ok(End::Closed) => Some(backoff.failed(timing.longest_retry, fastrand::f32())),
                Ok(End::Relist | End::Rewound) => {
                    position = None;
                    None
                }
                Ok(End::Disorder) => {
                    position = None;
                    Some(backoff.failed(timing.longest_retry, fastrand::f32()))
                }
                Err(failure) => {
                    if self.is_position_lost(&failure) {
                        position = None;
                    }
                    let wait = timing.wait(&failure, &mut backoff);
                    self.failed(&failure).await;
                    Some(wait)
                }
            };
            if let Some(wait) = wait {
                sleep(wait).await;
            }
        }
    }

    fn ended(&self, result: &Result<End, Failure>) {
        if matches!(result, Ok(End::Listed)) {
            return;
        }
        let reason = match result {
            Ok(end) => end.reason(),
            Err(failure) => failure.reason(),
        };
        self.shared.metrics.restarted(self.selection.kind, reason);
        tracing::debug!(what = %self.selection.describe(), reason, "a list or watch ended");
    }

    /// Whether to begin with a new list after a failure.
    fn is_position_lost(&mut self, failure: &Failure) -> bool {
        match failure {
            Failure::Gone => true,
            // Not at once: a list costs the server much more than another attempt.
            Failure::Garbage(_) | Failure::Invalid(_) | Failure::Answer { .. } => {
                self.stuck += 1;
                self.stuck >= ATTEMPTS
            }
            _ => false,
        }
    }

    /// Lists, by watching where the server offers it.
    async fn list(&mut self, position: &mut Option<Position>) -> Result<End, Failure> {
        if self.shared.streams.load(Ordering::Relaxed) {
            return self.list_by_watching(position).await;
        }
        self.report(Progress::Begin).await;
        let mut parameters = self.selection.list().limit(PAGE);
        // A list that lost its place among the pages too often is got whole.
        if self.failures >= ATTEMPTS {
            parameters.limit = None;
        }
        let version = loop {
            let request = kube::core::Request::new(self.selection.path()).list(&parameters);
            let request = request.map_err(|error| Failure::Invalid(error.to_string()))?;
            let body = self.send(request).await?;
            let page = collect(body, self.shared.timing.patience).await?;
            let metadata = self.take_page(&page).await?;
            match metadata.next.filter(|next| !next.is_empty()) {
                Some(next) => parameters.continue_token = Some(next),
                None => break metadata.resource_version,
            }
        };
        *position = Some(Position::at(version)?);
        self.listed().await;
        Ok(End::Listed)
    }

    /// A list is complete.
    async fn listed(&mut self) {
        let period = self.shared.timing.resync;
        self.resync = (!period.is_zero()).then(|| Clock::now() + period);
        self.report(Progress::Complete).await;
        self.well().await;
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Body, Failure> {
        send(&self.shared.client, request, self.shared.timing.patience).await
    }

    async fn take_page(&self, text: &[u8]) -> Result<super::decode::PageMetadata, Failure> {
        let page = Page::read(text)?;
        for chunk in page.items().chunks(CHUNK) {
            let mut objects = Vec::with_capacity(chunk.len());
            for json in chunk {
                match self.decoder.decode(json).0 {
                    Decoded::Unwanted => {}
                    decoded => objects.push(decoded),
                }
            }
            self.report(Progress::Listed(objects)).await;
            tokio::task::yield_now().await;
        }
        Ok(page.metadata)
    }

    async fn failed(&mut self, failure: &Failure) {
        self.failures = self.failures.saturating_add(1);
        let sort = match failure {
            Failure::Denied(_) | Failure::Unknown(_) => Sort::Denied,
            _ => Sort::Trouble,
        };
        let problem = Problem {
            message: failure.to_string(),
            sort,
            failures: self.failures,
        };
        self.report(Progress::Failed(problem)).await;
    }

    /// An attempt succeeded.
    async fn well(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            self.report(Progress::Well).await;
        }
    }

    async fn report(&self, progress: Progress) {
        self.tell_at(Instant::now(), progress).await;
    }

    async fn tell_at(&self, arrived: Instant, progress: Progress) {
        let news = News::Selection(self.id, progress);
        // Nobody listens any more when this fails; the loop ends then.
        let _ = self.shared.out.send(Message { arrived, news }).await;
    }
}

impl Position {
    fn at(version: String) -> Result<Self, Failure> {
        if version.is_empty() {
            return Err(Failure::Garbage("a list without a version".to_owned()));
        }
        let number = version.parse().ok();
        Ok(Self {
            version,
            number,
            is_fresh: true,
        })
    }

    /// Goes on to the version of an event. False if that is older than where we are: the API's versions grow within a
    /// watch, so that something is wrong with the events, or with what came before.
    fn advance(&mut self, version: String) -> bool {
        // One without a version changes nothing.
        if version.is_empty() {
            return true;
        }
        let number = version.parse().ok();
        if let (Some(here), Some(next)) = (self.number, number)
            && next < here
        {
            return false;
        }
        *self = Self {
            version,
            number,
            is_fresh: false,
        };
        true
    }
}
