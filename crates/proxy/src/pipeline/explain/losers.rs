//! Listeners, hosts and paths that could have served a request, and why they do not.

use std::net::SocketAddr;
use std::sync::Arc;

use headgate_table::{
    CATCH_ALL, ConditionInput, Conditions, Host, HostBehaviour, Listener, PathKind, PathMatch,
    Route, RoutingTable, SocketKind, Tried, VirtualHosts,
};
use http::request::Parts;

use crate::explanation::{ExplainRequest, Loser};
use crate::request::ConditionView;

/// The kind of a path.
pub(super) const PATH: &str = "path";
/// The kind of a host.
pub(super) const HOST: &str = "host";

/// The kind of a listener.
const LISTENER: &str = "listener";

/// Most paths and listeners that are listed: a host can have thousands of paths.
const MOST: usize = 50;

/// All listeners, none of which receives the request.
pub(super) fn listeners(table: &RoutingTable, request: &ExplainRequest, losers: &mut Vec<Loser>) {
    let wanted = request.url.port_u16();
    let tcp = table.listeners().iter();
    let tcp = tcp.map(|listener| (scheme(listener), listener.address));
    let udp = table.udp_listeners().iter();
    let udp = udp.map(|listener| ("udp", listener.address));
    losers.extend(tcp.chain(udp).map(|(scheme, address)| {
        let because = match wanted == Some(address.port()) {
            true => format!("it is for {scheme}"),
            false => "it has another port".to_owned(),
        };
        listener(scheme, address, because)
    }));
}

/// Listeners that clients reach at the same port at other addresses.
pub(super) fn same_port<'t>(others: impl Iterator<Item = &'t Listener>, losers: &mut Vec<Loser>) {
    losers.extend(others.take(MOST).map(|other| {
        let port = other.address.port();
        let selects = match port == other.ports.own {
            true => String::new(),
            false => format!("; port {port} in the URL selects it"),
        };
        let because = format!("it has another address{selects}");
        listener(scheme(other), other.address, because)
    }));
}

fn scheme(listener: &Listener) -> &'static str {
    match listener.socket.kind() {
        SocketKind::Http => "http",
        SocketKind::Tls => "https",
        SocketKind::Stream => "tcp",
    }
}

fn listener(scheme: &str, address: SocketAddr, because: String) -> Loser {
    Loser {
        kind: LISTENER,
        name: format!("{scheme} on {address}"),
        address: Some(address),
        object: String::new(),
        rule: String::new(),
        because,
    }
}

pub(super) fn is_regex(host: &Host) -> bool {
    matches!(&host.behaviour, HostBehaviour::Routes { paths, .. } if paths.is_regex())
}

/// Why `host` serves `name`, in words.
pub(super) fn why_host(hosts: &VirtualHosts, host: &Host, name: &str) -> &'static str {
    if *host.name == *name {
        "the name of a host"
    } else if host.aliases.iter().any(|alias| **alias == *name) {
        "an alias of the host"
    } else if *host.name == *CATCH_ALL {
        "no host has this name"
    } else if host.name.starts_with("*.")
        && hosts
            .get(&host.name)
            .is_some_and(|_| is_below(name, &host.name))
    {
        "the wildcard host above it"
    } else {
        "an alias of the host that is a pattern"
    }
}

/// Whether `name` is one label below the wildcard `*.x`.
fn is_below(name: &str, wildcard: &str) -> bool {
    let parent = name.split_once('.').map(|(_, parent)| parent);
    parent == wildcard.strip_prefix("*.")
}

/// Other hosts that have the name.
pub(super) fn hosts(hosts: &VirtualHosts, chosen: &Host, name: &str, losers: &mut Vec<Loser>) {
    if hosts.is_layered() {
        let mut wider = hosts.wider(chosen, name);
        while let Some(other) = wider {
            losers.push(host(&other.name, format!("{} comes first", chosen.name)));
            wider = hosts.wider(other, name);
        }
        return;
    }
    let wildcard = name
        .split_once('.')
        .map(|(_, parent)| format!("*.{parent}"));
    let names = wildcard.into_iter().chain([CATCH_ALL.to_owned()]);
    let others = names.filter_map(|name| hosts.get(&name));
    for other in others.filter(|other| !std::ptr::eq(&***other, chosen)) {
        losers.push(host(&other.name, format!("{} comes first", chosen.name)));
    }
}

/// The hosts that come before `chosen` and do not serve the request.
pub(super) fn narrower(hosts: &VirtualHosts, chosen: &Host, name: &str, losers: &mut Vec<Loser>) {
    let mut next = Some(hosts.find(name));
    while let Some(other) = next.filter(|other| !std::ptr::eq(&***other, chosen)) {
        let because = "none of its paths serves the request".to_owned();
        losers.push(host(&other.name, because));
        next = hosts.wider(other, name);
    }
}

/// A host that does not serve the request.
pub(super) fn host(name: &str, because: String) -> Loser {
    Loser {
        kind: HOST,
        name: name.to_owned(),
        address: None,
        object: String::new(),
        rule: String::new(),
        because,
    }
}

/// The other paths of the host, for a request with this head.
pub(super) fn paths(host: &Host, path: &[u8], head: &Parts, losers: &mut Vec<Loser>) {
    let request = ConditionView(head);
    let HostBehaviour::Routes { paths, .. } = &host.behaviour else {
        return;
    };
    let found = match paths.find(path, &request) {
        PathMatch::Route(route) | PathMatch::AddSlash(route) => Some(route),
        PathMatch::Undecided => None,
    };
    let mut listed = 0;
    for tried in paths.tried(path) {
        if found.is_some_and(|found| Arc::ptr_eq(found, tried.route)) {
            continue;
        }
        listed += 1;
        if listed > MOST {
            break;
        }
        losers.push(Loser {
            kind: PATH,
            name: shown(&tried, paths.is_regex()),
            address: None,
            object: object(tried.route),
            rule: rule(tried.route),
            because: because(&tried, &request),
        });
    }
}

fn because(tried: &Tried<'_>, request: &dyn ConditionInput) -> String {
    let conditions = tried.conditions;
    match tried.matches {
        Some(false) => "does not match".to_owned(),
        None => "its step limit ended the search".to_owned(),
        Some(true) => conditions
            .and_then(|conditions| unmet(conditions, request))
            .unwrap_or_else(|| "matches, but is tried later".to_owned()),
    }
}

/// The first condition that a request does not meet. Values are not shown: output ends up in tickets.
fn unmet(conditions: &Conditions, request: &dyn ConditionInput) -> Option<String> {
    let method = conditions.method.as_ref();
    if let Some(method) = method.filter(|method| *method != request.method()) {
        return Some(format!("its method is {method}"));
    }
    for (name, expected) in &conditions.headers {
        match request.header(name) {
            None => return Some(format!("the request has no header {name}")),
            Some(value) if !expected.matches(&value) => {
                return Some(format!("the header {name} does not match"));
            }
            Some(_) => {}
        }
    }
    for (name, expected) in &conditions.query {
        match request.query(name) {
            None => return Some(format!("the request has no query parameter {name}")),
            Some(value) if !expected.matches(value.as_bytes()) => {
                return Some(format!("the query parameter {name} does not match"));
            }
            Some(_) => {}
        }
    }
    None
}

fn shown(tried: &Tried<'_>, is_regex: bool) -> String {
    match tried.route.kind {
        _ if is_regex => format!("regex {}", tried.text),
        PathKind::Expression => format!("regex {}", tried.text),
        PathKind::Exact => format!("Exact {}", tried.text),
        PathKind::Prefix => format!("Prefix {}", tried.text),
    }
}

fn object(route: &Route) -> String {
    let origin = &route.origin;
    if origin.kind.is_empty() {
        return String::new();
    }
    format!("{} {}/{}", origin.kind, origin.namespace, origin.name)
}

fn rule(route: &Route) -> String {
    let rule = route.rule.as_ref();
    rule.map_or_else(String::new, ToString::to_string)
}
