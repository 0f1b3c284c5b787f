//! Splitting and recognition; the golden files cover parsing.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use headgate_compile::Kind;

use super::kind::{Recognized, recognize};
use super::path::Path;
use super::{Format, parse, split};

fn chunks(text: &str, format: Format) -> Vec<(usize, &str)> {
    split(text, format)
        .iter()
        .map(|chunk| (chunk.line, chunk.text))
        .collect()
}

#[test]
fn yaml_is_split_at_its_markers() {
    let cases: &[(&str, &[(usize, &str)])] = &[
        ("", &[]),
        ("# only\n\n---\n---\n", &[]),
        ("a\n---\nb\n", &[(1, "a\n"), (3, "b\n")]),
        ("---\na\n---   \nb", &[(2, "a\n"), (4, "b")]),
        ("--- # named\n# more\na\n", &[(3, "a\n")]),
        ("--- {a: b}\n--- c", &[(1, "--- {a: b}\n"), (2, "--- c")]),
        ("a: |\n  ---\n---x: y\n", &[(1, "a: |\n  ---\n---x: y\n")]),
        (
            "%YAML 1.2\n---\na\n...\n# end\n...\nb\n",
            &[(3, "a\n"), (7, "b\n")],
        ),
        ("a\r\n---\r\nb\r\n", &[(1, "a\r\n"), (3, "b\r\n")]),
        ("\u{feff}a\n---", &[(1, "a\n")]),
    ];
    for (text, expected) in cases {
        assert_eq!(chunks(text, Format::Yaml), *expected, "{text:?}");
    }
}

#[test]
fn json_is_split_after_each_value_up_to_the_first_error() {
    let cases: &[(&str, &[(usize, &str)])] = &[
        ("", &[]),
        (" \n{}\n\n[1,\n2] 3", &[(2, "{}"), (4, "[1,\n2]"), (5, "3")]),
        ("{}\n{]\n{}\n", &[(1, "{}"), (2, "{]\n{}\n")]),
    ];
    for (text, expected) in cases {
        assert_eq!(chunks(text, Format::Json), *expected, "{text:?}");
    }
}

#[test]
fn kinds_are_recognized_by_group_and_version() {
    let cases = [
        (
            "networking.k8s.io/v1",
            "Ingress",
            Recognized::Object(Kind::Ingress),
        ),
        (
            "networking.k8s.io/v1",
            "IngressList",
            Recognized::List(Some(Kind::Ingress)),
        ),
        ("v1", "List", Recognized::List(None)),
        ("apps/v1", "List", Recognized::Unsupported),
        (
            "extensions/v1beta1",
            "Ingress",
            Recognized::WrongVersion(Kind::Ingress),
        ),
        (
            "networking.k8s.io/v1beta1",
            "IngressClass",
            Recognized::WrongVersion(Kind::IngressClass),
        ),
        ("v2", "Service", Recognized::WrongVersion(Kind::Service)),
        ("", "Secret", Recognized::WrongVersion(Kind::Secret)),
        ("v1", "Ingress", Recognized::WrongVersion(Kind::Ingress)),
        ("config.openshift.io/v1", "Ingress", Recognized::Unsupported),
        ("serving.knative.dev/v1", "Service", Recognized::Unsupported),
        ("v1", "Pod", Recognized::Unsupported),
        ("v1", "PodList", Recognized::Unsupported),
    ];
    for (version, kind, expected) in cases {
        assert_eq!(recognize(version, kind), expected, "{version} {kind}");
    }
}

#[test]
fn an_unsupported_kind_is_not_parsed_and_a_nested_kind_does_not_count() {
    assert!(
        parse("kind: Widget # comment\na: [\n", Format::Yaml)
            .problems
            .is_empty()
    );
    assert!(
        !parse("spec:\n  kind: Widget\na: [\n", Format::Yaml)
            .problems
            .is_empty()
    );
    assert!(
        !parse("{\nkind: Widget,\na: [\n", Format::Yaml)
            .problems
            .is_empty()
    );
    assert!(
        !parse("kind: \"Ingress\"\na: [\n", Format::Yaml)
            .problems
            .is_empty()
    );
}

#[test]
fn custom_resources_have_a_version_a_kind_and_a_status() {
    let text = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: { name: a }\n\
                spec: { controllerName: b/c, other: d }\nstatus: { conditions: [] }\n";
    let outcome = parse(text, Format::Yaml);
    let fields: Vec<&str> = outcome.notices.iter().map(|one| &*one.field).collect();
    assert_eq!((outcome.objects.len(), fields), (1, vec!["spec.other"]));
}

#[test]
fn paths_show_keys_that_have_dots() {
    let path = Path::default()
        .key("items")
        .index(3)
        .key("metadata")
        .key("labels")
        .key("a.b/c");
    assert_eq!(path.to_string(), "items[3].metadata.labels[\"a.b/c\"]");
    assert_eq!(Path::default().to_string(), "");
}
