//! All annotations, and lookup by name.

use std::sync::LazyLock;

use super::Annotation;
use crate::ingress::family;

/// The families, in the order of the documentation.
static FAMILIES: [&[&Annotation]; 24] = [
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
    family::resilience::ROWS,
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

static ALL: LazyLock<Vec<&Annotation>> =
    LazyLock::new(|| FAMILIES.iter().copied().flatten().copied().collect());

/// Every name, sorted, so that loading an Ingress costs what its own annotations cost.
static NAMES: LazyLock<Vec<Name>> = LazyLock::new(|| {
    let mut names: Vec<_> = ALL.iter().enumerate().flat_map(names).collect();
    names.sort_by_key(|name| name.text);
    names
});

/// A name of an annotation.
struct Name {
    text: &'static str,
    /// In [`ALL`].
    position: usize,
    /// Only tutorials use it.
    misnomer: bool,
}

fn names((position, row): (usize, &&'static Annotation)) -> impl Iterator<Item = Name> + use<> {
    let name = move |misnomer| {
        move |text| Name {
            text,
            position,
            misnomer,
        }
    };
    let own = [row.entry.name].into_iter();
    let own = own.chain(row.aliases.iter().copied()).map(name(false));
    own.chain(row.misnomers.iter().copied().map(name(true)))
}

fn lookup(text: &str) -> Option<&'static Name> {
    let at = NAMES.binary_search_by(|name| name.text.cmp(text)).ok()?;
    NAMES.get(at)
}

/// Every annotation, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Annotation> {
    ALL.iter().copied()
}

/// The annotation of this name (without prefix) or alias.
pub fn find(name: &str) -> Option<&'static Annotation> {
    let name = lookup(name).filter(|name| !name.misnomer)?;
    ALL.get(name.position).copied()
}

/// The annotation for a name that tutorials use and no release of ingress-nginx read.
pub fn meant_by(misnomer: &str) -> Option<&'static Annotation> {
    let name = lookup(misnomer).filter(|name| name.misnomer)?;
    ALL.get(name.position).copied()
}

/// The annotations with one of these names, aliases or misnomers, each once, in the order of the documentation.
pub(super) fn mentioned<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'static Annotation> {
    let mut positions: Vec<_> = names
        .filter_map(|name| Some(lookup(name)?.position))
        .collect();
    positions.sort_unstable();
    positions.dedup();
    let rows = positions.into_iter().filter_map(|at| ALL.get(at).copied());
    rows.collect()
}
