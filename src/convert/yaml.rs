//! Objects as YAML in the order in which manifests are written.

use serde_json::{Map, Value};

/// The fields that come first, in this order.
const FIRST: [&str; 9] = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "namespace",
    "type",
    "path",
    "targetRefs",
];

/// Appends `value`, which is an object, indented by `depth` steps.
pub(super) fn write(value: &Value, depth: usize, out: &mut String) {
    let Some(fields) = value.as_object() else {
        return;
    };
    for (name, value) in sorted(fields) {
        indent(depth, out);
        field(name, value, depth, out);
    }
}

fn sorted(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    let rank = |name: &str| FIRST.iter().position(|first| *first == name);
    fields.sort_by_key(|(name, _)| (rank(name).unwrap_or(FIRST.len()), (*name).clone()));
    fields
}

fn field(name: &str, value: &Value, depth: usize, out: &mut String) {
    out.push_str(name);
    out.push(':');
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            write(value, depth + 1, out);
        }
        Value::Array(members) if !members.is_empty() => {
            out.push('\n');
            list(members, depth, out);
        }
        other => {
            out.push(' ');
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
}

fn list(members: &[Value], depth: usize, out: &mut String) {
    for member in members {
        indent(depth, out);
        out.push_str("- ");
        match member.as_object().filter(|fields| !fields.is_empty()) {
            Some(fields) => {
                for (position, (name, value)) in sorted(fields).into_iter().enumerate() {
                    if position > 0 {
                        indent(depth + 1, out);
                    }
                    field(name, value, depth + 1, out);
                }
            }
            None => {
                out.push_str(&scalar(member));
                out.push('\n');
            }
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.push_str(&"  ".repeat(depth));
}

/// A scalar; a text is in double quotes, as in JSON, unless it is a plain word that YAML reads as text.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else {
        return value.to_string();
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let reserved = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let is_reserved = reserved.iter().any(|word| text.eq_ignore_ascii_case(word));
    if starts && !is_reserved && text.bytes().all(is_plain) {
        text.clone()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::write;

    #[test]
    fn texts_stay_texts_and_fields_are_in_the_usual_order() {
        let mut out = String::new();
        let object = json!({
            "spec": {
                "b": [1, { "y": "on", "name": "n", "x": {} }],
                "a": "1", "c": "a: b # c", "d": "/x", "e": [], "f": "a\nb", "g": true, "h": "-",
            },
            "kind": "K", "apiVersion": "v1",
        });
        write(&object, 0, &mut out);
        let expected = "apiVersion: v1\nkind: K\nspec:\n  a: \"1\"\n  b:\n  - 1\n  - name: \"n\"\n    x: {}\n    y: \"on\"\n  \
                        c: \"a: b # c\"\n  d: /x\n  e: []\n  f: \"a\\nb\"\n  g: true\n  h: \"-\"\n";
        assert_eq!(out, expected);
    }
}
