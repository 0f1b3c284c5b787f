//! XBackendTrafficPolicies.

use headgate_testkit::{Echo, Scripted};
use serde_json::{Value, json};

use super::setup::{Cluster, to};

/// A policy of Service `web`.
fn policy(spec: Value) -> Value {
    let mut spec = spec;
    spec["targetRefs"] = json!([{ "group": "", "kind": "Service", "name": "web" }]);
    json!({
        "apiVersion": "gateway.networking.x-k8s.io/v1alpha1", "kind": "XBackendTrafficPolicy",
        "metadata": { "name": "p", "namespace": "shop" }, "spec": spec,
    })
}

#[test]
fn retries_over_the_budget_of_a_service_get_503() {
    const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    let web = Scripted::responding(FAILED);
    let rule = json!([{ "backendRefs": [to("web")], "retry": { "codes": [500], "attempts": 2 } }]);
    let cluster = Cluster::simple(&[])
        .service("web", &[web.address()])
        .route("r", rule);
    let running = cluster.start();
    running.check(&[("/", "500")]);
    assert_eq!(web.requests().len(), 3);
    let constraint = json!({ "retryConstraint": {
        "budget": { "percent": 0, "interval": "1h" }, "minRetryRate": { "count": 3, "interval": "1h" },
    } });
    cluster.any(policy(constraint)).replace(&running);
    // Both retries of the first request, one of the second, none of the third.
    running.check(&[("/", "500"), ("/", "503"), ("/", "503")]);
    assert_eq!(web.requests().len(), 3 + 3 + 2 + 1);
}

#[test]
fn sessions_of_a_service_keep_an_endpoint() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let running = Cluster::simple(&[])
        .service("web", &[a.address(), b.address()])
        .route("r", json!([{ "backendRefs": [to("web")] }]))
        .any(policy(
            json!({ "sessionPersistence": { "sessionName": "s" } }),
        ))
        .start();
    let first = running.send("/").is(200);
    let name = first.echo().name().to_owned();
    let cookie = first.field("set-cookie").unwrap_or_default();
    let (cookie, _) = cookie.split_once(';').unwrap_or((cookie, ""));
    assert!(cookie.starts_with("s="), "{cookie}");
    for _ in 0..4 {
        running.check(&[(&format!("/ Cookie={cookie}"), &name)]);
    }
}
