//! Cross-origin resource sharing.

use headgate_testkit::{Echo, Response};
use serde_json::{Value, json};

use super::setup::{Cluster, Running, filtered};

fn cors(spec: Value) -> Value {
    json!([{ "type": "CORS", "cors": spec }])
}

fn start(v1: &Echo) -> Running {
    let rules = json!([
        filtered(
            "/cors-1",
            cors(json!({
                "allowOrigins": ["https://www.foo.com", "https://*.bar.com"],
                "allowMethods": ["GET", "OPTIONS"],
                "allowHeaders": ["x-header-1", "x-header-2"],
                "exposeHeaders": ["x-header-3", "x-header-4"],
                "allowCredentials": true, "maxAge": 3600,
            })),
            "v1"
        ),
        filtered(
            "/cors-2",
            cors(json!({ "allowOrigins": ["https://www.foo.com"], "allowMethods": ["*"] })),
            "v1"
        ),
        filtered(
            "/cors-wildcard-origin",
            cors(json!({ "allowOrigins": ["*"], "allowMethods": ["PUT"] })),
            "v1"
        ),
        filtered(
            "/cors-wildcard-methods-headers",
            cors(json!({
                "allowOrigins": ["*"], "allowMethods": ["*"], "allowHeaders": ["*"],
                "exposeHeaders": ["*"], "allowCredentials": true,
            })),
            "v1"
        ),
        filtered(
            "/cors-wildcard-methods-headers-unauth",
            cors(json!({
                "allowOrigins": ["*"], "allowMethods": ["*"], "allowHeaders": ["*"],
                "exposeHeaders": ["*"], "allowCredentials": false,
            })),
            "v1"
        ),
    ]);
    Cluster::simple(&[v1]).route("r", rules).start()
}

fn preflight(running: &Running, path: &str, origin: &str, method: &str) -> Response {
    running.send(&format!(
        "OPTIONS {path} Origin={origin} Access-Control-Request-Method={method} Access-Control-Request-Headers=x-header-1,x-header-2"
    ))
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.field(&format!("access-control-{name}"))
}

/// The entries of a list, in any order.
fn list(response: &Response, name: &str) -> Vec<String> {
    let text = field(response, name).unwrap_or_default();
    let mut entries: Vec<String> = text
        .split(',')
        .map(|entry| entry.trim().to_lowercase())
        .collect();
    entries.sort();
    entries
}

#[test]
fn http_route_cors() {
    let v1 = Echo::start("v1");
    let running = start(&v1);
    for origin in [
        "https://www.foo.com",
        "https://www.bar.com",
        "https://xpto.www.bar.com",
    ] {
        let response = preflight(&running, "/cors-1", origin, "GET").is(204);
        assert_eq!(field(&response, "allow-origin"), Some(origin));
        assert_eq!(list(&response, "allow-methods"), ["get", "options"]);
        assert_eq!(
            list(&response, "allow-headers"),
            ["x-header-1", "x-header-2"]
        );
        assert_eq!(
            list(&response, "expose-headers"),
            ["x-header-3", "x-header-4"]
        );
        assert_eq!(field(&response, "max-age"), Some("3600"));
        assert_eq!(field(&response, "allow-credentials"), Some("true"));
    }
    let refused = preflight(&running, "/cors-1", "https://foobar.com", "GET");
    assert!([200, 204, 403].contains(&refused.status), "{refused:?}");
    assert_eq!(field(&refused, "allow-origin"), None);
    assert_eq!(
        field(
            &preflight(&running, "/cors-1", "https://bar.com", "GET"),
            "allow-origin"
        ),
        None
    );
    assert_eq!(v1.requests(), 0, "a preflight is never forwarded");
    for (origin, allowed) in [
        ("https://www.foo.com", true),
        ("https://www.bar.com", true),
        ("https://foobar.com", false),
    ] {
        let response = running.send(&format!("/cors-1 Origin={origin}")).is(200);
        assert_eq!(field(&response, "allow-origin"), allowed.then_some(origin));
        assert_eq!(response.echo().name(), "v1");
    }
    // OPTIONS that is no preflight is the backend's.
    assert_eq!(
        running.send("OPTIONS /cors-1").is(200).echo().method(),
        "OPTIONS"
    );
    let any_method = preflight(&running, "/cors-2", "https://www.foo.com", "POST").is(204);
    assert!(
        matches!(field(&any_method, "allow-methods"), Some("POST" | "*")),
        "{any_method:?}"
    );
    assert_eq!(field(&any_method, "allow-credentials"), None);
}

#[test]
fn http_route_cors_with_wildcards() {
    let v1 = Echo::start("v1");
    let running = start(&v1);
    for origin in ["https://foobar.com", "https://foobar.com:12345"] {
        let path = "/cors-wildcard-origin";
        let allowed = preflight(&running, path, origin, "PUT").is(204);
        let response = running.send(&format!("PUT {path} Origin={origin}")).is(200);
        for response in [allowed, response] {
            let shown = field(&response, "allow-origin");
            assert!(shown == Some("*") || shown == Some(origin), "{response:?}");
            assert_eq!(field(&response, "allow-credentials"), None);
        }
        let path = "/cors-wildcard-methods-headers";
        let response = preflight(&running, path, origin, "PUT").is(204);
        assert_eq!(field(&response, "allow-origin"), Some(origin));
        assert_eq!(field(&response, "allow-methods"), Some("PUT"));
        assert_eq!(
            list(&response, "allow-headers"),
            ["x-header-1", "x-header-2"]
        );
        assert_eq!(field(&response, "allow-credentials"), Some("true"));
        let response = running.send(&format!("{path} Origin={origin}")).is(200);
        assert_eq!(field(&response, "allow-origin"), Some(origin));
        assert_eq!(field(&response, "allow-credentials"), Some("true"));
        let path = "/cors-wildcard-methods-headers-unauth";
        let response = preflight(&running, path, origin, "PUT").is(204);
        let shown = field(&response, "allow-origin");
        assert!(shown == Some("*") || shown == Some(origin), "{response:?}");
        assert_eq!(field(&response, "allow-credentials"), None);
    }
}
