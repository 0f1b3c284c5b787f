//! Law of `headgate convert`: what the Ingresses serve, the converted objects serve.

use std::collections::BTreeSet;
use std::sync::Arc;

use headgate_compile::objects::custom::{
    Delivered, GatewayClassSpec, GatewaySpec, HeadgatePolicySpec, HttpRouteSpec, ListenerSetSpec,
    ReferenceGrantSpec,
};
use headgate_compile::{
    Compiled, Conversion, GatewayOptions, GatewayTarget, HttpListeners, Kind, Name, Namespaces,
    Object, Options, Snapshot, compile, convert,
};
use headgate_table::{
    HostBehaviour, HostTls, HttpsRedirect, Location, PathEdit, PathMatch, Policy, Rewrite, Route,
    RoutingTable, Split, Target,
};
use http::Method;
use k8s_openapi::api::networking::v1::Ingress;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::universe::{self, fallback, objects, stage};

/// The names of requests: hosts of the universe, names below wildcards, an alias, and an unknown one.
const NAMES: [&str; 9] = [
    "a.example",
    "www.a.example",
    "b.example",
    "www.b.example",
    "x.b.example",
    "y.b.example",
    "alias.example",
    "v1",
    "unknown.example",
];
const PATHS: [&str; 11] = [
    "/", "/a", "/a/", "/A", "/ab", "/a/x", "/b", "/bx", "/b/c", "/x", "/a/b(",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn converted_objects_serve_the_same(objects in objects()) {
        converts(objects.into_iter().filter_map(speakable).collect());
    }
}

/// An Ingress without what objects of the Gateway API cannot say, which is listed: without it, nothing may be lost.
fn speakable(object: Object) -> Option<Object> {
    const UNSPEAKABLE: [&str; 7] = [
        "auth-tls-secret",
        "ssl-passthrough",
        "custom-headers",
        "fastcgi-params-configmap",
        "affinity-canary-behavior",
        // Of a Service port, not of the Ingress that refers to it.
        "service-upstream",
        "from-to-www-redirect",
    ];
    let Object::Ingress(ingress) = object else {
        return Some(object);
    };
    let mut ingress = Ingress::clone(&ingress);
    for (key, text) in ingress.metadata.annotations.iter_mut().flatten() {
        let name = key.strip_prefix(universe::PREFIX).unwrap_or_default();
        if UNSPEAKABLE.contains(&name) || text == "nonsense" {
            text.clear();
        }
        if name == "server-alias" {
            let names = text.split(',').filter(|name| !name.starts_with('~'));
            *text = names.collect::<Vec<_>>().join(",");
        }
    }
    let text = serde_json::to_string(&ingress).unwrap();
    let is_served = !text.contains("\"gone\"") && !text.contains("\"/(\"");
    is_served.then(|| ingress.into())
}

fn options() -> Options {
    Options {
        namespaces: Namespaces::All,
        ..universe::options()
    }
}

fn compiled(objects: &[Object], options: &Options) -> (Snapshot, Compiled) {
    let mut snapshot = Snapshot::default();
    for object in objects {
        snapshot.apply(object.clone());
    }
    let changes = snapshot.take_changes();
    let compiled = compile(&snapshot, &changes, None, options, fallback());
    (snapshot, compiled)
}

fn converts(objects: Vec<Object>) {
    let written = format!("{objects:?}");
    let options = options();
    let staged: Vec<Object> = objects.into_iter().chain(stage()).collect();
    let (snapshot, before) = compiled(&staged, &options);
    let target = GatewayTarget {
        name: Name::new("infra", "gateway"),
        class: "headgate".to_owned(),
    };
    let conversion = convert(&before, &snapshot, &options, &target);
    let mut all: Vec<Object> = staged
        .into_iter()
        .filter(|object| object.kind() != Kind::Ingress)
        .collect();
    all.extend(conversion.objects.iter().cloned().map(object));
    all.push(object(json!({
        "kind": "GatewayClass", "metadata": { "name": "headgate" },
        "spec": { "controllerName": "headgate.dev/gateway-controller" },
    })));
    names_are_unique(&conversion);
    // The Gateway has ports 80 and 443, so Ingresses have others.
    let on = |port: u16| vec![([0, 0, 0, 0], port).into()];
    let gateway = Options {
        gateway: Some(GatewayOptions::default()),
        listeners: HttpListeners {
            http: on(8080),
            https: on(8443),
        },
        ..options
    };
    let (_, after) = compiled(&all, &gateway);
    let lost = conversion.remarks.iter().filter(|remark| remark.lost);
    let lost: Vec<String> = lost.map(|remark| format!("{remark:?}")).collect();
    for name in NAMES {
        for path in PATHS {
            for over_tls in [false, true] {
                let (Some(is), Some(was)) = (
                    response(after.table(), (name, path, over_tls)),
                    response(before.table(), (name, path, over_tls)),
                ) else {
                    continue;
                };
                // What is lost is said.
                if is != was && lost.is_empty() {
                    let shown = conversion.objects.iter().map(ToString::to_string);
                    let shown = shown.collect::<Vec<_>>().join("\n");
                    panic!(
                        "{name}{path} {over_tls}:\n{was}\n{is}\n{shown}\n{:?}\n{written}",
                        after.findings()
                    );
                }
            }
        }
    }
}

fn names_are_unique(conversion: &Conversion) {
    let mut names = BTreeSet::new();
    for object in &conversion.objects {
        let metadata = &object["metadata"];
        let name = [&object["kind"], &metadata["namespace"], &metadata["name"]];
        let name = name.map(|part| part.as_str().unwrap().to_owned());
        assert!(names.insert(name.clone()), "{name:?}");
    }
}

fn object(value: Value) -> Object {
    fn read<T: serde::de::DeserializeOwned + Into<Object>>(value: Value) -> Object {
        serde_json::from_value::<T>(value).unwrap().into()
    }
    let kind = value["kind"].as_str().unwrap().to_owned();
    match &*kind {
        "GatewayClass" => read::<Delivered<GatewayClassSpec>>(value),
        "Gateway" => read::<Delivered<GatewaySpec>>(value),
        "ListenerSet" => read::<Delivered<ListenerSetSpec>>(value),
        "HTTPRoute" => read::<Delivered<HttpRouteSpec>>(value),
        "ReferenceGrant" => read::<Delivered<ReferenceGrantSpec>>(value),
        "HeadgatePolicy" => read::<Delivered<HeadgatePolicySpec>>(value),
        other => unreachable!("{other}"),
    }
}

/// What a request gets, as text. `None`: the Ingresses have no certificate for the name, so it has no listener.
fn response(table: &RoutingTable, (name, path, over_tls): (&str, &str, bool)) -> Option<String> {
    let port = if over_tls { 443 } else { 80 };
    let mut listeners = table.listeners().iter();
    let listener = listeners.find(|listener| listener.address.port() == port)?;
    let Ok(hosts) = listener.hosts(over_tls.then_some(name), name) else {
        return None;
    };
    let host = hosts.find(name);
    let (paths, app_root) = match &host.behaviour {
        HostBehaviour::Redirect { to } => return Some(format!("redirect to host {to}")),
        HostBehaviour::Routes { paths, app_root } => (paths, app_root),
    };
    if let Some(root) = app_root.as_ref().filter(|_| path == "/") {
        return Some(format!("302 {}", root.path));
    }
    let route = match paths.find(path.as_bytes(), &Method::GET) {
        PathMatch::Undecided => return Some("undecided".to_owned()),
        PathMatch::Route(route) => route,
        PathMatch::AddSlash(route) => {
            return Some(
                redirected(route, host.tls != HostTls::None, over_tls)
                    .unwrap_or_else(|| format!("301 {path}/")),
            );
        }
    };
    if let Some(redirect) = redirected(route, host.tls != HostTls::None, over_tls) {
        return Some(redirect);
    }
    if let Some(redirect) = &route.policy.redirect {
        return Some(match &redirect.location {
            Location::Fixed(location) => {
                let location = location.to_str().unwrap();
                let slash = if location.matches('/').count() == 2 {
                    "/"
                } else {
                    ""
                };
                format!("{} {location}{slash}", redirect.status.as_u16())
            }
            Location::Url(parts) => {
                let scheme = parts
                    .https
                    .map(|https| if https { "https://" } else { "http://" });
                let path = match &parts.path {
                    Some(PathEdit::Full(path)) => path.to_string(),
                    _ => String::new(),
                };
                match (&parts.host, scheme) {
                    (Some(host), None) if path.is_empty() => format!("redirect to host {host}"),
                    (None, Some("https://")) => "to https".to_owned(),
                    (host, scheme) => format!(
                        "{} {}{}{path}",
                        redirect.status.as_u16(),
                        scheme.unwrap_or_default(),
                        host.as_deref().unwrap_or_default()
                    ),
                }
            }
        });
    }
    let target = match &route.target {
        Target::Forward(split) => services(table, split),
        Target::DefaultBackend(None) => return Some("404".to_owned()),
        Target::DefaultBackend(Some(key)) => format!("{} 1/1 or None", service(table, key)),
        Target::Closed(closed) => return Some(format!("closed {}", closed.reason)),
    };
    Some(format!(
        "{target}{} {}",
        rewritten(route, path),
        policy(&route.policy)
    ))
}

/// The redirect to https of an Ingress.
fn redirected(route: &Arc<Route>, has_tls: bool, over_tls: bool) -> Option<String> {
    let redirects = match route.https {
        HttpsRedirect::Always => true,
        HttpsRedirect::WhenHostHasTls => has_tls,
        HttpsRedirect::Never => false,
    };
    (redirects && !over_tls).then(|| "to https".to_owned())
}

fn services(table: &RoutingTable, split: &Split) -> String {
    let others = split.alternatives();
    let weights = others.map_or(&[][..], |others| others.list());
    let sum: u32 = weights.iter().map(|other| other.weight).sum();
    let total = others.map_or(1, |others| others.total());
    let mut shares = vec![(split.primary(), total - sum)];
    shares.extend(weights.iter().map(|other| (&other.backend, other.weight)));
    let shares = shares.into_iter().filter(|(_, weight)| *weight > 0);
    let shares = shares.filter_map(|(backend, weight)| {
        let service = service(table, backend.upstream()?);
        let whole = weight == total;
        let share = if whole { (1, 1) } else { (weight, total) };
        Some(format!("{service} {}/{}", share.0, share.1))
    });
    let fallback = split.fallback().map(|key| service(table, key));
    let mut shares: Vec<String> = shares.collect();
    shares.sort();
    format!("{} or {fallback:?}", shares.join(" "))
}

fn service(table: &RoutingTable, key: &headgate_table::UpstreamKey) -> String {
    let upstream = table.upstream(key).unwrap();
    format!("{:?} {:?}", upstream.protocol, upstream.endpoints)
}

fn rewritten(route: &Route, path: &str) -> String {
    match route.rewrite.as_deref() {
        None => String::new(),
        Some(Rewrite::Path(PathEdit::Full(path))) => format!(" as {path}"),
        Some(Rewrite::Path(edit)) => format!(" {edit:?}"),
        Some(Rewrite::Pattern(rewrite)) => {
            let matches = rewrite.pattern.is_match(path.as_bytes());
            let target = rewrite.target.source();
            if matches {
                format!(" as {target}")
            } else {
                String::new()
            }
        }
    }
}

/// What both sides have from the annotations.
fn policy(policy: &Policy) -> String {
    let limits = policy.limits.as_ref();
    let limits = limits.map(|limits| (limits.per_second, limits.per_minute, limits.connections));
    format!(
        "{limits:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        policy.cors,
        policy.access,
        policy.authentication,
        policy.mirror,
        policy.response_headers,
        policy.forwarding
    )
}
