//! The one table of ConfigMap keys: type, default, whether it is honoured, and a line of documentation.

use std::sync::LazyLock;

use super::{client, logs, process, security, tls, upstream};
pub(super) use crate::ingress::annotations::Kind;
use crate::ingress::annotations::{Bad, Support};

/// One key of the ConfigMap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub name: &'static str,
    /// The type of the value.
    pub kind: Kind,
    /// What applies without it, in the form it would be written; empty for "none".
    pub default: &'static str,
    /// What an invalid value does: the default applies, or, where that would open something, every route is closed.
    pub bad: Bad,
    /// Whether it is honoured.
    pub support: Support,
    /// One line: what it does.
    pub doc: &'static str,
}

pub(super) const fn setting(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting {
        name,
        kind,
        default,
        bad: Bad::Ignore,
        support: Support::Honoured,
        doc,
    }
}

/// A key without effect here, whose value nobody reads.
pub(super) const fn inert(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting {
        name,
        kind: Kind::Raw,
        default,
        bad: Bad::Ignore,
        support: Support::Inert,
        doc,
    }
}

/// A key that is not honoured yet.
pub(super) const fn not_yet(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting {
        name,
        kind,
        default,
        bad: Bad::Ignore,
        support: Support::NotYet,
        doc,
    }
}

/// A key that protects and is not honoured yet.
pub(super) const fn protects(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting {
        name,
        kind,
        default,
        bad: Bad::Deny,
        support: Support::Protects,
        doc,
    }
}

impl Setting {
    /// An invalid value closes every route.
    pub(super) const fn closes(mut self) -> Self {
        self.bad = Bad::Deny;
        self
    }
}

/// The groups, in the order of the documentation.
static GROUPS: [&[Setting]; 6] = [
    security::ENTRIES,
    tls::ENTRIES,
    client::ENTRIES,
    upstream::ENTRIES,
    logs::ENTRIES,
    process::ENTRIES,
];

static SORTED: LazyLock<Vec<&'static Setting>> = LazyLock::new(|| {
    let mut sorted: Vec<_> = all().collect();
    sorted.sort_by_key(|entry| entry.name);
    sorted
});

/// Every key, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().copied().flatten()
}

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    let sorted = &*SORTED;
    sorted
        .binary_search_by(|entry| entry.name.cmp(name))
        .ok()
        .and_then(|at| sorted.get(at).copied())
}
