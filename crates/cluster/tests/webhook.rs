//! The admission webhook over real TLS: its responses and its limits.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "webhook/certificates.rs"]
mod certificates;
#[path = "webhook/limits.rs"]
mod limits;
#[path = "webhook/site.rs"]
mod site;

use headgate_testkit::{Connection, Request, Response};
use serde_json::{Value, json};

use crate::site::{PATH, Site, ingress, review, tls};

fn post_review(site: &Site, body: &Value) -> Value {
    let response = site.post(body.to_string()).is(200);
    let response = response.has("content-type", "application/json");
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn an_allowed_ingress_gets_its_uid_and_warnings() {
    let site = Site::new();
    let response = post_review(&site, &review("CREATE", ingress("warn")));
    let expected = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": { "uid": "u-1", "allowed": true, "warnings": ["one", "two"] },
    });
    assert_eq!(response, expected);
    let response = post_review(&site, &review("UPDATE", ingress("accept")));
    assert_eq!(
        response["response"],
        json!({ "uid": "u-1", "allowed": true })
    );
}

#[test]
fn a_denied_ingress_gets_the_reason() {
    let site = Site::new();
    let response = post_review(&site, &review("CREATE", ingress("deny")));
    let expected = json!({
        "uid": "u-1",
        "allowed": false,
        "status": { "status": "Failure", "code": 400, "reason": "BadRequest", "message": "deny: no" },
    });
    assert_eq!(response["response"], expected);
    let odd = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": 7 });
    let mut deep = json!({});
    for _ in 0..200 {
        deep = json!({ "f:x": deep });
    }
    let mut nested = ingress("accept");
    nested["metadata"]["managedFields"] = json!([{ "fieldsV1": deep }]);
    for object in [odd, json!({ "kind": "Pod" }), Value::Null, nested] {
        let response = post_review(&site, &review("CREATE", object));
        assert_eq!(response["response"]["allowed"], false);
        assert_eq!(response["response"]["status"]["code"], 400);
    }
}

#[test]
fn deletions_are_allowed_without_a_review() {
    let site = Site::new();
    let mut deletion = review("DELETE", Value::Null);
    assert_eq!(post_review(&site, &deletion)["response"]["allowed"], true);
    deletion["request"]["oldObject"] = ingress("panic");
    assert_eq!(post_review(&site, &deletion)["response"]["allowed"], true);
    let mut deleting = ingress("panic");
    deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let response = post_review(&site, &review("UPDATE", deleting));
    assert_eq!(response["response"]["allowed"], true);
}

#[test]
fn invalid_reviews_are_refused() {
    let site = Site::new();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut review = review("CREATE", ingress("accept"));
        change(&mut review);
        review.to_string()
    };
    let group = |value: Value| with(&|body| body["request"]["kind"]["group"] = value.clone());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        (400, String::new()),
        (400, "{".into()),
        (400, "[]".into()),
        (400, "\u{0}garbage".into()),
        (400, deep.clone()),
        (400, with(&|body| body["request"] = json!({ "no": "uid" }))),
        (500, format!("{{\"x\":{deep}}}")),
        (500, "{}".into()),
        (500, with(&|body| body["kind"] = json!("Ingress"))),
        (
            500,
            with(&|body| body["apiVersion"] = json!("admission.k8s.io/v1beta1")),
        ),
        (500, with(&|body| body["request"] = Value::Null)),
        (500, group(json!("extensions"))),
        (
            500,
            with(&|body| body["request"]["kind"]["version"] = json!("v1beta1")),
        ),
        (
            500,
            with(&|body| body["request"]["kind"]["kind"] = json!("Pod")),
        ),
    ];
    for (status, body) in cases {
        let found = site.post(body.clone()).status;
        assert_eq!(
            found,
            status,
            "{}",
            body.chars().take(300).collect::<String>()
        );
    }
    let invalid_utf8 = site.post(b"{\"kind\":\"\xff\"}".to_vec());
    assert_eq!(invalid_utf8.status, 400);
}

#[test]
fn other_paths_and_methods_are_refused() {
    let site = Site::new();
    let body = review("CREATE", ingress("accept")).to_string();
    let status = |request: Request| site.send(&request).status;
    for path in [
        "/",
        "/networking/v1/ingresses/",
        "/networking/v1beta1/ingresses",
        "/healthz",
    ] {
        assert_eq!(status(Request::post(path, body.clone())), 404, "{path}");
    }
    assert_eq!(
        status(Request::post(&format!("{PATH}?timeout=10s"), body)),
        200
    );
    let get = site.send(&Request::get(PATH)).is(405);
    assert_eq!(get.field("allow"), Some("POST"));
}

#[test]
fn routes_and_policies_are_reviewed_too() {
    let site = Site::new();
    let reviewed = |group: &str, version: &str, kind: &str, object: Value| {
        let mut body = review("CREATE", object);
        body["request"]["kind"] = json!({ "group": group, "version": version, "kind": kind });
        site.send(&Request::post("/gateway-api", body.to_string()))
    };
    let gateway = "gateway.networking.k8s.io";
    let named = |name: &str| json!({ "metadata": { "namespace": "ns", "name": name } });
    let allows = |response: Response| {
        let body: Value = serde_json::from_slice(&response.is(200).body).unwrap();
        body["response"]["allowed"] == true
    };
    for (group, version, kind) in [
        (gateway, "v1", "HTTPRoute"),
        (gateway, "v1", "GRPCRoute"),
        ("headgate.dev", "v1alpha1", "HeadgatePolicy"),
    ] {
        assert!(
            allows(reviewed(group, version, kind, named("accept"))),
            "{kind}"
        );
        assert!(
            !allows(reviewed(group, version, kind, named("deny"))),
            "{kind}"
        );
        let mut deleting = named("deny");
        deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(allows(reviewed(group, version, kind, deleting)), "{kind}");
        // Its CRD has allowed it, perhaps one of a later version.
        let mut later = named("deny");
        later["spec"] = json!({ "parentRefs": 7, "targetRefs": 7 });
        assert!(allows(reviewed(group, version, kind, later)), "{kind}");
    }
    assert_eq!(
        reviewed(gateway, "v1", "Gateway", named("accept")).status,
        500
    );
}

#[test]
fn a_failed_review_is_reported_and_the_connection_stays_usable() {
    let site = Site::new();
    let mut connection = Connection::open_tls(site.address(), &tls());
    let cases = [
        ("unavailable", 500, "not read the cluster's objects"),
        ("panic", 500, "the review failed"),
        ("accept", 200, ""),
    ];
    for (name, status, text) in cases {
        let body = review("CREATE", ingress(name)).to_string();
        let response = connection.exchange(&Request::post(PATH, body)).is(status);
        assert!(response.text().contains(text), "{response:?}");
    }
}

#[test]
fn reviews_are_counted_by_ingress() {
    let site = Site::new();
    for name in ["accept", "accept", "deny", "other-class", "unavailable"] {
        site.post(review("CREATE", ingress(name)).to_string());
    }
    let labels =
        |name: &str| format!("{{controller_class=\"c\",ingress=\"{name}\",namespace=\"ns\"}}");
    let metrics = site.metrics();
    for (name, value) in [
        (format!("check_success{}", labels("accept")), "2"),
        (format!("check_errors{}", labels("deny")), "1"),
        (
            "admission_tested_ingresses{controller_class=\"c\"}".into(),
            "7",
        ),
        (
            "admission_render_ingresses{controller_class=\"c\"}".into(),
            "7",
        ),
    ] {
        let line = format!("nginx_ingress_controller_{name} {value}\n");
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
    for absent in ["other-class", "unavailable"] {
        assert!(!metrics.contains(absent), "{metrics}");
    }
    for gauge in [
        "tested_duration",
        "render_duration",
        "config_size",
        "roundtrip_duration",
    ] {
        let start =
            format!("nginx_ingress_controller_admission_{gauge}{{controller_class=\"c\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
        assert!(line.unwrap().parse::<f64>().unwrap() > 0.0, "{metrics}");
    }
}

#[test]
fn while_draining_each_response_closes_its_connection() {
    let site = Site::new();
    let request = || Request::post(PATH, review("CREATE", ingress("accept")).to_string());
    let mut kept = Connection::open_tls(site.address(), &tls());
    assert_eq!(kept.exchange(&request()).is(200).field("connection"), None);
    site.drain();
    assert_eq!(
        kept.exchange(&request()).is(200).field("connection"),
        Some("close")
    );
    assert!(kept.is_closed());
    // New connections are still accepted.
    let mut late = Connection::open_tls(site.address(), &tls());
    late.exchange(&request()).is(200);
    assert!(late.is_closed());
}

#[test]
fn stopping_waits_for_pending_reviews() {
    let site = Site::new();
    let idle = || {
        let mut connection = Connection::open_tls(site.address(), &tls());
        let body = review("CREATE", ingress("accept")).to_string();
        connection.exchange(&Request::post(PATH, body)).is(200);
        connection
    };
    let mut idle = idle();
    let mut fresh = Connection::open_tls(site.address(), &tls());
    let mut waiting = Connection::open_tls(site.address(), &tls());
    let body = review("CREATE", ingress("wait")).to_string();
    waiting.send(Request::post(PATH, body).bytes());
    site.until_reviews(2);
    let address = site.address();
    let (open, stopping) = site.stop();
    // Stopping has begun once idle connections are closed.
    assert!(idle.is_closed() && fresh.is_closed());
    assert!(!stopping.is_finished());
    open();
    waiting.response().is(200);
    drop(waiting);
    stopping.join().unwrap();
    assert!(Connection::try_open(address).is_err(), "the port is free");
}
