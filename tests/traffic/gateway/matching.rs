//! Matches and their precedence.

use headgate_testkit::Echo;
use serde_json::{Value, json};

use super::setup::{Cluster, exact, headers, pairs, prefix, rule, to};

fn backends() -> [Echo; 3] {
    ["v1", "v2", "v3"].map(Echo::start)
}

/// What requests for one route with these rules get.
#[track_caller]
fn check(rules: Value, cases: &[(&str, &str)]) {
    let [v1, v2, v3] = backends();
    let cluster = Cluster::simple(&[&v1, &v2, &v3]).route("r", rules);
    cluster.start().check(cases);
}

fn with(mut one: Value, name: &str, value: Value) -> Value {
    one[name] = value;
    one
}

fn query(list: &[(&str, &str)]) -> Value {
    json!({ "queryParams": pairs(list) })
}

fn method(name: &str) -> Value {
    json!({ "method": name })
}

#[test]
fn http_route_simple_same_namespace() {
    check(
        json!([{ "backendRefs": [to("v1")] }]),
        &[("/", "v1"), ("/any?q", "v1")],
    );
}

#[test]
fn http_route_matching() {
    let rules = json!([
        rule(&[prefix("/"), headers(&[("version", "one")])], "v1"),
        rule(&[prefix("/v2"), headers(&[("version", "two")])], "v2"),
    ]);
    check(
        rules,
        &[
            ("/", "v1"),
            ("/example", "v1"),
            ("/v2example", "v1"),
            ("/foo/v2/example", "v1"),
            ("/ version=one", "v1"),
            ("/v2", "v2"),
            ("/v2/", "v2"),
            ("/v2/example", "v2"),
            ("/ version=two", "v2"),
        ],
    );
}

#[test]
fn http_route_matching_across_routes() {
    let [v1, v2, v3] = backends();
    let cluster = Cluster::simple(&[&v1, &v2, &v3])
        .route_of(
            "part1",
            &["example.com", "example.net"],
            json!([rule(&[prefix("/"), headers(&[("version", "one")])], "v1")]),
        )
        .route_of(
            "part2",
            &["example.com"],
            json!([rule(&[prefix("/v2"), headers(&[("version", "two")])], "v2")]),
        );
    cluster.start().check(&[
        ("/ host=example.com", "v1"),
        ("/example host=example.com", "v1"),
        ("/example host=example.net", "v1"),
        ("/example host=example.com version=one", "v1"),
        ("/v2 host=example.com", "v2"),
        ("/v2/example host=example.com", "v2"),
        ("/v2 host=example.net", "v1"),
        ("/ host=example.com version=two", "v2"),
        ("/ host=example.net version=two", "v1"),
        ("/ host=other.example", "404"),
    ]);
}

#[test]
fn http_route_path_match_order() {
    let rules = json!([
        rule(&[exact("/match")], "v1"),
        rule(&[exact("/match/exact")], "v2"),
        rule(&[exact("/match/exact/one")], "v3"),
        rule(&[prefix("/match/")], "v3"),
        rule(&[prefix("/match/prefix/")], "v1"),
        rule(&[prefix("/match/prefix/one")], "v2"),
    ]);
    check(
        rules,
        &[
            ("/match/exact/one", "v3"),
            ("/match/exact", "v2"),
            ("/match", "v1"),
            ("/match/prefix/one/any", "v2"),
            ("/match/prefix/any", "v1"),
            ("/match/any", "v3"),
        ],
    );
}

#[test]
fn http_route_exact_path_matching() {
    let rules = json!([rule(&[exact("/one")], "v1"), rule(&[exact("/two")], "v2")]);
    check(
        rules,
        &[
            ("/one", "v1"),
            ("/two", "v2"),
            ("/", "404"),
            ("/one/example", "404"),
            ("/two/", "404"),
            ("/Two", "404"),
        ],
    );
}

#[test]
fn http_route_header_matching() {
    let rules = json!([
        rule(&[headers(&[("version", "one")])], "v1"),
        rule(&[headers(&[("version", "two")])], "v2"),
        rule(&[headers(&[("version", "two"), ("color", "orange")])], "v1"),
        rule(
            &[
                headers(&[("color", "blue")]),
                headers(&[("color", "green")])
            ],
            "v1"
        ),
        rule(
            &[
                headers(&[("color", "red")]),
                headers(&[("color", "yellow")])
            ],
            "v2"
        ),
    ]);
    check(
        rules,
        &[
            ("/ version=one", "v1"),
            ("/ version=two", "v2"),
            ("/ version=two color=orange", "v1"),
            ("/ version=two color=blue", "v2"),
            ("/ color=orange", "404"),
            ("/ some-other-header=one", "404"),
            ("/ color=purple", "404"),
            ("/", "404"),
            ("/ color=blue", "v1"),
            ("/ color=green", "v1"),
            ("/ Color=red", "v2"),
            ("/ color=yellow", "v2"),
            ("/ color=Blue", "404"),
        ],
    );
}

#[test]
fn http_route_query_param_matching() {
    let rules = json!([
        rule(&[query(&[("animal", "whale")])], "v1"),
        rule(&[query(&[("animal", "dolphin")])], "v2"),
        rule(&[query(&[("animal", "dolphin"), ("color", "blue")])], "v3"),
        rule(&[query(&[("ANIMAL", "Whale")])], "v3"),
        rule(
            &[with(
                query(&[("animal", "whale")]),
                "path",
                prefix("/path1")["path"].clone()
            )],
            "v1",
        ),
        rule(
            &[with(
                query(&[("animal", "whale")]),
                "headers",
                pairs(&[("version", "one")])
            )],
            "v2",
        ),
        rule(
            &[
                with(
                    query(&[("animal", "shark")]),
                    "path",
                    prefix("/path3")["path"].clone()
                ),
                with(
                    with(
                        query(&[("animal", "kraken")]),
                        "path",
                        prefix("/path4")["path"].clone()
                    ),
                    "headers",
                    pairs(&[("version", "three")]),
                ),
            ],
            "v1",
        ),
        rule(&[prefix("/path5")], "v1"),
        rule(&[headers(&[("version", "four")])], "v3"),
        rule(&[query(&[("animal", "hydra")])], "v2"),
    ]);
    check(
        rules,
        &[
            ("/?animal=whale", "v1"),
            ("/?animal=dolphin", "v2"),
            ("/?animal=whale&otherparam=irrelevant", "v1"),
            ("/?animal=dolphin&color=yellow", "v2"),
            ("/?animal=dolphin&color=blue", "v3"),
            ("/?ANIMAL=Whale", "v3"),
            ("/?animal=whale&otherparam=irrelevant&color=blue", "v1"),
            ("/?color=blue", "404"),
            ("/?animal=dog", "404"),
            ("/?animal=whaledolphin", "404"),
            ("/", "404"),
            ("/?animal=wh%61le", "v1"),
            ("/?animal=whale&animal=dolphin", "v1"),
            ("/path1?animal=whale", "v1"),
            ("/?animal=whale version=one", "v2"),
            ("/path3?animal=shark", "v1"),
            ("/path4?animal=kraken version=three", "v1"),
            ("/?animal=shark", "404"),
            ("/path4?animal=kraken", "404"),
            ("/path5?animal=hydra", "v1"),
            ("/?animal=hydra version=four", "v3"),
        ],
    );
}

#[test]
fn http_route_method_matching() {
    let at = |name: &str, path: &str| with(method(name), "path", prefix(path)["path"].clone());
    let of = |one: Value, version: &str| with(one, "headers", pairs(&[("version", version)]));
    let rules = json!([
        rule(&[method("POST")], "v1"),
        rule(&[method("GET")], "v2"),
        rule(&[at("GET", "/path1")], "v1"),
        rule(&[of(method("PUT"), "one")], "v2"),
        rule(&[of(at("POST", "/path2"), "two")], "v3"),
        rule(
            &[at("PATCH", "/path3"), of(at("DELETE", "/path4"), "three")],
            "v1"
        ),
        rule(&[prefix("/path5")], "v1"),
        rule(&[method("PATCH")], "v2"),
        rule(&[headers(&[("version", "four")])], "v3"),
    ]);
    check(
        rules,
        &[
            ("POST /", "v1"),
            ("GET /", "v2"),
            ("HEAD /", "404"),
            ("GET /path1", "v1"),
            ("PUT / version=one", "v2"),
            ("POST /path2 version=two", "v3"),
            ("PATCH /path3", "v1"),
            ("DELETE /path4 version=three", "v1"),
            ("PUT /", "404"),
            ("DELETE /path4", "404"),
            ("PATCH /path5", "v1"),
            ("PATCH / version=four", "v2"),
        ],
    );
}

#[test]
fn http_route_named_rule() {
    let rules = json!([
        with(rule(&[prefix("/named")], "v1"), "name", json!("named-rule")),
        rule(&[prefix("/unnamed")], "v2"),
    ]);
    check(rules, &[("/named", "v1"), ("/unnamed", "v2")]);
}

#[test]
fn a_request_that_no_route_of_its_host_serves_goes_to_the_next_wider_host() {
    let [v1, v2, v3] = backends();
    let cluster = Cluster::simple(&[&v1, &v2, &v3])
        .route_of(
            "narrow",
            &["foo.example.com"],
            json!([rule(&[prefix("/a")], "v1")]),
        )
        .route_of(
            "wide",
            &["*.example.com"],
            json!([rule(&[prefix("/")], "v2")]),
        );
    cluster.start().check(&[
        ("/a host=foo.example.com", "v1"),
        ("/b host=foo.example.com", "v2"),
        ("/a host=a.b.example.com", "v2"),
        ("/a host=example.com", "404"),
    ]);
}
