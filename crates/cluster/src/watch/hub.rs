//! Puts together what the reflectors report: lists that replace what was known as a whole, objects that are referenced, and
//! whether enough is known to serve.
//!
//! It writes into the snapshot and does nothing else by itself: what has to be done (a watch begun or ended, an object
//! fetched) it returns as [`Task`]s.

mod lists;
mod sync;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use headgate_compile::{Changes, Environment, Finding, Kind, Name, Object, ObjectRef, Snapshot};

use super::health::Conditions;
use super::incomplete::Incomplete;
use super::message::{Id, Message, News};
use super::references::References;
use super::selection::{Scope, Selection};
use super::statuses::Statuses;
use super::unreadable::Unreadable;
use super::{WatchOptions, selection};

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Follow a selection.
    Start(Id, Selection),
    /// No longer follow it.
    Stop(Id),
    /// Ask for an object by its name, as the request of this number.
    Fetch(ObjectRef, u64),
    /// Read objects with this name from now on.
    Keep(ObjectRef),
    /// Leave objects with this name unread from now on.
    Drop(ObjectRef),
}

/// See the module.
pub(super) struct Hub {
    pub(super) snapshot: Snapshot,
    pub(super) conditions: Conditions,
    selections: Vec<Option<Followed>>,
    references: References,
    unreadable: Unreadable,
    incomplete: Incomplete,
    statuses: Arc<Statuses>,
    published: Option<Name>,
    settings: Option<Name>,
    /// Objects that are being fetched by name and of which no event came since; with the number of the last request.
    fetching: HashMap<ObjectRef, u64, RandomState>,
    requests: u64,
    tasks: Vec<Task>,
    /// When the bytes of the first pending change came.
    first: Option<Instant>,
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
    /// The names of all others.
    known: HashSet<Name, RandomState>,
}

/// How far a selection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not begun: what is referenced is not known yet.
    Waiting,
    /// Begun.
    Started,
    /// Its kind cannot be read, and never could.
    Denied,
    /// It was listed once.
    Complete,
}

impl Hub {
    /// Nothing known yet. The first tasks are there.
    pub(super) fn new(
        options: &WatchOptions,
        statuses: Arc<Statuses>,
        conditions: Conditions,
    ) -> Self {
        let mut hub = Self {
            snapshot: Snapshot::default(),
            conditions,
            selections: Vec::new(),
            references: References::new(options.compile.clone()),
            unreadable: Unreadable::default(),
            incomplete: Incomplete::default(),
            statuses,
            published: options.publish_service.clone(),
            settings: options.compile.settings.clone(),
            fetching: HashMap::default(),
            requests: 0,
            tasks: Vec::new(),
            first: None,
        };
        for selection in selection::by_flags(options) {
            hub.follow(selection);
        }
        hub.start_all(|followed| !followed.is_by_name());
        hub.sync_references();
        hub
    }

    /// What has to be done.
    pub(super) fn take_tasks(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.tasks)
    }

    /// Takes in what was reported.
    pub(super) fn take(&mut self, message: Message) {
        match message.news {
            News::Selection(id, progress) => self.progress(id, progress),
            News::Fetched(object, request, found) => self.fetched(object, request, found),
            News::Zone(zone) => drop(self.snapshot.set_zone(zone)),
        }
        self.sync_references();
        self.note_first(message.arrived);
    }

    fn note_first(&mut self, arrived: Instant) {
        let first = self.first.unwrap_or(arrived);
        self.first = self.has_changes().then_some(first);
    }

    /// Whether everything that is required was listed once.
    pub(super) fn is_complete(&self) -> bool {
        let mut followed = self.selections.iter().flatten();
        followed.all(|followed| match followed.state {
            State::Complete => true,
            State::Denied => !self.is_required(followed),
            State::Waiting | State::Started => false,
        })
    }

    /// Whether there is something to give out.
    pub(super) fn has_changes(&self) -> bool {
        self.snapshot.has_changes() || self.unreadable.has_changed()
    }

    /// Whether an object is being fetched that pending changes refer to.
    pub(super) fn is_fetching(&self) -> bool {
        !self.fetching.is_empty()
    }

    /// Whether a pending Ingress refers to a Service that is not known, or of which no slice is.
    pub(super) fn lacks_services(&mut self) -> bool {
        self.incomplete.lacks_services(&self.snapshot)
    }

    /// What there is to give out; when the first of it came, if there is any.
    pub(super) fn take_changes(&mut self) -> (Option<Instant>, Changes, Vec<Finding>) {
        self.incomplete.clear();
        let changes = self.snapshot.take_changes();
        for kind in Kind::ALL {
            let count = self.snapshot.count(kind);
            self.conditions.metrics().objects(kind, count);
        }
        (self.first.take(), changes, self.unreadable.take())
    }

    /// Takes in objects and environment of an earlier run, as far as nothing better is known.
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
        // What refers to others comes before what is referred to.
        objects.sort_by_key(|(reference, _)| {
            let is_settings = Some(reference) == settings.as_ref();
            (reference.kind.is_kept_by_name(), !is_settings)
        });
        for (reference, object) in objects {
            let owner = self.owner(reference.kind, Some(&object), &reference.name);
            let is_listed = owner.and_then(|id| self.state(id)) == Some(State::Complete);
            // What no flag asks for any more would never be deleted.
            let is_watched = owner.is_some() || reference.kind.is_kept_by_name();
            if is_watched && !is_listed && self.is_kept(&reference) {
                self.put(object);
            }
        }
        self.sync_references();
        self.note_first(Instant::now());
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

    /// Whether objects with this name are kept.
    fn is_kept(&self, object: &ObjectRef) -> bool {
        !object.kind.is_kept_by_name() || self.references.contains(object)
    }

    /// The object is now this.
    fn put(&mut self, object: Object) {
        let reference = object.reference();
        self.unreadable.remove(&reference);
        let before = self.snapshot.latest(&reference).cloned();
        if self.snapshot.apply(object.clone()) {
            self.changed(&reference, before.as_ref(), Some(&object));
        }
    }

    /// The object is gone.
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
            _ => {}
        }
    }

    fn changed(&mut self, object: &ObjectRef, before: Option<&Object>, after: Option<&Object>) {
        match object.kind {
            Kind::Ingress => {
                self.references.ingress_changed(before, after);
                self.incomplete.add(object.name.clone());
            }
            Kind::IngressClass | Kind::ConfigMap => {
                self.references.settings_changed(&self.snapshot);
            }
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
            None => followed.selection.kind.is_required(),
            Some(_) => self.has_settings(followed),
        }
    }

    /// Whether it is the ConfigMap with the settings, which is watched alone.
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

/// The selection whose object this is: the first that covers it.
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
    /// Whether of its objects only those are kept that are referenced.
    fn is_by_name(&self) -> bool {
        self.selection.kind.is_kept_by_name() && self.name().is_none()
    }

    /// The one object that it selects, if it selects by name.
    fn name(&self) -> Option<&Name> {
        match &self.selection.scope {
            Scope::Named(name) => Some(name),
            Scope::All | Scope::Namespace(_) | Scope::SlicesOf(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
