//! Where a request goes: the primary upstream, its canary, or a backend that stands in (ingress-nginx reference 1.2).

use std::sync::Arc;

use headgate_table::{
    Alternative, Alternatives, Arm, Pick, RoutingTable, Split, Target, Unavailable, Upstream,
    UpstreamKey,
};
use http::StatusCode;

use crate::request::Context;
use crate::respond::LocalResponse;
use crate::upstream::{self, Upstreams};

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Destination<'t> {
    /// To the upstream of its route.
    Primary(&'t Arc<Upstream>),
    /// To an alternative: a canary, say.
    Alternative {
        /// The upstream of the route.
        primary: &'t Arc<Upstream>,
        /// The one that serves instead.
        alternative: &'t Arc<Upstream>,
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
            | Self::Alternative {
                alternative: upstream,
                ..
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
    upstreams: &Upstreams,
) -> Result<Destination<'t>, LocalResponse> {
    let usable = |key: &UpstreamKey| {
        table
            .upstream(key)
            .filter(|upstream| upstreams.has_endpoints(upstream))
    };
    match &context.route.target {
        Target::Forward(split) => forward(context, split, usable),
        Target::DefaultBackend(key) => Ok(key
            .as_ref()
            .and_then(usable)
            .map_or(Destination::NotFound, Destination::Default)),
        Target::Closed(_) => Err(LocalResponse::Page(StatusCode::SERVICE_UNAVAILABLE)),
    }
}

/// A primary without endpoints is not replaced by an alternative, however healthy.
fn forward<'t>(
    context: &Context<'_>,
    split: &Split,
    usable: impl Fn(&UpstreamKey) -> Option<&'t Arc<Upstream>>,
) -> Result<Destination<'t>, LocalResponse> {
    let primary = match &split.primary().arm {
        Arm::Upstream(key) => usable(key),
        Arm::Status(status) => return Err(LocalResponse::Page(*status)),
    };
    let Some(primary) = primary else {
        let fallback = split.fallback();
        let fallback = fallback.and_then(usable).map(Destination::Fallback);
        return fallback.ok_or(LocalResponse::Page(StatusCode::SERVICE_UNAVAILABLE));
    };
    let Some(others) = split.alternatives() else {
        return Ok(Destination::Primary(primary));
    };
    let upstream = |other: &Alternative| other.backend.upstream().and_then(&usable);
    let picked = session(context, primary, others, upstream)
        .unwrap_or_else(|| others.pick(context, fastrand::u32(1..=others.total())));
    let Pick::Alternative(index) = picked else {
        return Ok(Destination::Primary(primary));
    };
    let Some(other) = others.get(index) else {
        return Ok(Destination::Primary(primary));
    };
    match (&other.backend.arm, upstream(other), other.unavailable) {
        (Arm::Status(status), ..) => Err(LocalResponse::Page(*status)),
        (_, Some(alternative), _) => Ok(Destination::Alternative {
            primary,
            alternative,
        }),
        (_, None, Unavailable::UsePrimary) => Ok(Destination::Primary(primary)),
        (_, None, Unavailable::Respond503) => {
            Err(LocalResponse::Page(StatusCode::SERVICE_UNAVAILABLE))
        }
    }
}

/// The backend that a running session belongs to: it stays where it is, whatever rules say.
fn session<'t>(
    context: &Context<'_>,
    primary: &Upstream,
    others: &Alternatives,
    upstream: impl Fn(&Alternative) -> Option<&'t Arc<Upstream>>,
) -> Option<Pick> {
    let bound = |upstream: &Upstream| {
        let cookie = upstream
            .affinity
            .as_ref()
            .and_then(|affinity| context.cookie(&affinity.cookie));
        cookie.is_some_and(|value| upstream::bound_to(value, upstream))
    };
    if bound(primary) {
        return Some(Pick::Primary);
    }
    let mut others = others.list().iter();
    let index = others.position(|other| upstream(other).is_some_and(|other| bound(other)))?;
    Some(Pick::Alternative(index))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;
    use headgate_table::{Backend, Balance, HeaderTest, Rule, RuleTest};
    use http::HeaderName;

    fn split(unavailable: Unavailable, other: Arm) -> Split {
        let backend = Backend {
            arm: other,
            edits: None,
        };
        let other = Alternative {
            backend,
            weight: 0,
            unavailable,
        };
        let rule = Rule {
            alternative: 0,
            test: RuleTest::Header {
                name: HeaderName::from_static("x-canary"),
                value: HeaderTest::AlwaysNever,
            },
        };
        Split::new(Backend::upstream_only(UpstreamKey::new("web")))
            .with_alternatives(Alternatives::new(vec![other], vec![rule], 100))
            .with_fallback(Some(UpstreamKey::new("errors")))
    }

    fn outcome(split: &Split, usable: &[&str]) -> String {
        let sample = Sample::new("GET", "/").header("x-canary", "always");
        let context = sample.context();
        let upstream = Arc::new(Sample::upstream(Balance::RoundRobin));
        let usable = |key: &UpstreamKey| usable.contains(&key.as_str()).then_some(&upstream);
        match forward(&context, split, usable) {
            Ok(Destination::Primary(_)) => "primary".into(),
            Ok(Destination::Alternative { .. }) => "canary".into(),
            Ok(Destination::Fallback(_)) => "fallback".into(),
            Err(LocalResponse::Page(status)) => status.as_u16().to_string(),
            _ => "?".into(),
        }
    }

    #[test]
    fn endpoints_decide_first() {
        let split = split(
            Unavailable::UsePrimary,
            Arm::Upstream(UpstreamKey::new("next")),
        );
        assert_eq!(outcome(&split, &["web", "next"]), "canary");
        assert_eq!(outcome(&split, &["web"]), "primary");
        assert_eq!(outcome(&split, &["next", "errors"]), "fallback");
        assert_eq!(outcome(&split, &["next"]), "503");
        assert_eq!(outcome(&split, &[]), "503");
    }

    #[test]
    fn an_alternative_may_refuse_instead_of_leaving_its_share() {
        let next = Arm::Upstream(UpstreamKey::new("next"));
        let strict = split(Unavailable::Respond503, next);
        assert_eq!(outcome(&strict, &["web"]), "503");
        let status = split(Unavailable::UsePrimary, Arm::Status(StatusCode::GONE));
        assert_eq!(outcome(&status, &["web"]), "410");
    }
}
