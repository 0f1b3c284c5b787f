//! Retries of rules.

use std::collections::HashMap;
use std::sync::Mutex;

use headgate_testkit::{Request, Scripted};
use serde_json::{Value, json};

use super::setup::{Cluster, PORT, Running, prefix, to};

/// Without a kept connection, every request is an attempt.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// A backend that fails the first requests for a target like `/path?code-count-id`: with a status, code 0 by closing the
/// connection, and code 1 by never responding.
fn backend() -> Scripted {
    let seen: Mutex<HashMap<String, usize>> = Mutex::default();
    Scripted::start(move |connection| {
        while let Some(request) = connection.request() {
            let line = request.lines().next().unwrap_or_default();
            let (_, query) = line.split(' ').nth(1).unwrap().split_once('?').unwrap();
            let mut parts = query.split('-');
            let mut number = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
            let (code, count) = (number(), number());
            let failed = {
                let mut seen = seen.lock().unwrap();
                let failed = seen.entry(line.to_owned()).or_default();
                *failed += 1;
                *failed
            };
            match code {
                _ if failed > count => connection.send(OK),
                0 => return,
                1 => connection.wait_for_close(),
                code => connection.send(format!(
                    "HTTP/1.1 {code} Failed\r\nContent-Length: 0\r\n\r\n"
                )),
            };
        }
    })
}

fn start(backend: &Scripted) -> Running {
    let rule = |path: &str, retry: Value, timeouts: Value| json!({ "matches": [prefix(path)], "backendRefs": [to("v1")], "retry": retry, "timeouts": timeouts });
    let all = json!([500, 502, 503, 504]);
    let rules = json!([
        rule("/code-500-attempts-3", json!({ "codes": [500], "attempts": 3 }), json!({})),
        rule("/code-all-attempts-2", json!({ "codes": all, "attempts": 2, "backoff": "1ms" }), json!({})),
        rule("/timeout", json!({ "codes": [500], "attempts": 1 }), json!({ "backendRequest": "300ms" })),
        rule("/whole", json!({ "codes": [500], "attempts": 9 }), json!({ "request": "300ms" })),
        { "matches": [prefix("/none")], "backendRefs": [to("v1")] },
    ]);
    Cluster::simple(&[])
        .service("v1", &[backend.address()])
        .route("r", rules)
        .start()
}

/// The status of a request, and how many requests the backend got.
#[track_caller]
fn check(cases: &[(&str, u16, usize)]) {
    let backend = backend();
    let running = start(&backend);
    let mut before = 0;
    for (request, status, attempts) in cases {
        running.send(request).is(*status);
        let now = backend.requests().len();
        assert_eq!(now - before, *attempts, "{request}");
        before = now;
    }
}

#[test]
fn http_route_retry() {
    check(&[
        ("/code-500-attempts-3?500-2", 200, 3),
        ("/code-500-attempts-3?500-4", 500, 4),
        ("/code-500-attempts-3?503-2", 503, 1),
        ("POST /code-500-attempts-3?500-1-post", 200, 2),
        ("/code-all-attempts-2?500-1", 200, 2),
        ("/code-all-attempts-2?502-1", 200, 2),
        ("/code-all-attempts-2?503-1", 200, 2),
        ("/code-all-attempts-2?504-1", 200, 2),
        ("/code-all-attempts-2?500-3", 500, 3),
        ("/code-all-attempts-2?502-3", 502, 3),
        ("/code-all-attempts-2?503-3", 503, 3),
        ("/code-all-attempts-2?504-3", 504, 3),
        ("/none?500-1", 500, 1),
    ]);
}

#[test]
fn http_route_retry_connection_error() {
    check(&[
        ("/code-500-attempts-3?0-2", 200, 3),
        ("/code-500-attempts-3?0-9", 502, 4),
    ]);
}

#[test]
fn http_route_retry_backend_timeout() {
    check(&[("/timeout?1-1", 200, 2), ("/timeout?1-9", 504, 2)]);
}

#[test]
fn all_attempts_must_end_within_the_timeout_of_the_request() {
    check(&[("/whole?1-9", 504, 1)]);
}

#[test]
fn a_short_body_is_sent_again_and_a_long_one_is_not() {
    const BOUND: usize = 64 << 10;
    let backend = backend();
    let running = start(&backend);
    let post = |target: &str, length: usize| {
        Request::post(target, vec![b'x'; length]).send(running.at(PORT))
    };
    post("/code-500-attempts-3?500-2-short", BOUND).is(200);
    let received = backend.wait_for(3);
    let bodies: Vec<usize> = received
        .iter()
        .map(|request| request.split_once("\r\n\r\n").unwrap().1.len())
        .collect();
    assert_eq!(bodies, [BOUND; 3]);
    post("/code-500-attempts-3?500-1-long", BOUND + 1).is(500);
    assert_eq!(backend.requests().len(), 4);
    // Chunked, so that its length is not known before.
    let head = "POST /code-500-attempts-3?0-1-chunked HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut connection = headgate_testkit::Connection::open(running.at(PORT));
    connection
        .send(format!("{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
        .response()
        .is(200);
    assert!(backend.wait_for(6)[5].contains("abc"));
}
