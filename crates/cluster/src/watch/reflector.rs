//! Lists and watches the objects of one selection, and recovers from failures.
//!
//! It keeps only its resource version. A list takes effect when it is complete; a watch that ends is resumed from its
//! resource version; and only when that is too old, the selection is listed again.
//!
//! Not the watcher of kube-runtime: there one object that cannot be decoded fails its whole list, a server without streaming
//! lists is not listed in pages instead, and retries of its client may wait very long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use http::Request;
use kube::Client;
use kube::client::Body;
use tokio::sync::mpsc;
use tokio::time::{Instant as Clock, sleep};

use super::Timing;
use super::backoff::Backoff;
use super::body::{collect, send};
use super::decode::{Decoded, Decoder, Page};
use super::failure::Failure;
use super::message::{Id, Message, Problem, ProblemKind, Progress, Update};
use super::metrics::WatchMetrics;
use super::selection::Selection;

mod stream;

/// Most objects of a page.
const PAGE: u32 = 500;
/// Most objects decoded before other tasks run.
const CHUNK: usize = 128;
/// Failed attempts to watch from a resource version before the selection is listed again.
const ATTEMPTS: u32 = 3;

/// What all reflectors share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    /// The queue of the hub.
    pub(super) out: mpsc::Sender<Message>,
    /// False once the server is known not to support streaming lists.
    pub(super) streams: Arc<AtomicBool>,
    pub(super) timing: Timing,
    pub(super) metrics: WatchMetrics,
}

/// Lists and watches one selection.
pub(super) struct Reflector {
    id: Id,
    selection: Selection,
    decoder: Decoder,
    shared: Shared,
    /// Consecutive failed attempts.
    failures: u32,
    /// Failures that may be due to the resource version.
    position_failures: u32,
    /// When to relist.
    resync: Option<Clock>,
}

/// The resource version of a watch.
#[derive(Debug)]
struct Position {
    version: String,
    /// The version as a number, if it is one.
    number: Option<u64>,
    /// It is the version of a list that was just read.
    is_fresh: bool,
}

/// How a watch ended, if not by a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A list is complete; the watch comes next.
    Listed,
    /// The server ended the watch.
    Closed,
    /// A relist is due.
    Relist,
    /// An event is older than the one before it.
    Disorder,
    /// The server's resource version is older than the watch's.
    Rewound,
    /// The server does not support streaming lists.
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
    pub(super) fn new((id, selection): (Id, Selection), decoder: Decoder, shared: Shared) -> Self {
        Self {
            id,
            selection,
            decoder,
            shared,
            failures: 0,
            position_failures: 0,
            resync: None,
        }
    }

    /// Runs until the hub is dropped.
    pub(super) async fn run(mut self) {
        let timing = self.shared.timing;
        let mut backoff = Backoff::new(timing.first_retry);
        let mut position = None;
        while !self.shared.out.is_closed() {
            let start = Clock::now();
            let before = position
                .as_ref()
                .map(|here: &Position| here.version.clone());
            let result = match position {
                Some(_) => self.watch(&mut position).await,
                None => self.list(&mut position).await,
            };
            self.ended(&result);
            let lasted = start.elapsed() > timing.first_retry * 10;
            if lasted {
                backoff.reset();
            }
            if position.as_ref().map(|here| &here.version) != before.as_ref() {
                self.position_failures = 0;
                // A list alone does not reset the back-off: the watch after it may fail every time.
                let has_followed = position.as_ref().is_some_and(|here| !here.is_fresh);
                if before.is_some() || has_followed {
                    backoff.reset();
                }
            }
            let wait = match result {
                Ok(End::Listed | End::NoStreams) => None,
                Ok(End::Closed) if lasted => None,
                // A server that closes a watch at once must not be called again at once.
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
                    let wait = timing.wait(&failure, self.selection.may_lack(), &mut backoff);
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

    /// Whether to relist after a failure.
    fn is_position_lost(&mut self, failure: &Failure) -> bool {
        match failure {
            Failure::Gone => true,
            // Not at once: a list costs the server much more than another attempt.
            Failure::Malformed(_) | Failure::Invalid(_) | Failure::Status { .. } => {
                self.position_failures += 1;
                self.position_failures >= ATTEMPTS
            }
            _ => false,
        }
    }

    /// Lists, by a streaming list if the server supports it.
    async fn list(&mut self, position: &mut Option<Position>) -> Result<End, Failure> {
        if self.shared.streams.load(Ordering::Relaxed) {
            return self.stream_list(position).await;
        }
        self.report(Progress::Begin).await;
        let mut parameters = self.selection.list().limit(PAGE);
        // After too many failures, such as expired continue tokens, the list is requested without pages.
        if self.failures >= ATTEMPTS {
            parameters.limit = None;
        }
        let version = loop {
            let body = self.send(self.selection.list_request(&parameters)?).await?;
            let page = collect(body, self.shared.timing.response_timeout).await?;
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
        self.recovered().await;
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Body, Failure> {
        send(
            &self.shared.client,
            request,
            self.shared.timing.response_timeout,
        )
        .await
    }

    async fn take_page(&self, text: &[u8]) -> Result<super::decode::PageMetadata, Failure> {
        let page = Page::read(text)?;
        for chunk in page.items().chunks(CHUNK) {
            let mut objects = Vec::with_capacity(chunk.len());
            for json in chunk {
                match self.decoder.decode(json).0 {
                    Decoded::Unreferenced => {}
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
        let kind = match failure {
            Failure::NotFound(_) if self.selection.kind.is_custom() => ProblemKind::NotServed,
            Failure::Denied(_) | Failure::NotFound(_) => ProblemKind::Denied,
            _ => ProblemKind::Other,
        };
        let problem = Problem {
            message: failure.to_string(),
            kind,
            failures: self.failures,
        };
        self.report(Progress::Failed(problem)).await;
    }

    /// An attempt succeeded.
    async fn recovered(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            self.report(Progress::Recovered).await;
        }
    }

    async fn report(&self, progress: Progress) {
        self.report_at(Instant::now(), progress).await;
    }

    async fn report_at(&self, arrived: Instant, progress: Progress) {
        let update = Update::Selection(self.id, progress);
        // Fails when the hub is dropped; the loop ends then.
        let _ = self.shared.out.send(Message { arrived, update }).await;
    }
}

impl Position {
    fn at(version: String) -> Result<Self, Failure> {
        if version.is_empty() {
            return Err(Failure::Malformed(
                "a list without a resource version".to_owned(),
            ));
        }
        let number = version.parse().ok();
        Ok(Self {
            version,
            number,
            is_fresh: true,
        })
    }

    /// Moves to the version of an event. False if that is older than the present one: versions grow within a watch, so that
    /// an event is missing or repeated.
    fn advance(&mut self, version: String) -> bool {
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
