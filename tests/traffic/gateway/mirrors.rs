//! Copies of requests.

use headgate_testkit::{Connection, Echo, wait};
use serde_json::{Value, json};

use super::setup::{Cluster, PORT, filtered, pairs, parse, to};

fn mirror(service: &str, share: Value) -> Value {
    let mut spec = json!({ "backendRef": to(service) });
    for (name, value) in share.as_object().unwrap() {
        spec[name] = value.clone();
    }
    json!({ "type": "RequestMirror", "requestMirror": spec })
}

fn modify() -> Value {
    json!({ "type": "RequestHeaderModifier", "requestHeaderModifier": {
        "set": pairs(&[("X-Header-Set", "set-overwrites-values")]),
        "add": pairs(&[("X-Header-Add", "header-val-1")]),
        "remove": ["X-Header-Remove"],
    } })
}

fn until_requests(echo: &Echo, count: usize) {
    wait::until("copies", || (echo.requests() == count).then_some(()));
}

#[test]
fn http_route_request_mirror() {
    let [v1, v2] = ["v1", "v2"].map(Echo::start);
    let rules = json!([
        filtered("/mirror", json!([mirror("v2", json!({}))]), "v1"),
        filtered(
            "/mirror-and-modify-headers",
            json!([modify(), mirror("v2", json!({}))]),
            "v1"
        ),
        filtered("/broken", json!([mirror("none", json!({}))]), "v1"),
    ]);
    let running = Cluster::simple(&[&v1, &v2]).route("r", rules).start();
    running.check(&[("/mirror", "v1")]);
    until_requests(&v2, 1);
    let echo = running
        .send("/mirror-and-modify-headers X-Header-Remove=x")
        .is(200)
        .echo();
    assert_eq!(echo.name(), "v1");
    echo.has("x-header-set", "set-overwrites-values")
        .has("x-header-remove", None);
    until_requests(&v2, 2);
    running.check(&[("/broken", "v1")]);
    assert_eq!(v1.requests(), 3);
}

#[test]
fn http_route_request_multiple_mirrors() {
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(Echo::start);
    let both = json!([mirror("v2", json!({})), mirror("v3", json!({}))]);
    let rules = json!([filtered("/", both, "v1")]);
    let running = Cluster::simple(&[&v1, &v2, &v3]).route("r", rules).start();
    running.check(&[("/", "v1")]);
    until_requests(&v2, 1);
    until_requests(&v3, 1);
}

#[test]
fn http_route_request_percentage_mirror() {
    const REQUESTS: usize = 500;
    let [v1, v2] = ["v1", "v2"].map(Echo::start);
    let rules = json!([
        filtered(
            "/percent-mirror",
            json!([mirror("v2", json!({ "percent": 20 }))]),
            "v1"
        ),
        filtered(
            "/percent-mirror-fraction",
            json!([mirror(
                "v2",
                json!({ "fraction": { "numerator": 25, "denominator": 50 } })
            )]),
            "v1"
        ),
        filtered(
            "/percent-mirror-and-modify-headers",
            json!([modify(), mirror("v2", json!({ "percent": 35 }))]),
            "v1"
        ),
        filtered(
            "/none",
            json!([mirror("v2", json!({ "percent": 0 }))]),
            "v1"
        ),
    ]);
    let running = Cluster::simple(&[&v1, &v2]).route("r", rules).start();
    let mut before = 0;
    let sent = || {
        running
            .program
            .metric("headgate_mirrored_requests_total", &["outcome=\"sent\""])
    };
    for (path, share) in [
        ("/percent-mirror", 0.2),
        ("/percent-mirror-fraction", 0.5),
        ("/percent-mirror-and-modify-headers", 0.35),
        ("/none", 0.0),
    ] {
        let mut connection = Connection::open(running.at(PORT));
        for _ in 0..REQUESTS {
            connection.exchange(&parse(path)).is(200);
        }
        // All copies were made, because the metric has those that were sent and the backend has got them.
        let all = wait::until("all copies", || {
            let (made, got) = (sent() as usize, v2.requests());
            (made == got).then_some(got)
        });
        let (copies, all_requests) = ((all - before) as f64, REQUESTS as f64);
        let deviation = (all_requests * share * (1.0 - share)).sqrt();
        let expected = all_requests * share;
        assert!(
            (copies - expected).abs() <= 5.0 * deviation,
            "{path}: {copies} of {expected}"
        );
        before = all;
    }
    assert_eq!(v1.requests(), 4 * REQUESTS);
}
