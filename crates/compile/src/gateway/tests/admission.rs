//! Reviews of routes and policies before they are stored.

use super::*;
use crate::{Reviewed, review};

/// Why an object is denied, if it is.
fn denied(cluster: &Cluster, value: Value) -> Option<String> {
    let reviewed = match object(value) {
        Object::HttpRoute(route) => Reviewed::HttpRoute(route),
        Object::GrpcRoute(route) => Reviewed::GrpcRoute(route),
        Object::HeadgatePolicy(policy) => Reviewed::Policy(policy),
        other => unreachable!("{other:?}"),
    };
    let compiled = cluster.compiled.as_ref().unwrap();
    review(&reviewed, compiled, &cluster.snapshot, &cluster.options).denied
}

fn compiled() -> Cluster {
    let mut cluster = Cluster::new();
    let listener = json!({ "name": "http", "port": 8080, "protocol": "HTTP" });
    cluster.gateway("same", json!({ "listeners": [listener] }));
    cluster.compile();
    cluster
}

fn route(kind: &str, parent: &str, rules: Value) -> Value {
    json!({
        "kind": kind, "metadata": { "name": "r", "namespace": "infra" },
        "spec": { "parentRefs": [{ "name": parent }], "rules": rules },
    })
}

#[test]
fn a_route_with_a_rule_that_cannot_be_served_as_written_is_denied() {
    let cluster = compiled();
    let bad = json!([{ "path": { "type": "RegularExpression", "value": "/(a" } }]);
    let header = json!([{ "headers": [{ "name": "a b", "value": "c" }] }]);
    let filter = json!([{ "type": "ExtensionRef", "extensionRef": { "group": "g", "kind": "K", "name": "n" } }]);
    let good = json!({ "backendRefs": [backend("v1")] });
    for (rules, expected) in [
        (
            json!([{ "matches": bad }]),
            "the expression \"/(a\" cannot be used",
        ),
        (
            json!([good, { "matches": bad }]),
            "the expression \"/(a\" cannot be used",
        ),
        (
            json!([{ "matches": header }]),
            "the name of a header field \"a b\" is not supported",
        ),
        (json!([{ "filters": filter }]), "ExtensionRef"),
    ] {
        let reason = denied(&cluster, route("HTTPRoute", "same", rules)).unwrap();
        assert!(
            reason.starts_with("spec.rules: ") && reason.contains(expected),
            "{reason}"
        );
    }
    let method = json!([{ "method": { "type": "RegularExpression", "method": "(a" } }]);
    let call = route("GRPCRoute", "same", json!([{ "matches": method }]));
    assert!(denied(&cluster, call).is_some());
}

#[test]
fn what_may_come_later_and_routes_of_others_are_allowed() {
    let cluster = compiled();
    let bad = json!([{ "matches": [{ "path": { "type": "RegularExpression", "value": "/(a" } }] }]);
    let missing = json!([{ "backendRefs": [{ "name": "gone", "port": 80 }] }]);
    let elsewhere =
        json!([{ "backendRefs": [{ "name": "v1", "port": 8080, "namespace": "other" }] }]);
    for (parent, rules) in [("same", missing), ("same", elsewhere), ("unknown", bad)] {
        assert_eq!(denied(&cluster, route("HTTPRoute", parent, rules)), None);
    }
}

#[test]
fn a_policy_with_a_field_that_cannot_be_used_is_denied() {
    let cluster = compiled();
    let policy = |kind: &str, fields: Value| {
        let group = match kind {
            "Ingress" => "networking.k8s.io",
            _ => "gateway.networking.k8s.io",
        };
        let mut spec = fields;
        spec["targetRefs"] = json!([{ "group": group, "kind": kind, "name": "r" }]);
        let metadata = json!({ "name": "p", "namespace": "infra" });
        json!({ "kind": "HeadgatePolicy", "metadata": metadata, "spec": spec })
    };
    let reason = denied(&cluster, policy("HTTPRoute", json!({ "limitRps": "many" }))).unwrap();
    assert!(reason.starts_with("spec.limitRps: "), "{reason}");
    let reason = denied(&cluster, policy("HTTPRoute", json!({ "limitRsp": 5 }))).unwrap();
    assert_eq!(reason, "spec.limitRsp: no policy has this field");
    assert_eq!(
        denied(&cluster, policy("HTTPRoute", json!({ "limitRps": 5 }))),
        None
    );
    let for_ingresses = || json!({ "sslRedirect": true });
    assert!(denied(&cluster, policy("Gateway", for_ingresses())).is_some());
    assert_eq!(denied(&cluster, policy("Ingress", for_ingresses())), None);
}
