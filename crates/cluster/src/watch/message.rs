//! Messages from the tasks that read the API server to the hub.

use std::sync::Arc;
use std::time::Instant;

use headgate_compile::{Kind, Name, ObjectRef};

use super::decode::Decoded;
use super::discovery::Served;

#[derive(Debug)]
pub(super) struct Message {
    /// When the data arrived.
    pub(super) arrived: Instant,
    pub(super) update: Update,
}

#[derive(Debug)]
pub(super) enum Update {
    /// About the objects of a selection.
    Selection(Id, Progress),
    /// The response to the request with this number for an object by name; `None`: there is no such object.
    Fetched(ObjectRef, u64, Option<Decoded>),
    /// The answer to the question with this number which of these kinds are served.
    Discovered(u64, Vec<Kind>, Vec<Served>),
    /// The zone of this pod's node.
    Zone(Option<Arc<str>>),
}

/// The number of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(pub(super) usize);

/// The progress of a selection.
#[derive(Debug)]
pub(super) enum Progress {
    /// A list begins; an incomplete one before it is dropped.
    Begin,
    /// Objects of the list.
    Listed(Vec<Decoded>),
    /// The list is complete.
    Complete,
    /// Changes after a complete list, in order.
    Events(Vec<Event>),
    /// An attempt failed.
    Failed(Problem),
    /// An attempt succeeded after failures.
    Recovered,
}

/// One event of a watch.
#[derive(Debug)]
pub(super) enum Event {
    /// Added or modified.
    Apply(Decoded),
    Delete(Name),
}

/// Why an attempt failed.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) kind: ProblemKind,
    /// Consecutive failed attempts.
    pub(super) failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProblemKind {
    /// Listing is forbidden, or the kind does not exist.
    Denied,
    /// A kind of custom resources is not served, or not in this version.
    NotServed,
    Other,
}
