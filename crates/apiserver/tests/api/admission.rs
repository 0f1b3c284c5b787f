//! Validating webhooks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headgate_apiserver::ApiServer;
use headgate_testkit::Authority;
use serde_json::{Value, json};

use crate::client::{ingress, send};
use crate::hook::Hook;

const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/a/ingresses";

fn configured(api: &ApiServer, authority: &Authority, more: Value) {
    let mut hook = json!({
        "name": "check.a.test", "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "clientConfig": {
            "service": {"namespace": "a", "name": "hook", "path": "/check"},
            "caBundle": STANDARD.encode(authority.pem()),
        },
        "rules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": ["networking.k8s.io"], "apiVersions": ["v1"], "resources": ["ingresses"]}],
        "failurePolicy": "Fail",
    });
    for (field, value) in more.as_object().unwrap() {
        hook[field] = value.clone();
    }
    api.replace(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "check"}, "webhooks": [hook],
    }));
}

fn hooked(response: Value) -> (ApiServer, Authority, Hook) {
    let api = ApiServer::start();
    let authority = Authority::new();
    let hook = Hook::start(&authority.issue(&["hook.a.svc"]), response);
    api.route_service("a", "hook", 443, hook.address());
    configured(&api, &authority, json!({}));
    (api, authority, hook)
}

#[test]
fn a_webhook_reviews_writes() {
    let (api, _authority, hook) = hooked(json!({"allowed": true, "warnings": ["take \"care\""]}));
    let made = send(&api, "POST", INGRESSES, &ingress("web"));
    assert_eq!(
        made.response.field("warning"),
        Some("299 - \"take \\\"care\\\"\"")
    );
    made.is(201);
    let review = hook.last();
    let request = &review["request"];
    assert_eq!(
        (
            &request["operation"],
            &request["name"],
            &request["namespace"]
        ),
        (&"CREATE".into(), &"web".into(), &"a".into())
    );
    assert_eq!(
        (
            &request["object"]["kind"],
            &request["oldObject"],
            &request["dryRun"]
        ),
        (&"Ingress".into(), &Value::Null, &false.into())
    );
    assert_eq!(hook.path(), "/check?timeout=10s");

    let web = format!("{INGRESSES}/web");
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    send(&api, "PATCH", &format!("{web}?dryRun=All"), &patch).is(200);
    let review = hook.last();
    assert_eq!(
        (
            &review["request"]["operation"],
            &review["request"]["dryRun"]
        ),
        (&"UPDATE".into(), &true.into())
    );
    assert_eq!(
        review["request"]["oldObject"]["metadata"]["labels"],
        Value::Null
    );
    let calls = hook.calls();
    send(&api, "PATCH", &format!("{web}/status"), &json!({})).is(200);
    send(&api, "DELETE", &web, &Value::Null).is(200);
    assert_eq!(
        hook.calls(),
        calls,
        "neither status nor deletion is reviewed"
    );
}

#[test]
fn a_denial_has_the_message_of_kube_apiserver() {
    let (api, ..) = hooked(
        json!({"allowed": false, "status": {"code": 403, "reason": "Forbidden", "message": "no such host"}}),
    );
    let refused = send(&api, "POST", INGRESSES, &ingress("web")).is(403);
    assert_eq!(
        refused["message"],
        "admission webhook \"check.a.test\" denied the request: no such host"
    );
    assert_eq!(refused["reason"], "Forbidden");
    assert_eq!(api.count("Ingress"), 0);
    let (api, ..) = hooked(json!({"allowed": false}));
    let refused = send(&api, "POST", INGRESSES, &ingress("web")).is(400);
    assert_eq!(
        refused["message"],
        "admission webhook \"check.a.test\" denied the request without explanation"
    );
}

#[test]
fn failure_policy_decides_when_a_webhook_fails() {
    let (api, authority, _hook) = hooked(json!({"allowed": true}));
    let other = Authority::new();
    let untrusted = json!({"clientConfig": {
        "service": {"namespace": "a", "name": "hook"}, "caBundle": STANDARD.encode(other.pem()),
    }});
    configured(&api, &authority, untrusted.clone());
    let refused = send(&api, "POST", INGRESSES, &ingress("web")).is(500);
    let message = refused["message"].as_str().unwrap();
    assert!(message.starts_with("Internal error occurred: failed calling webhook \"check.a.test\": failed to call webhook: Post"), "{message}");
    let mut ignored = untrusted;
    ignored["failurePolicy"] = "Ignore".into();
    configured(&api, &authority, ignored);
    send(&api, "POST", INGRESSES, &ingress("web")).is(201);
}

#[test]
fn selectors_and_rules_decide_what_is_reviewed() {
    let (api, authority, hook) = hooked(json!({"allowed": false}));
    configured(
        &api,
        &authority,
        json!({"objectSelector": {"matchLabels": {"a": "b"}}}),
    );
    send(&api, "POST", INGRESSES, &ingress("one")).is(201);
    let elsewhere = json!({"namespaceSelector": {"matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["a"]},
    ]}});
    configured(&api, &authority, elsewhere);
    send(&api, "POST", INGRESSES, &ingress("two")).is(201);
    assert_eq!(hook.calls(), 0);
    configured(&api, &authority, json!({}));
    send(&api, "POST", INGRESSES, &ingress("three")).is(400);
    assert_eq!(hook.calls(), 1);
}
