//! The objects as the API server has them, and which of them the table's side has not been told yet.
//!
//! Only what there is now counts, not how it came: an event that repeats what is known is none, and what is told is
//! looked up when it is told. Objects are shared with the snapshot.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_compile::{
    Change, Finding, Kind, Name, Namespaces, Object, ObjectRef, Options, Severity, Subject,
    references,
};
use k8s_openapi::api::networking::v1::{Ingress, IngressBackend};

use super::demand::{Demand, Wish};

type Objects = HashMap<Name, Held, RandomState>;

struct Held {
    object: Object,
    /// The list that had it last.
    seen: Generation,
}

/// Number of a list; each has its own.
pub(super) type Generation = u32;

/// See the module.
pub(super) struct Store {
    options: Options,
    kinds: [Objects; Kind::ALL.len()],
    demand: Demand,
    /// How many slices each Service has.
    slices_of: HashMap<Name, u32, RandomState>,
    dirty: HashSet<ObjectRef, RandomState>,
    /// Ingresses that changed and may name Services that are still to come.
    fresh: Vec<Name>,
    /// Objects whose last version could not be read.
    unreadable: BTreeMap<ObjectRef, (Finding, Generation)>,
    unreadable_changed: bool,
}

impl Store {
    /// Empty.
    pub(super) fn new(options: Options) -> Self {
        let namespace = match &options.namespaces {
            Namespaces::One(namespace) => Some(namespace.clone()),
            Namespaces::All | Namespaces::Selected => None,
        };
        let mut store = Self {
            options,
            kinds: Default::default(),
            demand: Demand::new(namespace),
            slices_of: HashMap::default(),
            dirty: HashSet::default(),
            fresh: Vec::new(),
            unreadable: BTreeMap::new(),
            unreadable_changed: false,
        };
        store.count_settings();
        store
    }

    /// Whether objects with this name are kept.
    pub(super) fn is_kept(&self, object: &ObjectRef) -> bool {
        !object.kind.is_kept_by_name() || self.demand.contains(object)
    }

    /// What is named now and was not, and the other way round.
    pub(super) fn take_wishes(&mut self) -> Vec<Wish> {
        self.demand.take()
    }

    /// A list that is being read has this object as it is known: true. Else it is for [`put`](Self::put) when the list is
    /// complete.
    pub(super) fn is_known(&mut self, name: &Name, object: &Object, list: Generation) -> bool {
        let kind = object.kind();
        self.forget_unreadable(kind, name);
        let Some(held) = self.kinds[kind as usize].get_mut(name) else {
            return false;
        };
        if held.object != *object {
            return false;
        }
        held.seen = list;
        true
    }

    /// The object is now this.
    pub(super) fn put(&mut self, name: Name, object: Object, list: Generation) {
        let kind = object.kind();
        self.forget_unreadable(kind, &name);
        let objects = &mut self.kinds[kind as usize];
        let before = match objects.get_mut(&name) {
            Some(held) if held.object == object => {
                held.seen = list;
                return;
            }
            Some(held) => {
                held.seen = list;
                Some(std::mem::replace(&mut held.object, object.clone()))
            }
            None => {
                let seen = list;
                let held = Held {
                    object: object.clone(),
                    seen,
                };
                objects.insert(name.clone(), held);
                None
            }
        };
        self.changed(name, before.as_ref(), Some(&object), kind);
    }

    /// The object is gone. False if it was not there.
    pub(super) fn remove(&mut self, object: &ObjectRef) -> bool {
        self.forget_unreadable(object.kind, &object.name);
        let Some(held) = self.kinds[object.kind as usize].remove(&object.name) else {
            return false;
        };
        self.changed(object.name.clone(), Some(&held.object), None, object.kind);
        true
    }

    /// The object is there in a version that cannot be read; the one before stays.
    pub(super) fn unreadable(&mut self, object: ObjectRef, why: &str, list: Generation) {
        if let Some(held) = self.kinds[object.kind as usize].get_mut(&object.name) {
            held.seen = list;
        }
        let message = format!("cannot be read: {why}; the version before stays if there was one");
        let finding = Finding {
            severity: Severity::Error,
            subject: Subject::Object(object.clone()),
            field: "".into(),
            message: message.into(),
        };
        let entry = (finding, list);
        let before = self.unreadable.insert(object, entry.clone());
        self.unreadable_changed |= before.is_none_or(|before| before.0 != entry.0);
    }

    /// The objects that are `owned` and were not in a list that is now complete.
    pub(super) fn unseen(
        &mut self,
        kind: Kind,
        list: Generation,
        owned: impl Fn(Option<&Object>, &Name) -> bool,
    ) -> Vec<ObjectRef> {
        let count = self.unreadable.len();
        self.unreadable.retain(|object, (_, seen)| {
            object.kind != kind || *seen == list || !owned(None, &object.name)
        });
        self.unreadable_changed |= self.unreadable.len() != count;
        let held = self.kinds[kind as usize].iter();
        let unseen =
            held.filter(|(name, held)| held.seen != list && owned(Some(&held.object), name));
        let unseen = unseen.map(|(name, _)| ObjectRef {
            kind,
            name: name.clone(),
        });
        unseen.collect()
    }

    /// How many objects of a kind there are.
    pub(super) fn len(&self, kind: Kind) -> usize {
        self.kinds[kind as usize].len()
    }

    /// All objects but those of a kind.
    pub(super) fn all_but(&self, kind: Option<Kind>) -> Vec<Object> {
        let kinds = Kind::ALL.into_iter().filter(|one| Some(*one) != kind);
        kinds
            .flat_map(|kind| self.kinds[kind as usize].values())
            .map(|held| held.object.clone())
            .collect()
    }

    /// Whether something is to be told.
    pub(super) fn has_news(&self) -> bool {
        !self.dirty.is_empty() || self.unreadable_changed
    }

    /// What is to be told.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        self.fresh.clear();
        self.unreadable_changed = false;
        let dirty = std::mem::take(&mut self.dirty).into_iter();
        let changes = dirty.map(|object| {
            let held = self.kinds[object.kind as usize].get(&object.name);
            match held {
                Some(held) => Change::Apply(held.object.clone()),
                None => Change::Delete(object),
            }
        });
        changes.collect()
    }

    /// Everything that is wrong with objects, in their order.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let findings = self.unreadable.values();
        findings.map(|(finding, _)| finding.clone()).collect()
    }

    /// Whether an Ingress that is to be told names a Service that is not known, or of which no slice is.
    pub(super) fn lacks_services(&mut self) -> bool {
        while let Some(name) = self.fresh.last() {
            if self.lacks_a_service(name) {
                return true;
            }
            self.fresh.pop();
        }
        false
    }

    fn lacks_a_service(&self, name: &Name) -> bool {
        let Some(Object::Ingress(ingress)) = self.kinds[Kind::Ingress as usize]
            .get(name)
            .map(|held| &held.object)
        else {
            return false;
        };
        let services = &self.kinds[Kind::Service as usize];
        services_of(ingress).any(|service| {
            let service = Name {
                namespace: name.namespace.clone(),
                name: service.into(),
            };
            match services.get(&service).map(|held| &held.object) {
                Some(Object::Service(known)) => {
                    !known.is_external() && !self.slices_of.contains_key(&service)
                }
                _ => true,
            }
        })
    }

    fn changed(&mut self, name: Name, before: Option<&Object>, after: Option<&Object>, kind: Kind) {
        match kind {
            Kind::Ingress => {
                let named = |object: Option<&Object>| {
                    object.map_or_else(Vec::new, |object| references(object, &self.options))
                };
                let (before, after) = (named(before), named(after));
                if before != after {
                    self.demand.ingress(&before, &after);
                }
                self.fresh.push(name.clone());
            }
            Kind::IngressClass | Kind::ConfigMap => self.count_settings(),
            Kind::EndpointSlice => self.count_slice(before, after),
            _ => {}
        }
        self.dirty.insert(ObjectRef { kind, name });
    }

    fn count_slice(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let service = |object: Option<&Object>| match object {
            Some(Object::EndpointSlice(slice)) => slice.service().cloned(),
            _ => None,
        };
        if let Some(service) = service(after) {
            *self.slices_of.entry(service).or_default() += 1;
        }
        if let Some(service) = service(before)
            && let Some(count) = self.slices_of.get_mut(&service)
        {
            *count -= 1;
            if *count == 0 {
                self.slices_of.remove(&service);
            }
        }
    }

    /// What flags name, classes name, and the ConfigMaps with settings that these name. There are few.
    fn count_settings(&mut self) {
        let mut all: HashSet<ObjectRef, RandomState> =
            self.options.references().into_iter().collect();
        let classes = self.kinds[Kind::IngressClass as usize].values();
        all.extend(classes.flat_map(|held| references(&held.object, &self.options)));
        let maps = &self.kinds[Kind::ConfigMap as usize];
        let settings = all.iter().filter(|object| object.kind == Kind::ConfigMap);
        let settings = settings.filter_map(|object| maps.get(&object.name));
        let named: Vec<ObjectRef> = settings
            .flat_map(|held| references(&held.object, &self.options))
            .collect();
        all.extend(named);
        self.demand.settings(all);
    }

    fn forget_unreadable(&mut self, kind: Kind, name: &Name) {
        if self.unreadable.is_empty() {
            return;
        }
        let object = ObjectRef {
            kind,
            name: name.clone(),
        };
        self.unreadable_changed |= self.unreadable.remove(&object).is_some();
    }
}

/// The Services that an Ingress sends requests to.
fn services_of(ingress: &Arc<Ingress>) -> impl Iterator<Item = &str> {
    let spec = ingress.spec.iter();
    let default = spec
        .clone()
        .filter_map(|spec| spec.default_backend.as_ref());
    let rules = spec.flat_map(|spec| spec.rules.iter().flatten());
    let paths = rules
        .filter_map(|rule| rule.http.as_ref())
        .flat_map(|http| &http.paths);
    default
        .chain(paths.map(|path| &path.backend))
        .filter_map(|backend: &IngressBackend| Some(&*backend.service.as_ref()?.name))
}

#[cfg(test)]
mod tests;
