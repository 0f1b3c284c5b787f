//! Findings about paths that no request reaches, and about Ingresses whose paths mean something else because of another one.

use std::collections::HashSet;

use headgate_table::{PathKind, Pattern};

use super::{Declared, is_regex, is_root};
use crate::Name;
use crate::build::RouteDraft;
use crate::finding::{Finding, Severity};
use crate::ingress::family::routing::{REWRITE_TARGET, USE_REGEX};
use crate::ingress::host::AttachedIngress;
use crate::ingress::parsed::is_literal;

/// Expressions of one host that are compared with each other: beyond, the comparison would cost more than it tells.
const MAX_COMPARED: usize = 256;

/// Outside regex mode: paths that no request path can be, because request paths are decoded and normalised first.
pub(super) fn literal(host: &str, declared: &[Declared<'_>], findings: &mut Vec<Finding>) {
    for (attached, rule) in declared {
        if let Some(reason) = unreachable(&rule.path) {
            let message = format!("path {} of host {host} {reason}", rule.path);
            let ingress = &attached.ingress;
            findings.push(ingress.finding(Severity::Warning, "spec.rules", message));
        }
    }
}

fn unreachable(path: &str) -> Option<String> {
    let has_dots =
        |dots: &str| path.contains(&format!("/{dots}/")) || path.ends_with(&format!("/{dots}"));
    if path.contains("//") || has_dots(".") || has_dots("..") {
        return Some(
            "is never reached: `//`, `/./` and `/../` are resolved in requests before paths are compared"
                .to_owned(),
        );
    }
    if path.contains('?') {
        return Some(
            "is not reached by a query: paths are compared without it, and `?` is a character of the path"
                .to_owned(),
        );
    }
    let escape = escape(path)?;
    Some(format!(
        "is not reached by {escape}: requests are decoded before paths are compared, so write the character itself"
    ))
}

/// The first percent-encoded character of a path.
fn escape(path: &str) -> Option<&str> {
    let starts = path.match_indices('%').map(|(at, _)| at);
    let mut escapes = starts.filter_map(|at| path.get(at..at + 3));
    escapes.find(|escape| escape.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit()))
}

/// In regex mode: each Ingress that is not the cause of it, because its paths match more than they say.
pub(super) fn by_another(host: &str, declared: &[Declared<'_>], findings: &mut Vec<Finding>) {
    let is_cause = |(attached, rule): &&Declared<'_>| is_regex(attached, &rule.path);
    let mut causes = declared.iter().filter(is_cause);
    let Some((cause, _)) = causes.next() else {
        return;
    };
    let causes = causes.map(|(attached, _)| &attached.ingress.name);
    let mut seen: HashSet<&Name> = causes.chain([&cause.ingress.name]).collect();
    for (attached, rule) in declared {
        let ingress = &attached.ingress;
        if is_root(rule) || !seen.insert(&ingress.name) {
            continue;
        }
        let shown = match rule.kind {
            PathKind::Exact => format!("Exact {} also serves longer paths", rule.path),
            PathKind::Prefix | PathKind::Expression => {
                format!("Prefix {} also serves {}x", rule.path, rule.path)
            }
        };
        let message = format!(
            "{} of Ingress {} makes all paths of host {host} case-insensitive regular expressions: {shown}",
            cause_of(cause),
            cause.ingress.name
        );
        findings.push(ingress.finding(Severity::Info, "spec.rules", message));
    }
}

fn cause_of(attached: &AttachedIngress) -> &'static str {
    if attached.ingress.annotations.routing.use_regex == Some(true) {
        USE_REGEX.entry().name
    } else {
        REWRITE_TARGET.entry().name
    }
}

/// An expression of a route, in the order in which they are tried.
struct Tried<'a> {
    route: usize,
    path: &'a str,
    pattern: &'a Pattern,
}

/// In regex mode: plain paths all of whose requests match an expression that is tried before.
pub(super) fn shadowed(
    host: &str,
    routes: &[RouteDraft<()>],
    declared: &[Declared<'_>],
    findings: &mut Vec<Finding>,
) {
    let mut tried: Vec<Tried<'_>> = routes
        .iter()
        .enumerate()
        .flat_map(|(route, draft)| {
            let paths = draft.matches.iter();
            let expressions = paths.flat_map(|path| path.expressions.iter());
            expressions.map(move |(path, pattern)| Tried {
                route,
                path,
                pattern,
            })
        })
        .collect();
    if tried.len() < 2 || tried.len() > MAX_COMPARED {
        return;
    }
    // As the index of paths sorts them.
    tried.sort_by(|a, b| (b.path.len(), b.path).cmp(&(a.path.len(), a.path)));
    let mut reported = HashSet::new();
    for (at, one) in tried.iter().enumerate() {
        let Some(text) = plain_text(one.pattern) else {
            continue;
        };
        // A prefix has two expressions; it is shadowed if the shorter one is.
        let is_last = !tried
            .iter()
            .skip(at + 1)
            .any(|other| other.route == one.route);
        let before = tried.iter().take(at);
        let mut before = before.filter(|other| other.route != one.route);
        let shadow = before
            .find(|other| covers(other.pattern, text))
            .filter(|_| is_last);
        let (Some(shadow), Some((attached, rule))) =
            (shadow, owner(declared, one.path, &routes[one.route]))
        else {
            continue;
        };
        if !reported.insert(one.route) {
            continue;
        }
        let ingress = &attached.ingress;
        let by = owner(declared, shadow.path, &routes[shadow.route]);
        let by = by.map_or_else(String::new, |(by, _)| {
            format!(" of Ingress {}", by.ingress.name)
        });
        let message = format!(
            "path {} of host {host} is never reached: {}{by} is longer, so it is tried before, and matches the same requests",
            rule.path, shadow.path
        );
        findings.push(ingress.finding(Severity::Warning, "spec.rules", message));
    }
}

/// The text that every match of an expression starts with, if that is all it demands. A dot would be any character.
fn plain_text(pattern: &Pattern) -> Option<&str> {
    let text = pattern.source().strip_prefix('^')?;
    (is_literal(text) && !text.contains('.')).then_some(text)
}

/// Whether every path that starts with `text` matches. A match of the text alone stays one if more text follows, unless the
/// expression looks at what follows or ends.
fn covers(pattern: &Pattern, text: &str) -> bool {
    const LOOKS_AHEAD: [&str; 7] = ["$", "\\b", "\\B", "\\z", "\\Z", "\\G", "(?"];
    let source = pattern.source();
    let looks = LOOKS_AHEAD
        .iter()
        .any(|construct| source.contains(construct));
    !looks && pattern.decide(text.as_bytes()) == Some(true)
}

/// The path of a route as declared.
fn owner<'a, 'd>(
    declared: &'d [Declared<'a>],
    path: &str,
    route: &RouteDraft<()>,
) -> Option<&'d Declared<'a>> {
    let name = &route.owner.as_ref()?.name;
    let mut declared = declared.iter();
    declared.find(|(attached, rule)| attached.ingress.name == *name && *rule.path == *path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn what_no_request_path_can_be() {
        for path in ["/a//b", "/a/./b", "/a/..", "/a?x=1", "/a%20b", "/%41"] {
            assert!(unreachable(path).is_some(), "{path}");
        }
        for path in ["/", "/a", "/a/", "/a.b/..c", "/100%", "/100%x", "/a b"] {
            assert_eq!(unreachable(path), None, "{path}");
        }
    }

    #[test]
    fn an_expression_covers_a_text_only_with_all_that_may_follow() {
        let covers =
            |pattern: &str, text| covers(&Pattern::case_insensitive(pattern).unwrap(), text);
        assert!(covers("^/(.*)", "/api"));
        assert!(covers("^/API", "/api"));
        assert!(covers("^/a[a-z]+", "/api"));
        assert!(!covers("^/api(/|$)(.*)", "/api"));
        assert!(!covers("^/api$", "/api"));
        assert!(!covers("^/api(?!x)", "/api"));
        assert!(!covers("^/apix", "/api"));
    }
}
