//! The table of all ConfigMap keys: type, default, whether it is honoured, and a line of documentation.

use std::sync::LazyLock;

use super::{
    addresses, client, compression, exhaustion, headers, logs, process, redirects, resilience,
    security, snippets, tls, tracing, upstream,
};
use crate::Kind as ObjectKind;
use crate::ingress::registry::types::{self, Typed};
use crate::ingress::registry::{Difference, Entry, Key, Protection, Support};

/// One key of the ConfigMap.
pub type Setting = Entry;

pub(super) const fn setting<T>(
    name: &'static str,
    kind: Typed<T>,
    default: &'static str,
    doc: &'static str,
) -> Key<T, Setting> {
    let mut entry = Entry::new(name, kind.kind(), doc);
    entry.default = default;
    Key::new(entry)
}

/// A key without effect; its value is not read.
pub(super) const fn inert(
    name: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Key<String, Setting> {
    let mut key = setting(name, types::RAW, default, doc);
    key.row.support = Support::Inert;
    key
}

/// A key that is not honoured yet.
pub(super) const fn not_yet<T>(
    name: &'static str,
    kind: Typed<T>,
    default: &'static str,
    doc: &'static str,
) -> Key<T, Setting> {
    let mut key = setting(name, kind, default, doc);
    key.row.support = Support::NotYet;
    key
}

impl<T> Key<T, Setting> {
    /// An invalid value closes every route, and so does a valid one while the key is not honoured.
    pub(super) const fn protects(mut self, what: Protection) -> Self {
        self.row = self.row.protecting(what);
        self
    }

    /// Honoured, but not always as ingress-nginx does.
    pub(super) const fn differs(mut self, differences: &'static [Difference]) -> Self {
        self.row.differences = differences;
        self
    }

    pub(super) const fn names(mut self, kind: ObjectKind) -> Self {
        self.row.names = Some(kind);
        self
    }
}

/// The groups, in the order of the documentation.
static GROUPS: [&[&Setting]; 14] = [
    security::ROWS,
    snippets::ROWS,
    headers::ROWS,
    tls::ROWS,
    redirects::ROWS,
    client::ROWS,
    exhaustion::ROWS,
    addresses::ROWS,
    upstream::ROWS,
    resilience::ROWS,
    compression::ROWS,
    logs::ROWS,
    tracing::ROWS,
    process::ROWS,
];

static SORTED: LazyLock<Vec<&Setting>> = LazyLock::new(|| {
    let mut sorted: Vec<_> = all().collect();
    sorted.sort_by_key(|entry| entry.name);
    sorted
});

/// Every key, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().copied().flatten().copied()
}

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    let at = SORTED.binary_search_by(|entry| entry.name.cmp(name));
    at.ok().and_then(|at| SORTED.get(at)).copied()
}
