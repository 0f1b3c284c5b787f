//! The events of one watch, in its form, with the last ones remembered for disturbances.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::super::answer::{self, Form};
use super::super::kinds::Kind;
use super::super::selectors::Selection;
use super::super::store::{Change, Event};
use super::super::stored::Stored;
use super::{seen_as, shown};

/// Events that are remembered for replays.
const REMEMBERED: usize = 64;

/// Writes events.
#[derive(Debug)]
pub(super) struct Line {
    kind: &'static Kind,
    form: Form,
    selection: Selection,
    last: VecDeque<Bytes>,
    duplicate: usize,
    reorder: usize,
    held: Vec<Bytes>,
}

impl Line {
    pub(super) fn new(kind: &'static Kind, form: Form, selection: Selection) -> Self {
        Self {
            kind,
            form,
            selection,
            last: VecDeque::new(),
            duplicate: 0,
            reorder: 0,
            held: Vec::new(),
        }
    }

    /// An event of an object.
    pub(super) fn whole(&self, name: &str, stored: &Stored) -> Bytes {
        let object = self.form.object(self.kind, stored);
        let mut line = BytesMut::with_capacity(object.len() + 40);
        answer::event(&mut line, name, &object);
        line.freeze()
    }

    /// A bookmark.
    pub(super) fn bookmark(&self, version: u64, annotations: Option<Value>) -> Bytes {
        let object = self.form.bookmark(self.kind, version, annotations);
        let mut line = BytesMut::new();
        answer::event(&mut line, "BOOKMARK", &object);
        line.freeze()
    }

    /// A change, if it is one for this watch.
    pub(super) fn take(&mut self, event: &Event) -> Vec<Bytes> {
        let Some(name) = seen_as(event, &self.selection) else {
            return Vec::new();
        };
        let left = name == "DELETED" && event.change != Change::Deleted;
        let line = if left {
            self.whole(name, &shown(self.kind, event))
        } else {
            self.whole(name, &event.now)
        };
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        self.disturbed(line)
    }

    /// Sends the next events twice.
    pub(super) fn duplicate(&mut self, count: usize) {
        self.duplicate = count;
    }

    /// Sends the next events in reverse.
    pub(super) fn reorder(&mut self, count: usize) {
        self.reorder = count;
    }

    /// The last events.
    pub(super) fn replay(&self, count: usize) -> Vec<Bytes> {
        let skip = self.last.len().saturating_sub(count);
        self.last.iter().skip(skip).cloned().collect()
    }

    fn disturbed(&mut self, line: Bytes) -> Vec<Bytes> {
        if self.reorder > 0 {
            self.held.push(line);
            if self.held.len() < self.reorder {
                return Vec::new();
            }
            self.reorder = 0;
            return self.held.drain(..).rev().collect();
        }
        if self.duplicate > 0 {
            self.duplicate -= 1;
            return vec![line.clone(), line];
        }
        vec![line]
    }
}
