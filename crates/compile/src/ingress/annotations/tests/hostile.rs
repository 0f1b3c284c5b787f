//! No value makes parsing panic, passes the check of its class, or opens routes that its annotation protects.

use proptest::prelude::*;

use super::{annotations, parse};
use crate::ingress::annotations::{Flag, IngressAnnotations, Risk, Rules, Unread};
use crate::ingress::registry::{Entry, Kind, OnInvalid, Support, Validation, Value};

const HOSTILE: [&str; 8] = [
    "\"; }\n",
    "$(x)",
    "../../",
    "a\0b",
    "/a\r\nSet-Cookie: x=y",
    "%0d%0a",
    "\u{202e}",
    "} location / { deny all;",
];

fn all() -> impl Iterator<Item = Entry> {
    crate::ingress::annotations::all().map(|row| row.entry)
}

fn critical() -> Rules<'static> {
    Rules {
        max_risk: Risk::Critical,
        flags: &[Flag::SslPassthrough],
        ..Rules::default()
    }
}

#[test]
fn invalid_values_have_the_consequence_of_their_class() {
    let long = "a".repeat(1 << 20);
    for row in crate::ingress::annotations::all() {
        let entry = row.entry;
        // Without it the value would not be looked at.
        let other = match row.unread {
            Some(Unread::Without(other)) if other.entry.kind == Kind::Bool => {
                Some((other.entry.name, "true"))
            }
            Some(Unread::Without(other)) => Some((other.entry.name, "https://a.test")),
            Some(Unread::Beside(_)) | None => None,
        };
        for text in HOSTILE.into_iter().chain([long.as_str()]) {
            let pairs: Vec<_> = other.into_iter().chain([(entry.name, text)]).collect();
            let parsed = IngressAnnotations::parse(&critical(), &annotations(&pairs));
            if entry.kind.parse(text, Validation::Full).is_ok() {
                continue;
            }
            match entry.on_invalid {
                OnInvalid::RefuseIngress => {
                    assert!(parsed.refused.is_some(), "{} {text:.20?}", entry.name)
                }
                OnInvalid::Close => {
                    assert!(parsed.denied.is_some(), "{} {text:.20?}", entry.name)
                }
                OnInvalid::Ignore => {
                    assert_eq!(entry.protects, None, "{}", entry.name);
                    assert_eq!(
                        (parsed.denied, parsed.refused),
                        (None, None),
                        "{}",
                        entry.name
                    )
                }
            }
            assert!(!parsed.problems.is_empty(), "{} {text:.20?}", entry.name);
        }
    }
}

#[test]
fn no_honoured_value_has_a_line_break_or_control_byte() {
    // The lines of a snippet are directives, which become types of their own.
    let honoured = all().filter(|entry| entry.support == Support::Honoured);
    for entry in honoured.filter(|entry| entry.kind != Kind::Raw) {
        for text in HOSTILE
            .into_iter()
            .filter(|text| text.contains(char::is_control))
        {
            match entry.kind.parse(text, Validation::Full) {
                Err(_) => {}
                // Members are validated one by one; none of these is an origin or a TLS version.
                Ok(Value::List(_)) if entry.kind == Kind::List => {
                    let parsed = parse(&[
                        ("enable-cors", "true"),
                        ("proxy-ssl-secret", "a/b"),
                        (entry.name, text),
                    ]);
                    assert_eq!(parsed.cors.is_some(), entry.name != "cors-allow-origin");
                    assert!(!parsed.upstream_tls.unwrap().versions.tls13);
                }
                Ok(value) => panic!("{} honours {text:?} as {value:?}", entry.name),
            }
        }
    }
}

#[test]
fn messages_stay_short_and_on_one_line() {
    let long = "\n\u{1b}".repeat(1 << 19);
    for entry in all() {
        for text in HOSTILE.into_iter().chain([long.as_str()]) {
            let parsed =
                IngressAnnotations::parse(&critical(), &annotations(&[(entry.name, text)]));
            for message in parsed
                .problems
                .iter()
                .map(|problem| problem.message.as_str())
                .chain(parsed.denied.as_ref().map(|denial| &*denial.reason))
                .chain(parsed.refused.as_deref())
            {
                assert!(
                    message.len() < 2000 && !message.contains(char::is_control),
                    "{}: {message:.200}",
                    entry.name
                );
            }
        }
    }
}

#[test]
fn hostile_names_are_shown_escaped() {
    let parsed = parse(&[("x\n\u{1b}", "1"), (&"y".repeat(1 << 20), "1")]);
    assert_eq!(parsed.problems.len(), 2);
    assert!(
        parsed
            .problems
            .iter()
            .all(|problem| problem.field.len() < 200 && !problem.field.contains(char::is_control))
    );
}

proptest! {
    #[test]
    fn any_text_under_any_name_is_a_value_or_a_problem(at in 0usize..136, text in "\\PC{0,40}|[\\x00-\\x7f]{0,40}|[0-9a-z$/.:, -]{0,30}") {
        is_a_value_or_a_problem(&all().nth(at).unwrap(), &text);
    }
}

fn is_a_value_or_a_problem(entry: &Entry, text: &str) {
    let parsed = IngressAnnotations::parse(
        &critical(),
        &annotations(&[
            ("enable-cors", "true"),
            ("canary", "true"),
            ("affinity", "cookie"),
            (entry.name, text),
        ]),
    );
    if !text.trim().is_empty() && entry.kind.parse(text, Validation::Full).is_err() {
        assert!(!parsed.problems.is_empty());
    }
    for problem in &parsed.problems {
        let message = &problem.message;
        assert!(
            message.len() < 2000 && !message.contains(char::is_control),
            "{message}"
        );
    }
}

/// The name of the annotation, without prefix, and in the next lines its value.
#[test]
fn fuzz_annotation() {
    headgate_fuzz::check("annotation", |bytes| {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let (name, value) = text.split_once('\n').unwrap_or_default();
        if let Some(entry) = all().find(|entry| entry.name == name) {
            is_a_value_or_a_problem(&entry, value);
        }
    });
}

#[test]
fn a_value_longer_than_all_annotations_may_be_together_is_refused() {
    let (fits, too_long) = ("a".repeat(256 << 10), "a".repeat((256 << 10) + 1));
    assert!(
        parse(&[("rewrite-target", &fits)])
            .routing
            .rewrite_target
            .is_some()
    );
    let parsed = parse(&[("rewrite-target", &too_long), ("enable-cors", "true")]);
    assert_eq!(parsed.routing.rewrite_target, None);
    assert_eq!(
        parse(&[("enable-cors", "true"), ("cors-allow-origin", &too_long)]).cors,
        None
    );
}
