//! Custom resources: a kind is watched while its CRD is installed and a version of it is served that can be read.

use std::time::Duration;

use headgate_compile::{Definition, Kind, Object, ObjectRef};

use super::{Hub, State, Task};
use crate::watch::discovery::Served;
use crate::watch::message::Id;
use crate::watch::selection::Selection;

/// Longest wait before the API server is asked again about a kind that has a CRD and is not served yet.
const LONGEST: Duration = Duration::from_secs(60);
/// How often it is asked again until the CRD changes: for two minutes.
const ATTEMPTS: u32 = 10;

/// What is known about custom resources.
pub(super) struct Custom {
    /// Whether they are watched.
    is_enabled: bool,
    /// Which kinds are served was found out once.
    is_known: bool,
    /// Something changed since the last question.
    is_outdated: bool,
    /// The number of the question that is not answered yet.
    pending: Option<u64>,
    questions: u64,
    /// Questions in a row after which a kind was still not served.
    attempts: u32,
    first_retry: Duration,
    /// CRDs cannot be listed; every kind may exist.
    is_blind: bool,
}

impl Custom {
    pub(super) fn new(is_enabled: bool, first_retry: Duration) -> Self {
        Self {
            is_enabled,
            is_known: !is_enabled,
            is_outdated: false,
            pending: None,
            questions: 0,
            attempts: 0,
            first_retry,
            is_blind: false,
        }
    }

    /// Whether the kinds that are served have their watches.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether objects of custom kinds may exist before it is known which kinds do.
    pub(super) fn may_exist(&self) -> bool {
        self.is_enabled && !self.is_known
    }

    fn delay(&self) -> Duration {
        match self.attempts {
            0 => Duration::ZERO,
            attempts => (self.first_retry * (1 << attempts.min(16))).min(LONGEST),
        }
    }
}

impl Hub {
    /// A CRD was added, changed or removed, or all were listed.
    pub(super) fn definitions_changed(&mut self) {
        self.custom.is_blind = false;
        self.custom.attempts = 0;
        let present = self.defined();
        for kind in kinds().filter(|kind| !present.contains(kind)) {
            self.unfollow(kind);
        }
        if present.is_empty() {
            self.custom.is_known = true;
        } else {
            self.custom.is_outdated = true;
        }
    }

    /// CRDs cannot be listed: discovery, which every user may use, tells about all kinds.
    pub(super) fn definitions_denied(&mut self) {
        self.custom.is_blind = true;
        self.custom.is_outdated = true;
    }

    /// A kind is not served any more, or in another version.
    pub(super) fn not_served(&mut self, id: Id) {
        if let Some(kind) = self.followed(id).map(|followed| followed.selection.kind) {
            self.stop(id);
            self.ask_again();
            tracing::debug!(kind = kind.as_str(), "no longer served");
        }
    }

    /// Asks what is served, if that may have changed and no question is pending.
    pub(super) fn sync_custom(&mut self) {
        if !self.custom.is_outdated || self.custom.pending.is_some() {
            return;
        }
        let kinds = if self.custom.is_blind {
            kinds().collect()
        } else {
            self.defined()
        };
        self.custom.is_outdated = false;
        self.custom.questions += 1;
        self.custom.pending = Some(self.custom.questions);
        let number = self.custom.questions;
        let delay = self.custom.delay();
        self.tasks.push(Task::Discover(number, kinds, delay));
    }

    /// The answer: starts and stops watches.
    pub(super) fn discovered(&mut self, number: u64, kinds: &[Kind], served: &[Served]) {
        if self.custom.pending != Some(number) {
            return;
        }
        self.custom.pending = None;
        self.custom.is_known = true;
        let present = self.defined();
        let mut is_any_missing = false;
        for kind in kinds {
            // A CRD may have gone since the question.
            let may_exist = self.custom.is_blind || present.contains(kind);
            match served.iter().find(|(one, _)| one == kind) {
                Some((_, version)) if may_exist => self.follow_version(*kind, version),
                _ => {
                    is_any_missing |= may_exist;
                    self.unfollow(*kind);
                }
            }
        }
        if is_any_missing && !self.custom.is_blind {
            self.ask_again();
        }
        self.start_named();
    }

    fn ask_again(&mut self) {
        if self.custom.attempts < ATTEMPTS {
            self.custom.attempts += 1;
            self.custom.is_outdated = true;
        } else {
            tracing::warn!(
                "a CRD of the Gateway API is installed and none of its versions that can be read is served: its objects are ignored"
            );
        }
    }

    /// Watches a kind in this version, unless it does already. The objects of another version stay until these are listed.
    fn follow_version(&mut self, kind: Kind, version: &'static str) {
        let of_kind = self.of_kind(kind);
        let is_same = |id: Id| {
            let selection = self.followed(id).map(|followed| &followed.selection);
            selection.is_some_and(|selection| selection.version == Some(version))
        };
        if of_kind.is_some_and(is_same) {
            return;
        }
        if let Some(id) = of_kind {
            self.stop(id);
        }
        self.gateway_statuses.set_version(kind, version);
        let selection = Selection::custom(kind, version, &self.namespaces);
        tracing::info!(kind = kind.as_str(), version, "watching custom resources");
        let id = self.follow(selection);
        if let Some(followed) = self.followed_mut(id) {
            followed.state = State::Started;
            let task = Task::Start(id, followed.selection.clone());
            self.tasks.push(task);
        }
    }

    /// Ends the watch of a kind, and forgets its objects.
    fn unfollow(&mut self, kind: Kind) {
        if let Some(id) = self.of_kind(kind) {
            self.stop(id);
            tracing::info!(
                kind = kind.as_str(),
                "no longer watching custom resources: the kind is not served"
            );
        }
        self.unreadable.retain(kind, |_| false);
        let objects = self.snapshot.latest_of(kind);
        let objects = objects.map(|(name, _)| ObjectRef {
            kind,
            name: name.clone(),
        });
        let objects: Vec<ObjectRef> = objects.collect();
        objects.iter().for_each(|object| self.remove(object));
    }

    fn stop(&mut self, id: Id) {
        if let Some(followed) = self.selections.get_mut(id.0) {
            *followed = None;
        }
        self.conditions.set(id, None);
        self.tasks.push(Task::Stop(id));
    }

    fn of_kind(&self, kind: Kind) -> Option<Id> {
        let mut selections = self.selections.iter();
        let of_kind = selections.position(|one| {
            one.as_ref()
                .is_some_and(|followed| followed.selection.kind == kind)
        });
        of_kind.map(Id)
    }

    /// The kinds whose CRDs are installed.
    fn defined(&self) -> Vec<Kind> {
        let all = self.snapshot.latest_of(Kind::CustomResourceDefinition);
        let all = all.filter_map(|(_, object)| match object {
            Object::CustomResourceDefinition(definition) => Definition::kind(definition),
            _ => None,
        });
        all.collect()
    }
}

fn kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|kind| kind.is_custom())
}
