//! The table for people: one line a route, or JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    Affinity, Balance, Canary, Endpoints, Host, HostBehaviour, HostTls, HttpsRedirect, Origins,
    PathKind, Policy, Route, RoutingTable, Split, Target, Upstream, UpstreamId,
};

/// The table as text, hosts in the order of their names, one line a route: what golden tests compare.
pub fn text(table: &RoutingTable) -> String {
    let mut out = String::new();
    for host in sorted_hosts(table) {
        let _ = writeln!(out, "host {}{}", host.name, host_facts(host));
        match &host.behaviour {
            HostBehaviour::Redirect { to } => {
                let _ = writeln!(out, "  redirect to {to}");
            }
            HostBehaviour::Routes { paths, .. } => {
                for (tried, route) in paths.listing() {
                    let kind = kind(route, paths.is_regex());
                    let _ = writeln!(out, "  {kind:<6} {tried} -> {}", route_line(table, route));
                }
            }
        }
    }
    out
}

/// The table as JSON, with its generation: the admin port's `/debug/table`. Keys and secrets are never in it.
pub fn json(table: &RoutingTable) -> Value {
    let hosts: Vec<Value> = sorted_hosts(table)
        .into_iter()
        .map(|host| host_json(table, host))
        .collect();
    json!({ "generation": table.generation, "hosts": hosts })
}

fn sorted_hosts(table: &RoutingTable) -> Vec<&Host> {
    let mut hosts: Vec<&Host> = table
        .hosts
        .iter()
        .chain(table.wildcards.iter())
        .map(|(_, host)| &**host)
        .collect();
    hosts.push(&table.catch_all);
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    hosts.dedup_by(|a, b| a.name == b.name);
    hosts
}

fn host_facts(host: &Host) -> String {
    let mut facts = String::new();
    match &host.tls {
        HostTls::None => {}
        HostTls::Default => facts.push_str(" tls default"),
        HostTls::Own(own) => facts.push_str(&format!(" tls {}", own.source)),
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
    facts
}

fn route_line(table: &RoutingTable, route: &Route) -> String {
    let facts = facts(route);
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
    let mut out = upstream(table, &split.primary);
    if let Some(canary) = &split.canary {
        let _ = write!(
            out,
            " | canary {} {}",
            upstream(table, &canary.upstream),
            canary_rules(canary)
        );
    }
    if let Some(fallback) = &split.fallback {
        let _ = write!(out, " | without endpoints {}", upstream(table, fallback));
    }
    out
}

fn canary_rules(canary: &Canary) -> String {
    let mut rules = Vec::new();
    if let Some(header) = &canary.header {
        rules.push(match &header.test {
            crate::HeaderTest::AlwaysNever => format!("header {}", header.name),
            crate::HeaderTest::Value(value) => format!("header {}={value}", header.name),
            crate::HeaderTest::Pattern(pattern) => {
                format!("header {}~{}", header.name, pattern.source())
            }
            crate::HeaderTest::Broken => format!("header {} (broken pattern)", header.name),
        });
    }
    if let Some(cookie) = &canary.cookie {
        rules.push(format!("cookie {cookie}"));
    }
    if canary.weight > 0 || rules.is_empty() {
        rules.push(format!("{}/{}", canary.weight, canary.total));
    }
    rules.join(" ")
}

fn upstream(table: &RoutingTable, id: &UpstreamId) -> String {
    let Some(upstream) = table.upstream(id) else {
        return format!("{id} (absent)");
    };
    let mut out = id.to_string();
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

fn upstream_facts(upstream: &Upstream) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(affinity) = upstream.affinity.as_deref() {
        facts.push(affinity_fact(affinity));
    }
    if let Some(timeout) = upstream.client_ip_affinity {
        facts.push(format!("client-ip {}s", timeout.as_secs()));
    }
    match &upstream.balance {
        Balance::RoundRobin => {}
        Balance::Ewma => facts.push("ewma".into()),
        Balance::Hash { key, subset: None } => facts.push(format!("hash {key}")),
        Balance::Hash {
            key,
            subset: Some(size),
        } => facts.push(format!("hash {key} subset {size}")),
    }
    facts
}

fn affinity_fact(affinity: &Affinity) -> String {
    let mut out = format!("cookie {} {:?}", affinity.cookie, affinity.mode).to_lowercase();
    out.replace_range(7..7 + affinity.cookie.len(), &affinity.cookie);
    for (name, value) in [("path", &affinity.path), ("domain", &affinity.domain)] {
        if let Some(value) = value {
            let _ = write!(out, " {name}={value}");
        }
    }
    if let Some(age) = affinity.max_age {
        let _ = write!(out, " max-age={age}");
    }
    out
}

/// What is unusual about a route, in a fixed order.
fn facts(route: &Route) -> Vec<String> {
    let mut facts = Vec::new();
    match route.https {
        HttpsRedirect::Never => {}
        HttpsRedirect::WhenHostHasTls => facts.push("ssl-redirect".into()),
        HttpsRedirect::Always => facts.push("force-ssl-redirect".into()),
    }
    if let Some(rewrite) = &route.rewrite {
        facts.push(format!("rewrite {}", rewrite.target));
    }
    policy_facts(&route.policy, &mut facts);
    facts
}

fn policy_facts(policy: &Policy, facts: &mut Vec<String>) {
    if let Some(redirect) = &policy.redirect {
        facts.push(format!(
            "redirect {} {}",
            redirect.status.as_u16(),
            String::from_utf8_lossy(redirect.location.as_bytes())
        ));
    }
    if let Some(cors) = &policy.cors {
        facts.push(match &cors.origins {
            Origins::Any => "cors *".into(),
            Origins::List(list) => format!("cors {} origins", list.len()),
        });
    }
    if let Some(limits) = &policy.limits {
        for (quota, unit) in [(limits.per_second, "rps"), (limits.per_minute, "rpm")] {
            if let Some(quota) = quota {
                facts.push(format!("{unit} {quota}"));
            }
        }
        if let Some(connections) = limits.connections {
            facts.push(format!("connections {connections}"));
        }
    }
    if let Some(access) = &policy.access {
        if !access.deny.is_empty() {
            facts.push(format!("deny {}", nets(&access.deny)));
        }
        if let Some(allow) = &access.allow {
            facts.push(format!("allow {}", nets(allow)));
        }
    }
    let forwarding = &policy.forwarding;
    if forwarding.protocol != crate::BackendProtocol::Http {
        facts.push(format!("{:?}", forwarding.protocol).to_uppercase());
    }
    if let Some(host) = &forwarding.host {
        facts.push(format!("host {}", String::from_utf8_lossy(host.as_bytes())));
    }
    if let Some(tls) = &forwarding.tls {
        facts.push(format!("upstream-tls verify={}", tls.verify));
    }
    for (name, _) in policy.response_headers.iter() {
        facts.push(format!("header {name}"));
    }
}

fn nets(set: &crate::IpSet) -> String {
    set.nets()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
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
            let routes = paths.routes();
            value["routes"] = routes
                .into_iter()
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
        "namespace": &*route.origin.namespace,
        "ingress": &*route.origin.ingress,
        "service": &*route.origin.service,
        "port": &*route.origin.port,
        "target": target(table, &route.target),
        "policy": facts(route),
    })
}
