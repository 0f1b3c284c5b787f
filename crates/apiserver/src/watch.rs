//! Watches: streams of changes.

mod encoder;
mod output;
mod relay;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

pub(crate) use self::output::Aborted;
pub(crate) use self::relay::Relay;

use self::encoder::Encoder;
use self::output::Output;
use super::encode::Form;
use super::failure::Failure;
use super::faults::Disturbance;
use super::kinds::{KINDS, Kind};
use super::read;
use super::request_info::RequestInfo;
use super::selectors::Selection;
use super::shared::{Disturbed, Opened, Shared, State};
use super::store::Event;
use super::stored::Stored;

/// Maximum of changes in one piece.
const BATCH: usize = 512;
/// The annotation of the bookmark after the initial events.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// An open watch.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    kind: &'static Kind,
    encoder: Encoder,
    output: Output,
    /// Position of the next change in the log.
    at: u64,
    /// Changes up to this version are not sent: the client has them.
    since: u64,
    /// Number of disturbances that were processed.
    processed: usize,
    changed: Receiver<u64>,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Option<Instant>,
    _open: Opened,
}

impl Watch {
    /// Opens a watch.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        kind: &'static Kind,
        info: &RequestInfo,
    ) -> Result<Self, Failure> {
        let mut selection = info.selection(kind)?;
        if let Some(name) = &info.name {
            let named = ("metadata.name".to_owned(), true, name.clone());
            selection.fields.push(named);
        }
        let start = Start::read(shared, info)?;
        let bookmarks = info.query.is("allowWatchBookmarks");
        let timeout = info
            .query
            .number("timeoutSeconds")?
            .filter(|&seconds| seconds > 0);
        let now = Instant::now();
        let open = shared.open(kind.plural.to_owned());
        let state = shared.state();
        let collection = state.store.collection(kind.storage());
        let mut watch = Self {
            shared: shared.clone(),
            kind,
            encoder: Encoder::new(kind, Form::accepted(&info.accept), selection.clone()),
            output: Output::default(),
            at: collection.end(),
            since: 0,
            processed: state.disturbances.len(),
            changed: collection.changed(),
            bookmarks,
            next_bookmark: now + shared.options.bookmark_interval,
            deadline: timeout.map(|seconds| now + Duration::from_secs(seconds)),
            _open: open,
        };
        watch.begin(&state, &start, &selection);
        drop(state);
        Ok(watch)
    }

    /// The pieces of the response body.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Bytes, Aborted>> + Send {
        stream::unfold(self, |mut watch| async move {
            let piece = watch.next().await?;
            Some((piece, watch))
        })
    }

    fn begin(&mut self, state: &State, start: &Start, selection: &Selection) {
        let collection = state.store.collection(self.kind.storage());
        let version = state.store.version();
        if start.initial {
            if start.version > version {
                return self
                    .output
                    .refuse(&Failure::too_new(start.version, version));
            }
            for stored in read::selected(&state.store, self.kind, selection) {
                self.output.send(self.encoder.event("ADDED", &stored));
            }
            if start.marked && self.bookmarks {
                let annotations = serde_json::json!({INITIAL_END: "true"});
                let bookmark = self.encoder.bookmark(version, Some(annotations));
                self.output.send(bookmark);
            }
            return;
        }
        if start.version > 0 && start.version < collection.floor() {
            return self.output.refuse(&Failure::expired(format!(
                "too old resource version: {} ({})",
                start.version,
                collection.floor()
            )));
        }
        if start.version > 0 {
            self.at = collection.after(start.version);
            self.since = start.version;
        }
    }

    async fn next(&mut self) -> Option<Result<Bytes, Aborted>> {
        loop {
            if let ControlFlow::Break(piece) = self.output.next().await {
                return piece;
            }
            self.changed.mark_unchanged();
            if self.advance() {
                continue;
            }
            let wake = match self.deadline {
                Some(deadline) => deadline.min(self.next_bookmark),
                None => self.next_bookmark,
            };
            tokio::select! {
                _ = self.changed.changed() => {}
                () = tokio::time::sleep_until(wake) => self.pass_time(),
            }
        }
    }

    /// Processes changes and disturbances, and returns whether there were any.
    fn advance(&mut self) -> bool {
        let shared = self.shared.clone();
        let state = shared.state();
        let collection = state.store.collection(self.kind.storage());
        let Some(events) = collection.changes(self.at, BATCH) else {
            let failure =
                Failure::expired("The resourceVersion for the provided watch is too old.");
            self.output.refuse(&failure);
            return true;
        };
        let before = (self.at, self.processed);
        for event in &events {
            if !self.disturb_before(event.now.version, &state.disturbances) {
                return true;
            }
            self.at += 1;
            self.take(event);
        }
        if events.len() < BATCH {
            self.disturb_before(u64::MAX, &state.disturbances);
        }
        before != (self.at, self.processed)
    }

    fn take(&mut self, event: &Event) {
        if event.now.version <= self.since {
            return;
        }
        if let Some(line) = self.encoder.change(event) {
            self.output.change(line);
        }
    }

    /// Applies the disturbances before a change, and returns whether the watch continues.
    fn disturb_before(&mut self, version: u64, all: &[Disturbed]) -> bool {
        while let Some(next) = all
            .get(self.processed)
            .filter(|next| next.version < version)
        {
            self.processed += 1;
            let target = next.resource.as_ref();
            if target.is_none_or(|resource| resource == self.kind.plural) {
                self.apply(next);
            }
            if !self.output.is_running() {
                return false;
            }
        }
        true
    }

    fn apply(&mut self, disturbed: &Disturbed) {
        if disturbed.disturbance == Disturbance::Bookmark {
            return self.bookmark(disturbed.version);
        }
        self.output.apply(&disturbed.disturbance);
    }

    fn bookmark(&mut self, version: u64) {
        self.next_bookmark = Instant::now() + self.shared.options.bookmark_interval;
        // A client that is ahead of a restored store gets no older version.
        if self.bookmarks && version >= self.since {
            let bookmark = self.encoder.bookmark(version, None);
            self.output.send(bookmark);
        }
    }

    fn pass_time(&mut self) {
        let now = Instant::now();
        let ends = self.deadline.is_some_and(|deadline| deadline <= now);
        if ends || self.next_bookmark <= now {
            // Changes so far are sent first: the bookmark's version includes them.
            let shared = self.shared.clone();
            while self.advance() && self.output.is_running() {}
            if self.output.is_running() {
                let version = shared.state().store.version();
                let caught_up = !self.advance();
                if caught_up {
                    self.bookmark(version);
                }
            }
        }
        if ends && self.output.is_running() {
            self.output.end();
        }
    }
}

/// Start of a watch.
struct Start {
    /// The version that the client has.
    version: u64,
    /// Whether existing objects are sent first.
    initial: bool,
    /// Whether a bookmark marks the end of the existing objects.
    marked: bool,
}

impl Start {
    fn read(shared: &Shared, info: &RequestInfo) -> Result<Self, Failure> {
        let query = &info.query;
        let version = query.number("resourceVersion")?.unwrap_or(0);
        let matching = query.text("resourceVersionMatch");
        if !query.has("sendInitialEvents") {
            if !matching.is_empty() {
                return Err(Failure::invalid_options(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            return Ok(Self {
                version,
                initial: version == 0,
                marked: false,
            });
        }
        if !shared.options.streaming_lists {
            return Err(Failure::invalid_options(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            ));
        }
        if matching != "NotOlderThan" {
            return Err(Failure::invalid_options(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        let initial = query.is("sendInitialEvents");
        Ok(Self {
            version,
            initial,
            marked: initial,
        })
    }
}

/// The name of the event for a change, by whether the selection has the object before and after.
fn event_name(event: &Event, selection: &Selection) -> Option<&'static str> {
    let deleted = event.change == super::store::Change::Deleted;
    let before = event
        .before
        .as_ref()
        .is_some_and(|stored| selection.has(stored));
    let now = !deleted && selection.has(&event.now);
    match (before, now) {
        (false, true) => Some("ADDED"),
        (true, true) => Some("MODIFIED"),
        (true, false) => Some("DELETED"),
        (false, false) => None,
    }
}

/// The object in the event when it leaves a selection: its last state there, at the new version.
fn last_selected(kind: &Kind, event: &Event) -> Arc<Stored> {
    match &event.before {
        Some(before) => Arc::new(before.at_version(&KINDS[kind.storage()], event.now.version)),
        None => event.now.clone(),
    }
}
