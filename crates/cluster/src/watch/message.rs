//! Messages from the tasks that read the API server to the hub that keeps the objects.

use std::sync::Arc;
use std::time::Instant;

use headgate_compile::{Name, ObjectRef};

use super::decode::Decoded;

/// Something happened.
#[derive(Debug)]
pub(super) struct Message {
    /// When its bytes came.
    pub(super) arrived: Instant,
    /// What.
    pub(super) news: News,
}

/// What happened.
#[derive(Debug)]
pub(super) enum News {
    /// To the objects of a selection.
    Selection(Id, Progress),
    /// The response to the request of this number for an object by name; `None`: there is no such object.
    Fetched(ObjectRef, u64, Option<Decoded>),
    /// The zone of our node was found.
    Zone(Option<Arc<str>>),
}

/// A selection, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(pub(super) usize);

/// Of the objects of a selection.
#[derive(Debug)]
pub(super) enum Progress {
    /// A list begins; an unfinished one before it is dropped.
    Begin,
    /// Objects of the list.
    Listed(Vec<Decoded>),
    /// The list is complete.
    Complete,
    /// Changes after a complete list, in their order.
    Events(Vec<Event>),
    /// An attempt failed.
    Failed(Problem),
    /// The attempts succeed again.
    Well,
}

/// One event of a watch.
#[derive(Debug)]
pub(super) enum Event {
    /// The object is now this.
    Apply(Decoded),
    /// The object is gone.
    Delete(Name),
}

/// Why an attempt failed.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// For people.
    pub(super) message: String,
    /// Which sort.
    pub(super) sort: Sort,
    /// How many attempts failed one after the other.
    pub(super) failures: u32,
}

/// Sorts of failures that are treated differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// The kind may not be read, or does not exist.
    Denied,
    /// Anything else.
    Trouble,
}
