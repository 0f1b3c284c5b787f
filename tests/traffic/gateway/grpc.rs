//! GRPCRoutes.

use std::collections::BTreeMap;

use bytes::Bytes;
use headgate_testkit::{Echo, Http2};
use http_body_util::Full;
use serde_json::{Value, json};

use super::setup::{Cluster, PORT, Running, http, pairs, to, weighted};

/// `UNIMPLEMENTED`
const UNIMPLEMENTED: &str = "grpc 12";

fn backends() -> [Echo; 3] {
    ["v1", "v2", "v3"].map(Echo::start)
}

/// A GRPCRoute of Gateway `gw`.
fn calls(cluster: Cluster, name: &str, rules: Value) -> Cluster {
    cluster.object(
        "GRPCRoute",
        name,
        json!({ "parentRefs": [{ "name": "gw" }], "rules": rules }),
    )
}

fn method(service: &str, method: &str) -> Value {
    json!({ "method": { "service": service, "method": method } })
}

/// The request of a call.
pub(super) fn call(host: &str, path: &str, fields: &[(&str, &str)]) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::post(format!("http://{host}{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request
        .body(Full::from(Bytes::from_static(b"\0\0\0\0\x05hello")))
        .unwrap()
}

/// The backend that a call gets to, or `grpc 12` for a response of the proxy itself: trailers only, with HTTP status 200.
pub(super) fn outcome(client: &mut Http2, request: http::Request<Full<Bytes>>) -> String {
    let response = client.send(request);
    if let Some(status) = response.field("grpc-status") {
        assert_eq!(response.head.status(), 200, "{response:?}");
        assert_eq!(
            response.field("content-type"),
            Some("application/grpc"),
            "{response:?}"
        );
        assert!(
            response.body.is_empty() && response.trailers.is_empty(),
            "{response:?}"
        );
        return format!("grpc {status}");
    }
    assert_eq!(response.trailer("grpc-status"), Some("0"), "{response:?}");
    response.field("x-name").unwrap_or_default().to_owned()
}

/// Host, path and fields of a call, and its outcome.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);

#[track_caller]
fn check(running: &Running, cases: &[Case<'_>]) {
    let mut client = Http2::clear(running.at(PORT));
    for (host, path, fields, expected) in cases {
        let found = outcome(&mut client, call(host, path, fields));
        assert_eq!(found, *expected, "{host} {path} {fields:?}");
    }
}

#[test]
fn grpc_exact_method_matching() {
    let [v1, v2, v3] = backends();
    let rules = json!([
        { "matches": [method("echo.GrpcEcho", "Echo")], "backendRefs": [to("v1")] },
        { "matches": [method("echo.GrpcEcho", "EchoTwo")], "backendRefs": [to("v2")] },
    ]);
    let running = calls(Cluster::simple(&[&v1, &v2, &v3]), "r", rules).start();
    check(
        &running,
        &[
            ("a.test", "/echo.GrpcEcho/Echo", &[], "v1"),
            ("a.test", "/echo.GrpcEcho/EchoTwo", &[], "v2"),
            ("a.test", "/echo.GrpcEcho/EchoThree", &[], UNIMPLEMENTED),
            ("a.test", "/echo.grpcecho/Echo", &[], UNIMPLEMENTED),
        ],
    );
}

#[test]
fn grpc_route_header_matching() {
    let [v1, v2, v3] = backends();
    let of = |fields: &[(&str, &str)]| json!({ "headers": pairs(fields) });
    let rules = json!([
        { "matches": [of(&[("version", "one")])], "backendRefs": [to("v1")] },
        { "matches": [of(&[("version", "two")])], "backendRefs": [to("v2")] },
        { "matches": [of(&[("version", "two"), ("color", "orange")])], "backendRefs": [to("v1")] },
        { "matches": [of(&[("color", "blue")]), of(&[("color", "green")])], "backendRefs": [to("v1")] },
        { "matches": [of(&[("color", "red")]), of(&[("color", "yellow")])], "backendRefs": [to("v2")] },
    ]);
    let running = calls(Cluster::simple(&[&v1, &v2, &v3]), "r", rules).start();
    let path = "/echo.GrpcEcho/Echo";
    check(
        &running,
        &[
            ("a.test", path, &[("version", "one")], "v1"),
            ("a.test", path, &[("version", "two")], "v2"),
            (
                "a.test",
                path,
                &[("version", "two"), ("color", "orange")],
                "v1",
            ),
            (
                "a.test",
                path,
                &[("version", "two"), ("color", "blue")],
                "v2",
            ),
            ("a.test", path, &[("color", "orange")], UNIMPLEMENTED),
            (
                "a.test",
                path,
                &[("some-other-header", "one")],
                UNIMPLEMENTED,
            ),
            ("a.test", path, &[("color", "blue")], "v1"),
            ("a.test", path, &[("color", "green")], "v1"),
            ("a.test", path, &[("color", "red")], "v2"),
            ("a.test", path, &[("color", "yellow")], "v2"),
            ("a.test", path, &[("color", "purple")], UNIMPLEMENTED),
            ("a.test", path, &[], UNIMPLEMENTED),
        ],
    );
}

#[test]
fn grpc_route_listener_hostname_matching() {
    let [v1, v2, v3] = backends();
    let listeners = [
        http("one", PORT, Some("bar.com")),
        http("two", PORT, Some("foo.bar.com")),
        http("three", PORT, Some("*.bar.com")),
        http("four", PORT, Some("*.foo.com")),
    ];
    let cluster = Cluster::new().gateway("gw", &listeners);
    let cluster = [&v1, &v2, &v3].into_iter().fold(cluster, Cluster::backend);
    let on = |sections: &[&str], service: &str| {
        let sections = sections.iter();
        let parents: Value = sections
            .map(|section| json!({ "name": "gw", "sectionName": section }))
            .collect();
        json!({ "parentRefs": parents, "rules": [{ "backendRefs": [to(service)] }] })
    };
    let running = cluster
        .object("GRPCRoute", "one", on(&["one"], "v1"))
        .object("GRPCRoute", "two", on(&["two"], "v2"))
        .object("GRPCRoute", "three", on(&["three", "four"], "v3"))
        .start();
    let path = "/echo.GrpcEcho/Echo";
    check(
        &running,
        &[
            ("bar.com", path, &[], "v1"),
            ("foo.bar.com", path, &[], "v2"),
            ("baz.bar.com", path, &[], "v3"),
            ("boo.bar.com", path, &[], "v3"),
            ("multiple.prefixes.bar.com", path, &[], "v3"),
            ("multiple.prefixes.foo.com", path, &[], "v3"),
            ("foo.com", path, &[], UNIMPLEMENTED),
            ("no.matching.host", path, &[], UNIMPLEMENTED),
        ],
    );
}

#[test]
fn grpc_route_named_rule() {
    let [v1, v2, v3] = backends();
    let rules = json!([
        { "name": "named-rule", "matches": [method("echo.GrpcEcho", "Echo")], "backendRefs": [to("v1")] },
        { "matches": [method("echo.GrpcEcho", "EchoTwo")], "backendRefs": [to("v2")] },
    ]);
    let running = calls(Cluster::simple(&[&v1, &v2, &v3]), "r", rules).start();
    check(
        &running,
        &[
            ("a.test", "/echo.GrpcEcho/Echo", &[], "v1"),
            ("a.test", "/echo.GrpcEcho/EchoTwo", &[], "v2"),
        ],
    );
}

#[test]
fn grpc_route_weight() {
    const CALLS: usize = 1200;
    let [v1, v2, v3] = backends();
    let shares = json!([weighted("v1", 70), weighted("v2", 30), weighted("v3", 0)]);
    let rules = json!([{ "backendRefs": shares }]);
    let running = calls(Cluster::simple(&[&v1, &v2, &v3]), "r", rules).start();
    let mut client = Http2::clear(running.at(PORT));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for number in 1..=CALLS {
        // A connection serves 1000 requests.
        if number % 500 == 0 {
            client = Http2::clear(running.at(PORT));
        }
        let name = outcome(&mut client, call("a.test", "/echo.GrpcEcho/Echo", &[]));
        *counts.entry(name).or_default() += 1;
    }
    let share = counts.get("v1").copied().unwrap_or_default() as f64 / CALLS as f64;
    assert!(
        (share - 0.7).abs() < 0.065 && !counts.contains_key("v3"),
        "{counts:?}"
    );
}

#[test]
fn a_host_has_calls_and_other_requests() {
    let [v1, v2, v3] = backends();
    let cluster = Cluster::simple(&[&v1, &v2, &v3]);
    let rules =
        json!([{ "matches": [method("echo.GrpcEcho", "Echo")], "backendRefs": [to("v1")] }]);
    let running = calls(cluster, "calls", rules)
        .route("web", json!([{ "backendRefs": [to("v2")] }]))
        .start();
    check(&running, &[("a.test", "/echo.GrpcEcho/Echo", &[], "v1")]);
    running.check(&[
        ("/echo.GrpcEcho/Echo", "v2"),
        ("POST /echo.GrpcEcho/Echo", "v2"),
    ]);
}

#[test]
fn a_call_without_a_backend_is_unavailable() {
    let v1 = Echo::start("v1");
    let rules = json!([
        { "matches": [method("a", "Missing")], "backendRefs": [to("none")] },
        { "matches": [method("a", "Empty")], "backendRefs": [to("empty")] },
        { "matches": [method("a", "Nothing")] },
    ]);
    let running = calls(Cluster::simple(&[&v1]), "r", rules)
        .service("empty", &[])
        .start();
    check(
        &running,
        &[
            ("a.test", "/a/Missing", &[], "grpc 14"),
            ("a.test", "/a/Empty", &[], "grpc 14"),
            ("a.test", "/a/Nothing", &[], "grpc 14"),
        ],
    );
    // What is no call gets pages.
    running.check(&[("/a/Missing", "404")]);
}
