//! Which listeners a route is attached to (gateway-api.md 2.5, 2.9, 3.15).

use smallvec::SmallVec;

use super::condition::Problem;
use super::hostname::Hostname;
use super::listener::{Listener, Protocol};
use crate::objects::custom::{GATEWAY_GROUP, ParentRef};
use crate::{Kind, Name, ObjectRef, Snapshot};

/// A route, as far as listeners choose by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) kind: Kind,
    pub(crate) namespace: &'a str,
    /// Empty: those of the listener.
    pub(crate) hostnames: &'a [Hostname],
}

/// A listener of a route, with the names that it serves there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Index among the listeners of the Gateway.
    pub(crate) listener: usize,
    /// The effective hostnames, most specific first; one for all names if the protocol has none.
    pub(crate) hostnames: SmallVec<[Hostname; 1]>,
}

/// The Gateway or ListenerSet that a reference of a route in `namespace` names; `None` if it names another kind.
pub(crate) fn parent(reference: &ParentRef, namespace: &str) -> Option<ObjectRef> {
    if reference.group.as_deref().unwrap_or(GATEWAY_GROUP) != GATEWAY_GROUP {
        return None;
    }
    let kind = match reference.kind.as_deref().unwrap_or("Gateway") {
        "Gateway" => Kind::Gateway,
        "ListenerSet" => Kind::ListenerSet,
        _ => return None,
    };
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    Some(ObjectRef {
        kind,
        name: Name::new(namespace, &reference.name),
    })
}

/// The listeners of `parent` that the route is attached to, of all its `listeners` with their indexes among those of its Gateway.
///
/// # Errors
/// Why there is none: of the listeners that the reference selects, first those that may have the route are chosen, and of
/// these those that have a hostname of it.
pub(crate) fn attach<'l>(
    route: Candidate<'_>,
    reference: &ParentRef,
    parent: &ObjectRef,
    listeners: impl Iterator<Item = (usize, &'l Listener)>,
    snapshot: &Snapshot,
) -> Result<Vec<Attachment>, Problem> {
    let section = reference.section_name.as_deref();
    let selected = listeners.filter(|(_, listener)| {
        section.is_none_or(|section| *listener.name == *section)
            && reference.port.is_none_or(|port| listener.port == port)
    });
    let selected: Vec<_> = selected.collect();
    if selected.is_empty() {
        return Err(Problem::new(
            "NoMatchingParent",
            no_listener(reference, parent),
        ));
    }
    let allowed = selected.into_iter().filter(|(_, listener)| {
        listener.kinds.contains(&route.kind)
            && listener.namespaces.allows(route.namespace, snapshot)
    });
    let allowed: Vec<_> = allowed.collect();
    if allowed.is_empty() {
        let message = format!(
            "no such listener of {parent} allows objects of kind {} from namespace {}",
            route.kind.as_str(),
            route.namespace
        );
        return Err(Problem::new("NotAllowedByListeners", message));
    }
    let attached = allowed.into_iter().filter_map(|(index, listener)| {
        let hostnames = effective(listener, route.hostnames);
        (!hostnames.is_empty()).then_some(Attachment {
            listener: index,
            hostnames,
        })
    });
    let attached: Vec<Attachment> = attached.collect();
    if attached.is_empty() {
        let names: Vec<String> = route.hostnames.iter().map(ToString::to_string).collect();
        let message = format!(
            "no such listener of {parent} has the hostname {}",
            names.join(" or ")
        );
        return Err(Problem::new("NoMatchingListenerHostname", message));
    }
    Ok(attached)
}

fn no_listener(reference: &ParentRef, parent: &ObjectRef) -> String {
    match (&reference.section_name, reference.port) {
        (Some(section), Some(port)) => format!("{parent} has no listener {section} on port {port}"),
        (Some(section), None) => format!("{parent} has no listener {section}"),
        (None, Some(port)) => format!("{parent} has no listener on port {port}"),
        (None, None) => format!("{parent} has no listener"),
    }
}

/// The names that a listener serves for a route with `hostnames`.
fn effective(listener: &Listener, hostnames: &[Hostname]) -> SmallVec<[Hostname; 1]> {
    let has_names = !matches!(
        listener.protocol,
        Some(Protocol::Tcp | Protocol::Udp) | None
    );
    if !has_names {
        return SmallVec::from_elem(Hostname::Any, 1);
    }
    if hostnames.is_empty() {
        return SmallVec::from_elem(listener.hostname.clone(), 1);
    }
    let names = hostnames.iter();
    let names = names.filter_map(|name| listener.hostname.intersection(name).cloned());
    let mut names: SmallVec<[Hostname; 1]> = names.collect();
    names.sort();
    names.dedup();
    names
}
