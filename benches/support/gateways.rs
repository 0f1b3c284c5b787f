//! Gateways for the benches, each with HTTPRoutes of several rules.

use headgate_compile::objects::custom::{
    Delivered, GatewayClassSpec, GatewaySpec, HttpRouteSpec, Spec,
};
use headgate_compile::{GatewayOptions, Object, Options, Snapshot};
use serde_json::{Value, json};

use super::backend;

/// HTTPRoutes of a large cluster.
pub(crate) const ROUTES: usize = 5_000;
/// Gateways of a large cluster.
pub(crate) const GATEWAYS: usize = 50;
/// Rules of each route.
const RULES: usize = 10;

/// HTTPRoute `n` of one of `gateways`. `revision` goes into a path, so that two revisions differ.
pub(crate) fn route(n: usize, gateways: usize, revision: usize) -> Object {
    read::<HttpRouteSpec>(route_manifest(n, gateways, revision))
}

/// The manifest of [`route`].
pub(crate) fn route_manifest(n: usize, gateways: usize, revision: usize) -> Value {
    let rule = |index: usize| {
        json!({
            "matches": [{ "path": { "type": "PathPrefix", "value": format!("/{index}/{revision}") } }],
            "filters": [{ "type": "RequestHeaderModifier", "requestHeaderModifier": {
                "set": [{ "name": "x-rule", "value": index.to_string() }],
            } }],
            "backendRefs": [{ "name": format!("web-{n}"), "port": 80 }],
        })
    };
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {
            "name": format!("route-{n}"), "namespace": "shop", "uid": format!("{n}"),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "parentRefs": [{ "name": format!("gateway-{}", n % gateways) }],
            "hostnames": [super::host(n)],
            "rules": (0..RULES).map(rule).collect::<Value>(),
        },
    })
}

/// `routes` HTTPRoutes with their Services and slices, on `gateways` Gateways.
pub(crate) fn snapshot(routes: usize, gateways: usize) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.apply(read::<GatewayClassSpec>(json!({
        "metadata": { "name": "headgate" },
        "spec": { "controllerName": "headgate.dev/gateway-controller" },
    })));
    for n in 0..gateways {
        snapshot.apply(read::<GatewaySpec>(json!({
            "metadata": { "name": format!("gateway-{n}"), "namespace": "shop" },
            "spec": {
                "gatewayClassName": "headgate",
                "addresses": [{ "value": format!("10.1.{}.{}", n / 250, n % 250) }],
                "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
            },
        })));
    }
    for n in 0..routes {
        snapshot.apply(route(n, gateways, 0));
        for object in backend(n) {
            snapshot.apply(object);
        }
    }
    snapshot
}

/// `hosts` HTTPRoutes, each with a host and a rule for each of the paths, on one Gateway.
pub(crate) fn hosts(hosts: usize) -> Snapshot {
    let mut snapshot = snapshot(0, 1);
    for n in 0..hosts {
        let rule = |path: &&str| {
            json!({
                "matches": [{ "path": { "type": "PathPrefix", "value": path } }],
                "backendRefs": [{ "name": format!("web-{n}"), "port": 80 }],
            })
        };
        snapshot.apply(of_rules(n, super::PATHS.iter().map(rule).collect()));
        for object in backend(n) {
            snapshot.apply(object);
        }
    }
    snapshot
}

/// What tells candidates apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Header,
    Query,
}

/// The name of the header field or query parameter that candidates have.
pub(crate) const FIELD: &str = "x-candidate";

/// A host whose one path has `count` candidates: each demands another value.
pub(crate) fn candidates(count: usize, by: By) -> Snapshot {
    let mut snapshot = snapshot(0, 1);
    let field = match by {
        By::Header => "headers",
        By::Query => "queryParams",
    };
    let rule = |n: usize| {
        json!({
            "matches": [{ field: [{ "name": FIELD, "value": n.to_string() }] }],
            "backendRefs": [{ "name": "web-0", "port": 80 }],
        })
    };
    snapshot.apply(of_rules(0, (0..count).map(rule).collect()));
    for object in backend(0) {
        snapshot.apply(object);
    }
    snapshot
}

/// HTTPRoute `n` of the first Gateway.
fn of_rules(n: usize, rules: Value) -> Object {
    read::<HttpRouteSpec>(json!({
        "metadata": { "name": format!("route-{n}"), "namespace": "shop" },
        "spec": { "parentRefs": [{ "name": "gateway-0" }], "hostnames": [super::host(n)], "rules": rules },
    }))
}

/// Default options, with Gateways.
pub(crate) fn options() -> Options {
    Options {
        gateway: Some(GatewayOptions::default()),
        ..super::options()
    }
}

fn read<S: Spec>(value: Value) -> Object {
    let delivered: Delivered<S> = serde_json::from_value(value).expect("a valid object");
    delivered.into()
}
