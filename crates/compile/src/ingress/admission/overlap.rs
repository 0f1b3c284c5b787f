//! Whether a path is another Ingress's already (behaviour.md 9.2, 8).

use std::collections::{HashMap, HashSet};
use std::ptr;

use foldhash::fast::RandomState;
use headgate_table::PathKind;

use super::{Candidate, has_canary_annotation};
use crate::ingress::host::AttachedIngress;
use crate::ingress::parsed::{HostRules, ParsedIngress, PathRule};

type Key<'a> = (&'a str, PathKind);
/// Paths whose owners matter.
type Wanted<'a> = HashSet<&'a str, RandomState>;

/// How many other Ingresses were compared: those that have one of the paths.
///
/// # Errors
/// The first path that another Ingress has, in words.
pub(super) fn check(parsed: &ParsedIngress, candidate: &Candidate<'_>) -> Result<usize, String> {
    let stored = candidate.compiled.attached(&parsed.name);
    let is_stored =
        |attached: &AttachedIngress| stored.is_some_and(|stored| ptr::eq(stored, attached));
    let mut looked_at = HashSet::with_hasher(RandomState::default());
    for rules in &parsed.hosts {
        let wanted = wanted(rules);
        let paths = wanted.iter().copied();
        let mut attached = candidate.compiled.attached_at(&rules.host, paths);
        attached.retain(|attached| attached.ingress.is_canary() == parsed.is_canary());
        let counts = |owner: &AttachedIngress| parsed.is_canary() || both_plain(owner, candidate);
        let owners = Owners::of(rules, &wanted, &attached, is_stored);
        if let Some((rule, owner)) = owners.first(rules, counts) {
            return Err(format!(
                "host \"{}\" and path \"{}\" is already defined in ingress {}",
                rules.host,
                rule.path.escape_debug(),
                owner.ingress.name
            ));
        }
        let others = attached.into_iter().filter(|attached| !is_stored(attached));
        looked_at.extend(others.map(|attached| ptr::from_ref(attached).addr()));
    }
    Ok(looked_at.len())
}

/// The paths of a host, and those that a final slash makes of others' paths.
fn wanted(rules: &HostRules) -> Wanted<'_> {
    let paths = rules.paths.iter().map(|rule| &*rule.path);
    paths
        .flat_map(|path| [path, path.strip_suffix('/').unwrap_or(path)])
        .collect()
}

/// Two Ingresses of which one says it is no canary may share a path: its author thought about it, and the older one wins.
fn both_plain(owner: &AttachedIngress, candidate: &Candidate<'_>) -> bool {
    !has_canary_annotation(candidate.ingress, candidate.options)
        && !candidate.has_canary_annotation(&owner.ingress.name)
}

/// Who has which of the wanted paths of a host now, among Ingresses that are canaries as the reviewed one is, or are none
/// as it is none.
struct Owners<'a> {
    others: HashMap<Key<'a>, &'a AttachedIngress, RandomState>,
    /// Paths that the Ingress has already; nothing changes about who serves them.
    own: HashSet<Key<'a>, RandomState>,
    /// Exact paths of the host as it would be.
    exact: HashSet<&'a str, RandomState>,
}

impl<'a> Owners<'a> {
    /// `attached` are those of the host that have one of the `wanted` paths, oldest first.
    fn of(
        rules: &'a HostRules,
        wanted: &Wanted<'_>,
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
            for rule in rules.filter(|rule| wanted.contains(&*rule.path)) {
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
        let wanted = rules.paths.iter().map(|rule| (&*rule.path, rule.kind));
        let exact = owners.others.keys().copied().chain(wanted);
        owners.exact = exact
            .filter(|(_, kind)| *kind == PathKind::Exact)
            .map(|(path, _)| path)
            .collect();
        owners
    }

    /// The first path of `rules` that another Ingress has, where `counts` says that it matters.
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

    /// Who has a location of this path. What locations a prefix makes is the reference's: with a final slash, and without
    /// one where no exact path is the same; as written, where the paths of its Ingress are expressions or rewritten. That
    /// is why an exact path passes beside a prefix, and a prefix beside an exact path does not.
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

/// Whether the paths of an Ingress are searched as they are written.
fn is_verbatim(attached: &AttachedIngress, path: &str) -> bool {
    attached.ingress.annotations.routing.is_regex(path)
}
