//! Timeouts, retries, external authorization and sessions of rules.

use super::*;

#[test]
fn rules_have_timeouts_and_retries() {
    let mut cluster = Cluster::new();
    cluster.gateway(
        "same",
        json!({ "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }] }),
    );
    let rule = |path: &str, timing: Value| {
        let mut rule = timing;
        rule["matches"] = json!([{ "path": { "type": "Exact", "value": path } }]);
        rule["backendRefs"] = json!([backend("v1")]);
        rule
    };
    cluster.route(
        "r",
        json!({ "parentRefs": [{ "name": "same" }], "rules": [
            rule("/a", json!({ "timeouts": { "request": "1m30s", "backendRequest": "500ms" } })),
            rule("/b", json!({ "timeouts": { "request": "0s" } })),
            rule("/c", json!({ "retry": { "codes": [500, 404], "attempts": 3, "backoff": "10ms" } })),
            rule("/d", json!({ "retry": { "codes": [200] } })),
            rule("/e", json!({ "timeouts": { "request": "soon" } })),
        ] }),
    );
    let v1 = "infra/v1/8080 10.0.0.1:3000";
    assert_eq!(
        cluster.compile(),
        format!(
            "listeners 0.0.0.0:8080\n\
             host _\n  \
               exact  /a -> {v1} [attempt-timeout 500ms; request-timeout 90s; retry-on error; {DEFAULTS}]\n  \
               exact  /b -> {v1}\n  \
               exact  /c -> {v1} [retry-on error,timeout,invalid_header,404,500; tries 4; retry-non-idempotent; \
               backoff 10ms; replay-memory 65536; {DEFAULTS}]\n  \
               exact  /d -> closed: retry.codes \"200\" is not supported; it must be 400 to 599\n  \
               exact  /e -> closed: timeouts.request \"soon\" is not supported; it must be a duration such as 1m30s or 500ms\n  \
               prefix / -> 404"
        )
        .replace(&format!("; {DEFAULTS}"), "")
    );
    assert_eq!(
        cluster.route_status("infra/r"),
        "Accepted ResolvedRefs PartiallyInvalid:UnsupportedValue"
    );
}

#[test]
fn a_service_that_cannot_be_asked_allows_nothing() {
    let mut cluster = Cluster::new();
    cluster.gateway(
        "same",
        json!({ "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }] }),
    );
    let mut line = |auth: Value| {
        cluster.route(
            "r",
            json!({ "parentRefs": [{ "name": "same" }], "rules": [{
                "backendRefs": [backend("v1")],
                "filters": [{ "type": "ExternalAuth", "externalAuth": auth }],
            }] }),
        );
        let shown = cluster.compile();
        let line = shown.lines().last().unwrap_or_default().trim().to_owned();
        (line, cluster.route_status("infra/r"))
    };
    let v1 = "prefix / -> infra/v1/8080 10.0.0.1:3000";
    let refused = "Accepted=UnsupportedValue ResolvedRefs";
    for (auth, shown, status) in [
        (
            json!({ "protocol": "HTTP", "backendRef": backend("v2"), "http": {
                "path": "/check/", "allowedHeaders": ["X-A"], "allowedResponseHeaders": ["X-B", "X-C"],
            } }),
            format!("{v1} [asks infra/v2/8080 gateway at /check; asks-with x-a; asks-for x-b,x-c]"),
            "Accepted ResolvedRefs",
        ),
        (
            json!({ "protocol": "HTTP", "backendRef": backend("none") }),
            "prefix / -> closed: there is no Service infra/none".to_owned(),
            "Accepted ResolvedRefs=BackendNotFound",
        ),
        (
            json!({ "protocol": "GRPC", "backendRef": backend("v2"), "http": { "path": "/check" } }),
            format!("{v1} [calls infra/v2/8080 grpc gateway as v2.infra.svc:8080]"),
            "Accepted ResolvedRefs",
        ),
        (
            json!({ "protocol": "GRPC", "backendRef": backend("v2"), "grpc": { "allowedHeaders": ["X-A"] },
                "forwardBody": { "maxSize": 10 } }),
            format!("{v1} [calls infra/v2/8080 grpc gateway as v2.infra.svc:8080; asks-with x-a; asks-with-body 10]"),
            "Accepted ResolvedRefs",
        ),
        (
            json!({ "protocol": "HTTP", "backendRef": backend("v2"), "forwardBody": { "maxSize": 0 } }),
            format!("{v1} [asks infra/v2/8080 gateway]"),
            "Accepted ResolvedRefs",
        ),
        (
            json!({ "protocol": "GRPC", "backendRef": backend("none") }),
            "prefix / -> closed: there is no Service infra/none".to_owned(),
            "Accepted ResolvedRefs=BackendNotFound",
        ),
        (
            json!({ "protocol": "SOAP", "backendRef": backend("v2") }),
            "prefix / -> closed: externalAuth.protocol \"SOAP\" is not supported; it must be HTTP or GRPC".to_owned(),
            refused,
        ),
        (
            json!({ "protocol": "HTTP", "backendRef": backend("v2"), "forwardBody": { "maxSize": 65536 } }),
            "prefix / -> closed: externalAuth.forwardBody.maxSize \"65536\" is not supported; it must be 0 to 65535".to_owned(),
            refused,
        ),
        (
            json!({ "protocol": "GRPC", "backendRef": backend("v2"), "grpc": { "allowedHeaders": ["a b"] } }),
            "prefix / -> closed: externalAuth.allowedHeaders \"a b\" is not supported; it must be the name of a header field".to_owned(),
            refused,
        ),
    ] {
        assert_eq!(line(auth), (shown, status.to_owned()));
    }
}

#[test]
fn sessions_keep_backends_without_a_weight() {
    let mut cluster = Cluster::new();
    cluster.gateway(
        "same",
        json!({ "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }] }),
    );
    let weighted =
        |name: &str, weight: u32| json!({ "name": name, "port": 8080, "weight": weight });
    let mut line = |session: Value| {
        cluster.route(
            "r",
            json!({ "parentRefs": [{ "name": "same" }], "rules": [{
                "backendRefs": [weighted("v1", 0), weighted("v2", 1)],
                "sessionPersistence": session,
            }] }),
        );
        let shown = cluster.compile();
        shown.lines().last().unwrap_or_default().to_owned()
    };
    let split = "infra/v2/8080 10.0.0.2:3000 | canary infra/v1/8080 10.0.0.1:3000 0/1";
    for (session, shown) in [
        (
            json!({ "sessionName": "s" }),
            format!("{split} [session by cookie s]"),
        ),
        (
            json!({ "type": "Header", "sessionName": "X-S", "absoluteTimeout": "1h" }),
            format!("{split} [session by field x-s for 3600s]"),
        ),
        (
            json!({ "sessionName": "s", "cookieConfig": { "lifetimeType": "Permanent" } }),
            "closed: sessionPersistence.absoluteTimeout is missing; a Permanent cookie needs it".to_owned(),
        ),
        (
            json!({ "type": "Other" }),
            "closed: sessionPersistence.type \"Other\" is not supported; it must be Cookie or Header".to_owned(),
        ),
    ] {
        assert_eq!(line(session), format!("  prefix / -> {shown}"));
    }
    assert!(line(json!({})).contains("session by cookie session-"));
    // It goes on, and none begin.
    assert_eq!(
        line(Value::Null),
        "  prefix / -> infra/v2/8080 10.0.0.2:3000"
    );
}
