//! Whole compilations of Gateways and routes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod admission;
mod backend_tls;
mod backend_traffic;
mod classes;
mod conformance;
mod findings;
mod frontend_tls;
mod headgate_policies;
mod ports;
mod rules;
mod shared;

use std::sync::Arc;

use headgate_table::{Certificate, PrivateBytes, text};
use k8s_openapi::api::core::v1;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::api::networking::v1 as networking;
use serde_json::{Value, json};

use crate::gateway::{Condition, Status, StatusBody};
use crate::objects::custom::{
    BackendTlsPolicySpec, BackendTrafficPolicySpec, Delivered, GatewayClassSpec, GatewaySpec,
    GrpcRouteSpec, HeadgateParametersSpec, HeadgatePolicySpec, HttpRouteSpec, ListenerSetSpec,
    ReferenceGrantSpec, TcpRouteSpec, TlsRouteSpec, UdpRouteSpec,
};
use crate::{
    Changes, Compiled, DeliveredDefinition, GatewayOptions, Kind, Name, Object, ObjectRef, Options,
    Snapshot, certificate_from_pem, compile,
};

/// What all routes have.
const DEFAULTS: &str =
    "body-limit unlimited; unbuffered-request; response-head-limit 32768; no-hsts";

/// Objects, and what they compile to.
struct Cluster {
    snapshot: Snapshot,
    compiled: Option<Compiled>,
    options: Options,
    fallback: Arc<Certificate>,
}

fn object(value: Value) -> Object {
    fn read<T: serde::de::DeserializeOwned + Into<Object>>(value: Value) -> Object {
        serde_json::from_value::<T>(value).unwrap().into()
    }
    let kind = value["kind"].as_str().unwrap().to_owned();
    match &*kind {
        "GatewayClass" => read::<Delivered<GatewayClassSpec>>(value),
        "Gateway" => read::<Delivered<GatewaySpec>>(value),
        "ListenerSet" => read::<Delivered<ListenerSetSpec>>(value),
        "HTTPRoute" => read::<Delivered<HttpRouteSpec>>(value),
        "GRPCRoute" => read::<Delivered<GrpcRouteSpec>>(value),
        "TLSRoute" => read::<Delivered<TlsRouteSpec>>(value),
        "TCPRoute" => read::<Delivered<TcpRouteSpec>>(value),
        "UDPRoute" => read::<Delivered<UdpRouteSpec>>(value),
        "ReferenceGrant" => read::<Delivered<ReferenceGrantSpec>>(value),
        "CustomResourceDefinition" => read::<DeliveredDefinition>(value),
        "Namespace" => read::<v1::Namespace>(value),
        "BackendTLSPolicy" => read::<Delivered<BackendTlsPolicySpec>>(value),
        "XBackendTrafficPolicy" => read::<Delivered<BackendTrafficPolicySpec>>(value),
        "HeadgateParameters" => read::<Delivered<HeadgateParametersSpec>>(value),
        "ConfigMap" => read::<v1::ConfigMap>(value),
        "HeadgatePolicy" => read::<Delivered<HeadgatePolicySpec>>(value),
        "Ingress" => read::<networking::Ingress>(value),
        "Secret" => read::<v1::Secret>(value),
        "Service" => read::<v1::Service>(value),
        "EndpointSlice" => read::<discovery::EndpointSlice>(value),
        other => unreachable!("{other}"),
    }
}

impl Cluster {
    /// A class, and Services `v1`, `v2` and `v3` in namespace `infra`.
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["default.example".to_owned()]).unwrap();
        let key = PrivateBytes(made.signing_key.serialize_pem().into_bytes());
        let fallback = certificate_from_pem(made.cert.pem().as_bytes(), &key, "default").unwrap();
        let mut cluster = Self {
            snapshot: Snapshot::default(),
            compiled: None,
            options: Options {
                gateway: Some(GatewayOptions::default()),
                ..Options::default()
            },
            fallback: Arc::new(fallback),
        };
        cluster.apply(json!({
            "kind": "GatewayClass", "metadata": { "name": "headgate" },
            "spec": { "controllerName": "headgate.dev/gateway-controller" },
        }));
        for (number, name) in ["v1", "v2", "v3"].into_iter().enumerate() {
            cluster.service("infra", name, number + 1);
        }
        cluster
    }

    fn service(&mut self, namespace: &str, name: &str, number: usize) {
        self.apply(json!({
            "kind": "Service", "metadata": { "name": name, "namespace": namespace },
            "spec": { "ports": [{ "port": 8080, "targetPort": 3000 }] },
        }));
        self.apply(json!({
            "kind": "EndpointSlice",
            "metadata": {
                "name": name, "namespace": namespace,
                "labels": { "kubernetes.io/service-name": name },
            },
            "addressType": "IPv4", "ports": [{ "port": 3000 }],
            "endpoints": [{ "addresses": [format!("10.0.0.{number}")] }],
        }));
    }

    fn apply(&mut self, value: Value) {
        self.snapshot.apply(object(value));
    }

    fn delete(&mut self, kind: Kind, name: &str) {
        let (namespace, name) = name.split_once('/').unwrap();
        let name = Name::new(namespace, name);
        self.snapshot.delete(&ObjectRef { kind, name });
    }

    fn gateway(&mut self, name: &str, spec: Value) {
        let mut spec = spec;
        spec["gatewayClassName"] = json!("headgate");
        self.apply(json!({
            "kind": "Gateway",
            "metadata": { "name": name, "namespace": "infra", "generation": 3 },
            "spec": spec,
        }));
    }

    fn route(&mut self, name: &str, spec: Value) {
        self.route_of("HTTPRoute", name, spec);
    }

    fn route_of(&mut self, kind: &str, name: &str, spec: Value) {
        self.apply(json!({
            "kind": kind,
            "metadata": { "name": name, "namespace": "infra", "generation": 5 },
            "spec": spec,
        }));
    }

    /// The hosts of port 8080, without what all routes have.
    fn compile(&mut self) -> String {
        let shown = self.compile_all();
        let lines = shown.lines();
        let lines =
            lines.skip_while(|line| !line.starts_with("listeners") || !line.contains(":8080"));
        let lines: Vec<String> = lines
            .map(|line| {
                line.replace(&format!(" [{DEFAULTS}]"), "")
                    .replace(&format!("; {DEFAULTS}"), "")
            })
            .collect();
        lines.join("\n")
    }

    /// Compiles the changes, and compares the result with a compilation of everything.
    fn compile_all(&mut self) -> String {
        let changes = self.snapshot.take_changes();
        let former = self.compiled.take();
        let next = compile(
            &self.snapshot,
            &changes,
            former,
            &self.options,
            &self.fallback,
        );
        let full = compile(
            &self.snapshot,
            &Changes::default(),
            None,
            &self.options,
            &self.fallback,
        );
        let shown = text(next.table());
        assert_eq!(shown, text(full.table()));
        assert_eq!(next.gateway_statuses(), full.gateway_statuses());
        assert_eq!(next.findings(), full.findings());
        self.compiled = Some(next);
        shown
    }

    fn status(&self, kind: Kind, name: &str) -> &Status {
        let (namespace, name) = name.split_once('/').unwrap();
        let name = Name::new(namespace, name);
        let statuses = self.compiled.as_ref().unwrap().gateway_statuses();
        statuses.get(&ObjectRef { kind, name }).unwrap()
    }

    /// All findings.
    fn findings(&self) -> Vec<String> {
        let findings = self.compiled.as_ref().unwrap().findings();
        findings.iter().map(ToString::to_string).collect()
    }

    /// `Accepted ResolvedRefs=RefNotPermitted` of the first parent of a route.
    fn route_status(&self, name: &str) -> String {
        self.status_of(Kind::HttpRoute, name)
    }

    fn status_of(&self, kind: Kind, name: &str) -> String {
        match &self.status(kind, name).body {
            StatusBody::Route { parents } => shown(&parents[0].conditions),
            other => unreachable!("{other:?}"),
        }
    }

    /// Conditions of a Gateway, and of each listener with its routes.
    fn gateway_status(&self, name: &str) -> String {
        match &self.status(Kind::Gateway, name).body {
            StatusBody::Gateway {
                conditions,
                listeners,
                attached_sets,
                ..
            } => {
                let mut all = vec![format!("{} sets={attached_sets}", shown(conditions))];
                all.extend(listeners.iter().map(|listener| {
                    format!(
                        "{} {} {}",
                        listener.name,
                        listener.attached_routes,
                        shown(&listener.conditions)
                    )
                }));
                all.join("\n")
            }
            other => unreachable!("{other:?}"),
        }
    }
}

fn shown(conditions: &[Condition]) -> String {
    let all = conditions.iter().map(|condition| {
        let (kind, reason) = (condition.kind.as_str(), condition.reason);
        match condition.holds {
            true if reason == kind => kind.to_owned(),
            true => format!("{kind}:{reason}"),
            false => format!("{kind}={reason}"),
        }
    });
    all.collect::<Vec<_>>().join(" ")
}

fn backend(name: &str) -> Value {
    json!({ "name": name, "port": 8080 })
}

#[test]
fn routes_of_one_listener_merge_by_precedence() {
    let mut cluster = Cluster::new();
    cluster.gateway(
        "same",
        json!({ "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }] }),
    );
    cluster.route(
        "matching",
        json!({
            "parentRefs": [{ "name": "same" }],
            "rules": [
                {
                    "matches": [
                        { "path": { "type": "PathPrefix", "value": "/" } },
                        { "headers": [{ "name": "version", "value": "one" }] },
                    ],
                    "backendRefs": [backend("v1")],
                },
                {
                    "matches": [
                        { "path": { "type": "PathPrefix", "value": "/v2/" } },
                        { "headers": [{ "name": "version", "value": "two" }] },
                    ],
                    "backendRefs": [backend("v2")],
                },
            ],
        }),
    );
    assert_eq!(
        cluster.compile(),
        "listeners 0.0.0.0:8080\n\
         host _\n  \
           prefix /v2/ -> infra/v2/8080 10.0.0.2:3000\n  \
           prefix / version=one -> infra/v1/8080 10.0.0.1:3000\n  \
           prefix / version=two -> infra/v2/8080 10.0.0.2:3000\n  \
           prefix / -> infra/v1/8080 10.0.0.1:3000"
    );
    assert_eq!(
        cluster.route_status("infra/matching"),
        "Accepted ResolvedRefs"
    );
    assert_eq!(
        cluster.gateway_status("infra/same"),
        "Accepted Programmed ResolvedRefs sets=0\nhttp 1 Accepted Programmed ResolvedRefs"
    );
    cluster.delete(Kind::HttpRoute, "infra/matching");
    assert_eq!(
        cluster.compile(),
        "listeners 0.0.0.0:8080\nhost _\n  prefix / -> 404"
    );
}

#[test]
fn each_listener_has_its_own_hosts_and_a_route_only_those_that_it_shares() {
    let mut cluster = Cluster::new();
    let listener = |name: &str, hostname: Option<&str>| json!({ "name": name, "hostname": hostname, "port": 8080, "protocol": "HTTP" });
    cluster.gateway(
        "same",
        json!({ "listeners": [
            listener("all", None),
            listener("wild", Some("*.example.com")),
            listener("exact", Some("abc.example.com")),
        ] }),
    );
    let mut route = |name: &str, section: &str, hostnames: &[&str]| {
        cluster.route(
            name,
            json!({
                "parentRefs": [{ "name": "same", "sectionName": section }],
                "hostnames": hostnames,
                "rules": [{ "backendRefs": [backend("v1")] }],
            }),
        );
    };
    route("on-all", "all", &["x.test", "*.x.test"]);
    route("on-wild", "wild", &[]);
    route("on-exact", "exact", &["*.example.com", "foo.test"]);
    route("nowhere", "exact", &["bar.example.com"]);
    let v1 = "infra/v1/8080 10.0.0.1:3000";
    assert_eq!(
        cluster.compile(),
        format!(
            "listeners 0.0.0.0:8080\nhost *.example.com\n  prefix / -> {v1}\nhost _\n  prefix / -> 404\n\
             listeners 0.0.0.0:8080\nhost _\n  prefix / -> 404\nhost abc.example.com\n  prefix / -> {v1}\n\
             listeners 0.0.0.0:8080\nhost *.x.test\n  prefix / -> {v1}\nhost _\n  prefix / -> 404\nhost x.test\n  prefix / -> {v1}"
        )
    );
    assert_eq!(
        cluster.route_status("infra/nowhere"),
        "Accepted=NoMatchingListenerHostname ResolvedRefs"
    );
    let good = "Accepted Programmed ResolvedRefs";
    assert_eq!(
        cluster.gateway_status("infra/same"),
        format!("{good} sets=0\nall 1 {good}\nwild 1 {good}\nexact 1 {good}")
    );
}

#[test]
fn backends_that_cannot_be_resolved_get_500_for_their_share() {
    let mut cluster = Cluster::new();
    cluster.service("web", "other", 9);
    cluster.gateway(
        "same",
        json!({ "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }] }),
    );
    let to = |backends: Value| json!({ "parentRefs": [{ "name": "same" }], "rules": [{ "backendRefs": backends }] });
    let weighted =
        |name: &str, weight: u32| json!({ "name": name, "port": 8080, "weight": weight });
    let line = |cluster: &mut Cluster, backends: Value| {
        cluster.route("r", to(backends));
        let shown = cluster.compile();
        let line = shown.lines().last().unwrap_or_default().to_owned();
        (line, cluster.route_status("infra/r"))
    };
    for (backends, target, status) in [
        (json!([]), "500", "ResolvedRefs"),
        (json!([weighted("v1", 0)]), "500", "ResolvedRefs"),
        (
            json!([weighted("v1", 70), weighted("v2", 30), weighted("v3", 0)]),
            "infra/v1/8080 10.0.0.1:3000 | canary infra/v2/8080 10.0.0.2:3000 30/100",
            "ResolvedRefs",
        ),
        (
            json!([weighted("v1", 1), weighted("none", 3)]),
            "infra/v1/8080 10.0.0.1:3000 | canary 500 3/4",
            "ResolvedRefs=BackendNotFound",
        ),
        (
            json!([{ "name": "v1", "port": 3000 }]),
            "500",
            "ResolvedRefs=BackendNotFound",
        ),
        (
            json!([{ "name": "v1" }]),
            "500",
            "ResolvedRefs=BackendNotFound",
        ),
        (
            json!([{ "kind": "Unknown", "name": "v1", "port": 8080 }]),
            "500",
            "ResolvedRefs=InvalidKind",
        ),
        (
            json!([{ "namespace": "web", "name": "other", "port": 8080 }]),
            "500",
            "ResolvedRefs=RefNotPermitted",
        ),
    ] {
        let (shown, conditions) = line(&mut cluster, backends.clone());
        assert_eq!(shown, format!("  prefix / -> {target}"), "{backends}");
        assert_eq!(conditions, format!("Accepted {status}"), "{backends}");
    }
    cluster.apply(json!({
        "kind": "ReferenceGrant",
        "metadata": { "name": "grant", "namespace": "web" },
        "spec": {
            "from": [{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "infra" }],
            "to": [{ "group": "", "kind": "Service" }],
        },
    }));
    let shown = cluster.compile();
    assert!(shown.ends_with("web/other/8080 10.0.0.9:3000"), "{shown}");
    cluster.delete(Kind::ReferenceGrant, "web/grant");
    assert!(cluster.compile().ends_with("prefix / -> 500"));
    cluster.service("infra", "none", 7);
    let (shown, _) = line(&mut cluster, json!([{ "name": "late", "port": 8080 }]));
    assert!(shown.ends_with("500"), "{shown}");
    cluster.service("infra", "late", 8);
    let shown = cluster.compile();
    assert!(shown.ends_with("infra/late/8080 10.0.0.8:3000"), "{shown}");
    assert_eq!(cluster.route_status("infra/r"), "Accepted ResolvedRefs");
}

#[test]
fn filters_and_what_cannot_be_honoured() {
    let mut cluster = Cluster::new();
    cluster.gateway(
        "same",
        json!({ "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }] }),
    );
    let rule = |path: &str, filters: Value| json!({ "matches": [{ "path": { "type": "PathPrefix", "value": path } }], "filters": filters });
    cluster.route(
        "r",
        json!({ "parentRefs": [{ "name": "same" }], "rules": [
            rule("/a", json!([{ "type": "RequestRedirect", "requestRedirect": {
                "scheme": "https", "hostname": "example.org", "statusCode": 301,
                "path": { "type": "ReplacePrefixMatch", "replacePrefixMatch": "/b/" },
            } }])),
            rule("/c", json!([{ "type": "Nothing" }])),
            rule("/d", json!([{ "type": "RequestRedirect", "requestRedirect": { "statusCode": 200 } }])),
            { "matches": [{ "path": { "type": "RegularExpression", "value": "/f.*" }, "method": "GET" }], "backendRefs": [backend("v1")] },
        ] }),
    );
    assert_eq!(
        cluster.compile(),
        "listeners 0.0.0.0:8080\n\
         host _\n  \
           regex  ^(?:/f.*)$ GET -> infra/v1/8080 10.0.0.1:3000\n  \
           prefix /a -> 500 [redirect 301 with scheme https, host example.org, path /a/* -> /b/*]\n  \
           prefix /c -> closed: the filter \"Nothing\" is not supported\n  \
           prefix /d -> closed: statusCode \"200\" is not supported\n  \
           prefix / -> 404"
    );
    assert_eq!(
        cluster.route_status("infra/r"),
        "Accepted ResolvedRefs PartiallyInvalid:UnsupportedValue"
    );
    let unreadable =
        json!({ "matches": [{ "path": { "type": "RegularExpression", "value": "/e[" } }] });
    cluster.route(
        "r",
        json!({ "parentRefs": [{ "name": "same" }], "rules": [
            unreadable,
            { "backendRefs": [backend("v1")] },
        ] }),
    );
    let shown = cluster.compile();
    assert!(
        shown.contains("prefix / -> closed: the expression \"/e[\""),
        "{shown}"
    );
    assert_eq!(
        cluster.route_status("infra/r"),
        "Accepted=UnsupportedValue ResolvedRefs"
    );
}

#[test]
fn calls_are_requests_to_their_methods() {
    let mut cluster = Cluster::new();
    cluster.gateway(
        "same",
        json!({ "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }] }),
    );
    let call = |service: Option<&str>, method: Option<&str>| json!({ "method": { "service": service, "method": method } });
    cluster.route_of(
        "GRPCRoute",
        "calls",
        json!({ "parentRefs": [{ "name": "same" }], "rules": [
            { "matches": [call(Some("a.Echo"), Some("Echo"))], "backendRefs": [backend("v1")] },
            { "matches": [call(Some("a.Echo"), None)], "backendRefs": [backend("v2")] },
            { "matches": [call(None, Some("Other"))], "backendRefs": [backend("v3")] },
        ] }),
    );
    let grpc = "content-type=~";
    let shown = cluster
        .compile()
        .replace("content-type~^(?:application/grpc([+;].*)?)$", grpc);
    assert_eq!(
        shown,
        format!(
            "listeners 0.0.0.0:8080\n\
             host _\n  \
               exact  /a.Echo/Echo {grpc} -> infra/v1/8080 10.0.0.1:3000 (GRPC)\n  \
               regex  ^(?:/[^/]+/Other)$ {grpc} -> infra/v3/8080 10.0.0.3:3000 (GRPC)\n  \
               prefix /a.Echo {grpc} -> infra/v2/8080 10.0.0.2:3000 (GRPC)\n  \
               prefix / -> 404"
        )
    );
    assert_eq!(
        cluster.status_of(Kind::GrpcRoute, "infra/calls"),
        "Accepted ResolvedRefs"
    );
}

#[test]
fn the_most_senior_route_of_a_stream_serves() {
    let mut cluster = Cluster::new();
    cluster.gateway(
        "same",
        json!({ "listeners": [
            { "name": "tcp", "port": 8080, "protocol": "TCP" },
            { "name": "udp", "port": 8080, "protocol": "UDP" },
            { "name": "tls", "port": 8443, "protocol": "TLS", "hostname": "*.example.com", "tls": { "mode": "Passthrough" } },
        ] }),
    );
    let to = |section: &str, name: &str| json!({ "parentRefs": [{ "name": "same", "sectionName": section }], "rules": [{ "backendRefs": [backend(name)] }] });
    cluster.route_of("TCPRoute", "second", to("tcp", "v2"));
    cluster.route_of("TCPRoute", "first", to("tcp", "v1"));
    let mut tls = to("tls", "v3");
    tls["hostnames"] = json!(["abc.example.com", "other.test"]);
    cluster.route_of("TLSRoute", "passed", tls);
    let shown = cluster.compile_all();
    let streams = shown.lines().filter(|line| {
        let kind = line.split(' ').next().unwrap_or_default();
        ["tls", "tcp", "udp"].contains(&kind)
    });
    let streams: Vec<&str> = streams.collect();
    assert_eq!(
        streams,
        [
            "tls * -> 503",
            "tls *.example.com -> 503",
            "tls abc.example.com -> infra/v3/8080 10.0.0.3:3000",
            "tcp 8080 -> infra/v1/8080 10.0.0.1:3000",
            "udp 8080 -> 503",
        ]
    );
    assert_eq!(
        cluster.status_of(Kind::TcpRoute, "infra/second"),
        "Accepted ResolvedRefs"
    );
    let good = "Accepted Programmed ResolvedRefs";
    assert_eq!(
        cluster.gateway_status("infra/same"),
        format!("{good} sets=0\ntcp 2 {good}\nudp 0 {good}\ntls 1 {good}")
    );
    cluster.delete(Kind::TcpRoute, "infra/first");
    let shown = cluster.compile_all();
    assert!(shown.contains("infra/v2/8080 10.0.0.2:3000"), "{shown}");
}

#[test]
fn a_namespace_that_no_listener_selects_changes_nothing() {
    let mut cluster = Cluster::new();
    cluster.gateway(
        "gate",
        json!({ "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }] }),
    );
    cluster.compile();
    let universe = |cluster: &Cluster| {
        let compiled = cluster.compiled.as_ref().unwrap();
        Arc::as_ptr(compiled.gateway_statuses().values().next_back().unwrap())
    };
    let before = universe(&cluster);
    cluster.apply(json!({ "kind": "Namespace", "metadata": { "name": "new" } }));
    cluster.compile();
    assert_eq!(universe(&cluster), before);
}
