//! TCP and UDP ports as text, one line per port.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::facts::Facts;
use super::forward;
use crate::{Plain, RoutingTable, Socket, StreamRoute, StreamSettings, UdpListener};

/// A line such as `tcp 5432 -> default/db/5432 10.0.0.1:5432 [proxy-in]` for each port, whatever its addresses.
pub(super) fn stream_lines(table: &RoutingTable, out: &mut String) {
    let tcp = table.listeners().iter();
    let tcp = tcp.filter_map(|at| Some((at.address.port(), tcp_line(table, at.socket.stream()?))));
    let udp = table.udp_listeners().iter();
    let udp = udp.map(|at| (at.address.port(), forward(table, &at.backends)));
    let lines = |ports: BTreeMap<u16, String>, protocol: &str, out: &mut String| {
        for (port, line) in ports {
            let _ = writeln!(out, "{protocol} {port} -> {line}");
        }
    };
    lines(tcp.collect(), "tcp", out);
    lines(udp.collect(), "udp", out);
}

fn tcp_line(table: &RoutingTable, route: &StreamRoute) -> String {
    let mut facts = Facts::default();
    facts.holds("proxy-in", route.accepts_proxy);
    facts.holds("proxy-out", route.sends_proxy);
    let facts = facts.list();
    let target = forward(table, &route.backends);
    if facts.is_empty() {
        target
    } else {
        format!("{target} [{}]", facts.join("; "))
    }
}

/// Where the connections of a TCP listener for streams go.
pub(super) fn stream_target(table: &RoutingTable, socket: &Socket) -> Option<String> {
    match socket {
        Socket::Plain(Plain::Stream(route)) => Some(tcp_line(table, route)),
        Socket::Plain(Plain::Http(_)) | Socket::Tls(_) => None,
    }
}

pub(super) fn udp_json(table: &RoutingTable, listener: &UdpListener) -> Value {
    json!({
        "address": listener.address.to_string(),
        "port": listener.address.port(),
        "protocol": "UDP",
        "leadsTo": "stream",
        "target": forward(table, &listener.backends),
    })
}

/// Settings that are not their defaults.
pub(super) fn stream_facts(settings: &StreamSettings, facts: &mut Facts) {
    let defaults = StreamSettings::default();
    let StreamSettings {
        idle_timeout,
        tries,
        tries_timeout,
        responses,
        log,
        format,
    } = settings;
    facts.differs("stream-idle", idle_timeout, &defaults.idle_timeout);
    facts.differs("stream-tries", tries, &defaults.tries);
    facts.differs(
        "stream-tries-timeout",
        tries_timeout,
        &defaults.tries_timeout,
    );
    facts.differs("stream-responses", responses, &defaults.responses);
    facts.holds("no-stream-log", !log);
    facts.some(
        "stream-log-format",
        format.as_ref().map(|format| format.source()),
    );
}
