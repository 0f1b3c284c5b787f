//! References from custom resources to objects.

use serde::{Deserialize, Serialize};

use crate::{Kind, Name, ObjectRef};

/// A reference to a parent of a route: a listener, or all listeners, of a Gateway or ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentRef {
    /// Default that of the Gateway API.
    pub group: Option<String>,
    /// Default `Gateway`.
    pub kind: Option<String>,
    /// Default that of the route.
    pub namespace: Option<String>,
    /// Name of the parent.
    pub name: String,
    /// Name of a listener.
    pub section_name: Option<String>,
    /// Port of listeners.
    pub port: Option<u16>,
}

/// A reference to an object in any namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectReference {
    /// Default the core group.
    pub group: Option<String>,
    /// The kind; the default depends on the field.
    pub kind: Option<String>,
    /// Default that of the referring object.
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: String,
}

impl ObjectReference {
    /// The object that it names, of this kind, for a referrer of this name.
    pub(crate) fn object(&self, kind: Kind, referrer: &Name) -> ObjectRef {
        let namespace = self.namespace.as_deref().unwrap_or(&referrer.namespace);
        ObjectRef {
            kind,
            name: Name::new(namespace, &self.name),
        }
    }
}

/// A reference to an object in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalRef {
    /// The group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Name of the object.
    pub name: String,
}

/// A reference to an object whose namespace may be absent because its kind has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespacedRef {
    /// The group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Namespace of the object.
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: String,
}

/// A reference to a port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendRef {
    /// Default the core group.
    pub group: Option<String>,
    /// Default `Service`.
    pub kind: Option<String>,
    /// Default that of the route.
    pub namespace: Option<String>,
    /// Name of the Service.
    pub name: String,
    /// Its port; required for Services.
    pub port: Option<u16>,
    /// Its share of the sum of weights; default 1.
    pub weight: Option<u32>,
}

impl BackendRef {
    /// Group and kind of the object.
    pub fn group_and_kind(&self) -> (&str, &str) {
        let group = self.group.as_deref().unwrap_or_default();
        (group, self.kind.as_deref().unwrap_or("Service"))
    }

    /// Whether the object is a Service.
    pub fn is_service(&self) -> bool {
        self.group_and_kind() == ("", "Service")
    }
}
