//! Where a request goes: the primary upstream, an alternative such as a canary, or a fallback (behaviour.md 1.2).

use std::sync::Arc;

use headgate_table::{
    Alternative, Alternatives, Arm, BackendFilters, Endpoints, Pick, Split, Target, Unavailable,
    Upstream, UpstreamKey,
};
use http::StatusCode;

use crate::request::Context;
use crate::respond::LocalResponse;
use crate::upstream;

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Destination<'t> {
    Upstream(Chosen<'t>),
    /// There is no default backend.
    NotFound,
}

/// The upstream that serves a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen<'t> {
    pub(super) upstream: &'t Arc<Upstream>,
    pub(super) role: Role<'t>,
    pub(super) edits: Option<&'t BackendFilters>,
}

/// The role of an upstream in its route.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role<'t> {
    Primary,
    /// Such as a canary.
    Alternative {
        primary: &'t Arc<Upstream>,
    },
    /// One of several by its share, and not the first of them.
    Share,
    /// Serves instead of a primary without endpoints.
    Fallback,
    DefaultBackend,
}

/// The destination of a request for `target`, or the response if there is none. `usable` returns upstreams that have
/// endpoints.
pub(super) fn destination<'t>(
    context: &Context<'_>,
    target: &'t Target,
    usable: impl Fn(&UpstreamKey) -> Option<&'t Arc<Upstream>>,
) -> Result<Destination<'t>, LocalResponse> {
    let dice = |total| fastrand::u32(1..=total);
    by_dice(context, target, usable, dice)
}

/// As [`destination`]; `dice` returns a number from 1 to its argument, by which weights decide.
pub(super) fn by_dice<'t>(
    context: &Context<'_>,
    target: &'t Target,
    usable: impl Fn(&UpstreamKey) -> Option<&'t Arc<Upstream>>,
    dice: impl FnOnce(u32) -> u32,
) -> Result<Destination<'t>, LocalResponse> {
    match target {
        Target::Forward(split) if split.is_independent() => {
            by_share(context, split, usable, dice).map(Destination::Upstream)
        }
        Target::Forward(split) => forward(context, split, usable, dice).map(Destination::Upstream),
        Target::DefaultBackend(key) => {
            Ok(key
                .as_ref()
                .and_then(usable)
                .map_or(Destination::NotFound, |upstream| {
                    Destination::Upstream(Chosen {
                        upstream,
                        role: Role::DefaultBackend,
                        edits: None,
                    })
                }))
        }
        Target::Closed(closed) => Err(LocalResponse::Page(closed.status)),
    }
}

/// The backend of a session, which precedes weights. Of several with its endpoint, the first.
fn of_session<'t>(
    context: &Context<'_>,
    split: &'t Split,
    usable: impl Fn(&UpstreamKey) -> Option<&'t Arc<Upstream>>,
) -> Option<Chosen<'t>> {
    let endpoint = context.session_endpoint?;
    split.backends().enumerate().find_map(|(index, backend)| {
        let upstream = usable(backend.upstream()?)?;
        let Endpoints::Addresses(addresses) = &upstream.endpoints else {
            return None;
        };
        addresses.contains(&endpoint).then_some(Chosen {
            upstream,
            role: match index {
                0 => Role::Primary,
                _ => Role::Share,
            },
            edits: backend.edits.as_deref(),
        })
    })
}

/// A backend by its share of the requests, whichever of the others have endpoints.
fn by_share<'t>(
    context: &Context<'_>,
    split: &'t Split,
    usable: impl Fn(&UpstreamKey) -> Option<&'t Arc<Upstream>>,
    dice: impl FnOnce(u32) -> u32,
) -> Result<Chosen<'t>, LocalResponse> {
    if let Some(bound) = of_session(context, split, &usable) {
        return Ok(bound);
    }
    let picked =
        split
            .alternatives()
            .and_then(|others| match others.pick(context, dice(others.total())) {
                Pick::Alternative(index) => others.get(index),
                Pick::Primary => None,
            });
    let backend = picked.map_or_else(|| split.primary(), |other| &other.backend);
    let upstream = match &backend.arm {
        Arm::Upstream(key) => usable(key),
        Arm::Status(status) => return Err(LocalResponse::Page(*status)),
    };
    let chosen = upstream.map(|upstream| Chosen {
        upstream,
        role: match picked {
            Some(_) => Role::Share,
            None => Role::Primary,
        },
        edits: backend.edits.as_deref(),
    });
    chosen.ok_or(LocalResponse::Page(StatusCode::SERVICE_UNAVAILABLE))
}

/// An alternative does not replace a primary without endpoints.
fn forward<'t>(
    context: &Context<'_>,
    split: &'t Split,
    usable: impl Fn(&UpstreamKey) -> Option<&'t Arc<Upstream>>,
    dice: impl FnOnce(u32) -> u32,
) -> Result<Chosen<'t>, LocalResponse> {
    let page = |status| Err(LocalResponse::Page(status));
    let primary = match &split.primary().arm {
        Arm::Upstream(key) => usable(key),
        Arm::Status(status) => return page(*status),
    };
    let Some(primary) = primary else {
        let fallback = split.fallback().and_then(usable).map(|upstream| Chosen {
            upstream,
            role: Role::Fallback,
            edits: None,
        });
        return fallback.ok_or(LocalResponse::Page(StatusCode::SERVICE_UNAVAILABLE));
    };
    let by_primary = Chosen {
        upstream: primary,
        role: Role::Primary,
        edits: split.primary().edits.as_deref(),
    };
    let Some(others) = split.alternatives() else {
        return Ok(by_primary);
    };
    let upstream = |other: &Alternative| other.backend.upstream().and_then(&usable);
    let picked = session(context, primary, others, upstream)
        .unwrap_or_else(|| others.pick(context, dice(others.total())));
    let Pick::Alternative(index) = picked else {
        return Ok(by_primary);
    };
    let Some(other) = others.get(index) else {
        return Ok(by_primary);
    };
    match (&other.backend.arm, upstream(other), other.unavailable) {
        (Arm::Status(status), ..) => page(*status),
        (_, Some(upstream), _) => Ok(Chosen {
            upstream,
            role: Role::Alternative { primary },
            edits: other.backend.edits.as_deref(),
        }),
        (_, None, Unavailable::UsePrimary) => Ok(by_primary),
        (_, None, Unavailable::Respond503) => page(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// The backend of a running session, which precedes rules and weights.
pub(super) fn session<'t>(
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
    use headgate_table::{Backend, Balance, FieldEdit, FieldEdits, HeaderTest, Rule, RuleTest};
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
        match forward(&context, split, usable, |total| total).map(|chosen| chosen.role) {
            Ok(Role::Primary) => "primary".into(),
            Ok(Role::Alternative { .. }) => "alternative".into(),
            Ok(Role::Fallback) => "fallback".into(),
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
        assert_eq!(outcome(&split, &["web", "next"]), "alternative");
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

    #[test]
    fn independent_backends_keep_their_shares() {
        let key = |name: &str| Arm::Upstream(UpstreamKey::new(name));
        let other = |arm: Arm| Alternative {
            backend: Backend { arm, edits: None },
            weight: 1,
            unavailable: Unavailable::Respond503,
        };
        let others = vec![
            other(key("next")),
            other(Arm::Status(StatusCode::INTERNAL_SERVER_ERROR)),
        ];
        let split = Split::new(Backend::upstream_only(UpstreamKey::new("web")))
            .with_alternatives(Alternatives::new(others, Vec::new(), 3))
            .independent();
        let sample = Sample::new("GET", "/");
        let upstream = Arc::new(Sample::upstream(Balance::RoundRobin));
        let outcome = |share: u32, usable: &[&str]| {
            let usable = |key: &UpstreamKey| usable.contains(&key.as_str()).then_some(&upstream);
            match by_share(&sample.context(), &split, usable, |_| share) {
                Ok(_) => 200,
                Err(LocalResponse::Page(status)) => status.as_u16(),
                Err(_) => 0,
            }
        };
        for (usable, expected) in [
            (&["web", "next"][..], [200, 500, 200]),
            (&["next"], [200, 500, 503]),
            (&["web"], [503, 500, 200]),
            (&[], [503, 500, 503]),
        ] {
            assert_eq!(
                [1, 2, 3].map(|share| outcome(share, usable)),
                expected,
                "{usable:?}"
            );
        }
    }

    #[test]
    fn the_edits_are_those_of_the_backend_that_serves() {
        let edits = |name: &'static str| {
            let remove = FieldEdit::Remove(HeaderName::from_static(name));
            let request = FieldEdits([remove].into());
            Some(Arc::new(BackendFilters {
                request,
                ..BackendFilters::default()
            }))
        };
        let backend = |name: &'static str| Backend {
            arm: Arm::Upstream(UpstreamKey::new(name)),
            edits: edits(name),
        };
        let other = Alternative {
            backend: backend("next"),
            weight: 1,
            unavailable: Unavailable::UsePrimary,
        };
        let split = Split::new(backend("web"))
            .with_alternatives(Alternatives::new(vec![other], Vec::new(), 1))
            .with_fallback(Some(UpstreamKey::new("errors")));
        let sample = Sample::new("GET", "/");
        let upstream = Arc::new(Sample::upstream(Balance::RoundRobin));
        for (usable, edited) in [
            (&["web", "next"][..], Some("next")),
            (&["web"], Some("web")),
            (&["errors"], None),
        ] {
            let usable = |key: &UpstreamKey| usable.contains(&key.as_str()).then_some(&upstream);
            let chosen = forward(&sample.context(), &split, usable, |_| 1).unwrap();
            let removed = chosen.edits.map(|edits| edits.request.0[0].name().as_str());
            assert_eq!(removed, edited);
        }
    }
}
