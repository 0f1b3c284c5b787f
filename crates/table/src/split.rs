//! Which of several backends a request goes to.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::{Pattern, UpstreamKey};

/// A primary backend, alternatives that take a share of its requests, and a fallback.
///
/// Every alternative has a weight; what the weights leave of the total is the primary's. Rules go before weights: the first
/// that decides picks the backend. Nothing but the primary is the common case and takes no room for the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    primary: Backend,
    alternatives: Option<Box<Alternatives>>,
    fallback: Option<UpstreamKey>,
}

/// Where requests that were given to it go.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Where to.
    pub arm: Arm,
    /// Edits of headers for requests that go there, and for their responses.
    pub edits: Option<Arc<HeaderEdits>>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arm {
    /// It is forwarded.
    Upstream(UpstreamKey),
    /// It gets this status: 500 for a reference that leads nowhere, for example.
    Status(StatusCode),
}

/// A backend beside the primary.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// The backend.
    pub backend: Backend,
    /// Requests in the total that go to it when no rule decides.
    pub weight: u32,
    /// What becomes of its requests while it has no endpoints.
    pub unavailable: Unavailable,
}

/// What becomes of the requests of an alternative without endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The primary gets them.
    UsePrimary,
    /// They get 503.
    Respond503,
}

/// The alternatives of a split and how one is picked.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternatives {
    list: Box<[Alternative]>,
    rules: Box<[Rule]>,
    total: u32,
}

/// A rule that picks a backend by what the request carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Index of the alternative that it is about.
    pub alternative: usize,
    /// The test.
    pub test: RuleTest,
}

/// What a rule tests.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleTest {
    /// A request header.
    Header {
        /// Which.
        name: HeaderName,
        /// What its value decides.
        value: HeaderTest,
    },
    /// The cookie of this name: `always` picks the alternative, `never` the primary, else the next rule decides.
    Cookie(Arc<str>),
}

/// What a header's value decides.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderTest {
    /// `always`: the alternative, `never`: the primary, else the next rule.
    AlwaysNever,
    /// Exactly this: the alternative, else the next rule.
    Value(Arc<str>),
    /// Found: the alternative, else the next rule.
    Pattern(Pattern),
    /// The pattern of the object does not compile: the primary.
    Broken,
}

/// What a rule or a share of the weights picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The primary.
    Primary,
    /// The alternative of this index.
    Alternative(usize),
}

/// Edits of the headers of a request and of its response, in the order set, add, remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Of the request as the endpoint gets it.
    pub request: FieldEdits,
    /// Of the response as the client gets it.
    pub response: FieldEdits,
}

/// Edits of header fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldEdits {
    /// Take the place of all fields of their names.
    pub set: Box<[(HeaderName, HeaderValue)]>,
    /// Are appended to those that there are.
    pub add: Box<[(HeaderName, HeaderValue)]>,
    /// Are left out.
    pub remove: Box<[HeaderName]>,
}

/// The parts of a request that rules read.
pub trait RuleInput {
    /// The value of a header; of several, the first.
    fn header(&self, name: &HeaderName) -> Option<&[u8]>;
    /// The value of a cookie; of several, the first.
    fn cookie(&self, name: &str) -> Option<&str>;
}

impl Split {
    /// All requests go to `primary`.
    pub fn new(primary: Backend) -> Self {
        Self {
            primary,
            alternatives: None,
            fallback: None,
        }
    }

    /// With alternatives; none leaves the split as it was.
    #[must_use]
    pub fn with_alternatives(mut self, alternatives: Option<Alternatives>) -> Self {
        self.alternatives = alternatives.map(Box::new);
        self
    }

    /// With an upstream that takes requests, marked as failed with 503, while the primary has no endpoints.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Option<UpstreamKey>) -> Self {
        self.fallback = fallback;
        self
    }

    /// Takes what neither rules nor weights give to an alternative.
    pub fn primary(&self) -> &Backend {
        &self.primary
    }

    /// The backends beside the primary, where there are some.
    pub fn alternatives(&self) -> Option<&Alternatives> {
        self.alternatives.as_deref()
    }

    /// Takes requests while the primary has no endpoints.
    pub fn fallback(&self) -> Option<&UpstreamKey> {
        self.fallback.as_ref()
    }

    /// All backends, the primary first.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        let others = self.alternatives.iter().flat_map(|others| &others.list);
        std::iter::once(&self.primary).chain(others.map(|other| &other.backend))
    }

    /// Every upstream that requests may go to, the fallback last. One may come several times.
    pub fn upstreams(&self) -> impl Iterator<Item = &UpstreamKey> {
        let backends = self.backends();
        let upstreams = backends.filter_map(|backend| backend.upstream());
        upstreams.chain(&self.fallback)
    }
}

impl Backend {
    /// Forwards to an upstream, headers as they are.
    pub fn upstream_only(key: UpstreamKey) -> Self {
        Self {
            arm: Arm::Upstream(key),
            edits: None,
        }
    }

    /// The upstream that requests are forwarded to, if they are.
    pub fn upstream(&self) -> Option<&UpstreamKey> {
        match &self.arm {
            Arm::Upstream(key) => Some(key),
            Arm::Status(_) => None,
        }
    }
}

impl Alternatives {
    /// Alternatives with the rules for them. `total` is what weights are shares of, and is at least their sum. `None` when
    /// there is no alternative; rules about one that does not exist are dropped.
    pub fn new(list: Vec<Alternative>, mut rules: Vec<Rule>, total: u32) -> Option<Self> {
        if list.is_empty() {
            return None;
        }
        rules.retain(|rule| rule.alternative < list.len());
        let sum = list
            .iter()
            .fold(0u32, |sum, other| sum.saturating_add(other.weight));
        Some(Self {
            total: total.max(sum).max(1),
            list: list.into(),
            rules: rules.into(),
        })
    }

    /// The alternatives.
    pub fn list(&self) -> &[Alternative] {
        &self.list
    }

    /// The alternative of that index.
    pub fn get(&self, index: usize) -> Option<&Alternative> {
        self.list.get(index)
    }

    /// The rules, in the order in which they are tried.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What weights are shares of; at least 1.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The backend for a request: of the first rule that decides, else by weight. `sample` is a random number from 1 to
    /// [`Alternatives::total`].
    pub fn pick(&self, request: &impl RuleInput, sample: u32) -> Pick {
        let by_rule = self.rules.iter().find_map(|rule| rule.decide(request));
        by_rule.unwrap_or_else(|| self.by_weight(sample))
    }

    fn by_weight(&self, sample: u32) -> Pick {
        let mut left = sample.max(1);
        for (index, other) in self.list.iter().enumerate() {
            if left <= other.weight {
                return Pick::Alternative(index);
            }
            left -= other.weight;
        }
        Pick::Primary
    }
}

impl Rule {
    /// `None`: the next rule decides.
    fn decide(&self, request: &impl RuleInput) -> Option<Pick> {
        let taken = match &self.test {
            RuleTest::Header { name, value } => value.decide(request.header(name)?),
            RuleTest::Cookie(name) => always_or_never(request.cookie(name)?.as_bytes()),
        };
        taken.map(|taken| match taken {
            true => Pick::Alternative(self.alternative),
            false => Pick::Primary,
        })
    }
}

impl HeaderTest {
    fn decide(&self, value: &[u8]) -> Option<bool> {
        match self {
            Self::AlwaysNever => always_or_never(value),
            Self::Value(expected) => (value == expected.as_bytes()).then_some(true),
            Self::Pattern(pattern) => pattern.is_match(value).then_some(true),
            Self::Broken => Some(false),
        }
    }
}

fn always_or_never(value: &[u8]) -> Option<bool> {
    match value {
        b"always" => Some(true),
        b"never" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    struct Request<'r> {
        header: Option<&'r str>,
        cookie: Option<&'r str>,
    }

    impl RuleInput for Request<'_> {
        fn header(&self, _name: &HeaderName) -> Option<&[u8]> {
            self.header.map(str::as_bytes)
        }

        fn cookie(&self, _name: &str) -> Option<&str> {
            self.cookie
        }
    }

    const PLAIN: Request<'_> = Request {
        header: None,
        cookie: None,
    };

    fn alternatives(weights: &[u32], rules: Vec<Rule>, total: u32) -> Alternatives {
        let alternative = |weight: &u32| Alternative {
            backend: Backend {
                arm: Arm::Status(StatusCode::IM_A_TEAPOT),
                edits: None,
            },
            weight: *weight,
            unavailable: Unavailable::UsePrimary,
        };
        Alternatives::new(weights.iter().map(alternative).collect(), rules, total).unwrap()
    }

    fn header(alternative: usize, value: HeaderTest) -> Rule {
        let name = HeaderName::from_static("x-test");
        let test = RuleTest::Header { name, value };
        Rule { alternative, test }
    }

    #[test]
    fn weights_add_up_and_the_primary_gets_the_rest() {
        let split = alternatives(&[10, 0, 25], Vec::new(), 100);
        let mut picked = [0; 4];
        for sample in 1..=split.total() {
            match split.pick(&PLAIN, sample) {
                Pick::Alternative(index) => picked[index] += 1,
                Pick::Primary => picked[3] += 1,
            }
        }
        assert_eq!(picked, [10, 0, 25, 65]);
    }

    #[test]
    fn the_total_is_at_least_the_sum() {
        assert_eq!(alternatives(&[60, 70], Vec::new(), 100).total(), 130);
        assert_eq!(alternatives(&[0], Vec::new(), 0).total(), 1);
    }

    #[test]
    fn the_first_rule_that_decides_picks() {
        let rules = vec![
            header(0, HeaderTest::Value("one".into())),
            header(1, HeaderTest::Pattern(Pattern::new("^t").unwrap())),
            header(1, HeaderTest::AlwaysNever),
            Rule {
                alternative: 0,
                test: RuleTest::Cookie("try".into()),
            },
        ];
        let split = alternatives(&[0, 100], rules, 100);
        for (header, cookie, picked) in [
            (Some("one"), Some("never"), Pick::Alternative(0)),
            (Some("two"), None, Pick::Alternative(1)),
            (Some("never"), Some("always"), Pick::Primary),
            (Some("other"), Some("always"), Pick::Alternative(0)),
            (None, Some("never"), Pick::Primary),
            (Some("other"), Some("other"), Pick::Alternative(1)),
        ] {
            let request = Request { header, cookie };
            assert_eq!(split.pick(&request, 1), picked, "{header:?} {cookie:?}");
        }
    }

    #[test]
    fn a_pattern_that_does_not_compile_keeps_requests_at_the_primary() {
        let split = alternatives(&[100], vec![header(0, HeaderTest::Broken)], 100);
        let request = Request {
            header: Some("x"),
            cookie: None,
        };
        assert_eq!(split.pick(&request, 1), Pick::Primary);
        assert_eq!(split.pick(&PLAIN, 1), Pick::Alternative(0));
    }
}
