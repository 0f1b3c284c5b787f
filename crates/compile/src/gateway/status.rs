//! Statuses of objects (gateway-api.md 2.13, 2.14, 3.16, 5.4): outputs of compilation, for the leader to write.

use super::addresses::StatusAddress;
use super::condition::{Condition, ConditionKind, Problem};
use super::listener::{Listener, Place};
use super::state::Route;
use super::universe::{ListenerSet, Universe};
use crate::Kind;
use crate::objects::custom::ParentRef;

/// The status of an object, about one generation of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The generation; every condition says it.
    pub generation: i64,
    /// What it says.
    pub body: StatusBody,
}

/// What a status says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusBody {
    /// Of a GatewayClass.
    GatewayClass {
        /// Its conditions.
        conditions: Vec<Condition>,
        /// Names of the features that are implemented, sorted.
        features: Vec<&'static str>,
        /// Whether a Gateway is of the class, which has a finalizer then.
        in_use: bool,
    },
    /// Of a Gateway.
    Gateway {
        /// Its conditions.
        conditions: Vec<Condition>,
        /// Its listeners, in the order of the spec.
        listeners: Vec<ListenerStatus>,
        /// How many ListenerSets are attached.
        attached_sets: u32,
        /// Where clients reach it; at most 16.
        addresses: Vec<StatusAddress>,
    },
    /// Of a ListenerSet.
    ListenerSet {
        /// Its conditions.
        conditions: Vec<Condition>,
        /// Its listeners, in the order of the spec.
        listeners: Vec<ListenerStatus>,
    },
    /// Of a route.
    Route {
        /// Its parents that are served here, in the order of the spec.
        parents: Vec<ParentStatus>,
    },
    /// Of a policy.
    Policy {
        /// The Gateways through which a route reaches what it applies to; of an Ingress, the Ingress.
        ancestors: Vec<ParentStatus>,
    },
}

/// The status of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// The kinds of routes that may be attached.
    pub kinds: Vec<Kind>,
    /// How many routes are attached.
    pub attached_routes: u32,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// The status of a route for one of its parents, or of a policy for one of its ancestors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentStatus {
    /// As the route has it; of a policy, the ancestor.
    pub parent: ParentRef,
    /// What is said of it.
    pub conditions: Vec<Condition>,
}

/// The status of a Gateway. `counts` are the routes attached to each of its listeners.
pub(super) fn of_gateway(gateway: &Universe, counts: &[u32]) -> Status {
    let own = gateway.own_listeners();
    let good = own
        .clone()
        .filter(|(_, listener)| listener.is_accepted())
        .count();
    let all = own.clone().count();
    let addresses = &gateway.placement.addresses;
    let accepted = match &addresses.refused {
        Some(problem) => Condition::unless(ConditionKind::Accepted, Some(problem)),
        None => accepted_by_listeners(good, all),
    };
    let programmed = addresses
        .refused
        .as_ref()
        .map(|problem| Problem::new("Invalid", &*problem.message));
    let programmed = programmed.as_ref().or(addresses.problem.as_ref());
    let mut conditions = vec![
        accepted,
        Condition::unless(ConditionKind::Programmed, programmed),
        Condition::unless(ConditionKind::ResolvedRefs, gateway.no_client.as_ref()),
    ];
    if gateway.frontend.falls_back() {
        conditions.push(Condition::because(
            ConditionKind::InsecureFrontendValidationMode,
            "ConfigurationChanged",
        ));
    }
    Status {
        generation: gateway.gateway.generation,
        body: StatusBody::Gateway {
            conditions,
            addresses: addresses.list.clone(),
            attached_sets: gateway.attached_sets,
            listeners: listeners(own, counts, false),
        },
    }
}

/// Of a Gateway or ListenerSet with `good` of `all` listeners.
fn accepted_by_listeners(good: usize, all: usize) -> Condition {
    if good == all && all > 0 {
        return Condition::holds(ConditionKind::Accepted);
    }
    if good > 0 {
        return Condition::because(ConditionKind::Accepted, "ListenersNotValid");
    }
    let problem = Problem::new("ListenersNotValid", "no listener can be served");
    Condition::unless(ConditionKind::Accepted, Some(&problem))
}

/// Why a ListenerSet is not attached.
pub(super) fn set_problem(gateway: &Universe, set: &ListenerSet) -> Option<Problem> {
    if set.refused.is_some() {
        return set.refused.clone();
    }
    let mut listeners = gateway.listeners_of_set(set);
    let is_good = listeners.any(|(_, listener)| listener.is_served());
    (!is_good).then(|| Problem::new("ListenersNotValid", "no listener can be served"))
}

/// The status of a ListenerSet.
pub(super) fn of_set(gateway: &Universe, set: &ListenerSet, counts: &[u32]) -> Status {
    let problem = set_problem(gateway, set);
    let own = gateway.listeners_of_set(set);
    let good = own
        .clone()
        .filter(|(_, listener)| listener.is_served())
        .count();
    let accepted = match &problem {
        Some(problem) => Condition::unless(ConditionKind::Accepted, Some(problem)),
        None => accepted_by_listeners(good, own.clone().count()),
    };
    Status {
        generation: set.object.generation,
        body: StatusBody::ListenerSet {
            conditions: vec![
                accepted,
                Condition::unless(ConditionKind::Programmed, problem.as_ref()),
            ],
            listeners: listeners(own, counts, true),
        },
    }
}

fn listeners<'g>(
    own: impl Iterator<Item = (usize, &'g Listener)>,
    counts: &[u32],
    of_set: bool,
) -> Vec<ListenerStatus> {
    let statuses = own.map(|(index, listener)| ListenerStatus {
        name: listener.name.to_string(),
        kinds: listener.kinds.clone(),
        attached_routes: counts.get(index).copied().unwrap_or_default(),
        conditions: listener_conditions(listener, of_set),
    });
    statuses.collect()
}

/// Of a ListenerSet, a conflict is the reason of all three conditions; of a Gateway, `Programmed` has one of its own.
fn listener_conditions(listener: &Listener, of_set: bool) -> Vec<Condition> {
    let taken = match &listener.place {
        Place::Taken(problem) => Some(problem),
        Place::Pending | Place::Open(_) | Place::Shared => None,
    };
    let accepted = listener.refused.as_ref().or(listener.conflict.as_ref());
    let accepted = accepted.or(taken);
    let invalid = Problem::new("Invalid", "the listener is not served");
    let pending = Problem::new("Pending", "no local port is allocated to its port yet");
    let programmed = match (&listener.conflict, &listener.place) {
        (Some(conflict), _) if of_set => Some(conflict),
        _ if !listener.is_served() => Some(&invalid),
        (_, Place::Pending) => Some(&pending),
        _ => None,
    };
    let mut conditions = vec![
        Condition::unless(ConditionKind::Accepted, accepted),
        Condition::unless(ConditionKind::Programmed, programmed),
        Condition::unless(ConditionKind::ResolvedRefs, listener.unresolved.as_ref()),
    ];
    // These two say what is wrong.
    for (kind, problem) in [
        (ConditionKind::Conflicted, &listener.conflict),
        (ConditionKind::OverlappingTlsConfig, &listener.overlap),
    ] {
        conditions.extend(problem.as_ref().map(|problem| Condition {
            holds: true,
            ..Condition::unless(kind, Some(problem))
        }));
    }
    conditions
}

/// The status of a route.
pub(super) fn of_route(route: &Route, generation: i64) -> Status {
    let compiled = &route.compiled;
    let parents = route.parents.iter().map(|parent| {
        let unattached = parent.attached.as_ref().err();
        let mut conditions = vec![
            Condition::unless(
                ConditionKind::Accepted,
                unattached.or(compiled.refused.as_ref()),
            ),
            Condition::unless(ConditionKind::ResolvedRefs, compiled.unresolved.as_ref()),
        ];
        if let (None, Some(problem)) = (unattached, &compiled.partially) {
            let message = format!("Dropped Rule: {}", problem.message);
            conditions.push(Condition {
                message: message.into(),
                ..Condition::because(ConditionKind::PartiallyInvalid, "UnsupportedValue")
            });
        }
        ParentStatus {
            parent: parent.reference.clone(),
            conditions,
        }
    });
    Status {
        generation,
        body: StatusBody::Route {
            parents: parents.collect(),
        },
    }
}
