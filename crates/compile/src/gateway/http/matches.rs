//! Matches of HTTPRoutes (gateway-api.md 3.2).

use std::sync::Arc;

use headgate_table::{Conditions, PathKind, Pattern, TextMatch};
use http::{HeaderName, Method};
use smallvec::{SmallVec, smallvec};

use crate::build::PathDraft;
use crate::gateway::condition::Problem;
use crate::objects::custom::{HttpMatch, HttpPathMatch, HttpRule, ValueMatch};

/// The matches of a rule; without any it matches everything.
///
/// # Errors
/// A type, expression or name that is not supported.
pub(super) fn of(rule: &HttpRule) -> Result<Vec<PathDraft>, Problem> {
    if rule.matches.is_empty() {
        return Ok(vec![everything()]);
    }
    rule.matches.iter().map(one).collect()
}

/// The matches of a rule that can be read.
pub(super) fn readable(rule: &HttpRule) -> Vec<PathDraft> {
    if rule.matches.is_empty() {
        return vec![everything()];
    }
    rule.matches
        .iter()
        .filter_map(|spec| one(spec).ok())
        .collect()
}

/// The path of the one match of a rule that replaces a prefix.
pub(super) fn prefix(rule: &HttpRule) -> &str {
    let path = rule.matches.first().and_then(|first| first.path.as_ref());
    path.and_then(|path| path.value.as_deref()).unwrap_or("/")
}

/// Every path.
fn everything() -> PathDraft {
    PathDraft::literal("/".into(), PathKind::Prefix)
}

fn one(spec: &HttpMatch) -> Result<PathDraft, Problem> {
    let conditions = Conditions {
        method: spec.method.as_deref().map(method).transpose()?,
        headers: headers(&spec.headers)?,
        query: query(&spec.query_params)?,
    };
    let path = spec.path.as_ref().map_or_else(|| Ok(everything()), path)?;
    Ok(PathDraft { conditions, ..path })
}

fn path(spec: &HttpPathMatch) -> Result<PathDraft, Problem> {
    let value: Arc<str> = spec.value.as_deref().unwrap_or("/").into();
    match spec.kind.as_deref().unwrap_or("PathPrefix") {
        "Exact" => Ok(PathDraft::literal(value, PathKind::Exact)),
        "PathPrefix" => Ok(PathDraft::literal(value, PathKind::Prefix)),
        "RegularExpression" => {
            let pattern = Arc::new(whole(&value)?);
            let expressions: SmallVec<_> = smallvec![(value.clone(), pattern)];
            Ok(PathDraft {
                expressions,
                ..PathDraft::literal(value, PathKind::Expression)
            })
        }
        other => Err(unsupported("path", other)),
    }
}

fn method(text: &str) -> Result<Method, Problem> {
    Method::from_bytes(text.as_bytes()).map_err(|_| unsupported("method", text))
}

/// Of several entries with one name, the first counts.
fn headers(list: &[ValueMatch]) -> Result<Box<[(HeaderName, TextMatch)]>, Problem> {
    let mut headers: Vec<(HeaderName, TextMatch)> = Vec::with_capacity(list.len());
    for entry in list {
        let name = HeaderName::from_bytes(entry.name.as_bytes());
        let name = name.map_err(|_| unsupported("name of a header field", &entry.name))?;
        if headers.iter().all(|(known, _)| *known != name) {
            headers.push((name, value(entry)?));
        }
    }
    Ok(headers.into())
}

fn query(list: &[ValueMatch]) -> Result<Box<[(String, TextMatch)]>, Problem> {
    let mut parameters: Vec<(String, TextMatch)> = Vec::with_capacity(list.len());
    for entry in list {
        if parameters.iter().all(|(known, _)| *known != entry.name) {
            parameters.push((entry.name.clone(), value(entry)?));
        }
    }
    Ok(parameters.into())
}

pub(crate) fn value(entry: &ValueMatch) -> Result<TextMatch, Problem> {
    match entry.kind.as_deref().unwrap_or("Exact") {
        "Exact" => Ok(TextMatch::Exact(entry.value.clone())),
        "RegularExpression" => whole(&entry.value).map(TextMatch::Pattern),
        other => Err(unsupported("match", other)),
    }
}

/// An expression that matches whole values.
fn whole(expression: &str) -> Result<Pattern, Problem> {
    Pattern::new(&format!("^(?:{expression})$")).map_err(|error| {
        let message = format!("the expression {expression:?} cannot be used: {error}");
        Problem::new("UnsupportedValue", message)
    })
}

fn unsupported(what: &str, value: &str) -> Problem {
    Problem::new(
        "UnsupportedValue",
        format!("the {what} {value:?} is not supported"),
    )
}
