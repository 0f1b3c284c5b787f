//! What an annotation and a ConfigMap key have in common.

use super::Kind;
use crate::Kind as ObjectKind;

/// An entry of a registry: what an annotation and a ConfigMap key have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The name; of an annotation without its prefix.
    pub name: &'static str,
    /// The type of the value and its validator.
    pub kind: Kind,
    /// What applies without it, in the form it would be written; empty for "off" or "none".
    pub default: &'static str,
    /// What an invalid value does.
    pub on_invalid: OnInvalid,
    /// Whether it works here.
    pub support: Support,
    /// What it protects once its value switches it on; `None` for most.
    pub protects: Option<Protection>,
    /// The kind of the object that the value names, with or without its namespace.
    pub names: Option<ObjectKind>,
    /// One line: what it does.
    pub doc: &'static str,
}

/// What an invalid value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInvalid {
    /// The whole Ingress is refused (class A): its last good version stays in service; without one it is not served.
    RefuseIngress,
    /// The routes answer 503 (class B).
    Close,
    /// The value is ignored, the default or the ConfigMap's value applies (class C).
    Ignore,
}

/// Whether a name does here what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Honoured,
    /// It is not honoured yet: ignored with a warning. One that protects closes the routes once it is switched on.
    NotYet,
    /// Accepted, and there is nothing here for it to change.
    Inert,
}

/// What an entry protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// The routes of its Ingress; of a ConfigMap key, every route.
    Routes,
    /// The same routes by authentication, except the paths that are exempt from it (`no-auth-locations`).
    Authentication,
    /// All routes of the hosts of its Ingress, whichever Ingress declares them.
    Hosts,
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
            doc,
        }
    }

    /// An invalid value closes at least: a typing error must not open what was meant to be protected.
    pub(crate) const fn protecting(mut self, what: Protection) -> Self {
        self.protects = Some(what);
        if matches!(self.on_invalid, OnInvalid::Ignore) {
            self.on_invalid = OnInvalid::Close;
        }
        self
    }

    /// Whether routes are closed once it is switched on: it protects them, and cannot be honoured.
    pub fn closes(&self) -> bool {
        self.support == Support::NotYet && self.protects.is_some()
    }
}

impl AsRef<Self> for Entry {
    fn as_ref(&self) -> &Self {
        self
    }
}
