//! All annotations, and lookup by name.

use std::sync::LazyLock;

use super::Annotation;
use crate::ingress::family;

/// The families, in the order of the documentation.
static FAMILIES: [&[&Annotation]; 23] = [
    family::routing::ROWS,
    family::redirects::ROWS,
    family::errors::ROWS,
    family::canary::ROWS,
    family::limits::ROWS,
    family::affinity::ROWS,
    family::balance::ROWS,
    family::auth::ROWS,
    family::client_certificates::ROWS,
    family::tls::ROWS,
    family::upstream_tls::ROWS,
    family::cors::ROWS,
    family::proxy::ROWS,
    family::retry::ROWS,
    family::replace::ROWS,
    family::headers::ROWS,
    family::fastcgi::ROWS,
    family::access::ROWS,
    family::mirror::ROWS,
    family::firewall::ROWS,
    family::tracing::ROWS,
    family::log::ROWS,
    family::snippets::ROWS,
];

/// Every annotation under each of its names, sorted by name.
static BY_NAME: LazyLock<Vec<(&str, &Annotation)>> = LazyLock::new(|| {
    let mut named: Vec<_> = all()
        .flat_map(|row| {
            let names = [row.entry.name].into_iter();
            names
                .chain(row.aliases.iter().copied())
                .map(move |name| (name, row))
        })
        .collect();
    named.sort_by_key(|(name, _)| *name);
    named
});

/// Every annotation, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Annotation> {
    FAMILIES.iter().copied().flatten().copied()
}

/// The annotation of this name (without prefix) or alias.
pub fn find(name: &str) -> Option<&'static Annotation> {
    let at = BY_NAME.binary_search_by(|(known, _)| (*known).cmp(name));
    at.ok().and_then(|at| BY_NAME.get(at)).map(|(_, row)| *row)
}

/// The annotation for a name that tutorials use and no release of ingress-nginx read.
pub fn meant_by(misnomer: &str) -> Option<&'static Annotation> {
    all().find(|row| row.misnomers.contains(&misnomer))
}
