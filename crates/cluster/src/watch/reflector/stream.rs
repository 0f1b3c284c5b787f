//! Watches and streaming lists.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kube::core::Status;
use tokio::time::{Instant as Clock, sleep_until};

use super::{CHUNK, End, Position, Reflector};
use crate::watch::body::{Lines, collect};
use crate::watch::decode::{Decoded, Page, WatchEvent, head};
use crate::watch::failure::Failure;
use crate::watch::message::{Event, Progress};

#[derive(Default)]
struct Counts {
    applied: usize,
    deleted: usize,
    bookmarks: usize,
}

impl Reflector {
    /// Watches from `position` until the watch ends.
    pub(super) async fn watch(&mut self, position: &mut Option<Position>) -> Result<End, Failure> {
        let Some(here) = position else {
            return Ok(End::Relist);
        };
        if !std::mem::take(&mut here.is_fresh) && self.is_ahead(here).await? {
            return Ok(End::Rewound);
        }
        let version = here.version.clone();
        let mut lines = self.open(false, &version).await?;
        self.recovered().await;
        self.follow(&mut lines, here).await
    }

    /// Whether the server's resource version is older than `here`: it was restored from a backup, and would send no event
    /// until it reaches that version. It reports no error by itself.
    async fn is_ahead(&self, here: &Position) -> Result<bool, Failure> {
        let Some(number) = here.number else {
            return Ok(false);
        };
        let parameters = self.selection.list().limit(1);
        let body = self.send(self.selection.list_request(&parameters)?).await?;
        let page = collect(body, self.shared.timing.response_timeout).await?;
        let version = Page::read(&page)?.metadata.resource_version;
        Ok(version.parse().is_ok_and(|there: u64| there < number))
    }

    /// Starts a watch whose initial events are the list, and continues to watch.
    pub(super) async fn stream_list(
        &mut self,
        position: &mut Option<Position>,
    ) -> Result<End, Failure> {
        let mut lines = match self.open(true, "").await {
            Err(Failure::Invalid(message)) => return Ok(self.no_streams(&message)),
            result => result?,
        };
        self.report(Progress::Begin).await;
        let Some(version) = self.initial_events(&mut lines).await? else {
            return Ok(self.no_streams("no initial events"));
        };
        let here = position.insert(Position::at(version)?);
        self.listed().await;
        self.follow(&mut lines, here).await
    }

    /// Disables streaming lists for all kinds.
    fn no_streams(&self, why: &str) -> End {
        if self.shared.streams.swap(false, Ordering::Relaxed) {
            tracing::debug!(
                why,
                "the API server does not support streaming lists; listing in pages"
            );
        }
        End::NoStreams
    }

    async fn open(&self, initial: bool, version: &str) -> Result<Lines, Failure> {
        let mut parameters = self.selection.watch();
        parameters.timeout = Some(self.watch_seconds());
        parameters.send_initial_events = initial;
        let request = self.selection.watch_request(&parameters, version)?;
        Ok(Lines::new(self.send(request).await?))
    }

    /// `timeoutSeconds` of a watch, with jitter, so that watches do not end together.
    fn watch_seconds(&self) -> u32 {
        let longest = u32::try_from(self.shared.timing.watch.as_secs()).unwrap_or(290);
        fastrand::u32(longest - longest / 5..=longest).max(1)
    }

    /// Reads the initial events of a watch; returns their version, or `None` if the server does not mark their end.
    async fn initial_events(&self, lines: &mut Lines) -> Result<Option<String>, Failure> {
        let mut objects = Vec::new();
        loop {
            while let Some(line) = lines.ready() {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let event = WatchEvent::read(&line)?;
                match &*event.event_type {
                    "ADDED" | "MODIFIED" => match self.decoder.decode(event.object).0 {
                        Decoded::Unreferenced => {}
                        decoded => objects.push(decoded),
                    },
                    "BOOKMARK" if event.ends_initial_events() => {
                        self.report(Progress::Listed(std::mem::take(&mut objects)))
                            .await;
                        return Ok(Some(head(event.object)?.1));
                    }
                    "ERROR" => return Err(error_event(&event)),
                    _ => {}
                }
                if objects.len() >= CHUNK {
                    self.report(Progress::Listed(std::mem::take(&mut objects)))
                        .await;
                    tokio::task::yield_now().await;
                }
            }
            match lines.more(self.shared.timing.initial_events_timeout).await {
                Ok(true) => {}
                Ok(false) => {
                    let message = "the list ended before it was complete";
                    return Err(Failure::Connection(message.to_owned()));
                }
                // An old server ignores the parameter and sends nothing until an object changes.
                Err(Failure::Timeout(_)) => return Ok(None),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Reports events until the watch ends or a relist is due.
    async fn follow(&self, lines: &mut Lines, here: &mut Position) -> Result<End, Failure> {
        let timing = self.shared.timing;
        let limit = timing.watch + timing.slack;
        loop {
            let arrived = Instant::now();
            if let Some(end) = self.take_ready(lines, here, arrived).await? {
                return Ok(end);
            }
            tokio::select! {
                more = lines.more(limit) => {
                    if !more? {
                        return Ok(End::Closed);
                    }
                }
                () = until(self.resync) => return Ok(End::Relist),
            }
        }
    }

    /// Reports the events that have arrived, those before a failure included.
    async fn take_ready(
        &self,
        lines: &mut Lines,
        here: &mut Position,
        arrived: Instant,
    ) -> Result<Option<End>, Failure> {
        loop {
            let mut events = Vec::new();
            let mut counts = Counts::default();
            let mut result = Ok(None);
            let mut is_all = true;
            while let Some(line) = lines.ready() {
                result = self.take(&line, here, &mut events, &mut counts);
                if !matches!(result, Ok(None)) {
                    break;
                }
                if events.len() >= CHUNK {
                    is_all = false;
                    break;
                }
            }
            self.count(&counts);
            if !events.is_empty() {
                self.report_at(arrived, Progress::Events(events)).await;
            }
            if is_all || !matches!(result, Ok(None)) {
                return result;
            }
            tokio::task::yield_now().await;
        }
    }

    fn take(
        &self,
        line: &Bytes,
        here: &mut Position,
        events: &mut Vec<Event>,
        counts: &mut Counts,
    ) -> Result<Option<End>, Failure> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let line = WatchEvent::read(line)?;
        let (event, version) = match &*line.event_type {
            "ADDED" | "MODIFIED" => {
                counts.applied += 1;
                let (decoded, version) = self.decoder.decode(line.object);
                let event = match decoded {
                    Decoded::Unreferenced => None,
                    decoded => Some(Event::Apply(decoded)),
                };
                (event, version)
            }
            "DELETED" => {
                counts.deleted += 1;
                let (name, version) = head(line.object)?;
                (Some(Event::Delete(name)), version)
            }
            "BOOKMARK" => {
                counts.bookmarks += 1;
                (None, head(line.object)?.1)
            }
            "ERROR" => return Err(error_event(&line)),
            other => {
                let message = format!("unknown event type {}", other.escape_debug());
                return Err(Failure::Malformed(message));
            }
        };
        if !here.advance(version) {
            return Ok(Some(End::Disorder));
        }
        events.extend(event);
        Ok(None)
    }

    fn count(&self, counts: &Counts) {
        let kind = self.selection.kind;
        let types = [
            ("apply", counts.applied),
            ("delete", counts.deleted),
            ("bookmark", counts.bookmarks),
        ];
        for (event, count) in types.into_iter().filter(|(_, count)| *count > 0) {
            self.shared.metrics.events(kind, event, count);
        }
    }
}

fn error_event(event: &WatchEvent<'_>) -> Failure {
    match serde_json::from_str::<Status>(event.object.get()) {
        Ok(status) => {
            let after: Option<Duration> = None;
            Failure::of_status(status.code, status, after)
        }
        Err(error) => Failure::Malformed(error.to_string()),
    }
}

/// Never, for `None`.
async fn until(time: Option<Clock>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
