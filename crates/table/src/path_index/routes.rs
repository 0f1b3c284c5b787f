//! The routes of one path: the first whose conditions hold serves a request.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;

use crate::{ConditionInput, Conditions, Route, TextMatch};

/// A route for the index, with its conditions besides the path.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The route.
    pub route: Arc<Route>,
    /// Further conditions that a request must meet.
    pub conditions: Conditions,
}

impl From<Arc<Route>> for Candidate {
    /// Without conditions.
    fn from(route: Arc<Route>) -> Self {
        Self {
            route,
            conditions: Conditions::default(),
        }
    }
}

/// The routes of one key.
#[derive(Clone, Debug)]
pub(super) enum Routes {
    /// One without conditions: the common case.
    One(Arc<Route>),
    /// Several, or one with conditions.
    Ordered(Box<Ordered>),
}

/// Candidates in the order in which they are tried; only the last can be without conditions.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    candidates: Box<[Candidate]>,
    by_value: Option<ByValue>,
}

/// Candidates by the value that they require of one header field or query parameter, so that a request tries few of many.
#[derive(Clone, Debug)]
struct ByValue {
    field: Field,
    /// Positions of the candidates that require a value, ascending.
    required: HashMap<Box<[u8]>, Vec<usize>>,
    /// Positions of the candidates that require no certain value of the field, ascending.
    others: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Field {
    Header(HeaderName),
    Query(String),
}

impl Routes {
    pub(super) fn one(candidate: Candidate) -> Self {
        if candidate.conditions.is_empty() {
            Self::One(candidate.route)
        } else {
            Self::ordered(vec![candidate])
        }
    }

    /// `first`, then `others` up to the first one without conditions.
    pub(super) fn new(first: Candidate, others: Vec<Candidate>) -> Self {
        if first.conditions.is_empty() || others.is_empty() {
            return Self::one(first);
        }
        let mut all = vec![first];
        for candidate in others {
            let is_last = candidate.conditions.is_empty();
            all.push(candidate);
            if is_last {
                break;
            }
        }
        Self::ordered(all)
    }

    fn ordered(candidates: Vec<Candidate>) -> Self {
        Self::Ordered(Box::new(Ordered {
            by_value: ByValue::of(&candidates),
            candidates: candidates.into(),
        }))
    }

    /// The first route whose conditions `request` meets.
    pub(super) fn first(&self, request: &dyn ConditionInput) -> Option<&Arc<Route>> {
        let ordered = match self {
            Self::One(route) => return Some(route),
            Self::Ordered(ordered) => ordered,
        };
        let mut candidates = ordered.candidates.iter();
        let found = match &ordered.by_value {
            None => candidates.find(|candidate| candidate.conditions.hold(request)),
            Some(by_value) => {
                let positions = by_value.positions(request);
                let mut candidates = positions.filter_map(|at| ordered.candidates.get(at));
                candidates.find(|candidate| candidate.conditions.hold(request))
            }
        };
        found.map(|candidate| &candidate.route)
    }

    pub(super) fn candidates(&self) -> Vec<(Option<&Conditions>, &Arc<Route>)> {
        match self {
            Self::One(route) => vec![(None, route)],
            Self::Ordered(ordered) => {
                let list = ordered.candidates.iter();
                list.map(|one| (Some(&one.conditions), &one.route))
                    .collect()
            }
        }
    }
}

impl ByValue {
    /// Fewer candidates with one field are tried as fast one after the other.
    const FEWEST: usize = 4;

    /// By the field of which most candidates require a value; `None`: too few have one in common.
    fn of(candidates: &[Candidate]) -> Option<Self> {
        let mut counts = HashMap::<Field, usize>::new();
        for candidate in candidates {
            for (field, _) in exact_values(&candidate.conditions) {
                *counts.entry(field).or_default() += 1;
            }
        }
        let (field, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        if count < Self::FEWEST {
            return None;
        }
        let mut required = HashMap::<Box<[u8]>, Vec<usize>>::new();
        let mut others = Vec::new();
        for (at, candidate) in candidates.iter().enumerate() {
            let mut values = exact_values(&candidate.conditions);
            match values.find(|(other, _)| *other == field) {
                Some((_, value)) => required.entry(value.into()).or_default().push(at),
                None => others.push(at),
            }
        }
        Some(Self {
            field,
            required,
            others,
        })
    }

    /// Positions of the candidates whose conditions may hold, ascending.
    fn positions(&self, request: &dyn ConditionInput) -> impl Iterator<Item = usize> {
        let required = match &self.field {
            Field::Header(name) => request
                .header(name)
                .and_then(|value| self.required.get(&*value)),
            Field::Query(name) => request
                .query(name)
                .and_then(|value| self.required.get(value.as_bytes())),
        };
        let mut required = required.into_iter().flatten().copied().peekable();
        let mut others = self.others.iter().copied().peekable();
        std::iter::from_fn(move || match (required.peek(), others.peek()) {
            (Some(one), Some(other)) if one > other => others.next(),
            (Some(_), _) => required.next(),
            (None, _) => others.next(),
        })
    }
}

/// The header fields and query parameters that must be equal to a value.
fn exact_values(conditions: &Conditions) -> impl Iterator<Item = (Field, &[u8])> {
    let headers = conditions.headers.iter();
    let headers = headers.map(|(name, value)| (Field::Header(name.clone()), value));
    let query = conditions.query.iter();
    let query = query.map(|(name, value)| (Field::Query(name.clone()), value));
    headers
        .chain(query)
        .filter_map(|(field, value)| match value {
            TextMatch::Exact(text) => Some((field, text.as_bytes())),
            TextMatch::Pattern(_) => None,
        })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use http::Method;

    use super::*;
    use crate::testing::route;
    use crate::{PathKind, Pattern};

    /// A request with fields `a` and `b`, and a query parameter `q`.
    struct Request {
        method: Method,
        a: Option<&'static str>,
        b: Option<&'static str>,
        q: Option<&'static str>,
    }

    impl ConditionInput for Request {
        fn method(&self) -> &Method {
            &self.method
        }

        fn header(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
            let value = if name == "a" { self.a } else { self.b };
            value.map(|value| Cow::Borrowed(value.as_bytes()))
        }

        fn query(&self, _: &str) -> Option<Cow<'_, str>> {
            self.q.map(Cow::Borrowed)
        }
    }

    fn header(name: &'static str, value: TextMatch) -> Conditions {
        Conditions {
            headers: [(HeaderName::from_static(name), value)].into(),
            ..Conditions::default()
        }
    }

    fn exact(value: &str) -> TextMatch {
        TextMatch::Exact(value.to_owned())
    }

    #[test]
    fn many_candidates_are_tried_in_their_order() {
        let both = Conditions {
            query: [("q".to_owned(), exact("1"))].into(),
            ..header("a", exact("1"))
        };
        let pattern = TextMatch::Pattern(Pattern::new("^[23]$").unwrap_or_else(|e| panic!("{e}")));
        let put = Conditions {
            method: Some(Method::PUT),
            ..Conditions::default()
        };
        let conditions = [
            both,
            header("a", exact("1")),
            header("b", exact("1")),
            header("a", pattern),
            header("a", exact("2")),
            put,
            header("a", exact("4")),
            header("a", exact("1")),
        ];
        for last in [None, Some(Conditions::default())] {
            let all = conditions.iter().cloned().chain(last);
            let mut all = all.map(|conditions| Candidate {
                route: route(PathKind::Prefix, "/"),
                conditions,
            });
            let first = all.next().unwrap_or_else(|| unreachable!());
            let others: Vec<_> = all.collect();
            let routes = Routes::new(first, others);
            let Routes::Ordered(ordered) = &routes else {
                panic!("several are in order");
            };
            assert!(ordered.by_value.is_some());
            let values = [None, Some("1"), Some("2"), Some("3"), Some("4"), Some("5")];
            for (a, b, q) in values.iter().flat_map(|a| {
                let pairs = [(None, None), (Some("1"), None), (None, Some("1"))];
                pairs.map(|(b, q)| (*a, b, q))
            }) {
                for method in [Method::GET, Method::PUT] {
                    let request = Request { method, a, b, q };
                    let mut naive = ordered.candidates.iter();
                    let naive = naive.find(|one| one.conditions.hold(&request));
                    let found = routes.first(&request);
                    assert_eq!(
                        found.map(Arc::as_ptr),
                        naive.map(|one| Arc::as_ptr(&one.route)),
                        "a {a:?}, b {b:?}, q {q:?}"
                    );
                }
            }
        }
    }
}
