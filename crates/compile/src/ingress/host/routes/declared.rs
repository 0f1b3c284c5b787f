//! The paths that the Ingresses of a host declare, and what they decide for the whole host (behaviour.md 2.4, 2.5).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use headgate_table::{AppRoot, CATCH_ALL, PathKind};

use crate::finding::{Finding, Severity};
use crate::ingress::host::AttachedIngress;
use crate::ingress::parsed::{PathRule, is_root};

/// Whether `host` is in regex mode, in which all its paths are regular expressions.
pub(in crate::ingress::host) fn in_regex_mode(host: &str, primaries: &[&AttachedIngress]) -> bool {
    let declared = declared(host, primaries, &mut Vec::new());
    is_regex_mode(&Root::of(host, primaries, &declared), &declared)
}

pub(super) fn is_regex_mode(root: &Root<'_>, declared: &[Declared<'_>]) -> bool {
    let is_regex = |(attached, rule): &Declared<'_>| is_regex(attached, &rule.path);
    root.is_regex(declared) || declared.iter().any(is_regex)
}

/// A path and the Ingress that declares it.
pub(super) type Declared<'a> = (&'a AttachedIngress, &'a PathRule);

/// The path `/` of a host, of the oldest Ingress that declares it.
pub(in crate::ingress::host) fn root<'a>(
    host: &str,
    primaries: &[&'a AttachedIngress],
) -> Option<Declared<'a>> {
    let declared = declared(host, primaries, &mut Vec::new());
    declared.into_iter().find(|(_, rule)| is_root(rule))
}

/// Which Ingress owns the root of a host.
pub(super) enum Root<'a> {
    /// The oldest Ingress with only a default backend owns the root of the catch-all.
    CatchAll(&'a AttachedIngress),
    /// The Ingress that declares `/`.
    Declared(&'a AttachedIngress, &'a PathRule),
    /// The Ingress that created the host.
    Creator(&'a AttachedIngress),
    /// The catch-all host has no creator, even if Ingresses add paths to it.
    BuiltIn,
}

impl<'a> Root<'a> {
    pub(super) fn of(
        host: &str,
        primaries: &[&'a AttachedIngress],
        declared: &[Declared<'a>],
    ) -> Self {
        let is_catch_all = host == CATCH_ALL;
        let alone = primaries
            .iter()
            .find(|attached| is_catch_all && attached.ingress.is_catch_all());
        if let Some(attached) = alone {
            return Self::CatchAll(attached);
        }
        if let Some((attached, rule)) = declared.iter().find(|(_, rule)| is_root(rule)) {
            return Self::Declared(attached, rule);
        }
        match primaries.first() {
            Some(attached) if !is_catch_all => Self::Creator(attached),
            _ => Self::BuiltIn,
        }
    }

    /// Whether the root puts the host into regex mode. The default location of a host has all annotations of its creator,
    /// including `use-regex` and rewrites; but a rewrite to the very path that the creator declares changes nothing. A declared
    /// root is one of the declared paths, and the root of the catch-all is never rewritten.
    fn is_regex(&self, declared: &[Declared<'_>]) -> bool {
        let Self::Creator(creator) = self else {
            return false;
        };
        let mut own = declared
            .iter()
            .filter(|(attached, _)| attached.ingress.name == creator.ingress.name)
            .peekable();
        match own.peek() {
            None => is_regex(creator, "/"),
            Some(_) => own.any(|(_, rule)| is_regex(creator, &rule.path)),
        }
    }
}

/// Whether a location puts its host into regex mode: by `use-regex`, or a rewrite that changes its path.
pub(super) fn is_regex(attached: &AttachedIngress, path: &str) -> bool {
    attached.ingress.annotations.routing.is_regex(path)
}

/// All paths in the order of their Ingresses' age, without those whose text an older Ingress has declared with the same kind. As
/// in ingress-nginx only the first of a text is compared: after an Exact path any number of Prefixes of its text are kept. Only
/// the first of them serves, but the annotations of all count for the host.
pub(super) fn declared<'a>(
    host: &str,
    primaries: &[&'a AttachedIngress],
    findings: &mut Vec<Finding>,
) -> Vec<Declared<'a>> {
    let all = primaries.iter().copied().flat_map(|attached| {
        let rules = attached.ingress.rules(host).into_iter();
        rules
            .flat_map(|rules| &rules.paths)
            .map(move |rule| (attached, rule))
    });
    // Every host begins with the Prefix `/`, which the first Ingress that declares it takes over.
    let root: (PathKind, Option<&AttachedIngress>) = (PathKind::Prefix, None);
    let mut first = HashMap::from([("/", root)]);
    let mut kept = Vec::new();
    for (attached, rule) in all {
        let (kind, owner) = first.entry(&rule.path).or_insert((rule.kind, None));
        match owner {
            Some(owner) if *kind == rule.kind => {
                findings.push(conflict(host, attached, rule, owner));
                continue;
            }
            None if *kind == rule.kind => *owner = Some(attached),
            Some(_) | None => {}
        }
        kept.push((attached, rule));
    }
    kept
}

/// The findings about paths that ingress-nginx gives to the older Ingress as well. Those that [`served`] reports are not among
/// them: there, ingress-nginx cannot load its configuration.
pub(in crate::ingress::host) fn lost(host: &str, primaries: &[&AttachedIngress]) -> Vec<Finding> {
    let mut lost = Vec::new();
    let declared = declared(host, primaries, &mut lost);
    if let Root::CatchAll(owner) = Root::of(host, primaries, &declared) {
        let roots = declared.iter().filter(|(_, rule)| is_root(rule));
        lost.extend(roots.map(|(late, rule)| conflict(host, late, rule, owner)));
    }
    lost
}

/// Those of the declared paths that serve.
pub(super) fn served<'a>(
    host: &str,
    declared: &[Declared<'a>],
    regex: bool,
    findings: &mut Vec<Finding>,
) -> Vec<Declared<'a>> {
    let key = |rule: &'a PathRule| match rule.kind {
        // Outside regex mode `/a` and `/a/` are the same prefix of whole segments.
        PathKind::Prefix if !regex && rule.path.len() > 1 => {
            let path = rule.path.strip_suffix('/').unwrap_or(&rule.path);
            (path, rule.kind)
        }
        kind => (&*rule.path, kind),
    };
    first_of_each(host, declared.iter().copied(), key, findings)
}

/// The application's root: of several, that of the Ingress with the longest path in this host, and of equally long ones with
/// the last in the order of their text.
pub(super) fn app_root(root: &Root<'_>, declared: &[Declared<'_>]) -> Option<AppRoot> {
    let own = |attached: &AttachedIngress| attached.ingress.annotations.routing.app_root.clone();
    let of_paths = declared
        .iter()
        .filter_map(|(attached, rule)| Some((&*rule.path, own(attached)?)));
    // Of the same path, the first.
    let best = of_paths.reduce(|best, next| {
        let is_later = (next.0.len(), next.0) > (best.0.len(), best.0);
        if is_later { next } else { best }
    });
    match (best, root) {
        (Some((_, app_root)), _) => Some(app_root),
        // The default location of a host has the annotations of its creator.
        (None, Root::Creator(creator)) => own(creator),
        (None, _) => None,
    }
}

fn first_of_each<'a, K: Eq + Hash>(
    host: &str,
    all: impl Iterator<Item = Declared<'a>>,
    key: impl Fn(&'a PathRule) -> K,
    findings: &mut Vec<Finding>,
) -> Vec<Declared<'a>> {
    let mut seen: HashMap<K, &AttachedIngress> = HashMap::new();
    let mut first = Vec::new();
    for (attached, rule) in all {
        match seen.entry(key(rule)) {
            Entry::Vacant(vacant) => {
                vacant.insert(attached);
                first.push((attached, rule));
            }
            Entry::Occupied(owner) => {
                findings.push(conflict(host, attached, rule, owner.get()));
            }
        }
    }
    first
}

pub(super) fn conflict(
    host: &str,
    attached: &AttachedIngress,
    rule: &PathRule,
    owner: &AttachedIngress,
) -> Finding {
    let message = format!(
        "host {host} path {} ({:?}) is already served by {}; ignored here",
        rule.path, rule.kind, owner.ingress.name
    );
    attached
        .ingress
        .finding(Severity::Error, "spec.rules", message)
}

/// The exact paths: in regex mode, a prefix of the same text has only its form with a final slash.
pub(super) fn exact_paths(declared: &[Declared<'_>]) -> Vec<Arc<str>> {
    let exact = declared
        .iter()
        .filter(|(_, rule)| rule.kind == PathKind::Exact);
    exact.map(|(_, rule)| rule.path.clone()).collect()
}
