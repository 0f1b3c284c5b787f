//! Label selectors in the syntax of the API server.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

/// Conditions on labels, all of which must hold. The default has none and matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    text: String,
    terms: Vec<Term>,
}

/// A text that is not a label selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected labels such as team=shop or tier in (web,api)")]
pub struct SelectorError;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also if the label is absent.
    NotIn(Vec<String>),
}

impl LabelSelector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.terms.iter().all(|term| {
            let value = labels.get(&term.key);
            match &term.test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            }
        })
    }
}

/// From an object.
impl LabelSelector {
    /// The selector of a field such as `spec.selector`.
    ///
    /// # Errors
    /// An operator is not known.
    pub(crate) fn of(field: &meta::LabelSelector) -> Result<Self, SelectorError> {
        let labels = field.match_labels.iter().flatten();
        let labels = labels.map(|(key, value)| {
            Ok(Term {
                key: key.clone(),
                test: Test::In(vec![value.clone()]),
            })
        });
        let expressions = field.match_expressions.iter().flatten().map(|expression| {
            let values = || expression.values.clone().unwrap_or_default();
            let test = match &*expression.operator {
                "In" => Test::In(values()),
                "NotIn" => Test::NotIn(values()),
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Absent,
                _ => return Err(SelectorError),
            };
            Ok(Term {
                key: expression.key.clone(),
                test,
            })
        });
        Ok(Self {
            terms: labels.chain(expressions).collect::<Result<_, _>>()?,
            text: String::new(),
        })
    }
}

/// As it was written, for the API server.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, with commas between them.
impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        // A comma in parentheses separates values.
        let mut depth = 0_usize;
        let terms = text.split(|c: char| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        });
        Ok(Self {
            terms: terms.map(term).collect::<Result<_, _>>()?,
            text: text.to_owned(),
        })
    }
}

fn term(text: &str) -> Result<Term, SelectorError> {
    let text = text.trim();
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Term {
            key: word(key)?,
            test: Test::NotIn(vec![word_or_empty(value)?]),
        });
    }
    let sides = text.split_once("==").or_else(|| text.split_once('='));
    if let Some((key, value)) = sides {
        return Ok(Term {
            key: word(key)?,
            test: Test::In(vec![word_or_empty(value)?]),
        });
    }
    if let Some((head, values)) = text.split_once('(') {
        return set_term(head, values);
    }
    let (key, test) = match text.strip_prefix('!') {
        Some(key) => (key, Test::Absent),
        None => (text, Test::Exists),
    };
    Ok(Term {
        key: word(key)?,
        test,
    })
}

/// `a in (` or `a notin (` with the values up to `)`.
fn set_term(head: &str, values: &str) -> Result<Term, SelectorError> {
    let values = values.strip_suffix(')').ok_or(SelectorError)?;
    let values = values.split(',').map(word).collect::<Result<_, _>>()?;
    let mut words = head.split_whitespace();
    let key = word(words.next().unwrap_or_default())?;
    let test = match (words.next(), words.next()) {
        (Some("in"), None) => Test::In(values),
        (Some("notin"), None) => Test::NotIn(values),
        _ => return Err(SelectorError),
    };
    Ok(Term { key, test })
}

fn word_or_empty(text: &str) -> Result<String, SelectorError> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    word(text)
}

fn word(text: &str) -> Result<String, SelectorError> {
    let text = text.trim();
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let is_word = !text.is_empty() && text.bytes().all(inner);
    is_word.then(|| text.to_owned()).ok_or(SelectorError)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;

    #[test]
    fn terms_match_as_in_the_api_server() {
        let labels: BTreeMap<String, String> = [("team", "shop"), ("tier", "web"), ("empty", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let matches = |text: &str| text.parse::<LabelSelector>().unwrap().matches(&labels);
        for text in [
            "",
            "team=shop",
            "team==shop, tier=web",
            "team",
            "!other",
            "team!=x",
            "other!=x",
            "team in (a, shop)",
            "team notin (a,b)",
            "other notin (a)",
            "empty=",
            "empty",
        ] {
            assert!(matches(text), "{text}");
        }
        for text in [
            "team=x",
            "team=shop,tier=x",
            "other",
            "!team",
            "team!=shop",
            "team in (a)",
            "team notin (shop)",
            "other in (a)",
            "other=",
        ] {
            assert!(!matches(text), "{text}");
        }
    }

    #[test]
    fn the_text_is_kept_and_other_texts_are_refused() {
        for text in [
            "a=b",
            "a==b,c!=d",
            "a",
            "!a",
            "example.com/a=b",
            "a=",
            "",
            "a in (b, c),d notin (e),!f",
        ] {
            assert_eq!(text.parse::<LabelSelector>().unwrap().to_string(), text);
        }
        for text in [
            "a b",
            "a in b",
            "a in (b",
            "a=b,,c",
            "=b",
            "a in ()",
            "a=(b)",
            "a=b=c",
            "a in (b) x",
            "!",
            ",",
        ] {
            assert_eq!(text.parse::<LabelSelector>(), Err(SelectorError), "{text}");
        }
    }
}
