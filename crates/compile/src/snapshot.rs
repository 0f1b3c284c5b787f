//! The objects that a table is compiled from, as one source after the other brings them in.
//!
//! Both sources feed the same snapshot: files and the API server. It holds what was said last and remembers which objects
//! changed since they were last asked for; it decides nothing.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use k8s_openapi::api::networking::v1::Ingress;

use crate::objects::{
    ConfigMap, EndpointSlice, Endpoints, IngressClass, Kind, Name, Namespace, Object, ObjectRef,
    Secret, Service,
};

/// One change to the set of objects.
#[derive(Clone, Debug)]
pub enum Change {
    /// The object is now this.
    Apply(Object),
    /// The object is gone.
    Delete(ObjectRef),
    /// A fact about where the process runs is now this.
    Learn(Fact),
}

/// What is known besides objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Whether IngressClasses can be read; what `spec.ingressClassName` says does not count otherwise (ingress-nginx
    /// reference 2.9). Until told so they can.
    ClassesReadable(bool),
    /// The zone that the process runs in, for endpoints meant for it. Until told, none.
    Zone(Option<Arc<str>>),
}

/// Objects of one kind by name.
pub type Objects<T> = HashMap<Name, Arc<T>, RandomState>;

/// All objects, and which changed since [`Snapshot::take_changes`].
pub struct Snapshot {
    pub(crate) ingresses: Objects<Ingress>,
    pub(crate) classes: Objects<IngressClass>,
    pub(crate) services: Objects<Service>,
    pub(crate) slices: Objects<EndpointSlice>,
    pub(crate) endpoints: Objects<Endpoints>,
    pub(crate) secrets: Objects<Secret>,
    pub(crate) config_maps: Objects<ConfigMap>,
    /// Those that are watched, where a selector chooses.
    pub(crate) namespaces: Objects<Namespace>,
    pub(crate) classes_readable: bool,
    pub(crate) zone: Option<Arc<str>>,
    /// Slices of each Service, so that one Service's endpoints are found without a scan.
    pub(crate) slices_of: HashMap<Name, Vec<Name>, RandomState>,
    changed: Changes,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            ingresses: Objects::default(),
            classes: Objects::default(),
            services: Objects::default(),
            slices: Objects::default(),
            endpoints: Objects::default(),
            secrets: Objects::default(),
            config_maps: Objects::default(),
            namespaces: Objects::default(),
            classes_readable: true,
            zone: None,
            slices_of: HashMap::default(),
            changed: Changes::default(),
        }
    }
}

impl Snapshot {
    /// Takes one change in.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Apply(object) => self.apply(object),
            Change::Delete(object) => self.delete(&object),
            Change::Learn(fact) => self.learn(fact),
        }
    }

    /// The object is now this.
    pub fn apply(&mut self, object: Object) {
        let reference = object.reference();
        let name = reference.name.clone();
        match object {
            Object::Ingress(object) => drop(self.ingresses.insert(name, object)),
            Object::IngressClass(object) => drop(self.classes.insert(name, object)),
            Object::Service(object) => drop(self.services.insert(name, object)),
            Object::EndpointSlice(object) => self.apply_slice(object),
            Object::Endpoints(object) => drop(self.endpoints.insert(name, object)),
            Object::Secret(object) => drop(self.secrets.insert(name, object)),
            Object::ConfigMap(object) => drop(self.config_maps.insert(name, object)),
            Object::Namespace(object) => drop(self.namespaces.insert(name, object)),
        }
        self.changed.objects.push(reference);
    }

    /// The fact is now this.
    pub fn learn(&mut self, fact: Fact) {
        let is_news = match fact {
            Fact::ClassesReadable(readable) => {
                std::mem::replace(&mut self.classes_readable, readable) != readable
            }
            Fact::Zone(zone) => {
                let is_news = self.zone != zone;
                self.zone = zone;
                is_news
            }
        };
        self.changed.everything |= is_news;
    }

    /// The object is gone.
    pub fn delete(&mut self, object: &ObjectRef) {
        let name = &object.name;
        let known = match object.kind {
            Kind::Ingress => self.ingresses.remove(name).is_some(),
            Kind::IngressClass => self.classes.remove(name).is_some(),
            Kind::Service => self.services.remove(name).is_some(),
            Kind::EndpointSlice => self.delete_slice(name),
            Kind::Endpoints => self.endpoints.remove(name).is_some(),
            Kind::Secret => self.secrets.remove(name).is_some(),
            Kind::ConfigMap => self.config_maps.remove(name).is_some(),
            Kind::Namespace => self.namespaces.remove(name).is_some(),
        };
        if known {
            self.changed.objects.push(object.clone());
        }
    }

    /// The objects that changed since this was last called. A slice stands for its Service, whose name it carries.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changed)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.ingresses.len()
            + self.classes.len()
            + self.services.len()
            + self.slices.len()
            + self.endpoints.len()
            + self.secrets.len()
            + self.config_maps.len()
            + self.namespaces.len()
    }

    /// All objects, in no order.
    pub fn objects(&self) -> impl Iterator<Item = Object> {
        let ingresses = self.ingresses.values().cloned().map(Object::Ingress);
        let classes = self.classes.values().cloned().map(Object::IngressClass);
        let services = self.services.values().cloned().map(Object::Service);
        let slices = self.slices.values().cloned().map(Object::EndpointSlice);
        let endpoints = self.endpoints.values().cloned().map(Object::Endpoints);
        let secrets = self.secrets.values().cloned().map(Object::Secret);
        let maps = self.config_maps.values().cloned().map(Object::ConfigMap);
        let namespaces = self.namespaces.values().cloned().map(Object::Namespace);
        ingresses
            .chain(classes)
            .chain(services)
            .chain(slices)
            .chain(endpoints)
            .chain(secrets)
            .chain(maps)
            .chain(namespaces)
    }

    /// One object.
    pub fn object(&self, object: &ObjectRef) -> Option<Object> {
        let name = &object.name;
        match object.kind {
            Kind::Ingress => self.ingresses.get(name).cloned().map(Object::Ingress),
            Kind::IngressClass => self.classes.get(name).cloned().map(Object::IngressClass),
            Kind::Service => self.services.get(name).cloned().map(Object::Service),
            Kind::EndpointSlice => self.slices.get(name).cloned().map(Object::EndpointSlice),
            Kind::Endpoints => self.endpoints.get(name).cloned().map(Object::Endpoints),
            Kind::Secret => self.secrets.get(name).cloned().map(Object::Secret),
            Kind::ConfigMap => self.config_maps.get(name).cloned().map(Object::ConfigMap),
            Kind::Namespace => self.namespaces.get(name).cloned().map(Object::Namespace),
        }
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slices of a Service, in the order of their names.
    pub(crate) fn slices_of(&self, service: &Name) -> impl Iterator<Item = &Arc<EndpointSlice>> {
        self.slices_of
            .get(service)
            .into_iter()
            .flatten()
            .filter_map(|name| self.slices.get(name))
    }

    fn apply_slice(&mut self, slice: Arc<EndpointSlice>) {
        let name = &slice.name;
        self.forget_slice(name);
        if let Some(service) = &slice.service {
            let names = self.slices_of.entry(service.clone()).or_default();
            if let Err(at) = names.binary_search(name) {
                names.insert(at, name.clone());
            }
            self.changed.objects.push(ObjectRef {
                kind: Kind::Service,
                name: service.clone(),
            });
        }
        self.slices.insert(name.clone(), slice);
    }

    fn delete_slice(&mut self, name: &Name) -> bool {
        self.forget_slice(name);
        self.slices.remove(name).is_some()
    }

    fn forget_slice(&mut self, name: &Name) {
        let Some(service) = self
            .slices
            .get(name)
            .and_then(|slice| slice.service.clone())
        else {
            return;
        };
        if let Some(names) = self.slices_of.get_mut(&service) {
            names.retain(|known| known != name);
            if names.is_empty() {
                self.slices_of.remove(&service);
            }
        }
        self.changed.objects.push(ObjectRef {
            kind: Kind::Service,
            name: service,
        });
    }
}

/// Which objects changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub(crate) objects: Vec<ObjectRef>,
    /// A fact changed that everything may depend on.
    pub(crate) everything: bool,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && !self.everything
    }
}
