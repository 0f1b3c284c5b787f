//! Where a request goes: the primary upstream, its canary, or a backend that stands in (ingress-nginx reference 1.2).

use std::rc::Rc;
use std::sync::Arc;

use headgate_table::{Canary, HeaderTest, RoutingTable, Split, Target, Upstream, UpstreamId};
use http::StatusCode;

use crate::request::Context;
use crate::respond::Answer;
use crate::upstream::{self, ClientRequest};
use crate::worker::Worker;

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Destination<'t> {
    /// To the upstream of its route.
    Primary(&'t Arc<Upstream>),
    /// To the canary of that upstream.
    Canary {
        /// The upstream that it stands beside.
        primary: &'t Arc<Upstream>,
        /// The canary.
        canary: &'t Arc<Upstream>,
    },
    /// To the backend that answers in place of an upstream without endpoints.
    Fallback(&'t Arc<Upstream>),
    /// To the default backend.
    Default(&'t Arc<Upstream>),
    /// To nobody: there is no default backend.
    NotFound,
}

impl<'t> Destination<'t> {
    /// The upstream that serves; `None`: a 404 of our own.
    pub(super) fn upstream(self) -> Option<&'t Arc<Upstream>> {
        match self {
            Self::Primary(upstream)
            | Self::Canary {
                canary: upstream, ..
            }
            | Self::Fallback(upstream)
            | Self::Default(upstream) => Some(upstream),
            Self::NotFound => None,
        }
    }
}

/// The destination of a request, or the answer when there is none.
pub(super) fn destination<'t>(
    context: &Context<'_>,
    table: &'t RoutingTable,
    worker: &Rc<Worker>,
) -> Result<Destination<'t>, Answer> {
    let usable = |id: &UpstreamId| {
        table
            .upstream(id)
            .filter(|upstream| upstream::has_endpoints(worker, upstream))
    };
    match &context.route.target {
        Target::Forward(split) => forward(context, split, usable),
        Target::DefaultBackend(id) => Ok(id
            .as_ref()
            .and_then(usable)
            .map_or(Destination::NotFound, Destination::Default)),
        Target::Closed(_) => Err(Answer::Page(StatusCode::SERVICE_UNAVAILABLE)),
    }
}

/// A primary without endpoints is not replaced by its canary, however healthy; a canary without leaves its share to the
/// primary.
fn forward<'t>(
    context: &Context<'_>,
    split: &Split,
    usable: impl Fn(&UpstreamId) -> Option<&'t Arc<Upstream>>,
) -> Result<Destination<'t>, Answer> {
    let Some(primary) = usable(&split.primary) else {
        let fallback = split
            .fallback
            .as_ref()
            .and_then(usable)
            .map(Destination::Fallback);
        return fallback.ok_or(Answer::Page(StatusCode::SERVICE_UNAVAILABLE));
    };
    let Some(rules) = &split.canary else {
        return Ok(Destination::Primary(primary));
    };
    let Some(canary) = usable(&rules.upstream) else {
        return Ok(Destination::Primary(primary));
    };
    let facts = Facts {
        session: session(context, primary, canary),
        header: rules
            .header
            .as_ref()
            .and_then(|rule| context.headers.get(&rule.name))
            .map(|value| value.as_bytes()),
        cookie: rules.cookie.as_ref().and_then(|name| context.cookie(name)),
        sample: fastrand::u32(1..=rules.total.max(1)),
    };
    Ok(if goes_to_canary(rules, facts) {
        Destination::Canary { primary, canary }
    } else {
        Destination::Primary(primary)
    })
}

/// Which upstream a session belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Primary,
    Canary,
    Neither,
}

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
struct Facts<'r> {
    session: Session,
    header: Option<&'r [u8]>,
    cookie: Option<&'r str>,
    /// A random number from 1 to the total weight.
    sample: u32,
}

fn session(context: &Context<'_>, primary: &Upstream, canary: &Upstream) -> Session {
    let bound = |upstream: &Upstream| {
        let cookie = upstream
            .affinity
            .as_ref()
            .and_then(|affinity| context.cookie(&affinity.cookie));
        cookie.is_some_and(|value| upstream::bound_to(value, upstream))
    };
    if bound(primary) {
        Session::Primary
    } else if bound(canary) {
        Session::Canary
    } else {
        Session::Neither
    }
}

/// A running session stays where it is; then header, then cookie, then weight.
fn goes_to_canary(rules: &Canary, facts: Facts<'_>) -> bool {
    match facts.session {
        Session::Primary => return false,
        Session::Canary => return true,
        Session::Neither => {}
    }
    let by_header = facts.header.and_then(|value| by_header(rules, value));
    let by_cookie = || {
        facts
            .cookie
            .and_then(|value| always_or_never(value.as_bytes()))
    };
    by_header
        .or_else(by_cookie)
        .unwrap_or(facts.sample <= rules.weight)
}

/// `None`: the header does not decide.
fn by_header(rules: &Canary, value: &[u8]) -> Option<bool> {
    match &rules.header.as_ref()?.test {
        HeaderTest::AlwaysNever => always_or_never(value),
        HeaderTest::Value(expected) => (value == expected.as_bytes()).then_some(true),
        HeaderTest::Pattern(pattern) => pattern.is_match(value).then_some(true),
        HeaderTest::Broken => Some(false),
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
    use crate::request::testing::Sample;
    use headgate_table::{Balance, CanaryHeader, Pattern};
    use http::HeaderName;

    fn rules(test: HeaderTest) -> Canary {
        let header = Some(CanaryHeader {
            name: HeaderName::from_static("x-canary"),
            test,
        });
        let upstream = UpstreamId::new("shop", "next", "80");
        Canary {
            upstream,
            header,
            cookie: Some("c".into()),
            weight: 30,
            total: 100,
        }
    }

    #[test]
    fn header_then_cookie_then_weight() {
        let always_never = rules(HeaderTest::AlwaysNever);
        let value = rules(HeaderTest::Value("eu".into()));
        let pattern = rules(HeaderTest::Pattern(Pattern::new("^(eu|us)$").unwrap()));
        let broken = rules(HeaderTest::Broken);
        let cases = [
            (&always_never, Some("always"), Some("never"), 100, true),
            (&always_never, Some("never"), Some("always"), 1, false),
            (&always_never, Some("x"), Some("always"), 100, true),
            (&always_never, None, Some("never"), 1, false),
            (&always_never, None, Some("x"), 30, true),
            (&always_never, None, None, 31, false),
            (&always_never, None, None, 1, true),
            (&value, Some("eu"), Some("never"), 100, true),
            (&value, Some("EU"), None, 100, false),
            (&value, Some("always"), None, 100, false),
            (&value, Some("us"), Some("always"), 100, true),
            (&pattern, Some("us"), Some("never"), 100, true),
            (&pattern, Some("usa"), None, 30, true),
            (&broken, Some("x"), Some("always"), 1, false),
            (&broken, None, Some("always"), 100, true),
        ];
        for (rules, header, cookie, sample, expected) in cases {
            let facts = Facts {
                session: Session::Neither,
                header: header.map(str::as_bytes),
                cookie,
                sample,
            };
            assert_eq!(goes_to_canary(rules, facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn sessions_go_before_everything() {
        let rules = rules(HeaderTest::AlwaysNever);
        let facts = Facts {
            session: Session::Primary,
            header: Some(b"always"),
            cookie: None,
            sample: 1,
        };
        assert!(!goes_to_canary(&rules, facts));
        let facts = Facts {
            session: Session::Canary,
            header: Some(b"never"),
            cookie: None,
            sample: 100,
        };
        assert!(goes_to_canary(&rules, facts));
    }

    #[test]
    fn weights_at_their_ends() {
        let facts = |sample| Facts {
            session: Session::Neither,
            header: None,
            cookie: None,
            sample,
        };
        let none = Canary {
            weight: 0,
            ..rules(HeaderTest::AlwaysNever)
        };
        let all = Canary {
            weight: 100,
            ..rules(HeaderTest::AlwaysNever)
        };
        assert!(
            (1..=100).all(|sample| !goes_to_canary(&none, facts(sample))
                && goes_to_canary(&all, facts(sample)))
        );
    }

    #[test]
    fn endpoints_decide_first() {
        let sample = Sample::new("GET", "/").header("x-canary", "always");
        let context = sample.context();
        let upstream = Arc::new(Sample::upstream(Balance::RoundRobin));
        let primary = UpstreamId::new("shop", "web", "80");
        let fallback = UpstreamId::new("shop", "errors", "80");
        let split = Split {
            primary: primary.clone(),
            canary: Some(Arc::new(rules(HeaderTest::AlwaysNever))),
            fallback: Some(fallback.clone()),
        };
        let outcome = |usable: &[&UpstreamId]| match forward(&context, &split, |id| {
            usable.contains(&id).then_some(&upstream)
        }) {
            Ok(Destination::Primary(_)) => "primary",
            Ok(Destination::Canary { .. }) => "canary",
            Ok(Destination::Fallback(_)) => "fallback",
            Err(Answer::Page(StatusCode::SERVICE_UNAVAILABLE)) => "503",
            _ => "?",
        };
        let canary = UpstreamId::new("shop", "next", "80");
        assert_eq!(outcome(&[&primary, &canary]), "canary");
        assert_eq!(outcome(&[&primary]), "primary");
        assert_eq!(outcome(&[&canary, &fallback]), "fallback");
        assert_eq!(outcome(&[&canary]), "503");
        assert_eq!(outcome(&[]), "503");
    }
}
