//! Paths of a host as matches of an HTTPRoute.

use serde_json::{Value, json};

/// The longest value of a match.
const MAX_VALUE: usize = 1024;

/// The path of an expression that is tried from the start of a path, whatever follows, in any case.
fn whole(expression: &str) -> String {
    let text = expression.strip_prefix('^').unwrap_or(expression);
    format!("(?i){text}(?s:.*)")
}

/// The matches of expressions in the order in which they are tried. Longer ones come first in an HTTPRoute, so one that is no
/// longer than its successor gets more `$` at its end, where they mean the same.
pub(super) fn expressions(in_order: &[&str]) -> Vec<Result<Value, String>> {
    let mut values = Vec::with_capacity(in_order.len());
    let mut least = 0;
    for expression in in_order.iter().rev() {
        let mut value = whole(expression);
        while value.len() < least {
            value.push('$');
        }
        least = value.len() + 1;
        values.push(if value.len() > MAX_VALUE {
            Err(format!(
                "the expression {expression} is longer than {MAX_VALUE} bytes as a match"
            ))
        } else {
            Ok(json!({ "type": "RegularExpression", "value": value }))
        });
    }
    values.reverse();
    values
}

/// An exact path.
pub(super) fn exact(path: &str) -> Value {
    json!({ "type": "Exact", "value": path })
}

/// A prefix of whole segments.
pub(super) fn prefix(path: &str) -> Value {
    let path = match path.strip_suffix('/') {
        Some(bare) if !bare.is_empty() => bare,
        _ => path,
    };
    json!({ "type": "PathPrefix", "value": path })
}

/// Why a literal path cannot be a match, by the rules of the API.
pub(super) fn refused(path: &str) -> Option<String> {
    let forbidden = ["//", "/./", "/../", "%2f", "%2F", "#"];
    let contains = forbidden.iter().any(|part| path.contains(part));
    let ends = path.ends_with("/..") || path.ends_with("/.");
    let is_plain = path
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-/._~%!$&'()*+,;=:@".contains(&byte));
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_escaped = path.split('%').skip(1).all(is_escape);
    (contains || ends || !is_plain || !is_escaped || path.len() > MAX_VALUE)
        .then(|| format!("the API does not allow the path {path}"))
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn literal_paths_are_refused_as_by_the_api() {
        for path in ["/", "/a%20b", "/%C3%a9", "/-._~!$&'()*+,;=:@"] {
            assert_eq!(refused(path), None, "{path}");
        }
        for path in ["/100%", "/%2", "/%zz", "/%%20", "/a?b", "/a//b", "/a/.."] {
            assert!(refused(path).is_some(), "{path}");
        }
    }
}
