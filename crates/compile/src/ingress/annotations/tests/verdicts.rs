//! Every annotation of an Ingress gets one verdict.

use super::annotations;
use crate::ingress::annotations::{Rules, all, verdicts};
use crate::ingress::registry::samples::SAMPLES;
use crate::ingress::registry::{Support, Validation, Verdict};

/// The verdict about each of these annotations on one Ingress.
fn of(texts: &[(&str, &str)]) -> Vec<(String, Verdict)> {
    let verdicts = verdicts(&Rules::default(), &annotations(texts), &[]);
    let named = verdicts.into_iter();
    named
        .map(|one| (one.name.into_owned(), one.verdict))
        .collect()
}

fn one(texts: &[(&str, &str)]) -> Verdict {
    of(texts).first().map(|(_, verdict)| *verdict).unwrap()
}

#[test]
fn values_decide() {
    use Verdict::{Differs, Honoured, NoEffect};
    for (name, value, expected) in [
        ("proxy-read-timeout", "30", Honoured),
        ("proxy-read-timeout", "0", Differs),
        ("proxy-read-timeout", "soon", NoEffect),
        ("rewrite-target", "/a", Honoured),
        ("rewrite-target", "a", Differs),
        ("affinity", "cookie", Differs),
        ("affinity", "", Honoured),
        ("auth-realm", "off", Differs),
        ("auth-realm", "x", Honoured),
        ("auth-tls-match-cn", "CN=x", Differs),
        ("limit-rps", "x", Honoured), // refused, as in ingress-nginx
        ("auth-keepalive", "5", NoEffect),
        ("auth-keepalive", "0", Honoured),
        ("ssl-passthrough", "true", NoEffect), // without its flag
        ("no-such-annotation", "x", NoEffect),
        ("secure-backends", "true", NoEffect),
        ("rate-limit-rps", "5", Differs),
    ] {
        assert_eq!(one(&[(name, value)]), expected, "{name}: {value}");
    }
}

#[test]
fn other_annotations_decide() {
    use Verdict::{Honoured, NoEffect};
    assert_eq!(one(&[("auth-tls-verify-depth", "3")]), NoEffect);
    let with = of(&[("auth-tls-secret", "a/b"), ("auth-tls-verify-depth", "3")]);
    assert!(
        with.iter().all(|(_, verdict)| *verdict == Honoured),
        "{with:?}"
    );
    let alias = of(&[
        ("allowlist-source-range", "::/0"),
        ("whitelist-source-range", "10.0.0.0/8"),
    ]);
    let expected = [
        ("allowlist-source-range", Honoured),
        ("whitelist-source-range", NoEffect),
    ];
    assert_eq!(
        alias,
        expected.map(|(name, verdict)| (name.to_owned(), verdict))
    );
    let on_canary = of(&[("canary", "true"), ("limit-rps", "5")]);
    assert_eq!(on_canary.last().unwrap().1, NoEffect);
}

#[test]
fn what_is_not_honoured_is_never_called_honoured() {
    for row in all().filter(|row| row.entry.support == Support::NotYet && row.needs.is_empty()) {
        let is_valid = |text: &&&str| {
            let value = row.entry.kind.parse(text, Validation::Full);
            value.is_ok() && value != row.entry.kind.parse(row.entry.default, Validation::Full)
        };
        let sample = SAMPLES.iter().find(is_valid).unwrap();
        if *sample != "false" && row.needs_flag.is_none() {
            assert_eq!(
                one(&[(row.entry.name, sample)]),
                Verdict::NotSupported,
                "{}",
                row.entry.name
            );
        }
    }
}

#[test]
fn differences_are_sentences() {
    let annotations = all().flat_map(|row| row.entry.differences);
    let settings = crate::ingress::settings::all().flat_map(|entry| entry.differences);
    for difference in annotations.chain(settings) {
        let text = difference.text;
        assert!(text.ends_with('.') && !text.ends_with(".."), "{text}");
        let first = text.chars().next().unwrap();
        assert!(!first.is_whitespace(), "{text}");
    }
}
