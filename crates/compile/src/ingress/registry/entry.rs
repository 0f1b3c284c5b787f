//! Registry entries: the common properties of annotations and ConfigMap keys.

use super::{Difference, Kind};
use crate::Kind as ObjectKind;

/// An entry of a registry: the common properties of an annotation and a ConfigMap key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The name; of an annotation without its prefix.
    pub name: &'static str,
    /// The type of the value and its validator.
    pub kind: Kind,
    /// The default, as it would be written; empty for "off" or "none".
    pub default: &'static str,
    /// The consequence of an invalid value.
    pub on_invalid: OnInvalid,
    /// Whether it is honoured.
    pub support: Support,
    /// What it protects when its value switches it on; `None` for most.
    pub protects: Option<Protection>,
    /// The kind of the object that the value refers to, with or without its namespace.
    pub names: Option<ObjectKind>,
    /// What differs from ingress-nginx while it is honoured.
    pub differences: &'static [Difference],
    /// Its documentation in one line.
    pub doc: &'static str,
}

/// The consequence of an invalid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInvalid {
    /// The whole Ingress is refused (class A): its last good version stays in service; without one it is not served.
    RefuseIngress,
    /// The routes respond with 503 (class B).
    Close,
    /// The value is ignored, the default or the ConfigMap's value applies (class C).
    Ignore,
}

/// Whether an annotation or key is honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Honoured.
    Honoured,
    /// Not honoured yet: ignored with a warning. One that protects closes the routes when it is switched on.
    NotYet,
    /// Accepted without effect.
    Inert,
}

/// What an entry protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// The routes of its Ingress; of a ConfigMap key, every route.
    Routes,
    /// The same routes by authentication, except the paths that are exempt from it (`no-auth-locations`).
    Authentication,
}

impl Entry {
    /// Honoured, without a default, ignored when invalid.
    pub(crate) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default: "",
            on_invalid: OnInvalid::Ignore,
            support: Support::Honoured,
            protects: None,
            names: None,
            differences: &[],
            doc,
        }
    }

    /// An invalid value at least closes the routes: a typing error must not leave them unprotected.
    pub(crate) const fn protecting(mut self, what: Protection) -> Self {
        self.protects = Some(what);
        if matches!(self.on_invalid, OnInvalid::Ignore) {
            self.on_invalid = OnInvalid::Close;
        }
        self
    }

    /// Whether it closes routes when it is switched on: it protects them, and is not honoured.
    pub fn closes(&self) -> bool {
        self.support == Support::NotYet && self.protects.is_some()
    }
}

impl AsRef<Self> for Entry {
    fn as_ref(&self) -> &Self {
        self
    }
}
