//! Watches: streams of changes.

mod line;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use self::line::Line;
use super::answer::{self, Form};
use super::asked::Asked;
use super::failure::Failure;
use super::faults::Disturbance;
use super::kinds::{KINDS, Kind};
use super::read;
use super::selectors::Selection;
use super::shared::{Disturbed, Opened, Shared, State};
use super::store::Event;
use super::stored::Stored;

/// Changes that go out in one piece.
const BATCH: usize = 512;
/// The annotation of the bookmark after the initial events.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// The connection is to be broken.
#[derive(Debug)]
pub(crate) struct Broken;

/// An open watch.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    kind: &'static Kind,
    line: Line,
    /// Place in the log of the next change.
    at: u64,
    /// Changes up to this version are not sent: the client has them.
    since: u64,
    /// Disturbances that were looked at.
    seen: usize,
    news: Receiver<u64>,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Option<Instant>,
    /// What goes out first.
    first: VecDeque<Bytes>,
    state: Going,
    _open: Opened,
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    On,
    Silent,
    Ending,
    Breaking,
}

impl Watch {
    /// Opens a watch.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        kind: &'static Kind,
        asked: &Asked,
    ) -> Result<Self, Failure> {
        let mut selection = asked.selection(kind)?;
        if let Some(name) = &asked.name {
            let named = ("metadata.name".to_owned(), true, name.clone());
            selection.fields.push(named);
        }
        let start = Start::read(shared, asked)?;
        let bookmarks = asked.query.is("allowWatchBookmarks");
        let timeout = asked
            .query
            .number("timeoutSeconds")?
            .filter(|&seconds| seconds > 0);
        let now = Instant::now();
        let open = shared.open(kind.plural.to_owned());
        let state = shared.state();
        let kept = state.store.kept(kind.shelf());
        let mut watch = Self {
            shared: shared.clone(),
            kind,
            line: Line::new(kind, Form::accepted(&asked.accept), selection.clone()),
            at: kept.end(),
            since: 0,
            seen: state.disturbances.len(),
            news: kept.news(),
            bookmarks,
            next_bookmark: now + shared.options.bookmark_interval,
            deadline: timeout.map(|seconds| now + Duration::from_secs(seconds)),
            first: VecDeque::new(),
            state: Going::On,
            _open: open,
        };
        watch.begin(&state, &start, &selection);
        drop(state);
        Ok(watch)
    }

    /// Makes it say nothing, ever.
    pub(crate) fn silence(&mut self) {
        self.state = Going::Silent;
    }

    /// What it sends.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
        stream::unfold(self, |mut watch| async move {
            let piece = watch.next().await?;
            Some((piece, watch))
        })
    }

    fn begin(&mut self, state: &State, start: &Start, selection: &Selection) {
        let kept = state.store.kept(self.kind.shelf());
        let version = state.store.version();
        if start.initial {
            if start.version > version {
                return self.refuse(&Failure::too_new(start.version, version));
            }
            for stored in read::selected(&state.store, self.kind, selection) {
                self.first.push_back(self.line.whole("ADDED", &stored));
            }
            if start.marked && self.bookmarks {
                let annotations = serde_json::json!({INITIAL_END: "true"});
                let bookmark = self.line.bookmark(version, Some(annotations));
                self.first.push_back(bookmark);
            }
            return;
        }
        if start.version > 0 && start.version < kept.floor() {
            return self.refuse(&Failure::expired(format!(
                "too old resource version: {} ({})",
                start.version,
                kept.floor()
            )));
        }
        if start.version > 0 {
            self.at = kept.after(start.version);
            self.since = start.version;
        }
    }

    fn refuse(&mut self, failure: &Failure) {
        let mut line = BytesMut::new();
        answer::error_event(&mut line, failure);
        self.first.push_back(line.freeze());
        self.state = Going::Ending;
    }

    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            if self.state == Going::Silent {
                std::future::pending::<()>().await;
            }
            if !self.first.is_empty() {
                return Some(Ok(gather(&mut self.first)));
            }
            match self.state {
                Going::Ending => return None,
                Going::Breaking => {
                    // What was sent before is flushed when nothing follows at once.
                    tokio::task::yield_now().await;
                    return Some(Err(Broken));
                }
                Going::On | Going::Silent => {}
            }
            self.news.mark_unchanged();
            if self.advance() {
                continue;
            }
            let wake = match self.deadline {
                Some(deadline) => deadline.min(self.next_bookmark),
                None => self.next_bookmark,
            };
            tokio::select! {
                _ = self.news.changed() => {}
                () = tokio::time::sleep_until(wake) => self.pass_time(),
            }
        }
    }

    /// Takes what has happened; whether there was anything.
    fn advance(&mut self) -> bool {
        let shared = self.shared.clone();
        let state = shared.state();
        let kept = state.store.kept(self.kind.shelf());
        let Some(events) = kept.changes(self.at, BATCH) else {
            let failure =
                Failure::expired("The resourceVersion for the provided watch is too old.");
            self.refuse(&failure);
            return true;
        };
        let before = (self.at, self.seen);
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
        before != (self.at, self.seen)
    }

    fn take(&mut self, event: &Event) {
        if event.now.version <= self.since {
            return;
        }
        self.first.extend(self.line.take(event));
    }

    /// Meets the disturbances that come before a change; whether the watch goes on.
    fn disturb_before(&mut self, version: u64, all: &[Disturbed]) -> bool {
        while let Some(next) = all.get(self.seen).filter(|next| next.version < version) {
            self.seen += 1;
            let mine = next.resource.as_ref();
            if mine.is_none_or(|resource| resource == self.kind.plural) {
                self.meet(next);
            }
            if self.state != Going::On {
                return false;
            }
        }
        true
    }

    fn meet(&mut self, disturbed: &Disturbed) {
        match &disturbed.what {
            Disturbance::Close => self.state = Going::Ending,
            Disturbance::Abort => {
                self.first
                    .push_back(Bytes::from_static(b"{\"type\":\"MODIFIED\",\"obj"));
                self.state = Going::Breaking;
            }
            Disturbance::Silence => self.state = Going::Silent,
            Disturbance::Garbage => {
                self.first
                    .push_back(Bytes::from_static(b"\x00\xffgarbage}{\n"));
                self.state = Going::Ending;
            }
            Disturbance::Error(410) => {
                self.refuse(&Failure::expired("too old resource version"));
            }
            Disturbance::Error(code) => self.refuse(&Failure::injected(*code, None)),
            Disturbance::Bookmark => self.bookmark(disturbed.version),
            Disturbance::Duplicate(count) => self.line.duplicate(*count),
            Disturbance::Replay(count) => self.first.extend(self.line.replay(*count)),
            Disturbance::Reorder(count) => self.line.reorder(*count),
        }
    }

    fn bookmark(&mut self, version: u64) {
        self.next_bookmark = Instant::now() + self.shared.options.bookmark_interval;
        // A client that is ahead of a restored store is not told to go back.
        if self.bookmarks && version >= self.since {
            let bookmark = self.line.bookmark(version, None);
            self.first.push_back(bookmark);
        }
    }

    fn pass_time(&mut self) {
        let now = Instant::now();
        let ends = self.deadline.is_some_and(|deadline| deadline <= now);
        if ends || self.next_bookmark <= now {
            // What has happened goes first, or the bookmark would promise too much.
            let shared = self.shared.clone();
            while self.advance() && self.state == Going::On {}
            if self.state == Going::On {
                let version = shared.state().store.version();
                let caught_up = !self.advance();
                if caught_up {
                    self.bookmark(version);
                }
            }
        }
        if ends && self.state == Going::On {
            self.state = Going::Ending;
        }
    }
}

fn gather(pieces: &mut VecDeque<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces.drain(..) {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}

/// Where a watch starts.
struct Start {
    /// The version that the client has.
    version: u64,
    /// Whether what exists is sent first.
    initial: bool,
    /// Whether the end of that is marked.
    marked: bool,
}

impl Start {
    fn read(shared: &Shared, asked: &Asked) -> Result<Self, Failure> {
        let query = &asked.query;
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

/// Whether an object was and is in a selection, as the name of the event that tells it.
fn seen_as(event: &Event, selection: &Selection) -> Option<&'static str> {
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

/// What an event shows: an object that left a selection is shown as it last was in it, under the new version.
fn shown(kind: &Kind, event: &Event) -> Arc<Stored> {
    match &event.before {
        Some(before) => Arc::new(before.at_version(&KINDS[kind.shelf()], event.now.version)),
        None => event.now.clone(),
    }
}
