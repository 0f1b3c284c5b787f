//! The objects that a table is compiled from, as one source after the other brings them in.
//!
//! Both sources feed the same snapshot: files and the API server. It holds what was said last and remembers which objects
//! changed since they were last asked for; it decides nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::objects::{ConfigMap, EndpointSlice, Endpoints, IngressClass, Object, Secret, Service};

/// Kinds of objects that a table is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as in the Kubernetes API")]
pub enum Kind {
    Ingress,
    IngressClass,
    Service,
    EndpointSlice,
    Endpoints,
    Secret,
    ConfigMap,
}

impl Kind {
    /// As in `kind:` of a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::IngressClass => "IngressClass",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// Namespace and name of an object; the namespace of an IngressClass is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Namespace; empty for objects of the cluster.
    pub namespace: Arc<str>,
    /// Name within it.
    pub name: Arc<str>,
}

impl Name {
    /// `namespace/name`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Of an object's metadata.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::new(
            metadata.namespace.as_deref().unwrap_or_default(),
            metadata.name.as_deref().unwrap_or_default(),
        )
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// An object by kind and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// One change to the set of objects.
#[derive(Clone, Debug)]
pub enum Change {
    /// The object is now this.
    Apply(Object),
    /// The object is gone.
    Delete(ObjectRef),
}

/// Objects of one kind by name.
pub type Objects<T> = HashMap<Name, Arc<T>, RandomState>;

/// All objects, and which changed since [`Snapshot::take_changes`].
#[derive(Default)]
pub struct Snapshot {
    pub(crate) ingresses: Objects<Ingress>,
    pub(crate) classes: Objects<IngressClass>,
    pub(crate) services: Objects<Service>,
    pub(crate) slices: Objects<EndpointSlice>,
    pub(crate) endpoints: Objects<Endpoints>,
    pub(crate) secrets: Objects<Secret>,
    pub(crate) config_maps: Objects<ConfigMap>,
    /// Slices of each Service, so that one Service's endpoints are found without a scan.
    pub(crate) slices_of: HashMap<Name, Vec<Name>, RandomState>,
    changed: Vec<ObjectRef>,
}

impl Snapshot {
    /// Takes one change in.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Apply(object) => self.apply(object),
            Change::Delete(object) => self.delete(&object),
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
        }
        self.changed.push(reference);
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
        };
        if known {
            self.changed.push(object.clone());
        }
    }

    /// The objects that changed since this was last called. A slice stands for its Service, whose name it carries.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            objects: std::mem::take(&mut self.changed),
        }
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
            self.changed.push(ObjectRef {
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
        self.changed.push(ObjectRef {
            kind: Kind::Service,
            name: service,
        });
    }
}

/// Which objects changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub(crate) objects: Vec<ObjectRef>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}
