//! Authorization services.

use headgate_testkit::{Echo, Request, Scripted};
use serde_json::{Value, json};

use super::setup::{Cluster, PORT, Running, filtered, to};
use crate::traffic::setup::closed_port;

const ALLOWED: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-User: alice\r\nX-Other: granted\r\n\r\nok";
const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\nWWW-Authenticate: Basic\r\nX-Why: no user\r\n\r\nlogin";

/// A service that allows requests with `Authorization: good`.
fn service() -> Scripted {
    Scripted::start(|connection| {
        while let Some(request) = connection.request() {
            let is_good = request.to_lowercase().contains("authorization: good");
            connection.send(if is_good { ALLOWED } else { REFUSED });
        }
    })
}

fn auth(service: &str, http: Value) -> Value {
    json!([{ "type": "ExternalAuth", "externalAuth": {
        "protocol": "HTTP", "backendRef": to(service), "http": http,
    } }])
}

fn start(service: &Scripted, v1: &Echo) -> Running {
    let rules = json!([
        filtered("/all", auth("auth", json!({ "path": "/check/" })), "v1"),
        filtered(
            "/some",
            auth(
                "auth",
                json!({ "allowedHeaders": ["X-Ask"], "allowedResponseHeaders": ["X-User", "X-Role"] })
            ),
            "v1"
        ),
        filtered("/missing", auth("none", json!({})), "v1"),
        filtered("/down", auth("down", json!({})), "v1"),
    ]);
    Cluster::simple(&[v1])
        .service("auth", &[service.address()])
        .service("down", &[closed_port()])
        .route("r", rules)
        .start()
}

#[test]
fn the_service_gets_what_identifies_a_request_and_decides() {
    let (service, v1) = (service(), Echo::start("v1"));
    let running = start(&service, &v1);
    let post = Request::post("/all/x?y=1", "body")
        .field("Authorization", "good")
        .field("X-User", "mallory")
        .field("X-Ask", "not asked for");
    let echo = post.send(running.at(PORT)).is(200).echo();
    assert_eq!(echo.body(), "body");
    echo.has("x-user", "alice").has("x-other", "granted");
    let asked = service.wait_for(1).pop().unwrap().to_lowercase();
    assert!(
        asked.starts_with("post /check/all/x?y=1 http/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("host: a.test\r\n") && asked.contains("content-length: 0\r\n"),
        "{asked}"
    );
    assert!(
        !asked.contains("x-ask") && !asked.contains("mallory"),
        "{asked}"
    );
    let some = running
        .send("/some Authorization=good X-User=mallory X-Role=admin X-Ask=1")
        .is(200)
        .echo();
    some.has("x-user", "alice")
        .has("x-role", None)
        .has("x-other", None);
    let asked = service.wait_for(2).pop().unwrap().to_lowercase();
    assert!(
        asked.starts_with("get /some http/1.1\r\n") && asked.contains("x-ask: 1\r\n"),
        "{asked}"
    );
    assert_eq!(v1.requests(), 2);
}

#[test]
fn a_refusal_is_the_response_and_without_a_service_no_request_is_allowed() {
    let (service, v1) = (service(), Echo::start("v1"));
    let running = start(&service, &v1);
    let refused = running.send("/all").is(401);
    assert_eq!(refused.text(), "login");
    refused
        .has("www-authenticate", "Basic")
        .has("x-why", "no user");
    running.check(&[
        ("/missing Authorization=good", "500"),
        ("/down Authorization=good", "500"),
    ]);
    assert_eq!(v1.requests(), 0);
}
