//! Traffic splits: which of several backends a request is sent to.

use std::sync::Arc;

use http::{HeaderName, StatusCode};

use crate::{FieldEdits, Mirror, Pattern, UpstreamKey};

/// A primary backend, alternatives that get a share of its requests, and a fallback.
///
/// Every alternative has a weight; the primary gets the rest of the total. Rules come before weights: the first rule that
/// applies picks the backend. A split with only a primary is the common case and allocates nothing for the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    primary: Backend,
    alternatives: Option<Box<Alternatives>>,
    fallback: Option<UpstreamKey>,
    independent: bool,
}

/// A backend of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// The upstream or a fixed status.
    pub arm: Arm,
    /// What is done with its requests and their responses.
    pub edits: Option<Arc<BackendFilters>>,
}

/// Forwarding, or a fixed status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arm {
    /// The request is forwarded.
    Upstream(UpstreamKey),
    /// The response has this status, e.g. 500 for a reference to a missing object.
    Status(StatusCode),
}

/// A backend besides the primary.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// The backend.
    pub backend: Backend,
    /// Its share of the total, for requests to which no rule applies.
    pub weight: u32,
    /// How its requests are handled while it has no endpoints.
    pub unavailable: Unavailable,
}

/// How the requests of an alternative without endpoints are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The primary gets them.
    UsePrimary,
    /// The response is 503.
    Respond503,
}

/// The alternatives of a split and how one is picked.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternatives {
    list: Box<[Alternative]>,
    rules: Box<[Rule]>,
    total: u32,
}

/// A rule that picks a backend by a header field or cookie of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Index of the alternative that it picks.
    pub alternative: usize,
    /// The test.
    pub test: RuleTest,
}

/// The test of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleTest {
    /// A request header field.
    Header {
        /// The name of the field.
        name: HeaderName,
        /// The test of its value.
        value: HeaderTest,
    },
    /// The cookie of this name: `always` picks the alternative, `never` the primary, else the next rule applies.
    Cookie(Arc<str>),
}

/// The test of the value of a header field.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderTest {
    /// `always` picks the alternative, `never` the primary, else the next rule applies.
    AlwaysNever,
    /// An equal value picks the alternative, else the next rule applies.
    Value(Arc<str>),
    /// A match picks the alternative, else the next rule applies.
    Pattern(Pattern),
    /// The pattern does not compile: any value picks the primary.
    Broken,
}

/// The backend that a rule or weight picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The primary.
    Primary,
    /// The alternative of this index.
    Alternative(usize),
}

/// What is done with the requests of a backend and their responses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackendFilters {
    /// Edits of the request to the endpoint.
    pub request: FieldEdits,
    /// Edits of the response to the client.
    pub response: FieldEdits,
    /// Services that get copies of requests, besides that of the policy.
    pub mirrors: Box<[Arc<Mirror>]>,
}

/// The parts of a request that rules need.
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
            independent: false,
        }
    }

    /// With backends that have their shares whether or not others have endpoints, the primary included.
    #[must_use]
    pub fn independent(mut self) -> Self {
        self.independent = true;
        self
    }

    /// Whether alternatives get their shares also while the primary has no endpoints.
    pub fn is_independent(&self) -> bool {
        self.independent
    }

    /// With alternatives; `None` removes them.
    #[must_use]
    pub fn with_alternatives(mut self, alternatives: Option<Alternatives>) -> Self {
        self.alternatives = alternatives.map(Box::new);
        self
    }

    /// With an upstream that gets the requests, marked as failed with 503, while the primary has no endpoints.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Option<UpstreamKey>) -> Self {
        self.fallback = fallback;
        self
    }

    /// Gets the requests that neither rules nor weights send to an alternative.
    pub fn primary(&self) -> &Backend {
        &self.primary
    }

    /// The backends besides the primary, if any.
    pub fn alternatives(&self) -> Option<&Alternatives> {
        self.alternatives.as_deref()
    }

    /// Gets the requests while the primary has no endpoints.
    pub fn fallback(&self) -> Option<&UpstreamKey> {
        self.fallback.as_ref()
    }

    /// All backends, the primary first.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        let others = self.alternatives.iter().flat_map(|others| &others.list);
        std::iter::once(&self.primary).chain(others.map(|other| &other.backend))
    }

    /// Every upstream that requests may be sent to, the fallback last. One may occur several times.
    pub fn upstreams(&self) -> impl Iterator<Item = &UpstreamKey> {
        let backends = self.backends();
        let upstreams = backends.filter_map(|backend| backend.upstream());
        upstreams.chain(&self.fallback)
    }
}

impl Backend {
    /// Forwards to an upstream, without edits.
    pub fn upstream_only(key: UpstreamKey) -> Self {
        Self {
            arm: Arm::Upstream(key),
            edits: None,
        }
    }

    /// The upstream, unless the response is a fixed status.
    pub fn upstream(&self) -> Option<&UpstreamKey> {
        match &self.arm {
            Arm::Upstream(key) => Some(key),
            Arm::Status(_) => None,
        }
    }
}

impl Alternatives {
    /// Alternatives with their rules. Weights are shares of `total`, which is raised to at least their sum. `None` if `list` is
    /// empty; rules for an alternative that does not exist are dropped.
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

    /// The alternative at `index`.
    pub fn get(&self, index: usize) -> Option<&Alternative> {
        self.list.get(index)
    }

    /// The rules, in the order in which they are tried.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Weights are shares of this total; at least 1.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The backend for a request: by the first rule that applies, else by weight. `sample` is a random number from 1 to
    /// [`Alternatives::total`].
    pub fn pick(&self, request: &impl RuleInput, sample: u32) -> Pick {
        let by_rule = self.by_rule(request).map(|(pick, _)| pick);
        by_rule.unwrap_or_else(|| self.by_weight(sample))
    }

    /// The backend that the first rule which applies picks, and that rule; `None`: weights decide.
    pub fn by_rule(&self, request: &impl RuleInput) -> Option<(Pick, &Rule)> {
        let mut rules = self.rules.iter();
        rules.find_map(|rule| Some((rule.decide(request)?, rule)))
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
    /// `None`: the next rule applies.
    fn decide(&self, request: &impl RuleInput) -> Option<Pick> {
        let is_alternative = match &self.test {
            RuleTest::Header { name, value } => value.decide(request.header(name)?),
            RuleTest::Cookie(name) => always_or_never(request.cookie(name)?.as_bytes()),
        };
        is_alternative.map(|is_alternative| match is_alternative {
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
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
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
    fn the_first_rule_that_applies_picks() {
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
