//! The fields of policies and the registry of annotations.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::field::{self, Member, Shape, field_name, shape};
use super::{definition, fields_markdown};
use crate::ingress::annotations::{Kind, PolicyUse, Support, Validation, all, find};

fn text(annotation: &str, value: &Value) -> Option<Result<String, String>> {
    field::text(find(annotation).unwrap(), value)
}

#[test]
fn a_field_has_the_name_of_its_annotation_in_camel_case() {
    for (annotation, field) in [
        ("limit-rps", "limitRps"),
        ("affinity", "affinity"),
        ("headgate.dev/outlier-ejection-5xx", "outlierEjection5xx"),
        ("http2-push-preload", "http2PushPreload"),
    ] {
        assert_eq!(field_name(annotation), field);
        assert_eq!(field::find(field).unwrap().entry.name, annotation);
    }
    let (annotation, own) = ("load-balance", "headgate.dev/load-balance");
    let row = find(annotation).unwrap();
    assert_eq!(row.of_field().entry.name, own);
    assert_eq!(field_name(annotation), field_name(own));
    let values = [row, find(own).unwrap()].map(|row| match row.entry.kind {
        Kind::OneOf(words) => words,
        other => panic!("{other:?}"),
    });
    assert!(values[0].iter().all(|word| values[1].contains(word)));
    let own = || all().filter(|row| row.of_field().entry.name == row.entry.name);
    let names: BTreeSet<String> = own().map(|row| field_name(row.entry.name)).collect();
    assert_eq!(names.len(), own().count());
    assert!(!names.contains("targetRefs"));
    assert!(field::find("limit-rps").is_none());
}

#[test]
fn values_become_the_text_of_annotations() {
    for (annotation, value, expected) in [
        ("enable-cors", json!(true), Some("true")),
        ("enable-cors", json!("true"), None),
        ("proxy-buffering", json!(true), Some("on")),
        ("proxy-buffering", json!(false), Some("off")),
        ("limit-rps", json!(5), Some("5")),
        ("limit-rps", json!(-1), Some("-1")),
        ("limit-rps", json!(1.5), None),
        ("limit-rps", json!("5"), None),
        ("proxy-body-size", json!(5), Some("5")),
        ("proxy-body-size", json!("5m"), Some("5m")),
        ("proxy-body-size", json!(true), None),
        ("auth-url", json!("http://a/"), Some("http://a/")),
        ("auth-url", json!(" "), None),
        ("auth-type", json!("basic"), Some("basic")),
        ("custom-http-errors", json!([404, 503]), Some("404,503")),
        ("custom-http-errors", json!(404), None),
        ("custom-http-errors", json!(["404"]), None),
        (
            "allowlist-source-range",
            json!(["::1", "10.0.0.0/8"]),
            Some("::1,10.0.0.0/8"),
        ),
        ("allowlist-source-range", json!([]), None),
        ("allowlist-source-range", json!([""]), None),
        (
            "cors-allow-methods",
            json!(["GET", "PUT"]),
            Some("GET, PUT"),
        ),
        (
            "proxy-next-upstream",
            json!(["error", "http_502"]),
            Some("error http_502"),
        ),
    ] {
        let found = text(annotation, &value).unwrap();
        assert_eq!(
            found.as_deref().ok(),
            expected,
            "{annotation} {value} {found:?}"
        );
    }
    assert_eq!(text("limit-rps", &Value::Null), None);
}

#[test]
fn every_field_can_have_a_value() {
    for row in field::all() {
        let samples = crate::ingress::registry::samples::SAMPLES.iter();
        let kind = row.entry.kind;
        let numbers = samples.clone().filter_map(|text| text.parse::<i64>().ok());
        let texts = samples.map(|text| json!(text));
        let values: Vec<Value> = match shape(kind) {
            Shape::Boolean => vec![json!(true)],
            Shape::Integer => numbers.map(|number| json!(number)).collect(),
            Shape::Size => vec![json!(7)],
            Shape::Word(words) => words.iter().map(|word| json!(word)).collect(),
            Shape::Text => texts.chain([json!("CN=x"), json!("off")]).collect(),
            Shape::List(_, Member::Integer) => vec![json!([404])],
            Shape::List(_, Member::Text | Member::Word(_)) => {
                let more = ["http_502", "200 5m", "GET"].map(|text| json!(text));
                texts.chain(more).map(|text| json!([text])).collect()
            }
        };
        let is_valid = |value: &Value| {
            let text = field::text(row, value).unwrap();
            text.is_ok_and(|text| kind.parse(&text, Validation::Full).is_ok())
        };
        assert!(values.iter().any(is_valid), "{}", row.entry.name);
    }
}

#[test]
fn what_has_no_effect_is_no_field() {
    for row in all() {
        let is_field = !matches!(row.policy, PolicyUse::None(_));
        if row.entry.support != Support::Honoured {
            assert!(!is_field, "{}", row.entry.name);
        }
        if row.entry.kind == Kind::Raw {
            assert!(!is_field, "{}: text for nginx", row.entry.name);
        }
    }
    assert!(field::all().count() > 90);
}

#[test]
fn the_definition_and_the_page_have_every_field() {
    let (definition, page) = (definition(), fields_markdown());
    for row in field::all() {
        let name = field_name(row.entry.name);
        let property = format!("\n                {name}:\n                  description: ");
        assert!(definition.contains(&property), "{name}");
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    assert!(!definition.contains("x-kubernetes-preserve-unknown-fields"));
}
