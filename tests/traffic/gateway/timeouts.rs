//! Timeouts of rules.

use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};

use headgate_testkit::{Http2, Scripted};
use serde_json::{Value, json};

use super::grpc;
use super::setup::{Cluster, PORT, Running, parse, prefix, to};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A backend that never responds to requests with `slow`, responds to those with `late` when told to, and begins responses to
/// those with `long` without ending them.
fn backend() -> (Scripted, Sender<()>) {
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let backend = Scripted::start(move |connection| {
        while let Some(request) = connection.request() {
            let has = |word| {
                request
                    .lines()
                    .next()
                    .is_some_and(|line| line.contains(word))
            };
            if has("slow") {
                connection.wait_for_close();
            } else if has("long") {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin");
                connection.wait_for_close();
            } else if has("late") {
                let _ = released.lock().unwrap().recv();
            }
            connection.send(OK);
        }
    });
    (backend, release)
}

fn start(backend: &Scripted, field: &str) -> Running {
    let rule = |path: &str, timeout: &str| {
        let mut rule = json!({ "matches": [prefix(path)], "backendRefs": [to("v1")] });
        rule["timeouts"][field] = Value::from(timeout);
        rule
    };
    Cluster::simple(&[])
        .service("v1", &[backend.address()])
        .route(
            "r",
            json!([rule("/short", "300ms"), rule("/disabled", "0s")]),
        )
        .start()
}

#[track_caller]
fn check(field: &str) {
    let (backend, release) = backend();
    let running = start(&backend, field);
    running.send("/short").is(200);
    running.send("POST /short").is(200);
    let address = running.at(PORT);
    let unbounded = std::thread::spawn(move || parse("/disabled?late").send(address));
    backend.wait_for(3);
    running.send("/short?slow").is(504);
    assert_eq!(backend.requests().len(), 4, "one attempt");
    // After the head it is too late for a status.
    let cut = running.send("/short?long").is(200);
    assert!(!cut.complete, "{cut:?}");
    release.send(()).unwrap();
    unbounded.join().unwrap().is(200);
}

#[test]
fn http_route_timeout_request() {
    check("request");
}

#[test]
fn http_route_timeout_backend_request() {
    check("backendRequest");
}

#[test]
fn a_call_that_takes_too_long_has_exceeded_its_deadline() {
    let (backend, _release) = backend();
    let running = start(&backend, "request");
    let mut client = Http2::clear(running.at(PORT));
    let outcome = grpc::outcome(&mut client, grpc::call("a.test", "/short/slow", &[]));
    assert_eq!(outcome, "grpc 4");
}
