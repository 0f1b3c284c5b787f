//! Annotations on a canary.

use std::collections::BTreeSet;

use super::{has_problem, parse};
use crate::Severity;
use crate::ingress::annotations::{Annotation, OWN_PREFIX, all};
use crate::ingress::registry::samples::SAMPLES;
use crate::ingress::registry::{Kind, Validation};

const NO_EFFECT: &str = "has no effect on a canary";

#[test]
fn what_a_canary_has_of_its_own() {
    let own = "canary canary-by-header canary-by-header-value canary-by-header-pattern canary-by-cookie canary-weight \
        canary-weight-total affinity-canary-behavior load-balance upstream-hash-by upstream-hash-by-subset \
        upstream-hash-by-subset-size service-upstream";
    // Those of an upstream apply to that of a canary as well.
    let of_upstreams = all().map(|row| row.entry.name);
    let of_upstreams = of_upstreams.filter(|name| name.starts_with(OWN_PREFIX));
    let own: BTreeSet<&str> = own.split_whitespace().chain(of_upstreams).collect();
    let on_canary = all().filter(|row| row.on_canary);
    assert_eq!(
        on_canary.map(|row| row.entry.name).collect::<BTreeSet<_>>(),
        own
    );
}

/// Every other annotation is reported once, and neither closes nor changes anything.
#[test]
fn what_has_no_effect_on_a_canary_is_said_once() {
    let plain = parse(&[("canary", "true")]);
    for row in all().filter(|row| !row.on_canary) {
        let name = row.entry.name;
        let text = sample(row);
        let parsed = parse(&[("canary", "true"), (name, text)]);
        assert!(
            has_problem(&parsed, name, NO_EFFECT),
            "{name}: {:?}",
            parsed.problems
        );
        assert_eq!(parsed.problems.len(), 1, "{name}: {:?}", parsed.problems);
        assert_eq!(parsed.problems[0].severity, Severity::Warning);
        assert_eq!(
            super::IngressAnnotations {
                problems: Vec::new(),
                ..parsed
            },
            plain,
            "{name}"
        );
        // What changes nothing on the primary either is not worth a word.
        assert_eq!(
            parse(&[("canary", "true"), (name, row.entry.default)]).problems,
            []
        );
    }
}

/// A valid value that is not the default.
fn sample(row: &Annotation) -> &'static str {
    let kind = row.entry.kind;
    let default = kind.parse(row.entry.default, Validation::Full);
    let differs = |text: &&&str| {
        let value = kind.parse(text, Validation::Full);
        value.is_ok() && value != default
    };
    let samples = match kind {
        Kind::CommonName => &["CN=sample"],
        Kind::OneOf(words) | Kind::AnyCaseOf(words) => words,
        _ => SAMPLES,
    };
    samples.iter().find(differs).expect(row.entry.name)
}

#[test]
fn a_canary_that_is_off_is_any_other_ingress() {
    for off in ["false", "maybe"] {
        let parsed = parse(&[("canary", off), ("rewrite-target", "/x")]);
        assert!(parsed.routing.rewrite_target.is_some(), "{off}");
        assert!(!has_problem(&parsed, "rewrite-target", NO_EFFECT), "{off}");
    }
}

#[test]
fn an_invalid_value_of_class_a_refuses_a_canary_too() {
    let parsed = parse(&[("canary", "true"), ("limit-rps", "many")]);
    assert!(parsed.refused.is_some());
    let parsed = parse(&[("canary", "true"), ("allowlist-source-range", "nonsense")]);
    assert_eq!((parsed.refused, parsed.denied), (None, None));
}
