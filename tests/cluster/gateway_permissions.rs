//! What a controller needs permissions of the Gateway API for: all of it, for the check that the chart's roles are minimal.

use serde_json::{Value, json};

use super::gateway::{
    CONTROLLER, ENABLED, GROUP, class, definition_in, gateway, install, is_accepted, route,
    until_accepted,
};
use super::testenv::{PUBLISH_SERVICE, TestEnv, until};

/// Flags of a controller for [`exercise`], which has a Service for each Gateway.
pub(super) const FLAGS: [&str; 2] = [
    ENABLED,
    // No other test has these ports.
    "--gateway-port-range=23100-23109",
];
const EXPERIMENTAL: &str = "gateway.networking.x-k8s.io";
const OWN: &str = "headgate.dev";
const ROUTES: [&str; 5] = ["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"];
/// The Service of the Gateway.
const SERVICE: &str = "gate-headgate";

/// Makes a controller use every permission for the Gateway API.
pub(super) fn exercise(env: &TestEnv) {
    install(env);
    for (group, plural) in [
        (EXPERIMENTAL, "xbackendtrafficpolicies"),
        (OWN, "headgatepolicies"),
        (OWN, "headgateparameters"),
    ] {
        env.api.create(definition_in(group, plural, &["v1alpha1"]));
    }
    env.api.create(class("headgate"));
    let mut gate = gateway(env, "gate", 80);
    gate["spec"]["allowedListeners"] = json!({"namespaces": {"from": "Same"}});
    env.api.create(gate);
    exercise_statuses(env);
    exercise_services(env);
}

fn exercise_statuses(env: &TestEnv) {
    env.api.create(json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "ListenerSet",
        "metadata": {"name": "set", "namespace": env.namespace()},
        "spec": {
            "parentRef": {"name": "gate"},
            "listeners": [{"name": "tcp", "port": 81, "protocol": "TCP"}],
        },
    }));
    for kind in ROUTES {
        env.api.create(route(env, kind, "web", "gate", "web"));
    }
    let policies = [
        (GROUP, "v1", "BackendTLSPolicy"),
        (EXPERIMENTAL, "v1alpha1", "XBackendTrafficPolicy"),
        (OWN, "v1alpha1", "HeadgatePolicy"),
    ];
    for (group, version, kind) in policies {
        // An entry that no Gateway asks for any more is removed.
        env.api.create(json!({
            "apiVersion": format!("{group}/{version}"), "kind": kind,
            "metadata": {"name": "web", "namespace": env.namespace()},
            "spec": {"targetRefs": [], "validation": {"hostname": "web.test"}},
            "status": {"ancestors": [{"controllerName": CONTROLLER, "ancestorRef": {"name": "gone"}, "conditions": []}]},
        }));
    }
    env.api.until("GatewayClass", "", "headgate", is_accepted);
    until_accepted(env, "Gateway", "gate");
    until_accepted(env, "ListenerSet", "set");
    for kind in ROUTES {
        env.until(kind, "web", |route| {
            let parents = route["status"]["parents"].as_array();
            parents.is_some_and(|parents| !parents.is_empty())
        });
    }
    for (_, _, kind) in policies {
        env.until(kind, "web", |policy| {
            policy["status"]["ancestors"] == json!([])
        });
    }
}

fn exercise_services(env: &TestEnv) {
    let slices = || {
        let mut all = env.api.list("EndpointSlice");
        all.retain(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == SERVICE);
        all
    };
    let leads_to = |addresses: &[&str]| {
        until("the endpoints of the Gateway", || {
            let slices = slices();
            let found = slices
                .iter()
                .map(|slice| slice["endpoints"][0]["addresses"][0].as_str());
            found.eq(addresses.iter().copied().map(Some))
        });
    };
    env.api
        .replace(own_slice(env, "headgate-controller-1", "192.0.2.1"));
    leads_to(&["192.0.2.1"]);
    env.api
        .replace(own_slice(env, "headgate-controller-1", "192.0.2.2"));
    leads_to(&["192.0.2.2"]);
    // Another listener has another local port.
    env.modify("Gateway", "gate", |gate| {
        let listeners = gate["spec"]["listeners"].as_array_mut().unwrap();
        listeners.push(json!({"name": "more", "port": 82, "protocol": "HTTP"}));
    });
    env.until("Service", SERVICE, |service| {
        let mut ports = service["spec"]["ports"].as_array().into_iter().flatten();
        ports.any(|port| port["port"] == 82)
    });
    env.api
        .create(own_slice(env, "headgate-controller-2", "192.0.2.2"));
    leads_to(&["192.0.2.2", "192.0.2.2"]);
    let home = env.controller_namespace();
    env.api
        .delete("EndpointSlice", &home, "headgate-controller-1");
    leads_to(&["192.0.2.2"]);
    // Another controller serves the Gateway from now on.
    let mut other = class("other");
    other["spec"]["controllerName"] = "example.com/other".into();
    env.api.create(other);
    env.modify("Gateway", "gate", |gate| {
        gate["spec"]["gatewayClassName"] = "other".into();
    });
    env.api.until_gone("Service", &env.namespace(), SERVICE);
}

/// Endpoints of the controller's own Service.
fn own_slice(env: &TestEnv, name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "namespace": env.controller_namespace(),
            "labels": {"kubernetes.io/service-name": PUBLISH_SERVICE},
        },
        "addressType": "IPv4", "ports": [{"name": "http", "port": 80}],
        "endpoints": [{"addresses": [address]}],
    })
}
