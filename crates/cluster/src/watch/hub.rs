//! Combines the reports of the reflectors: lists that replace the known objects as a whole, referenced objects, and whether
//! enough was listed to serve.
//!
//! It only writes the snapshot; further work (starting or stopping a watch, fetching an object) is returned as [`Task`]s.

mod custom;
mod lists;
mod sync;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use headgate_compile::{
    Changes, Environment, Finding, Kind, Name, Namespaces, Object, ObjectRef, SharedData, Snapshot,
};

use self::custom::Custom;
use super::health::Conditions;
use super::incomplete::Incomplete;
use super::message::{Id, Message, Update};
use super::references::References;
use super::selection::{Scope, Selection};
use super::statuses::Statuses;
use super::unreadable::Unreadable;
use super::{WatchOptions, selection};
use crate::gateway_status::ObservedStatuses;

/// Work for [`Tasks`](super::tasks::Tasks).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// List and watch a selection.
    Start(Id, Selection),
    Stop(Id),
    /// Request an object by name, with this request number.
    Fetch(ObjectRef, u64),
    /// Decode objects with this name from now on.
    Keep(ObjectRef),
    /// Ignore objects with this name from now on.
    Drop(ObjectRef),
    /// Ask, with this number and after this time, which of these kinds of custom resources are served.
    Discover(u64, Vec<Kind>, Duration),
}

/// See the module documentation.
pub(super) struct Hub {
    pub(super) snapshot: Snapshot,
    shared: SharedData,
    pub(super) conditions: Conditions,
    selections: Vec<Option<Followed>>,
    references: References,
    unreadable: Unreadable,
    incomplete: Incomplete,
    statuses: Arc<Statuses>,
    gateway_statuses: Arc<ObservedStatuses>,
    custom: Custom,
    namespaces: Namespaces,
    published: Option<Name>,
    settings: Option<Name>,
    /// Objects requested by name without a response or event since, with the number of the last request.
    fetching: HashMap<ObjectRef, u64, RandomState>,
    requests: u64,
    tasks: Vec<Task>,
    /// When the first pending change arrived.
    first_arrival: Option<Instant>,
}

struct Followed {
    selection: Selection,
    state: State,
    /// The list that is being read.
    list: Option<List>,
}

/// A list that is being read. It takes effect when it is complete.
#[derive(Default)]
struct List {
    /// Objects that are not in the snapshot as they are listed.
    staged: HashMap<Name, Object, RandomState>,
    /// Names of the other listed objects.
    known: HashSet<Name, RandomState>,
}

/// The progress of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not started: the references are not known yet.
    Waiting,
    Started,
    /// Listing is forbidden, and never succeeded.
    Denied,
    /// Listed once.
    Complete,
}

impl Hub {
    /// An empty hub, with the tasks to start.
    pub(super) fn new(
        options: &WatchOptions,
        statuses: Arc<Statuses>,
        conditions: Conditions,
    ) -> Self {
        let mut hub = Self {
            snapshot: Snapshot::default(),
            shared: SharedData::default(),
            conditions,
            selections: Vec::new(),
            references: References::new(options.compile.clone()),
            unreadable: Unreadable::default(),
            incomplete: Incomplete::default(),
            statuses,
            gateway_statuses: Arc::default(),
            custom: Custom::new(options.controller().is_some(), options.timing.first_retry),
            namespaces: options.compile.namespaces.clone(),
            published: options.publish_service.clone(),
            settings: options.compile.settings.clone(),
            fetching: HashMap::default(),
            requests: 0,
            tasks: Vec::new(),
            first_arrival: None,
        };
        for selection in selection::by_flags(options) {
            hub.follow(selection);
        }
        hub.start_all(|followed| !followed.is_by_name());
        hub.sync_references();
        hub
    }

    /// Statuses of objects of the Gateway API.
    pub(super) fn gateway_statuses(&self) -> Arc<ObservedStatuses> {
        self.gateway_statuses.clone()
    }

    pub(super) fn take_tasks(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.tasks)
    }

    pub(super) fn handle(&mut self, message: Message) {
        match message.update {
            Update::Selection(id, progress) => self.progress(id, progress),
            Update::Fetched(object, request, found) => self.fetched(object, request, found),
            Update::Discovered(number, kinds, served) => {
                self.discovered(number, &kinds, &served);
            }
            Update::Zone(zone) => drop(self.snapshot.set_zone(zone)),
        }
        self.sync_references();
        self.sync_custom();
        self.note_arrival(message.arrived);
    }

    fn note_arrival(&mut self, arrived: Instant) {
        let first = self.first_arrival.unwrap_or(arrived);
        self.first_arrival = self.has_changes().then_some(first);
    }

    /// Whether everything that is required was listed once.
    pub(super) fn is_complete(&self) -> bool {
        let mut followed = self.selections.iter().flatten();
        self.custom.is_known()
            && followed.all(|followed| match followed.state {
                State::Complete => true,
                State::Denied => !self.is_required(followed),
                State::Waiting | State::Started => false,
            })
    }

    pub(super) fn has_changes(&self) -> bool {
        self.snapshot.has_changes() || self.unreadable.has_changed()
    }

    pub(super) fn is_fetching(&self) -> bool {
        !self.fetching.is_empty()
    }

    /// Whether objects that belong to the pending changes may be about to arrive.
    pub(super) fn is_likely_incomplete(&mut self) -> bool {
        self.incomplete.is_likely(&self.snapshot)
    }

    /// The pending changes with the arrival of the first, and all findings.
    pub(super) fn take_changes(&mut self) -> (Option<Instant>, Changes, Vec<Finding>) {
        self.incomplete.clear();
        let changes = self.snapshot.take_changes();
        for kind in Kind::ALL {
            let count = self.snapshot.count(kind);
            self.conditions.metrics().objects(kind, count);
        }
        (self.first_arrival.take(), changes, self.unreadable.take())
    }

    /// Adds objects and environment of an earlier run, except where the API server was listed already.
    pub(super) fn seed(&mut self, objects: Vec<Object>, environment: Environment) {
        self.seed_environment(environment);
        let settings = self.settings.as_ref().map(|name| ObjectRef {
            kind: Kind::ConfigMap,
            name: name.clone(),
        });
        let mut objects: Vec<(ObjectRef, Object)> = objects
            .into_iter()
            .map(|object| (object.reference(), object))
            .collect();
        // Referring objects come before referenced ones.
        objects.sort_by_key(|(reference, _)| {
            let is_settings = Some(reference) == settings.as_ref();
            (reference.kind.is_kept_by_name(), !is_settings)
        });
        for (reference, object) in objects {
            let owner = self.owner(reference.kind, Some(&object), &reference.name);
            let is_listed = owner.and_then(|id| self.state(id)) == Some(State::Complete);
            // An object that is no longer watched would never be deleted.
            let may_be_watched = reference.kind.is_custom() && self.custom.may_exist();
            let is_watched = owner.is_some() || reference.kind.is_kept_by_name() || may_be_watched;
            if is_watched && !is_listed && self.is_kept(&reference) {
                self.put(object);
            }
        }
        self.sync_references();
        self.note_arrival(Instant::now());
    }

    fn seed_environment(&mut self, environment: Environment) {
        let of_classes = |followed: &&Followed| followed.selection.kind == Kind::IngressClass;
        let classes = self.selections.iter().flatten().find(of_classes);
        let is_known =
            classes.is_some_and(|all| matches!(all.state, State::Complete | State::Denied));
        if !is_known {
            self.snapshot
                .set_classes_readable(environment.classes_readable);
        }
        if self.snapshot.latest_environment().zone.is_none() {
            self.snapshot.set_zone(environment.zone);
        }
    }

    /// False for an unreferenced Secret or ConfigMap.
    fn is_kept(&self, object: &ObjectRef) -> bool {
        !object.kind.is_kept_by_name() || self.references.contains(object)
    }

    fn put(&mut self, mut object: Object) {
        self.shared.share(&mut object);
        let reference = object.reference();
        self.unreadable.remove(&reference);
        let before = self.snapshot.latest(&reference).cloned();
        if self.snapshot.apply(object.clone()) {
            self.changed(&reference, before.as_ref(), Some(&object));
        }
    }

    fn remove(&mut self, object: &ObjectRef) {
        self.unreadable.remove(object);
        let before = self.snapshot.latest(object).cloned();
        if self.snapshot.delete(object) {
            self.changed(object, before.as_ref(), None);
        }
        match object.kind {
            Kind::Ingress => self.statuses.forget(&object.name),
            Kind::Service if self.published.as_ref() == Some(&object.name) => {
                self.statuses.publish(None);
            }
            kind if kind.is_custom() => self.gateway_statuses.forget(object),
            _ => {}
        }
    }

    fn changed(&mut self, object: &ObjectRef, before: Option<&Object>, after: Option<&Object>) {
        self.incomplete.changed(object, before.is_none());
        match object.kind {
            Kind::IngressClass | Kind::ConfigMap => {
                self.references.settings_changed(&self.snapshot);
            }
            kind if kind.refers() => self.references.referrer_changed(before, after),
            _ => {}
        }
    }

    fn follow(&mut self, selection: Selection) -> Id {
        self.selections.push(Some(Followed {
            selection,
            state: State::Waiting,
            list: None,
        }));
        Id(self.selections.len() - 1)
    }

    fn owner(&self, kind: Kind, object: Option<&Object>, name: &Name) -> Option<Id> {
        owner(&self.selections, kind, object, name)
    }

    /// Whether nothing can be served before it is listed.
    fn is_required(&self, followed: &Followed) -> bool {
        match followed.name() {
            None => followed.selection.is_required,
            Some(_) => self.has_settings(followed),
        }
    }

    /// Whether it is the ConfigMap with the settings, which has a watch of its own.
    fn has_settings(&self, followed: &Followed) -> bool {
        let name = followed
            .name()
            .filter(|_| followed.selection.kind == Kind::ConfigMap);
        name.is_some() && name == self.settings.as_ref()
    }

    fn state(&self, id: Id) -> Option<State> {
        self.followed(id).map(|followed| followed.state)
    }

    fn followed(&self, id: Id) -> Option<&Followed> {
        self.selections.get(id.0).and_then(Option::as_ref)
    }

    fn followed_mut(&mut self, id: Id) -> Option<&mut Followed> {
        self.selections.get_mut(id.0).and_then(Option::as_mut)
    }
}

/// The selection that owns an object: the first that covers it.
fn owner(
    selections: &[Option<Followed>],
    kind: Kind,
    object: Option<&Object>,
    name: &Name,
) -> Option<Id> {
    let covers = |followed: &Followed| {
        followed.selection.kind == kind
            && match object {
                Some(object) => followed.selection.covers(object, name),
                None => followed.selection.covers_name(name),
            }
    };
    let mut selections = selections.iter();
    let found = selections.position(|one| one.as_ref().is_some_and(covers));
    found.map(Id)
}

impl Followed {
    /// Whether only its referenced objects are kept.
    fn is_by_name(&self) -> bool {
        self.selection.kind.is_kept_by_name() && self.name().is_none()
    }

    /// Its only object, if it selects by name.
    fn name(&self) -> Option<&Name> {
        match &self.selection.scope {
            Scope::Named(name) => Some(name),
            Scope::All | Scope::Namespace(_) | Scope::SlicesOf(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
