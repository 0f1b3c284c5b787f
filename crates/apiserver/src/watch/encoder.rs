//! Encoding of the events of one watch.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::super::encode::{self, Form};
use super::super::kinds::Kind;
use super::super::selectors::Selection;
use super::super::store::{Change, Event};
use super::super::stored::Stored;
use super::{event_name, last_selected};

/// Encodes events in the form and for the selection of a watch.
#[derive(Debug)]
pub(super) struct Encoder {
    kind: &'static Kind,
    form: Form,
    selection: Selection,
}

impl Encoder {
    pub(super) fn new(kind: &'static Kind, form: Form, selection: Selection) -> Self {
        Self {
            kind,
            form,
            selection,
        }
    }

    /// An event with an object.
    pub(super) fn event(&self, name: &str, stored: &Stored) -> Bytes {
        let object = self.form.object(self.kind, stored);
        let mut line = BytesMut::with_capacity(object.len() + 40);
        encode::event(&mut line, name, &object);
        line.freeze()
    }

    /// A bookmark.
    pub(super) fn bookmark(&self, version: u64, annotations: Option<Value>) -> Bytes {
        let object = self.form.bookmark(self.kind, version, annotations);
        let mut line = BytesMut::new();
        encode::event(&mut line, "BOOKMARK", &object);
        line.freeze()
    }

    /// A change, if it affects the selection of this watch.
    pub(super) fn change(&self, event: &Event) -> Option<Bytes> {
        let name = event_name(event, &self.selection)?;
        let left = name == "DELETED" && event.change != Change::Deleted;
        Some(if left {
            self.event(name, &last_selected(self.kind, event))
        } else {
            self.event(name, &event.now)
        })
    }
}
