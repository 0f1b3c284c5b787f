//! Whether another Ingress already has a path (behaviour.md 9.2, 8).

use std::collections::{HashMap, HashSet};
use std::ptr;

use foldhash::fast::RandomState;
use headgate_table::PathKind;

use super::{Candidate, has_canary_annotation};
use crate::ingress::host::AttachedIngress;
use crate::ingress::parsed::{HostRules, ParsedIngress, PathRule};

type Key<'a> = (&'a str, PathKind);
/// Paths whose owners are compared.
type Compared<'a> = HashSet<&'a str, RandomState>;

/// Returns the number of compared Ingresses: those that have one of the paths.
///
/// # Errors
/// The first path that another Ingress has, as a message.
pub(super) fn check(parsed: &ParsedIngress, candidate: &Candidate<'_>) -> Result<usize, String> {
    let stored = candidate.compiled.attached(&parsed.name);
    let is_stored =
        |attached: &AttachedIngress| stored.is_some_and(|stored| ptr::eq(stored, attached));
    let mut others_compared = HashSet::with_hasher(RandomState::default());
    for rules in &parsed.hosts {
        let compared = compared_paths(rules);
        let paths = compared.iter().copied();
        let mut attached = candidate.compiled.attached_at(&rules.host, paths);
        attached.retain(|attached| attached.ingress.is_canary() == parsed.is_canary());
        let counts = |owner: &AttachedIngress| parsed.is_canary() || both_plain(owner, candidate);
        let owners = Owners::of(rules, &compared, &attached, is_stored);
        if let Some((rule, owner)) = owners.first(rules, counts) {
            return Err(format!(
                "host \"{}\" and path \"{}\" is already defined in ingress {}",
                rules.host,
                rule.path.escape_debug(),
                owner.ingress.name
            ));
        }
        let others = attached.into_iter().filter(|attached| !is_stored(attached));
        others_compared.extend(others.map(|attached| ptr::from_ref(attached).addr()));
    }
    Ok(others_compared.len())
}

/// The paths of a host, with and without a final slash, as other Ingresses' prefixes are expanded by one.
fn compared_paths(rules: &HostRules) -> Compared<'_> {
    let paths = rules.paths.iter().map(|rule| &*rule.path);
    paths
        .flat_map(|path| [path, path.strip_suffix('/').unwrap_or(path)])
        .collect()
}

/// Whether neither has a canary annotation. With `canary: "false"` an Ingress may share a path: its author decided so, and the
/// older one wins.
fn both_plain(owner: &AttachedIngress, candidate: &Candidate<'_>) -> bool {
    !has_canary_annotation(candidate.ingress, candidate.options)
        && !candidate.has_canary_annotation(&owner.ingress.name)
}

/// The current owners of the compared paths of a host: canaries if the reviewed Ingress is a canary, else primaries.
struct Owners<'a> {
    others: HashMap<Key<'a>, &'a AttachedIngress, RandomState>,
    /// Paths that the reviewed Ingress already has; their owner does not change.
    own: HashSet<Key<'a>, RandomState>,
    /// Exact paths of the host with the reviewed Ingress.
    exact: HashSet<&'a str, RandomState>,
}

impl<'a> Owners<'a> {
    /// `attached` are the Ingresses of the host that have one of the `compared` paths, oldest first.
    fn of(
        rules: &'a HostRules,
        compared: &Compared<'_>,
        attached: &[&'a AttachedIngress],
        is_stored: impl Fn(&AttachedIngress) -> bool,
    ) -> Self {
        let mut owners = Self {
            others: HashMap::default(),
            own: HashSet::default(),
            exact: HashSet::default(),
        };
        let mut taken: HashSet<Key<'a>, RandomState> = HashSet::default();
        for attached in attached {
            let rules = attached.ingress.rules(&rules.host).into_iter();
            let rules = rules.flat_map(|rules| &rules.paths);
            for rule in rules.filter(|rule| compared.contains(&*rule.path)) {
                let key = (&*rule.path, rule.kind);
                if !taken.insert(key) {
                    continue;
                }
                if is_stored(attached) {
                    owners.own.insert(key);
                } else {
                    owners.others.insert(key, attached);
                }
            }
        }
        let reviewed = rules.paths.iter().map(|rule| (&*rule.path, rule.kind));
        let exact = owners.others.keys().copied().chain(reviewed);
        owners.exact = exact
            .filter(|(_, kind)| *kind == PathKind::Exact)
            .map(|(path, _)| path)
            .collect();
        owners
    }

    /// The first path of `rules` that another Ingress has for which `counts` holds.
    fn first<'r>(
        &self,
        rules: &'r HostRules,
        counts: impl Fn(&AttachedIngress) -> bool,
    ) -> Option<(&'r PathRule, &'a AttachedIngress)> {
        let new = rules
            .paths
            .iter()
            .filter(|rule| !self.own.contains(&(&*rule.path, rule.kind)));
        new.flat_map(|rule| self.at(&rule.path).map(move |owner| (rule, owner)))
            .find(|(_, owner)| counts(owner))
    }

    /// The owners of locations for this path. A prefix has the locations of ingress-nginx: with a final slash, and without one
    /// unless an exact path is the same; only as written, if the paths of its Ingress are expressions or rewritten. Therefore an
    /// exact path is allowed beside an existing prefix, and a prefix beside an existing exact path is not.
    fn at(&self, path: &str) -> impl Iterator<Item = &'a AttachedIngress> {
        let exact = self.others.get(&(path, PathKind::Exact)).copied();
        let same = self.others.get(&(path, PathKind::Prefix)).copied();
        let same = same.filter(|owner| {
            path.ends_with('/') || is_verbatim(owner, path) || !self.exact.contains(path)
        });
        let shorter = path
            .strip_suffix('/')
            .filter(|shorter| !shorter.is_empty())
            .and_then(|shorter| Some((shorter, self.others.get(&(shorter, PathKind::Prefix))?)))
            .filter(|(shorter, owner)| !is_verbatim(owner, shorter))
            .map(|(_, owner)| *owner);
        [exact, same, shorter].into_iter().flatten()
    }
}

/// Whether a path of an Ingress is not expanded.
fn is_verbatim(attached: &AttachedIngress, path: &str) -> bool {
    attached.ingress.annotations.routing.is_regex(path)
}
