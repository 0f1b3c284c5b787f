//! The backends that may get a request, with the endpoints of each.

use std::sync::Arc;

use headgate_table::{Alternatives, Pick, RuleTest, Target, Upstream, UpstreamKey};
use http::StatusCode;

use super::stage::Announced;
use crate::explanation::{Explanation, PossibleBackend, Step, StepResult};
use crate::grpc::GRPC_STATUS;
use crate::pipeline::Routed;
use crate::pipeline::destination::{self, Destination, Role};
use crate::pipeline::exchange::Exchange;
use crate::request::Context;
use crate::respond::LocalResponse;
use crate::upstream::Choice;

/// A number that weights are decided by, and why a backend gets it.
pub(super) struct Dice {
    pub(super) number: u32,
    pub(super) because: String,
}

impl Dice {
    /// The number does not matter.
    pub(super) fn only(because: String) -> Self {
        Self { number: 1, because }
    }
}

/// Fills in the backends for a request on its route. Returns the first of them.
///
/// # Errors
/// The response if there is none, or one of the responses if weights decide which.
pub(super) fn of_route<'t>(
    routed: &mut Routed<'_, 't, Announced>,
    explanation: &mut Explanation,
) -> Result<Destination<'t>, Refusal> {
    let table = routed.exchange.table;
    let upstreams = routed.exchange.downstream.worker.upstreams.clone();
    let usable = |key: &UpstreamKey| {
        let upstream = table.upstream(key);
        upstream.filter(|upstream| upstreams.has_endpoints(upstream))
    };
    let route = routed.route;
    let target = &route.target;
    let mut refusals = Vec::new();
    let mut first = None;
    for dice in dice(&routed.context, target, &usable) {
        let number = dice.number;
        let decided = destination::by_dice(&routed.context, target, usable, |_| number);
        match routed.exchange.because("no-endpoints", decided) {
            Ok(Destination::Upstream(chosen)) => {
                routed.context.upstream = Some(chosen.upstream);
                first = first.or(Some(chosen));
                let choice = upstreams.choice(chosen.upstream, &routed.context);
                explanation.backends.push(possible(
                    chosen.upstream,
                    chosen.role,
                    dice.because,
                    choice,
                ));
            }
            Ok(Destination::NotFound) => {}
            Err(response) => refusals.push((dice.because, response)),
        }
    }
    let outcome = match first {
        Some(_) => None,
        None => refusals.pop(),
    };
    let is_split = !refusals.is_empty();
    for (because, response) in refusals {
        let step = refused(routed.exchange, &because, response);
        explanation.steps.push(step);
    }
    match (first, outcome) {
        (Some(first), _) => Ok(Destination::Upstream(first)),
        (None, Some((because, response))) => Err(Refusal {
            share: is_split.then_some(because),
            response,
        }),
        (None, None) => Ok(Destination::NotFound),
    }
}

/// The response to requests on a route of which no backend can serve.
pub(super) struct Refusal {
    /// The share of requests that get this one, where others get another.
    pub(super) share: Option<String>,
    pub(super) response: LocalResponse,
}

/// The step for the share of requests that no backend gets, while others do or fail otherwise.
fn refused(exchange: &Exchange<'_>, because: &str, response: LocalResponse) -> Step {
    let why = match response.replaceable() {
        Some(StatusCode::SERVICE_UNAVAILABLE) => "as their Service has no ready endpoint",
        _ => "as their backend cannot be resolved",
    };
    let response = exchange.response(response);
    let call = response.headers().get(GRPC_STATUS);
    let status = match call.and_then(|status| status.to_str().ok()) {
        Some(status) => format!("grpc-status {status}"),
        None => format!("status {}", response.status().as_u16()),
    };
    Step {
        name: "backend",
        result: StepResult::Depends,
        detail: format!("{because}: {status}, {why}"),
    }
}

fn possible(
    upstream: &Arc<Upstream>,
    role: Role<'_>,
    because: String,
    choice: Choice,
) -> PossibleBackend {
    let (role, instead) = match role {
        Role::Primary => ("primary", None),
        Role::Share => ("alternative", None),
        Role::Alternative { .. } => ("canary", None),
        Role::Fallback => ("fallback", Some("the backend of the path has no endpoints")),
        Role::DefaultBackend => (
            "default backend",
            Some("no path has a backend of its own for it"),
        ),
    };
    PossibleBackend {
        name: upstream.name.clone(),
        role,
        because: instead.map_or(because, str::to_owned),
        endpoints: choice.endpoints,
        balance: choice.balance,
        troubles: choice.troubles,
    }
}

/// One number for each backend that weights may choose; one if they have no say.
fn dice<'t>(
    context: &Context<'_>,
    target: &'t Target,
    usable: &impl Fn(&UpstreamKey) -> Option<&'t Arc<Upstream>>,
) -> Vec<Dice> {
    let only = |because: String| vec![Dice::only(because)];
    let Target::Forward(split) = target else {
        return only(String::new());
    };
    let Some(others) = split.alternatives() else {
        return only("the only backend of the path".to_owned());
    };
    let primary = split.primary().upstream().and_then(usable);
    let of = |other: &headgate_table::Alternative| other.backend.upstream().and_then(usable);
    if let Some(primary) = primary
        && destination::session(context, primary, others, of).is_some()
    {
        return only("the session of its cookie".to_owned());
    }
    match others.by_rule(context) {
        Some((pick, rule)) => only(rule_text(pick, &rule.test)),
        None => weights(others),
    }
}

fn rule_text(pick: Pick, test: &RuleTest) -> String {
    let test = match test {
        RuleTest::Cookie(name) => format!("cookie {name}"),
        RuleTest::Header { name, .. } => format!("header {name}"),
    };
    match pick {
        Pick::Primary => format!("{test} selects the primary"),
        Pick::Alternative(_) => format!("{test} selects the canary"),
    }
}

/// The shares of the alternatives, and of the primary what is left.
pub(super) fn weights(others: &Alternatives) -> Vec<Dice> {
    let total = others.total();
    let mut dice = Vec::new();
    let mut below = 0u32;
    for other in others.list().iter().filter(|other| other.weight > 0) {
        dice.push(Dice {
            number: below.saturating_add(1),
            because: format!("{} of {total} requests, by weight", other.weight),
        });
        below = below.saturating_add(other.weight);
    }
    if below < total {
        let rest = Dice {
            number: total,
            because: format!("{} of {total} requests, by weight", total - below),
        };
        dice.insert(0, rest);
    }
    dice
}
