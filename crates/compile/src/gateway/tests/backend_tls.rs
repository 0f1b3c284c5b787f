//! TLS towards endpoints: BackendTLSPolicies and the certificates of Gateways.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use super::*;

/// The certificate of a new authority, PEM.
pub(super) fn authority() -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

impl Cluster {
    /// A ConfigMap with authorities.
    pub(super) fn authorities(&mut self, name: &str, text: &str) {
        self.apply(json!({
            "kind": "ConfigMap", "metadata": { "name": name, "namespace": "infra" },
            "data": { "ca.crt": text },
        }));
    }

    /// A TLS Secret for these names.
    pub(super) fn certificate(&mut self, name: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        self.apply(json!({
            "kind": "Secret", "metadata": { "name": name, "namespace": "infra" },
            "stringData": { "tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem() },
        }));
    }

    /// A policy for `targets`, by the authorities `ca`.
    fn policy(&mut self, name: &str, targets: Value, hostname: &str) {
        let validation = json!({ "caCertificateRefs": [map("ca")], "hostname": hostname });
        self.policy_of(name, targets, validation);
    }

    fn policy_of(&mut self, name: &str, targets: Value, validation: Value) {
        self.apply(json!({
            "kind": "BackendTLSPolicy",
            "metadata": { "name": name, "namespace": "infra", "generation": 7 },
            "spec": { "targetRefs": targets, "validation": validation },
        }));
    }

    /// Each ancestor with its conditions.
    fn policy_status(&self, name: &str) -> Vec<String> {
        let object = ObjectRef {
            kind: Kind::BackendTlsPolicy,
            name: Name::new("infra", name),
        };
        let Some(status) = self
            .compiled
            .as_ref()
            .unwrap()
            .gateway_statuses()
            .get(&object)
        else {
            return Vec::new();
        };
        assert_eq!(status.generation, 7);
        match &status.body {
            StatusBody::Policy { ancestors } => ancestors
                .iter()
                .map(|one| format!("{} {}", one.parent.name, shown(&one.conditions)))
                .collect(),
            other => unreachable!("{other:?}"),
        }
    }

    /// Gateway `same` with a listener for HTTP on port 8080, and a route there to `v1`.
    fn with_route() -> Self {
        let mut cluster = Self::new();
        cluster.authorities("ca", &authority());
        cluster.gateway("same", http());
        cluster.route("first", to_v1(&["same"]));
        cluster
    }
}

fn http() -> Value {
    json!({ "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }] })
}

fn to_v1(gateways: &[&str]) -> Value {
    let parents: Vec<Value> = gateways
        .iter()
        .map(|name| json!({ "name": name }))
        .collect();
    json!({ "parentRefs": parents, "rules": [{ "backendRefs": [backend("v1")] }] })
}

fn map(name: &str) -> Value {
    json!({ "group": "", "kind": "ConfigMap", "name": name })
}

fn service(name: &str) -> Value {
    json!({ "group": "", "kind": "Service", "name": name })
}

fn port(name: &str, port: &str) -> Value {
    json!({ "group": "", "kind": "Service", "name": name, "sectionName": port })
}

/// How connections by a policy with this hostname are shown.
fn tls(hostname: &str) -> String {
    format!("upstream-tls verify=true depth 255 sends-name name {hostname} versions 1.2,1.3")
}

const GOOD: &str = "Accepted ResolvedRefs";

#[test]
fn all_connections_to_the_service_use_tls() {
    let mut cluster = Cluster::new();
    cluster.authorities("ca", &authority());
    cluster.apply(json!({
        "kind": "Service", "metadata": { "name": "v2", "namespace": "infra" },
        "spec": { "ports": [{ "port": 8080, "targetPort": 3000, "appProtocol": "kubernetes.io/h2c" }] },
    }));
    cluster.gateway(
        "same",
        json!({ "listeners": [
            { "name": "http", "port": 8080, "protocol": "HTTP" },
            { "name": "tcp", "port": 9000, "protocol": "TCP" },
            { "name": "tls", "port": 8443, "protocol": "TLS", "tls": { "mode": "Passthrough" } },
        ] }),
    );
    let mirror =
        json!({ "type": "RequestMirror", "requestMirror": { "backendRef": backend("v3") } });
    cluster.route(
        "web",
        json!({ "parentRefs": [{ "name": "same" }], "rules": [
            { "backendRefs": [backend("v1"), backend("v2")], "filters": [mirror] },
        ] }),
    );
    let calls = json!({ "parentRefs": [{ "name": "same" }], "rules": [{ "backendRefs": [backend("v1")] }] });
    cluster.route_of("GRPCRoute", "calls", calls.clone());
    cluster.route_of("TCPRoute", "bytes", calls.clone());
    let mut passed = calls;
    passed["hostnames"] = json!(["abc.example.com"]);
    cluster.route_of("TLSRoute", "passed", passed);
    let plain = cluster.compile_all();
    assert!(!plain.contains("upstream-tls"), "{plain}");
    cluster.policy(
        "tls",
        json!([service("v1"), service("v2"), service("v3")]),
        "abc.example.com",
    );
    let shown = cluster.compile_all();
    let tls = tls("abc.example.com");
    for upstream in [
        format!("infra/v1/8080 10.0.0.1:3000 (HTTPS, {tls})"),
        format!("infra/v2/8080 10.0.0.2:3000 (GRPCS, {tls})"),
        format!("infra/v1/8080 10.0.0.1:3000 (GRPCS, {tls})"),
        format!("tcp 9000 -> infra/v1/8080 10.0.0.1:3000 ({tls})"),
        // What is passed through is TLS already.
        "tls abc.example.com -> infra/v1/8080 10.0.0.1:3000\n".to_owned(),
    ] {
        assert!(shown.contains(&upstream), "{upstream} in {shown}");
    }
    let table = cluster.compiled.as_ref().unwrap().table();
    let mirrored = table
        .upstreams()
        .filter(|one| &*one.name == "infra/v3/8080");
    let mirrored: Vec<_> = mirrored.map(|one| one.tls.is_some()).collect();
    assert_eq!(mirrored, [true]);
    assert_eq!(cluster.policy_status("tls"), [format!("same {GOOD}")]);
    cluster.delete(Kind::BackendTlsPolicy, "infra/tls");
    assert_eq!(cluster.compile_all(), plain);
    assert!(cluster.policy_status("tls").is_empty());
}

#[test]
fn of_policies_with_one_target_the_senior_applies_and_one_for_the_port_goes_first() {
    let mut cluster = Cluster::with_route();
    cluster.apply(json!({
        "kind": "Service", "metadata": { "name": "v1", "namespace": "infra" },
        "spec": { "ports": [{ "name": "https", "port": 8080, "targetPort": 3000 }] },
    }));
    let shown = |cluster: &mut Cluster| {
        let shown = cluster.compile();
        let (_, name) = shown.split_once("sends-name name ").unwrap();
        name.split(' ').next().unwrap().to_owned()
    };
    cluster.policy("b", json!([service("v1")]), "b.example");
    assert_eq!(shown(&mut cluster), "b.example");
    cluster.policy("a", json!([service("v1")]), "a.example");
    assert_eq!(shown(&mut cluster), "a.example");
    assert_eq!(cluster.policy_status("a"), [format!("same {GOOD}")]);
    assert_eq!(
        cluster.policy_status("b"),
        ["same Accepted=Conflicted ResolvedRefs"]
    );
    cluster.policy("port", json!([port("v1", "https")]), "port.example");
    cluster.policy("port-2", json!([port("v1", "https")]), "other.example");
    cluster.policy("gone", json!([port("v1", "http")]), "gone.example");
    assert_eq!(shown(&mut cluster), "port.example");
    for (name, status) in [
        ("a", GOOD),
        ("port", GOOD),
        ("port-2", "Accepted=Conflicted ResolvedRefs"),
        ("gone", "Accepted=TargetNotFound ResolvedRefs"),
    ] {
        assert_eq!(cluster.policy_status(name), [format!("same {status}")]);
    }
    cluster.delete(Kind::BackendTlsPolicy, "infra/a");
    cluster.delete(Kind::BackendTlsPolicy, "infra/port");
    assert_eq!(shown(&mut cluster), "other.example");
    assert_eq!(cluster.policy_status("b"), [format!("same {GOOD}")]);
    cluster.delete(Kind::Service, "infra/v1");
    cluster.compile();
    assert_eq!(
        cluster.policy_status("b"),
        ["same Accepted=TargetNotFound ResolvedRefs"]
    );
    cluster.delete(Kind::HttpRoute, "infra/first");
    cluster.compile();
    assert!(cluster.policy_status("b").is_empty());
}

#[test]
fn connections_by_a_policy_that_cannot_be_used_fail() {
    let mut cluster = Cluster::with_route();
    cluster.authorities("broken", "not PEM");
    let refs = |refs: &[Value]| json!({ "caCertificateRefs": refs, "hostname": "abc.example.com" });
    let none = "Accepted=NoValidCACertificate ResolvedRefs=InvalidCACertificateRef";
    let invalid = "Accepted=Invalid ResolvedRefs";
    for (validation, status) in [
        (refs(&[map("absent")]), none),
        (refs(&[map("broken")]), none),
        (
            refs(&[service("ca")]),
            "Accepted=NoValidCACertificate ResolvedRefs=InvalidKind",
        ),
        (refs(&[]), invalid),
        (
            json!({ "caCertificateRefs": [map("ca")], "hostname": "*.example.com" }),
            invalid,
        ),
        (
            json!({ "wellKnownCACertificates": "Other", "hostname": "abc.example.com" }),
            invalid,
        ),
        (
            json!({ "caCertificateRefs": [map("ca")], "hostname": "abc.example.com",
                "subjectAltNames": [{ "type": "Email", "hostname": "a" }] }),
            invalid,
        ),
    ] {
        cluster.policy_of("tls", json!([service("v1")]), validation.clone());
        let shown = cluster.compile();
        assert!(
            shown.contains("infra/v1/8080 10.0.0.1:3000 (HTTPS, upstream-tls verify=true")
                && shown.contains("authorities=none"),
            "{validation} {shown}"
        );
        assert_eq!(cluster.policy_status("tls"), [format!("same {status}")]);
        assert_eq!(cluster.route_status("infra/first"), GOOD);
    }
}

#[test]
fn valid_references_are_used_beside_invalid_ones() {
    let mut cluster = Cluster::with_route();
    cluster.policy_of(
        "tls",
        json!([service("v1")]),
        json!({ "caCertificateRefs": [map("absent"), map("ca")], "hostname": "abc.example.com" }),
    );
    let shown = cluster.compile();
    assert!(shown.contains(&tls("abc.example.com")), "{shown}");
    assert_eq!(
        cluster.policy_status("tls"),
        ["same Accepted ResolvedRefs=InvalidCACertificateRef"]
    );
}

#[test]
fn authorities_of_the_system_and_alternative_names() {
    let mut cluster = Cluster::with_route();
    cluster.policy_of(
        "tls",
        json!([service("v1")]),
        json!({ "wellKnownCACertificates": "System", "hostname": "abc.example.com", "subjectAltNames": [
            { "type": "Hostname", "hostname": "other.example.com" },
            { "type": "URI", "uri": "spiffe://abc.example.com/test-identity" },
        ] }),
    );
    let shown = cluster.compile();
    let names = "name abc.example.com dns=other.example.com uri=spiffe://abc.example.com/test-identity authorities=system";
    assert!(shown.contains(names), "{shown}");
    assert_eq!(cluster.policy_status("tls"), [format!("same {GOOD}")]);
}

/// The identity of TLS towards `v1`, by which connections are kept apart.
fn identities(cluster: &Cluster) -> Vec<String> {
    let table = cluster.compiled.as_ref().unwrap().table();
    let of_v1 = table
        .upstreams()
        .filter(|one| &*one.name == "infra/v1/8080");
    let ids = of_v1.filter_map(|one| Some(one.tls.as_ref()?.id.to_string()));
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

#[test]
fn a_changed_config_map_changes_the_connections() {
    let mut cluster = Cluster::with_route();
    cluster.policy("tls", json!([service("v1")]), "abc.example.com");
    let before = cluster.compile();
    let first = identities(&cluster);
    let (one, other) = (authority(), authority());
    cluster.authorities("ca", "");
    let without = cluster.compile();
    assert!(without.contains("authorities=none"), "{without}");
    assert_eq!(
        cluster.policy_status("tls"),
        ["same Accepted=NoValidCACertificate ResolvedRefs=InvalidCACertificateRef"]
    );
    cluster.authorities("ca", &one);
    assert_eq!(cluster.compile(), before);
    assert_eq!(cluster.policy_status("tls"), [format!("same {GOOD}")]);
    let second = identities(&cluster);
    cluster.authorities("ca", &other);
    cluster.compile();
    let third = identities(&cluster);
    assert!(first.len() == 1 && first != second && second != third);
    // A ConfigMap that no policy refers to.
    cluster.authorities("other", &one);
    cluster.compile();
    assert_eq!(identities(&cluster), third);
}

#[test]
fn each_gateway_shows_its_own_certificate() {
    let mut cluster = Cluster::with_route();
    cluster.certificate("one", &["one.example"]);
    cluster.certificate("two", &["two.example"]);
    let showing = |port: u16, name: &str| {
        let mut spec = http();
        spec["listeners"][0]["port"] = json!(port);
        spec["tls"] = json!({ "backend": { "clientCertificateRef": { "name": name } } });
        spec
    };
    cluster.gateway("a", showing(8081, "one"));
    cluster.gateway("b", showing(8082, "two"));
    cluster.gateway("c", showing(8083, "one"));
    let mirror =
        json!({ "type": "RequestMirror", "requestMirror": { "backendRef": backend("v1") } });
    let mut route = to_v1(&["same", "a", "b", "c"]);
    route["rules"][0]["filters"] = json!([mirror]);
    cluster.route("first", route);
    let plain = cluster.compile_all();
    assert!(!plain.contains("client "), "only by a policy: {plain}");
    cluster.policy("tls", json!([service("v1")]), "abc.example.com");
    let shown = cluster.compile_all();
    for (client, count) in [("infra/one", 2), ("infra/two", 1)] {
        let count_shown = shown.matches(&format!("client {client} versions")).count();
        assert_eq!(count_shown, count, "{shown}");
    }
    assert_eq!(identities(&cluster).len(), 3);
    assert_eq!(cluster.policy_status("tls").len(), 4);
    // A renewed certificate makes new connections.
    let before = identities(&cluster);
    cluster.certificate("two", &["two.example"]);
    cluster.compile_all();
    let after = identities(&cluster);
    let kept = before.iter().filter(|id| after.contains(id)).count();
    assert_eq!((kept, after.len()), (2, 3));
}

#[test]
fn a_gateway_without_its_certificate_says_so_and_serves() {
    let mut cluster = Cluster::with_route();
    cluster.certificate("good", &["one.example"]);
    cluster.apply(json!({
        "kind": "Secret", "metadata": { "name": "malformed", "namespace": "infra" },
        "stringData": { "tls.crt": "x", "tls.key": "y" },
    }));
    for (reference, resolved) in [
        (json!({ "name": "good" }), "ResolvedRefs"),
        (
            json!({ "name": "absent" }),
            "ResolvedRefs=InvalidClientCertificateRef",
        ),
        (
            json!({ "name": "malformed" }),
            "ResolvedRefs=InvalidClientCertificateRef",
        ),
        (
            json!({ "name": "good", "group": "x" }),
            "ResolvedRefs=InvalidClientCertificateRef",
        ),
        (
            json!({ "name": "good", "kind": "ConfigMap" }),
            "ResolvedRefs=InvalidClientCertificateRef",
        ),
        (
            json!({ "name": "good", "namespace": "web" }),
            "ResolvedRefs=RefNotPermitted",
        ),
    ] {
        let mut spec = http();
        spec["tls"] = json!({ "backend": { "clientCertificateRef": reference } });
        cluster.gateway("same", spec);
        cluster.compile_all();
        assert_eq!(
            cluster.gateway_status("infra/same"),
            format!(
                "Accepted Programmed {resolved} sets=0\nhttp 1 Accepted Programmed ResolvedRefs"
            )
        );
    }
}
