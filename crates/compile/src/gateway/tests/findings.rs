//! What is wrong is said once, on the object whose author can mend it.

use serde_json::json;

use super::{Cluster, backend};
use crate::{Kind, Name, ObjectRef};

fn listening(listeners: serde_json::Value) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.gateway("gw", json!({ "listeners": listeners }));
    cluster
}

#[test]
fn what_a_status_says_is_wrong_is_a_finding() {
    let mut cluster = listening(json!([
        { "name": "http", "port": 8080, "protocol": "HTTP" },
        { "name": "odd", "port": 81, "protocol": "SCTP" },
        {
            "name": "https", "port": 8443, "protocol": "HTTPS",
            "tls": { "certificateRefs": [{ "name": "gone" }] },
        },
    ]));
    cluster.route(
        "absent",
        json!({ "parentRefs": [{ "name": "gw" }], "rules": [{ "backendRefs": [backend("gone")] }] }),
    );
    cluster.route(
        "lost",
        json!({
            "parentRefs": [{ "name": "gw", "sectionName": "a" }, { "name": "gw", "sectionName": "b" }],
            "rules": [{ "backendRefs": [backend("v1")] }],
        }),
    );
    let bad = json!({ "path": { "type": "RegularExpression", "value": "/(" } });
    cluster.route(
        "regex",
        json!({
            "parentRefs": [{ "name": "gw", "sectionName": "http" }, { "name": "gw", "sectionName": "https" }],
            "rules": [{ "matches": [bad], "backendRefs": [backend("v1")] }],
        }),
    );
    cluster.compile_all();
    let findings = cluster.findings();
    for expected in [
        "error Gateway infra/gw: spec.listeners[odd].protocol: protocol SCTP is not supported",
        "error Gateway infra/gw: spec.listeners[https].tls.certificateRefs: there is no Secret infra/gone",
        "error HTTPRoute infra/absent: spec.rules: there is no Service infra/gone",
        "error HTTPRoute infra/lost: spec.parentRefs: Gateway infra/gw has no listener a",
        "error HTTPRoute infra/lost: spec.parentRefs: Gateway infra/gw has no listener b",
        "error HTTPRoute infra/regex: spec.rules: the expression",
    ] {
        let found = findings.iter().filter(|one| one.starts_with(expected));
        assert_eq!(found.count(), 1, "{expected}: {findings:#?}");
    }
    // Not that the version of the CRDs is not known.
    assert_eq!(findings.len(), 6, "{findings:#?}");
    cluster.service("infra", "gone", 9);
    cluster.compile_all();
    let (_, gone) = cluster.compiled.as_ref().unwrap().difference();
    let gone: Vec<String> = gone.iter().map(ToString::to_string).collect();
    assert_eq!(
        gone,
        ["error HTTPRoute infra/absent: spec.rules: there is no Service infra/gone"]
    );
}

#[test]
fn a_backend_without_endpoints_is_a_finding_about_each_of_its_routes() {
    let mut cluster = listening(json!([{ "name": "http", "port": 8080, "protocol": "HTTP" }]));
    let of = |name: &str| {
        json!({ "parentRefs": [{ "name": "gw" }], "hostnames": [format!("{name}.example")],
            "rules": [{ "backendRefs": [backend("v1")] }, { "backendRefs": [backend("v1")] }] })
    };
    let about_endpoints = |cluster: &Cluster| -> Vec<String> {
        let findings = cluster.findings().into_iter();
        findings.filter(|one| one.contains("ready")).collect()
    };
    let text = |name: &str| {
        format!(
            "warning HTTPRoute infra/{name}: spec.rules: Service infra/v1 has no ready endpoint for port 8080; its requests get 503"
        )
    };
    cluster.route("one", of("one"));
    cluster.compile_all();
    assert!(about_endpoints(&cluster).is_empty());
    let find = |snapshot: &crate::Snapshot| {
        let mut slices = snapshot.names(Kind::EndpointSlice);
        slices.find(|one| &*one.name == "v1").cloned().unwrap()
    };
    let slice = ObjectRef {
        kind: Kind::EndpointSlice,
        name: find(&cluster.snapshot),
    };
    cluster.snapshot.delete(&slice);
    cluster.compile_all();
    assert_eq!(about_endpoints(&cluster), [text("one")]);
    // The upstream itself does not change with its second user.
    cluster.route("two", of("two"));
    cluster.compile_all();
    assert_eq!(about_endpoints(&cluster), [text("one"), text("two")]);
    cluster.delete(Kind::HttpRoute, "infra/one");
    cluster.compile_all();
    assert_eq!(about_endpoints(&cluster), [text("two")]);
    cluster.service("infra", "v1", 1);
    cluster.compile_all();
    assert!(about_endpoints(&cluster).is_empty());
    cluster.snapshot.delete(&ObjectRef {
        kind: Kind::GatewayClass,
        name: Name::new("", "headgate"),
    });
    cluster.compile_all();
    assert!(cluster.findings().is_empty(), "{:?}", cluster.findings());
}
