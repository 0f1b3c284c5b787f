//! Listeners, hosts and paths that could have served a request, and why they do not.

use std::sync::Arc;

use headgate_table::{
    CATCH_ALL, Host, HostBehaviour, PathKind, PathMatch, Route, RoutingTable, SocketKind, Tried,
    VirtualHosts,
};

use crate::explanation::{ExplainRequest, Loser};

/// The kind of a path.
pub(super) const PATH: &str = "path";

/// Most paths that are listed: a host can have thousands.
const MAX_PATHS: usize = 50;

/// All listeners, none of which receives the request.
pub(super) fn listeners(table: &RoutingTable, request: &ExplainRequest, losers: &mut Vec<Loser>) {
    let wanted = request.url.port_u16();
    let tcp = table.listeners().iter().map(|listener| {
        let scheme = match listener.socket.kind() {
            SocketKind::Http => "http",
            SocketKind::Tls => "https",
            SocketKind::Stream => "tcp",
        };
        (scheme, listener.address)
    });
    let udp = table.udp_listeners().iter();
    let udp = udp.map(|listener| ("udp", listener.address));
    losers.extend(tcp.chain(udp).map(|(scheme, address)| {
        let because = match wanted == Some(address.port()) {
            true => format!("it is for {scheme}"),
            false => "it has another port".to_owned(),
        };
        Loser {
            kind: "listener",
            name: format!("{scheme} on {address}"),
            object: String::new(),
            because,
        }
    }));
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

/// The host that has the name, but no route for the request.
pub(super) fn without_route(host: &Host) -> Loser {
    Loser {
        kind: "host",
        name: host.name.to_string(),
        object: String::new(),
        because: "no route of this listener matches".to_owned(),
    }
}

/// Other hosts that have the name.
pub(super) fn hosts(hosts: &VirtualHosts, chosen: &Host, name: &str, losers: &mut Vec<Loser>) {
    let wildcard = name
        .split_once('.')
        .map(|(_, parent)| format!("*.{parent}"));
    let names = wildcard.into_iter().chain([CATCH_ALL.to_owned()]);
    let others = names.filter_map(|name| hosts.get(&name));
    for other in others.filter(|other| !std::ptr::eq(&***other, chosen)) {
        let because = format!("{} comes first", chosen.name);
        losers.push(Loser {
            kind: "host",
            name: other.name.to_string(),
            object: String::new(),
            because,
        });
    }
}

/// The other paths of the host.
pub(super) fn paths(host: &Host, path: &[u8], losers: &mut Vec<Loser>) {
    let HostBehaviour::Routes { paths, .. } = &host.behaviour else {
        return;
    };
    let found = match paths.find(path, |_| true) {
        PathMatch::Route(route) | PathMatch::AddSlash(route) => Some(route),
        PathMatch::Undecided => None,
    };
    let mut is_before = true;
    let mut listed = 0;
    for tried in paths.tried(path) {
        if found.is_some_and(|found| Arc::ptr_eq(found, tried.route)) {
            is_before = false;
            continue;
        }
        listed += 1;
        if listed > MAX_PATHS {
            break;
        }
        losers.push(Loser {
            kind: PATH,
            name: shown(&tried, paths.is_regex()),
            object: object(tried.route),
            because: because(&tried, is_before).to_owned(),
        });
    }
}

fn because(tried: &Tried<'_>, is_before: bool) -> &'static str {
    match tried.matches {
        Some(false) => "does not match",
        None => "its step limit ended the search",
        Some(true) if is_before => "its conditions do not hold",
        Some(true) => "matches, but is tried later",
    }
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
