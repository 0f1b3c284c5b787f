//! Puts together what the reflectors tell: lists that are swapped in whole, names that are wanted, and whether enough is
//! known to serve.
//!
//! It does nothing by itself: what is to be done (a watch begun or ended, an object fetched) it says as [`Task`]s.

mod facts;
mod lists;
mod wishes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use headgate_compile::{Change, Fact, Kind, Name, Object, ObjectRef};

use super::health::Conditions;
use super::message::{Id, Message, News};
use super::selection::{Scope, Selection};
use super::statuses::Statuses;
use super::store::{Generation, Store};
use super::{WatchOptions, selection};
use facts::Facts;

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Follow a selection.
    Start(Id, Selection),
    /// No longer follow it.
    Stop(Id),
    /// Ask for an object by its name, as the request of this number.
    Fetch(ObjectRef, u64),
    /// Objects with this name are wanted, from now on or no longer.
    Want(ObjectRef, bool),
}

/// See the module.
pub(super) struct Hub {
    pub(super) store: Store,
    pub(super) conditions: Conditions,
    selections: Vec<Option<Followed>>,
    statuses: Arc<Statuses>,
    published: Option<Name>,
    settings: Option<Name>,
    /// Objects that were asked for by name, and no event has said better since; with the number of the last request.
    fetching: HashMap<ObjectRef, u64, RandomState>,
    requests: u64,
    facts: Facts,
    generation: Generation,
    tasks: Vec<Task>,
    /// When the bytes of the first change came that is not told yet.
    pub(super) first: Option<Instant>,
}

struct Followed {
    selection: Selection,
    state: State,
    /// The list that is being read, or was read last.
    list: Generation,
    /// What the list that is being read has of news.
    staged: HashMap<Name, Object, RandomState>,
}

/// How far a selection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not begun: which names are wanted is not known yet.
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
            store: Store::new(options.compile.clone()),
            conditions,
            selections: Vec::new(),
            statuses,
            published: options.publish_service.clone(),
            settings: options.compile.settings.clone(),
            fetching: HashMap::default(),
            requests: 0,
            facts: Facts::default(),
            generation: 0,
            tasks: Vec::new(),
            first: None,
        };
        for selection in selection::by_flags(options) {
            hub.follow(selection);
        }
        hub.start_all(|followed| !followed.is_by_name());
        hub.grant_wishes();
        hub
    }

    /// What is to be done.
    pub(super) fn take_tasks(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.tasks)
    }

    /// Takes in what somebody tells.
    pub(super) fn take(&mut self, message: Message) {
        match message.news {
            News::Selection(id, progress) => self.progress(id, progress),
            News::Fetched(object, request, found) => self.fetched(object, request, found),
            News::Zone(zone) => self.facts.learn_zone(zone),
        }
        self.grant_wishes();
        if self.has_news() {
            self.first.get_or_insert(message.arrived);
        }
    }

    /// Whether everything that has to be known was listed once.
    pub(super) fn is_complete(&self) -> bool {
        let mut followed = self.selections.iter().flatten();
        followed.all(|followed| match followed.state {
            State::Complete => true,
            State::Denied => !self.is_required(followed),
            State::Waiting | State::Started => false,
        })
    }

    /// Whether something is to be told.
    pub(super) fn has_news(&self) -> bool {
        self.store.has_news() || self.facts.has_news()
    }

    /// Whether an answer is on its way that belongs to what is to be told.
    pub(super) fn is_fetching(&self) -> bool {
        !self.fetching.is_empty()
    }

    /// What is to be told.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        self.first = None;
        let mut changes: Vec<Change> = self.facts.take().into_iter().map(Change::Learn).collect();
        changes.extend(self.store.take_changes());
        changes
    }

    /// The facts that are known.
    pub(super) fn facts(&self) -> Vec<Fact> {
        self.facts.known()
    }

    /// Takes in objects and facts of an earlier run, as far as nothing better is known.
    pub(super) fn seed(&mut self, objects: Vec<Object>, facts: Vec<Fact>) {
        for fact in facts {
            self.facts.seed(fact);
        }
        // Those that name others come before those that are named.
        let (named, others): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .map(|object| (object.reference(), object))
            .partition(|(reference, _)| reference.kind.is_kept_by_name());
        let is_settings = |(reference, _): &(ObjectRef, Object)| {
            reference.kind == Kind::ConfigMap && Some(&reference.name) == self.settings.as_ref()
        };
        let (settings, named): (Vec<_>, Vec<_>) = named.into_iter().partition(is_settings);
        for (reference, object) in others.into_iter().chain(settings).chain(named) {
            let id = self.owner(reference.kind, Some(&object), &reference.name);
            let is_listed = id
                .and_then(|id| self.followed(id))
                .map(|one| one.state == State::Complete);
            // What no flag asks for any more would never be deleted.
            if is_listed == Some(true) || (is_listed.is_none() && !reference.kind.is_kept_by_name())
            {
                continue;
            }
            if self.store.is_kept(&reference) {
                self.store.put(reference.name, object, 0);
            }
        }
        self.grant_wishes();
        self.first = self.has_news().then(Instant::now);
    }

    /// Shows how many objects there are.
    pub(super) fn count(&self) {
        for kind in Kind::ALL {
            self.conditions
                .metrics()
                .objects(kind, self.store.len(kind));
        }
    }

    fn follow(&mut self, selection: Selection) -> Id {
        self.selections.push(Some(Followed {
            selection,
            state: State::Waiting,
            list: 0,
            staged: HashMap::default(),
        }));
        Id(self.selections.len() - 1)
    }

    fn owner(&self, kind: Kind, object: Option<&Object>, name: &Name) -> Option<Id> {
        owner(&self.selections, kind, object, name)
    }

    /// Whether nothing can be served without it.
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
    /// Whether what is kept of it depends on who names it.
    fn is_by_name(&self) -> bool {
        self.selection.kind.is_kept_by_name() && self.name().is_none()
    }

    /// The object that it is, if it is one.
    fn name(&self) -> Option<&Name> {
        match &self.selection.scope {
            Scope::Named(name) => Some(name),
            Scope::All | Scope::Namespace(_) | Scope::SlicesOf(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
