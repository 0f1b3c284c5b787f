//! The events of one watch, in its form.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::super::answer::{self, Form};
use super::super::kinds::Kind;
use super::super::selectors::Selection;
use super::super::store::{Change, Event};
use super::super::stored::Stored;
use super::{seen_as, shown};

/// Writes events.
#[derive(Debug)]
pub(super) struct Line {
    kind: &'static Kind,
    form: Form,
    selection: Selection,
}

impl Line {
    pub(super) fn new(kind: &'static Kind, form: Form, selection: Selection) -> Self {
        Self {
            kind,
            form,
            selection,
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
    pub(super) fn take(&self, event: &Event) -> Option<Bytes> {
        let name = seen_as(event, &self.selection)?;
        let left = name == "DELETED" && event.change != Change::Deleted;
        Some(if left {
            self.whole(name, &shown(self.kind, event))
        } else {
            self.whole(name, &event.now)
        })
    }
}
