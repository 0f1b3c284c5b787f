//! Edits of requests and responses.

use std::collections::BTreeSet;

use headgate_testkit::{Echo, Request};
use serde_json::{Value, json};

use super::setup::{Cluster, PORT, Running, filtered, pairs, prefix, to};

/// Edits of header fields.
fn edits(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> Value {
    json!({ "set": pairs(set), "add": pairs(add), "remove": remove })
}

/// Rules by path, with these edits.
fn cases() -> [(&'static str, Value); 5] {
    [
        (
            "/set",
            edits(&[("X-Header-Set", "set-overwrites-values")], &[], &[]),
        ),
        (
            "/add",
            edits(&[], &[("X-Header-Add", "add-appends-values")], &[]),
        ),
        ("/remove", edits(&[], &[], &["X-Header-Remove"])),
        (
            "/multiple",
            edits(
                &[
                    ("X-Header-Set-1", "header-set-1"),
                    ("X-Header-Set-2", "header-set-2"),
                ],
                &[
                    ("X-Header-Add-1", "header-add-1"),
                    ("X-Header-Add-2", "header-add-2"),
                    ("X-Header-Add-3", "header-add-3"),
                ],
                &["X-Header-Remove-1", "X-Header-Remove-2"],
            ),
        ),
        (
            "/case-insensitivity",
            edits(
                &[("X-Header-Set", "header-set")],
                &[("X-Header-Add", "header-add")],
                &["X-Header-Remove"],
            ),
        ),
    ]
}

/// A path, the fields of a request to it, and those that the backend receives.
type Edited = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static [&'static str])],
);

const EXPECTED: [Edited; 7] = [
    ("/set", &[], &[("x-header-set", &["set-overwrites-values"])]),
    (
        "/set",
        &[("X-Header-Set", "other"), ("Other", "kept")],
        &[
            ("x-header-set", &["set-overwrites-values"]),
            ("other", &["kept"]),
        ],
    ),
    ("/add", &[], &[("x-header-add", &["add-appends-values"])]),
    (
        "/add",
        &[("X-Header-Add", "other")],
        &[("x-header-add", &["other", "add-appends-values"])],
    ),
    (
        "/remove",
        &[("X-Header-Remove", "val")],
        &[("x-header-remove", &[])],
    ),
    (
        "/multiple",
        &[
            ("X-Header-Set-2", "set-val-2"),
            ("X-Header-Add-2", "add-val-2"),
            ("X-Header-Remove-2", "remove-val-2"),
            ("Another-Header", "another-header-val"),
        ],
        &[
            ("x-header-set-1", &["header-set-1"]),
            ("x-header-set-2", &["header-set-2"]),
            ("x-header-add-1", &["header-add-1"]),
            ("x-header-add-2", &["add-val-2", "header-add-2"]),
            ("x-header-add-3", &["header-add-3"]),
            ("x-header-remove-1", &[]),
            ("x-header-remove-2", &[]),
            ("another-header", &["another-header-val"]),
        ],
    ),
    (
        "/case-insensitivity",
        &[
            ("x-header-set", "original"),
            ("x-header-add", "original"),
            ("x-header-remove", "original"),
        ],
        &[
            ("x-header-set", &["header-set"]),
            ("x-header-add", &["original", "header-add"]),
            ("x-header-remove", &[]),
        ],
    ),
];

#[track_caller]
fn check_requests(running: &Running) {
    for (path, sent, received) in EXPECTED {
        let request = sent
            .iter()
            .fold(Request::get(path), |request, (name, value)| {
                request.field(name, value)
            });
        let echo = request.send(running.at(PORT)).is(200).echo();
        for (name, values) in received {
            assert_eq!(echo.all(name), *values, "{path} {sent:?} {name}");
        }
    }
}

#[test]
fn http_route_request_header_modifier() {
    let v1 = Echo::start("v1");
    let rules = cases().map(|(path, edits)| {
        let filter = json!({ "type": "RequestHeaderModifier", "requestHeaderModifier": edits });
        filtered(path, json!([filter]), "v1")
    });
    check_requests(&Cluster::simple(&[&v1]).route("r", json!(rules)).start());
}

#[test]
fn http_route_backend_request_header_modifier() {
    let v1 = Echo::start("v1");
    let rules = cases().map(|(path, edits)| {
        let filter = json!({ "type": "RequestHeaderModifier", "requestHeaderModifier": edits });
        let mut backend = to("v1");
        backend["filters"] = json!([filter]);
        json!({ "matches": [prefix(path)], "backendRefs": [backend] })
    });
    check_requests(&Cluster::simple(&[&v1]).route("r", json!(rules)).start());
}

#[test]
fn http_route_request_header_modifier_backend_weights() {
    let [v1, v2] = ["v1", "v2"].map(Echo::start);
    let backends = ["v1", "v2"].map(|name| {
        let add = edits(&[], &[("Backend", name)], &[]);
        let mut backend = to(name);
        backend["filters"] =
            json!([{ "type": "RequestHeaderModifier", "requestHeaderModifier": add }]);
        backend
    });
    let cluster = Cluster::simple(&[&v1, &v2]).route("r", json!([{ "backendRefs": backends }]));
    let running = cluster.start();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let echo = running.send("/").is(200).echo();
        echo.has("backend", echo.name());
        seen.insert(echo.name().to_owned());
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn http_route_response_header_modifier() {
    let v1 = Echo::start("v1");
    let rules = cases().map(|(path, edits)| {
        let filter = json!({ "type": "ResponseHeaderModifier", "responseHeaderModifier": edits });
        filtered(path, json!([filter]), "v1")
    });
    let running = Cluster::simple(&[&v1]).route("r", json!(rules)).start();
    for (path, sent, received) in EXPECTED {
        let request = sent
            .iter()
            .fold(Request::get(path), |request, (name, value)| {
                request.field("X-Echo-Field", &format!("{name}: {value}"))
            });
        let response = request.send(running.at(PORT)).is(200);
        for (name, values) in received {
            assert_eq!(response.all(name), *values, "{path} {sent:?} {name}");
        }
    }
}

#[test]
fn http_route_rewrite_host() {
    let [v1, v2] = ["v1", "v2"].map(Echo::start);
    let rewrite = |host: &str| json!({ "type": "URLRewrite", "urlRewrite": { "hostname": host } });
    let modify = json!({ "type": "RequestHeaderModifier", "requestHeaderModifier":
        edits(&[("X-Header-Set", "set-overwrites-values")], &[("X-Header-Add", "header-val-1")], &["X-Header-Remove"]) });
    let cluster = Cluster::simple(&[&v1, &v2]).route_of(
        "r",
        &["rewrite.example"],
        json!([
            filtered("/one", json!([rewrite("one.example.org")]), "v1"),
            filtered("/two", json!([rewrite("example.org")]), "v2"),
            filtered(
                "/rewrite-host-and-modify-headers",
                json!([rewrite("test.example.org"), modify]),
                "v2"
            ),
        ]),
    );
    let running = cluster.start();
    for (path, name, host) in [
        ("/one", "v1", "one.example.org"),
        ("/two", "v2", "example.org"),
        ("/rewrite-host-and-modify-headers", "v2", "test.example.org"),
    ] {
        let request =
            format!("{path} host=rewrite.example X-Header-Remove=x X-Header-Set=y X-Header-Add=z");
        let echo = running.send(&request).is(200).echo();
        assert_eq!((echo.name(), echo.field("host")), (name, Some(host)));
        if path.ends_with("headers") {
            assert_eq!(echo.all("x-header-add"), ["z", "header-val-1"]);
            echo.has("x-header-set", "set-overwrites-values")
                .has("x-header-remove", None);
        }
    }
}

#[test]
fn http_route_rewrite_path() {
    let v1 = Echo::start("v1");
    let part = |kind: &str, field: &str, value: &str| {
        let mut path = json!({ "type": kind });
        path[field] = json!(value);
        json!({ "type": "URLRewrite", "urlRewrite": { "path": path } })
    };
    let replace = |value: &str| part("ReplacePrefixMatch", "replacePrefixMatch", value);
    let full = |value: &str| part("ReplaceFullPath", "replaceFullPath", value);
    let modify = json!({ "type": "RequestHeaderModifier", "requestHeaderModifier":
        edits(&[("X-Header-Set", "set")], &[("X-Header-Add-Append", "header-val-2")], &["X-Header-Remove"]) });
    let rules = json!([
        filtered("/prefix/one", json!([replace("/one")]), "v1"),
        filtered("/strip-prefix", json!([replace("/")]), "v1"),
        filtered("/full/one", json!([full("/one")]), "v1"),
        filtered(
            "/full/rewrite-path-and-modify-headers",
            json!([full("/test"), modify]),
            "v1"
        ),
        filtered(
            "/prefix/rewrite-path-and-modify-headers",
            json!([replace("/prefix"), modify]),
            "v1"
        ),
        filtered("/foo", json!([replace("/xyz/")]), "v1"),
        filtered("/empty/", json!([replace("")]), "v1"),
        filtered("/", json!([replace("/all")]), "v1"),
    ]);
    let running = Cluster::simple(&[&v1]).route("r", rules).start();
    for (request, target) in [
        ("/prefix/one/two", "/one/two"),
        ("/strip-prefix/three", "/three"),
        ("/strip-prefix", "/"),
        ("/strip-prefix/", "/"),
        ("/full/one/two", "/one"),
        ("/full/one?a=%2F", "/one?a=%2F"),
        ("/full/rewrite-path-and-modify-headers/test", "/test"),
        ("/prefix/rewrite-path-and-modify-headers/one", "/prefix/one"),
        ("/foo/bar", "/xyz/bar"),
        ("/foo", "/xyz"),
        ("/foo/", "/xyz/"),
        ("/foo/%41%20b?q", "/xyz/%41%20b?q"),
        ("/empty/bar", "/bar"),
        ("/empty", "/"),
        ("/other", "/all/other"),
    ] {
        let sent = format!("{request} X-Header-Add-Append=append-val-1 X-Header-Remove=x");
        let echo = running.send(&sent).is(200).echo();
        assert_eq!(echo.target(), target, "{request}");
        if request.contains("modify") {
            assert_eq!(
                echo.all("x-header-add-append"),
                ["append-val-1", "header-val-2"]
            );
            echo.has("x-header-remove", None).has("x-header-set", "set");
        }
    }
}
