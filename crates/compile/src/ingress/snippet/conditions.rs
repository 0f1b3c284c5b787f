//! The condition of `if`.

use std::sync::Arc;

use headgate_table::{Condition, Pattern, Phase, ValueTest};

use super::values::{shown, template};

/// The condition of these words, of which the first begins with `(` and the last ends with `)`.
pub(super) fn condition(words: &[String]) -> Result<Condition, String> {
    let words = without_parentheses(words)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((variable, test)) = words.split_first() else {
        return Err("the condition is empty".to_owned());
    };
    let name = variable.strip_prefix('$').filter(|name| is_name(name));
    let Some(name) = name else {
        let variable = shown(variable);
        return Err(format!(
            "\"{variable}\" is not a variable; tests of files are not supported"
        ));
    };
    let value = template(&format!("${{{name}}}"), Phase::Request)?;
    let (test, negated) = match test {
        [] => (ValueTest::True, false),
        [operator, text] => operation(operator, text)?,
        _ => return Err("expected a variable, or a variable, an operator and a value".to_owned()),
    };
    Ok(Condition {
        value,
        test,
        negated,
    })
}

fn operation(operator: &str, text: &str) -> Result<(ValueTest, bool), String> {
    let (negated, plain) = match operator.strip_prefix('!') {
        Some(plain) => (true, plain),
        None => (false, operator),
    };
    let test = match plain {
        "=" => ValueTest::Equals(template(text, Phase::Request)?),
        "~" => ValueTest::Matches(expression(text, Pattern::new)?),
        "~*" => ValueTest::Matches(expression(text, Pattern::case_insensitive)?),
        _ => return Err(format!("\"{}\" is not an operator", shown(operator))),
    };
    Ok((test, negated))
}

/// The compiled expression of `text`.
pub(super) fn expression<E: ToString>(
    text: &str,
    compile: impl Fn(&str) -> Result<Pattern, E>,
) -> Result<Arc<Pattern>, String> {
    let compiled = compile(text).map(Arc::new);
    compiled.map_err(|error| format!("\"{}\": {}", shown(text), error.to_string()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The words between the parentheses; these may stand alone.
fn without_parentheses(words: &[String]) -> Result<Vec<String>, String> {
    let missing = || "the condition is not in parentheses".to_owned();
    let mut words = words.to_vec();
    let first = words.first_mut().ok_or_else(missing)?;
    *first = first.strip_prefix('(').ok_or_else(missing)?.to_owned();
    let last = words.last_mut().ok_or_else(missing)?;
    *last = last.strip_suffix(')').ok_or_else(missing)?.to_owned();
    // An empty text in quotes is a value, but an end is none.
    let mut end = words.len();
    if end > 1 && words.last().is_some_and(String::is_empty) {
        end -= 1;
    }
    words.truncate(end);
    if words.first().is_some_and(String::is_empty) {
        words.remove(0);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;
    use crate::ingress::snippet::syntax::parse;

    fn read(text: &str) -> Result<String, String> {
        let written = parse(&format!("if {text} {{}}")).unwrap();
        let condition = condition(&written[0].arguments)?;
        let test = match condition.test {
            ValueTest::True => "true".to_owned(),
            ValueTest::Equals(text) => format!("={text}"),
            ValueTest::Matches(pattern) => format!("~{}", pattern.source()),
        };
        let not = if condition.negated { "!" } else { "" };
        Ok(format!("{} {not}{test}", condition.value))
    }

    #[test]
    fn conditions() {
        for (text, expected) in [
            ("($host = a.test)", "${host} =a.test"),
            ("( $host = a.test )", "${host} =a.test"),
            ("($host != 'a b')", "${host} !=a b"),
            ("($http_x = '')", "${http_x} ="),
            ("($http_x = \"\" )", "${http_x} ="),
            ("($http_x)", "${http_x} true"),
            ("($request_uri ~* \"^/a(.*)$\")", "${request_uri} ~^/a(.*)$"),
            ("($request_uri !~ ^/[a-z]{2}/)", "x"),
            (
                "($request_uri !~ \"^/[a-z]{2}/\")",
                "${request_uri} !~^/[a-z]{2}/",
            ),
            ("($host = $x$y)", "${host} =$x$y"),
        ] {
            if expected == "x" {
                assert!(parse(&format!("if {text} {{}}")).is_err());
                continue;
            }
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "$host = a",
            "(host = a)",
            "(-f $request_filename)",
            "($host == a)",
            "($host = a b)",
            "()",
            "($a$b = c)",
            "($host ~ '(')",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
