//! The table as text for people, one line per route, or as JSON.

mod facts;
mod passthrough;
mod resilience;
mod script;
mod settings;
mod streams;

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

pub use self::facts::route_facts;
use self::facts::{mirror_fact, upstream_facts};
use self::script::host_script_fact;
use self::settings::settings_facts;
use self::streams::{stream_lines, stream_target, udp_json};

use crate::{
    Alternative, Alternatives, Arm, Backend, Conditions, Endpoints, HeaderTest, Host,
    HostBehaviour, HostClients, HostTls, Listener, PathKind, Plain, Route, RoutingTable, RuleTest,
    Socket, Split, Target, TextMatch, UpstreamKey, VirtualHosts,
};

/// The table as text, one line per route, with everything that differs from the defaults; golden tests compare it. Hosts are
/// sorted by name; if there are several universes, each follows a line with its listeners.
pub fn text(table: &RoutingTable) -> String {
    let mut out = String::new();
    let settings = settings_facts(&table.settings);
    if !settings.is_empty() {
        let _ = writeln!(out, "settings {}", settings.join("; "));
    }
    for (name, to) in passthrough::names(table) {
        let _ = writeln!(out, "tls {name} -> {to}");
    }
    let universes = table.universes();
    for hosts in &universes {
        if universes.len() > 1 {
            let _ = writeln!(out, "listeners {}", addresses(table, hosts));
        }
        for host in sorted(hosts) {
            host_lines(table, host, &mut out);
        }
    }
    stream_lines(table, &mut out);
    out
}

fn host_lines(table: &RoutingTable, host: &Host, out: &mut String) {
    let _ = writeln!(out, "host {}{}", host.name, host_facts(host));
    match &host.behaviour {
        HostBehaviour::Redirect { to } => {
            let _ = writeln!(out, "  redirect to {to}");
        }
        HostBehaviour::Routes { paths, .. } => {
            for (tried, conditions, route) in paths.listing() {
                let kind = kind(route, paths.is_regex());
                let conditions = conditions.map(conditions_text).unwrap_or_default();
                let line = route_line(table, route);
                let _ = writeln!(out, "  {kind:<6} {tried}{conditions} -> {line}");
            }
        }
    }
}

/// The table as JSON, with its generation: the admin port's `/debug/table`. Keys and secrets are never in it.
pub fn json(table: &RoutingTable) -> Value {
    let universes = table.universes();
    let hosts: Vec<Value> = universes
        .iter()
        .flat_map(|hosts| sorted(hosts))
        .map(|host| host_json(table, host))
        .collect();
    let listeners = table.listeners().iter();
    let listeners = listeners.map(|listener| listener_json(table, listener));
    let udp = table.udp_listeners().iter();
    let listeners: Vec<Value> = listeners
        .chain(udp.map(|listener| udp_json(table, listener)))
        .collect();
    json!({
        "generation": table.generation,
        "settings": settings_facts(&table.settings),
        "listeners": listeners,
        "passthrough": passthrough::names(table),
        "hosts": hosts,
    })
}

fn listener_json(table: &RoutingTable, listener: &Listener) -> Value {
    let leads_to = match &listener.socket {
        Socket::Plain(Plain::Http(_)) => "http",
        Socket::Plain(Plain::Stream(_)) => "stream",
        Socket::Tls(_) => "tls",
    };
    let mut value = json!({ "address": listener.address.to_string(), "port": listener.ports.own, "leadsTo": leads_to });
    if let Some(target) = stream_target(table, &listener.socket) {
        value["target"] = json!(target);
    }
    value
}

fn addresses(table: &RoutingTable, hosts: &Arc<VirtualHosts>) -> String {
    let listeners = table.listeners().iter().filter(|listener| {
        let mut universes = listener.universes().into_iter();
        universes.any(|known| Arc::ptr_eq(known, hosts))
    });
    let addresses: Vec<String> = listeners
        .map(|listener| listener.address.to_string())
        .collect();
    addresses.join(" ")
}

fn sorted(hosts: &VirtualHosts) -> Vec<&Host> {
    let mut hosts: Vec<&Host> = hosts.iter().map(|host| &**host).collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    hosts
}

/// Such as ` GET x-user=a ?debug~^1`.
pub fn conditions_text(conditions: &Conditions) -> String {
    let mut out = String::new();
    if let Some(method) = &conditions.method {
        let _ = write!(out, " {method}");
    }
    for (name, value) in &conditions.headers {
        let _ = write!(out, " {name}{}", match_text(value));
    }
    for (name, value) in &conditions.query {
        let _ = write!(out, " ?{name}{}", match_text(value));
    }
    out
}

fn match_text(text: &TextMatch) -> String {
    match text {
        TextMatch::Exact(text) => format!("={text}"),
        TextMatch::Pattern(pattern) => format!("~{}", pattern.source()),
    }
}

fn host_facts(host: &Host) -> String {
    let mut facts = String::new();
    match &host.tls {
        HostTls::None => {}
        HostTls::Default => facts.push_str(" tls default"),
        HostTls::Own(own) => facts.push_str(&format!(" tls {}", own.source)),
    }
    facts.push_str(&clients_fact(&host.clients));
    if let Some(names) = &host.ciphers.names {
        let _ = write!(facts, " ciphers {}", names.join(":"));
    }
    if let Some(client_order) = host.ciphers.client_order {
        let _ = write!(facts, " client-order={client_order}");
    }
    if !host.aliases.is_empty() {
        let _ = write!(facts, " aliases {}", host.aliases.join(","));
    }
    if let HostBehaviour::Routes { app_root, paths } = &host.behaviour {
        if let Some(root) = app_root {
            let _ = write!(facts, " app-root {}", root.path);
        }
        if paths.is_regex() {
            facts.push_str(" regex");
        }
    }
    if let Some(script) = &host.script {
        let _ = write!(facts, " {}", host_script_fact(script));
    }
    facts
}

/// Such as ` clients on shop/ca depth=2 subject~CN=a`; empty if all clients are served.
fn clients_fact(clients: &HostClients) -> String {
    let rules = match clients {
        HostClients::Any => return String::new(),
        HostClients::Refused(refused) => return format!(" refused: {}", refused.reason),
        HostClients::Verified(rules) => rules,
    };
    let mut fact = format!(" clients {} {}", rules.demand.as_str(), rules.source);
    if rules.trust.depth != 1 {
        let _ = write!(fact, " depth={}", rules.trust.depth);
    }
    if !rules.trust.revocations.is_empty() {
        fact.push_str(" revocations");
    }
    if let Some(page) = &rules.error_page {
        let _ = write!(fact, " error-page={}", page.to_str().unwrap_or_default());
    }
    if rules.pass_certificate {
        fact.push_str(" passes-certificate");
    }
    if let Some(subject) = &rules.subject {
        let _ = write!(fact, " subject~{}", subject.source());
    }
    fact
}

fn route_line(table: &RoutingTable, route: &Route) -> String {
    let facts = route_facts(route);
    let facts = if facts.is_empty() {
        String::new()
    } else {
        format!(" [{}]", facts.join("; "))
    };
    format!("{}{facts}", target(table, &route.target))
}

fn kind(route: &Route, regex: bool) -> &'static str {
    match route.kind {
        _ if regex => "regex",
        PathKind::Exact => "exact",
        PathKind::Prefix => "prefix",
        PathKind::Expression => "regex",
    }
}

fn target(table: &RoutingTable, target: &Target) -> String {
    match target {
        Target::Forward(split) => forward(table, split),
        Target::DefaultBackend(None) => "404".into(),
        Target::DefaultBackend(Some(id)) => format!("default {}", upstream(table, id)),
        Target::Closed(closed) => format!("closed: {}", closed.reason),
    }
}

fn forward(table: &RoutingTable, split: &Split) -> String {
    let mut out = backend(table, split.primary());
    if let Some(others) = split.alternatives() {
        for (index, other) in others.list().iter().enumerate() {
            let backend = backend(table, &other.backend);
            let rules = alternative_rules(others, index, other);
            let _ = write!(out, " | canary {backend} {rules}");
        }
    }
    if let Some(fallback) = split.fallback() {
        let _ = write!(out, " | without endpoints {}", upstream(table, fallback));
    }
    out
}

fn backend(table: &RoutingTable, backend: &Backend) -> String {
    let mut out = match &backend.arm {
        Arm::Upstream(key) => upstream(table, key),
        Arm::Status(status) => status.as_u16().to_string(),
    };
    if let Some(edits) = &backend.edits {
        for (side, edits) in [("request", &edits.request), ("response", &edits.response)] {
            for edit in &edits.0 {
                let _ = write!(out, " ({side} header {})", edit.name());
            }
        }
        for mirror in &edits.mirrors {
            let _ = write!(out, " (mirror {})", mirror_fact(mirror));
        }
    }
    out
}

fn alternative_rules(others: &Alternatives, index: usize, other: &Alternative) -> String {
    let about = others
        .rules()
        .iter()
        .filter(|rule| rule.alternative == index);
    let mut rules: Vec<String> = about.map(|rule| rule_text(&rule.test)).collect();
    if other.weight > 0 || rules.is_empty() {
        rules.push(format!("{}/{}", other.weight, others.total()));
    }
    rules.join(" ")
}

fn rule_text(test: &RuleTest) -> String {
    match test {
        RuleTest::Cookie(name) => format!("cookie {name}"),
        RuleTest::Header { name, value } => match value {
            HeaderTest::AlwaysNever => format!("header {name}"),
            HeaderTest::Value(value) => format!("header {name}={value}"),
            HeaderTest::Pattern(pattern) => format!("header {name}~{}", pattern.source()),
            HeaderTest::Broken => format!("header {name} (broken pattern)"),
        },
    }
}

fn upstream(table: &RoutingTable, key: &UpstreamKey) -> String {
    let Some(upstream) = table.upstream(key) else {
        return format!("{key} (absent)");
    };
    let mut out = upstream.name.to_string();
    match &upstream.endpoints {
        Endpoints::None(why) => {
            let _ = write!(out, " ({why})");
        }
        Endpoints::Addresses(addresses) => {
            for address in addresses.iter() {
                let _ = write!(out, " {address}");
            }
        }
        Endpoints::Name { host, port } => {
            let _ = write!(out, " dns:{host}:{port}");
        }
    }
    let facts = upstream_facts(upstream);
    if !facts.is_empty() {
        let _ = write!(out, " ({})", facts.join(", "));
    }
    out
}

fn host_json(table: &RoutingTable, host: &Host) -> Value {
    let tls = match &host.tls {
        HostTls::None => Value::Null,
        HostTls::Default => json!("default"),
        HostTls::Own(own) => {
            json!({ "source": &*own.source, "fingerprint": &*own.fingerprint, "notAfter": own.not_after })
        }
    };
    let aliases: Vec<&str> = host.aliases.iter().map(|alias| &**alias).collect();
    let mut value = json!({ "name": &*host.name, "tls": tls, "aliases": aliases });
    match &host.behaviour {
        HostBehaviour::Redirect { to } => value["redirectTo"] = json!(&**to),
        HostBehaviour::Routes { app_root, paths } => {
            value["appRoot"] = app_root
                .as_ref()
                .map_or(Value::Null, |root| json!(&*root.path));
            value["regex"] = json!(paths.is_regex());
            value["routes"] = paths
                .routes()
                .map(|route| route_json(table, route, paths.is_regex()))
                .collect();
        }
    }
    value
}

fn route_json(table: &RoutingTable, route: &Route, regex: bool) -> Value {
    json!({
        "path": &*route.path,
        "kind": kind(route, regex),
        "object": route.origin.kind,
        "namespace": &*route.origin.namespace,
        "name": &*route.origin.name,
        "rule": route.rule.as_ref().map(ToString::to_string),
        "service": &*route.origin.service,
        "port": &*route.origin.port,
        "target": target(table, &route.target),
        "policy": route_facts(route),
    })
}
