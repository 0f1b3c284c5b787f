//! Hosts, listeners and parents.

use headgate_testkit::{Authority, Connection, Echo, Http2, Request, Tls};
use http_body_util::Full;
use serde_json::{Value, json};

use super::setup::{Cluster, PORT, http, https, outcome, prefix, rule, to};

fn backends() -> [Echo; 4] {
    ["v1", "v2", "v3", "v4"].map(Echo::start)
}

fn with_backends(cluster: Cluster, backends: &[Echo]) -> Cluster {
    backends.iter().fold(cluster, Cluster::backend)
}

/// A route with these parents and hostnames, and one rule.
fn spec(parents: Value, hosts: &[&str], path: &str, service: &str) -> Value {
    json!({ "parentRefs": parents, "hostnames": hosts, "rules": [rule(&[prefix(path)], service)] })
}

#[test]
fn http_route_hostname_intersection() {
    let listeners = [
        http("one", PORT, Some("very.specific.com")),
        http("two", PORT, Some("*.wildcard.io")),
        http("three", PORT, Some("*.anotherwildcard.io")),
    ];
    let all = [http("all", 8081, None)];
    let backends = backends();
    let cluster = with_backends(Cluster::new(), &backends)
        .gateway("gw", &listeners)
        .gateway("open", &all);
    let gw = || json!([{ "name": "gw" }]);
    let precise = &[
        "non.matching.com",
        "*.nonmatchingwildcard.io",
        "very.specific.com",
    ];
    let below = &[
        "non.matching.com",
        "foo.wildcard.io",
        "bar.wildcard.io",
        "foo.bar.wildcard.io",
    ];
    let any = &["precise.com", "*.specific.com"];
    let four = &["a.com", "b.com", "c.com", "d.com"];
    let cluster = cluster
        .object("HTTPRoute", "specific", spec(gw(), precise, "/s1", "v1"))
        .object("HTTPRoute", "below", spec(gw(), below, "/s2", "v2"))
        .object("HTTPRoute", "wide", spec(gw(), any, "/s3", "v3"))
        .object(
            "HTTPRoute",
            "wild",
            spec(gw(), &["*.anotherwildcard.io"], "/s4", "v1"),
        )
        .object(
            "HTTPRoute",
            "none",
            spec(
                gw(),
                &["specific.but.wrong.com", "wildcard.io"],
                "/s5",
                "v3",
            ),
        )
        .object(
            "HTTPRoute",
            "open",
            spec(json!([{ "name": "open" }]), four, "/", "v2"),
        );
    let running = cluster.start();
    running.check(&[
        ("/s1 host=very.specific.com", "v1"),
        ("/s1 host=very.specific.com:1234", "v1"),
        ("/s3 host=very.specific.com", "v3"),
        ("/s3 host=foo.specific.com", "404"),
        ("/s2 host=foo.wildcard.io", "v2"),
        ("/s2 host=bar.wildcard.io", "v2"),
        ("/s2 host=foo.bar.wildcard.io", "v2"),
        ("/s2 host=wildcard.io", "404"),
        ("/s2 host=very.specific.com", "404"),
        ("/s1 host=non.matching.com", "404"),
        ("/s1 host=foo.nonmatchingwildcard.io", "404"),
        ("/s4 host=one.anotherwildcard.io", "v1"),
        ("/s4 host=one.two.three.anotherwildcard.io", "v1"),
        ("/s4 host=anotherwildcard.io", "404"),
        ("/s5 host=specific.but.wrong.com", "404"),
        ("/s5 host=wildcard.io", "404"),
    ]);
    running.check_at(
        8081,
        &[
            ("/ host=a.com", "v2"),
            ("/ host=d.com", "v2"),
            ("/ host=e.com", "404"),
        ],
    );
}

#[test]
fn http_route_listener_hostname_matching() {
    let listeners = [
        http("one", PORT, Some("bar.com")),
        http("two", PORT, Some("foo.bar.com")),
        http("three", PORT, Some("*.bar.com")),
        http("four", PORT, Some("*.foo.com")),
    ];
    let on = |sections: &[&str]| -> Value {
        let sections = sections.iter();
        sections
            .map(|section| json!({ "name": "gw", "sectionName": section }))
            .collect()
    };
    let backends = backends();
    let cluster = with_backends(Cluster::new(), &backends)
        .gateway("gw", &listeners)
        .object("HTTPRoute", "one", spec(on(&["one"]), &[], "/", "v1"))
        .object("HTTPRoute", "two", spec(on(&["two"]), &[], "/", "v2"))
        .object(
            "HTTPRoute",
            "three",
            spec(on(&["three", "four"]), &[], "/", "v3"),
        );
    cluster.start().check(&[
        ("/ host=bar.com", "v1"),
        ("/ host=foo.bar.com", "v2"),
        ("/ host=baz.bar.com", "v3"),
        ("/ host=boo.bar.com", "v3"),
        ("/ host=multiple.prefixes.bar.com", "v3"),
        ("/ host=multiple.prefixes.foo.com", "v3"),
        ("/ host=foo.com", "404"),
        ("/ host=no.matching.host", "404"),
    ]);
}

#[test]
fn http_route_listener_port_matching() {
    let listeners = [
        http("listener-1", 8080, Some("foo.com")),
        http("listener-2", 8081, Some("foo.com")),
        http("listener-3", 8081, Some("bar.com")),
        http("listener-4", 8090, Some("foo.com")),
        http("listener-5", 8090, Some("bar.com")),
    ];
    let backends = backends();
    let both = json!([{ "name": "gw", "port": 8090, "sectionName": "listener-4" }]);
    let cluster = with_backends(Cluster::new(), &backends)
        .gateway("gw", &listeners)
        .object(
            "HTTPRoute",
            "one",
            spec(json!([{ "name": "gw", "port": 8080 }]), &[], "/", "v1"),
        )
        .object(
            "HTTPRoute",
            "two",
            spec(json!([{ "name": "gw", "port": 8081 }]), &[], "/", "v2"),
        )
        .object("HTTPRoute", "three", spec(both, &[], "/", "v3"));
    let running = cluster.start();
    running.check_at(8080, &[("/ host=foo.com", "v1"), ("/ host=bar.com", "404")]);
    running.check_at(8081, &[("/ host=foo.com", "v2"), ("/ host=bar.com", "v2")]);
    running.check_at(8090, &[("/ host=foo.com", "v3"), ("/ host=bar.com", "404")]);
}

#[test]
fn gateway_http_listener_isolation() {
    let names = [
        None,
        Some("*.example.com"),
        Some("*.foo.example.com"),
        Some("abc.foo.example.com"),
    ];
    let hosts = [
        "bar.com",
        "bar.example.com",
        "bar.foo.example.com",
        "abc.foo.example.com",
    ];
    let backends = backends();
    let mut cluster = with_backends(Cluster::new(), &backends);
    let listener = |index: usize, port: u16| http(&format!("l{index}"), port, names[index]);
    cluster = cluster.gateway("gw", &[0, 1, 2, 3].map(|index| listener(index, PORT)));
    // The same with the names of routes.
    cluster = cluster.gateway("named", &[0, 1, 2, 3].map(|index| listener(index, 8081)));
    for (index, host) in hosts.iter().enumerate() {
        let section = format!("l{index}");
        let on = |gateway: &str| json!([{ "name": gateway, "sectionName": section }]);
        let path = format!("/p{index}");
        let own: Vec<&str> = vec![host];
        cluster = cluster
            .object(
                "HTTPRoute",
                &format!("r{index}"),
                spec(on("gw"), &[], &path, "v1"),
            )
            .object(
                "HTTPRoute",
                &format!("n{index}"),
                spec(on("named"), &own, &path, "v1"),
            );
    }
    let running = cluster.start();
    for port in [PORT, 8081] {
        for (at, host) in hosts.iter().enumerate() {
            for path in 0..4 {
                let expected = if at == path { "v1" } else { "404" };
                running.check_at(port, &[(&format!("/p{path} host={host}"), expected)]);
            }
        }
    }
}

/// A Gateway with HTTPS listeners as in the suite, and routes.
fn secure(backends: &[Echo]) -> Cluster {
    let issued = Authority::new().issue(&["example.org", "*.org", "*.wildcard.org"]);
    let listeners = [
        https("https", 8443, None),
        https("named", 8443, Some("second-example.org")),
        https("wildcard", 8443, Some("*.wildcard.org")),
        https("below", 8443, Some("fourth-example.wildcard.org")),
    ];
    let on = |section: &str| json!([{ "name": "gw", "sectionName": section }]);
    with_backends(Cluster::new(), backends)
        .gateway("gw", &listeners)
        .secret("cert", &issued)
        .object(
            "HTTPRoute",
            "first",
            spec(on("https"), &["example.org"], "/", "v1"),
        )
        .object(
            "HTTPRoute",
            "second",
            spec(on("named"), &["second-example.org"], "/", "v2"),
        )
        .object(
            "HTTPRoute",
            "third",
            spec(
                on("wildcard"),
                &["third-example.wildcard.org", "fifth-example.wildcard.org"],
                "/",
                "v3",
            ),
        )
        .object(
            "HTTPRoute",
            "fourth",
            spec(on("below"), &["fourth-example.wildcard.org"], "/", "v1"),
        )
}

#[test]
fn http_route_https_listener() {
    let backends = backends();
    let running = secure(&backends).start();
    for (name, expected) in [
        ("example.org", "v1"),
        ("unknown-example.org", "404"),
        ("second-example.org", "v2"),
        ("third-example.wildcard.org", "v3"),
    ] {
        let request = Request::get("/").host(name).over(&Tls::name(name));
        assert_eq!(outcome(&request.send(running.at(8443))), expected, "{name}");
    }
}

#[test]
fn http_route_https_listener_detect_misdirected_requests() {
    let (example, second, unknown) = ("example.org", "second-example.org", "unknown-example.org");
    let third = "third-example.wildcard.org";
    let fourth = "fourth-example.wildcard.org";
    let fifth = "fifth-example.wildcard.org";
    let backends = backends();
    let running = secure(&backends).start();
    for (name, host, expected) in [
        (example, example, "v1"),
        (example, second, "421"),
        (example, unknown, "404"),
        (second, second, "v2"),
        (second, example, "421"),
        (second, unknown, "421"),
        (third, third, "v3"),
        (third, fifth, "v3"),
        (third, fourth, "421"),
        (third, second, "421"),
        (third, unknown, "421"),
        (fourth, fourth, "v1"),
        (fourth, fifth, "421"),
        (unknown, example, "v1"),
        (unknown, unknown, "404"),
    ] {
        let mut client = Http2::tls(running.at(8443), &Tls::name(name));
        let request = http::Request::get(format!("https://{host}/")).body(Full::default());
        let response = client.send(request.unwrap());
        let shown = String::from_utf8_lossy(&response.body).into_owned();
        let is = match response.head.status().as_u16() {
            200 => shown.contains(&format!(r#""name":"{expected}""#)),
            status => status.to_string() == expected,
        };
        assert!(is, "{name} {host} {expected} {response:?}");
        let mut plain = Connection::open_tls(running.at(8443), &Tls::name(name));
        let response = plain.exchange(&Request::get("/").host(host));
        assert_eq!(outcome(&response), expected, "{name} {host}");
    }
}

#[test]
fn http_route_cross_namespace() {
    let web = Echo::start("web");
    let mut listener = http("http", PORT, None);
    listener["allowedRoutes"] = json!({ "namespaces": { "from": "All" } });
    let parent = json!([{ "name": "gw", "namespace": "shop" }]);
    let reference = json!([{ "name": "web", "namespace": "shop", "port": 80 }]);
    let cluster = Cluster::new()
        .gateway("gw", &[listener])
        .backend(&web)
        .object_in("web", "HTTPRoute", "r", json!({ "parentRefs": parent, "rules": [{ "backendRefs": reference }] }))
        .object("ReferenceGrant", "grant", json!({
            "from": [{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "web" }],
            "to": [{ "group": "", "kind": "Service" }],
        }));
    cluster.start().check(&[("/", "web")]);
}

#[test]
fn http_route_multiple_gateways() {
    let backends = backends();
    let cluster = with_backends(Cluster::new(), &backends)
        .gateway("gw", &[http("http", PORT, None)])
        .gateway("other", &[http("http", 8081, None)])
        .object(
            "HTTPRoute",
            "one",
            spec(json!([{ "name": "gw" }]), &[], "/", "v1"),
        )
        .object(
            "HTTPRoute",
            "two",
            spec(json!([{ "name": "other" }]), &[], "/", "v2"),
        )
        .object(
            "HTTPRoute",
            "both",
            spec(
                json!([{ "name": "gw" }, { "name": "other" }]),
                &[],
                "/shared",
                "v3",
            ),
        );
    let running = cluster.start();
    running.check_at(PORT, &[("/", "v1"), ("/shared", "v3")]);
    running.check_at(8081, &[("/", "v2"), ("/shared", "v3")]);
}

#[test]
fn http_route_disallowed_kind() {
    let backends = backends();
    let mut listener = http("http", PORT, None);
    listener["allowedRoutes"] = json!({ "kinds": [{ "kind": "GRPCRoute" }] });
    let rules = json!([{ "backendRefs": [to("v1")] }]);
    let cluster = with_backends(Cluster::new(), &backends)
        .gateway("gw", &[listener])
        .route("r", rules);
    cluster.start().check(&[("/", "404")]);
}
