//! Laws of the objects of the Gateway API, with Ingresses beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headgate_compile::gateway::Status;
use headgate_compile::{
    Address, ApiObject, Compiled, GatewayOptions, Kind, KindReader, Name, Object, ObjectRef,
    Options, PublishedAddresses,
};
use headgate_table::{json as table_json, text};
use k8s_openapi::api::core::v1::Secret;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::universe::{self, Change, pem};
use super::{World, compiled_with, dump};

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Incremental compilation gives the same as full compilation, and the changed statuses add up to all of them.
    #[test]
    fn incremental_is_full_with_gateways(
        has_record in any::<bool>(),
        batches in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..16),
    ) {
        let options = options(has_record);
        let mut world = World::with(stage(), &options);
        let mut known = BTreeMap::new();
        add(&mut known, world.state());
        for batch in batches {
            let applied = format!("{batch:#?}");
            for change in batch {
                world.change(change);
            }
            world.step(&options);
            add(&mut known, world.state());
            let full = world.compiled_in_full(&options);
            same(&all(world.state()), &all(&full), &applied)?;
            prop_assert_eq!(&known, full.gateway_statuses(), "after {}", &applied);
        }
    }

    /// The result does not depend on the order in which objects arrive.
    #[test]
    fn order_of_arrival_does_not_matter_to_gateways(
        has_record in any::<bool>(),
        (objects, shuffled) in prop::collection::vec(any_object(), 0..24).prop_flat_map(|objects| {
            let objects = distinct(stage().into_iter().chain(objects));
            (Just(objects.clone()), Just(objects).prop_shuffle())
        }),
    ) {
        let options = options(has_record);
        let (one, other) = (compiled_with(objects, &options), compiled_with(shuffled, &options));
        prop_assert_eq!(all(&one), all(&other));
    }

    /// No value of a spec makes compilation panic.
    #[test]
    fn no_spec_panics(
        objects in prop::collection::vec(hostile(), 1..12),
        has_record in any::<bool>(),
    ) {
        let options = options(has_record);
        let objects = distinct(stage().into_iter().chain(objects.into_iter().flatten()));
        compiles_and_is_shown(objects, &options);
    }
}

/// Compiles objects with these specs, given as JSON, beside those of the stage; what the API server would not deliver is left out.
pub(crate) fn compile_with_others(specs: &[(Kind, String)]) {
    let objects = specs
        .iter()
        .enumerate()
        .filter_map(|(number, (kind, spec))| {
            let spec: Value = serde_json::from_str(spec).ok()?;
            let name = match kind {
                Kind::Gateway => format!("gate-{number}"),
                Kind::GatewayClass => "headgate".to_owned(),
                _ => format!("hostile-{number}"),
            };
            let metadata = json!({ "namespace": "s", "name": name });
            delivered(*kind, json!({ "metadata": metadata, "spec": spec })).ok()
        });
    if specs.is_empty() {
        return;
    }
    compiles_and_is_shown(
        distinct(stage().into_iter().chain(objects)),
        &options(false),
    );
}

fn compiles_and_is_shown(objects: Vec<Object>, options: &Options) {
    let compiled = compiled_with(objects, options);
    let _ = text(compiled.table());
    let _ = table_json(compiled.table()).to_string();
    let _ = format!("{:?}", compiled.gateway_statuses());
}

/// Asserts that two texts are the same, and tells the first line that differs.
fn same(one: &str, other: &str, applied: &str) -> Result<(), TestCaseError> {
    let lines = one.lines().map(Some).chain(std::iter::repeat(None));
    let others = other.lines().map(Some).chain(std::iter::repeat(None));
    let mut pairs = lines.zip(others).take_while(|pair| *pair != (None, None));
    let different = pairs.find(|(line, other)| line != other);
    prop_assert_eq!(different, None, "after {}", applied);
    Ok(())
}

/// Adds the changed statuses of the last compilation.
fn add(known: &mut BTreeMap<ObjectRef, Arc<Status>>, compiled: &Compiled) {
    for (object, status) in compiled.changed_gateway_statuses() {
        match status {
            Some(status) => known.insert(object.clone(), status.clone()),
            None => known.remove(object),
        };
    }
}

/// Everything that a compilation gives.
fn all(compiled: &Compiled) -> String {
    let statuses = compiled.gateway_statuses().iter();
    let mut lines = vec![dump(compiled)];
    lines.extend(statuses.map(|(object, status)| format!("{object}: {status:#?}")));
    lines.extend(
        compiled
            .gateway_services()
            .iter()
            .map(|service| format!("{service:#?}")),
    );
    lines.extend(compiled.findings().iter().map(ToString::to_string));
    lines.push(format!("{:?}", compiled.statuses()));
    lines.join("\n")
}

/// The last of each object, in the order of their first ones.
fn distinct(objects: impl Iterator<Item = Object>) -> Vec<Object> {
    let objects: Vec<Object> = objects.collect();
    let mut known = BTreeSet::new();
    let mut last: Vec<Object> = objects
        .into_iter()
        .rev()
        .filter(|object| known.insert(object.reference()))
        .collect();
    last.reverse();
    last
}

/// With a record of local ports, or with sockets on the ports themselves.
fn options(has_record: bool) -> Options {
    Options {
        gateway: Some(GatewayOptions {
            ports: has_record.then(|| Name::new("s", "ports")),
            published: Some(PublishedAddresses::Fixed(vec![Address::Ip(
                [192, 0, 2, 1].into(),
            )])),
            ..GatewayOptions::default()
        }),
        ..universe::options()
    }
}

/// The initial objects.
fn stage() -> Vec<Object> {
    let mut stage = universe::stage();
    let all = json!({ "namespaces": { "from": "All" } });
    let listener = |name: &str, port: u16| json!({ "name": name, "port": port, "protocol": "HTTP", "allowedRoutes": all });
    let gateway = json!({
        "gatewayClassName": "headgate", "allowedListeners": all,
        "listeners": [listener("listener-0", 8081), listener("listener-1", 9000)],
    });
    let set = json!({
        "parentRef": { "name": "gate-0", "namespace": "s" }, "listeners": [listener("listener-0", 9001)],
    });
    let route = |parent: Value| {
        json!({
            "parentRefs": [parent], "rules": [{ "backendRefs": [{ "name": "web", "port": 80 }] }],
        })
    };
    let of_set = |name: &str| json!({ "kind": "ListenerSet", "name": name, "namespace": "s" });
    stage.extend([
        object(Kind::Gateway, "s", "gate-0", gateway),
        object(Kind::ListenerSet, "s", "set-0", set.clone()),
        object(Kind::ListenerSet, "s", "set-1", set),
        object(
            Kind::HttpRoute,
            "s",
            "route-0",
            route(json!({ "name": "gate-0" })),
        ),
        object(Kind::HttpRoute, "s", "route-1", route(of_set("set-0"))),
        object(Kind::HttpRoute, "t", "route-1", route(of_set("set-1"))),
    ]);
    stage.extend([
        object(
            Kind::GatewayClass,
            "",
            "headgate",
            class("headgate.dev/gateway-controller"),
        ),
        labelled("t", "yes"),
        service("t", "web", 80),
        slice("t", "web"),
        secret("s", Some(0)),
        secret("t", Some(1)),
        authorities("s", true),
        authorities("t", true),
    ]);
    stage
}

/// An object of this kind with this spec, or with these other fields.
pub(crate) fn object(kind: Kind, namespace: &str, name: &str, fields: Value) -> Object {
    let number = name.bytes().last().unwrap_or_default();
    let mut value = json!({
        "metadata": {
            "namespace": namespace, "name": name, "uid": format!("{}-{namespace}-{name}", kind.as_str()),
            "creationTimestamp": format!("{}-01-01T00:00:00Z", 2020 + u32::from(number) % 3),
        },
        "spec": fields,
    });
    if !Kind::is_namespaced(kind) {
        value["metadata"]["namespace"] = Value::Null;
    }
    delivered(kind, value).unwrap()
}

/// The object of a manifest.
///
/// # Errors
/// The API server would not deliver it.
pub(crate) fn delivered(kind: Kind, manifest: Value) -> Result<Object, serde_json::Error> {
    struct Read(Value);
    impl KindReader for Read {
        type Output = Result<Object, serde_json::Error>;
        fn read<O: ApiObject>(self) -> Self::Output {
            serde_json::from_value::<O>(self.0).map(Into::into)
        }
    }
    kind.read(Read(manifest))
}

fn class(controller: &str) -> Value {
    json!({ "controllerName": controller })
}

fn labelled(name: &str, gate: &str) -> Object {
    let value = json!({ "metadata": { "name": name, "labels": { "team": "web", "gate": gate } } });
    delivered(Kind::Namespace, value).unwrap()
}

fn service(namespace: &str, name: &str, port: u16) -> Object {
    let ports = json!([{ "name": "http", "port": port, "targetPort": 8080 }]);
    object(
        Kind::Service,
        namespace,
        name,
        json!({ "clusterIP": "10.96.0.2", "ports": ports }),
    )
}

/// The Service of a Gateway, which belongs to it or to no object.
fn service_of_gateway(number: usize, is_own: bool) -> Object {
    let owner = json!([{
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": format!("gate-{number}"),
        "uid": format!("Gateway-s-gate-{number}"), "controller": true,
    }]);
    let value = json!({
        "metadata": {
            "namespace": "s", "name": format!("gate-{number}-headgate"),
            "ownerReferences": is_own.then_some(owner),
        },
        "spec": { "type": "LoadBalancer", "clusterIP": "10.96.0.3", "ports": [{ "port": 80 }] },
        "status": { "loadBalancer": { "ingress": [{ "ip": "198.51.100.7" }] } },
    });
    delivered(Kind::Service, value).unwrap()
}

fn slice(namespace: &str, service: &str) -> Object {
    let value = json!({
        "metadata": {
            "namespace": namespace, "name": format!("{service}-1"),
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4", "ports": [{ "name": "http", "port": 8080 }],
        "endpoints": [{ "addresses": ["10.0.2.1"] }],
    });
    delivered(Kind::EndpointSlice, value).unwrap()
}

/// Secret `gate`, which no Ingress names, with one of the certificates or with nonsense.
fn secret(namespace: &str, which: Option<usize>) -> Object {
    let Some(which) = which else {
        let data = json!({ "tls.crt": "bm9uZQ==", "tls.key": "bm9uZQ==" });
        let metadata = json!({ "namespace": namespace, "name": "gate" });
        return delivered(Kind::Secret, json!({ "metadata": metadata, "data": data })).unwrap();
    };
    let mut secret: Secret = universe::secret_object("gate", which);
    secret.metadata.namespace = Some(namespace.into());
    secret.into()
}

/// ConfigMap `ca`.
fn authorities(namespace: &str, is_valid: bool) -> Object {
    static AUTHORITY: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| pem(&["authority.example"]).chain);
    let text = if is_valid { &*AUTHORITY } else { "none" };
    config_map(namespace, "ca", json!({ "ca.crt": text }))
}

fn config_map(namespace: &str, name: &str, data: Value) -> Object {
    let metadata = json!({ "namespace": namespace, "name": name });
    delivered(
        Kind::ConfigMap,
        json!({ "metadata": metadata, "data": data }),
    )
    .unwrap()
}

// === strategies ===

const NAMESPACES: [&str; 3] = ["s", "s", "t"];

fn namespace() -> impl Strategy<Value = &'static str> {
    select(NAMESPACES.to_vec())
}

/// One of these values.
fn one_of(values: Value) -> impl Strategy<Value = Value> {
    let Value::Array(values) = values else {
        panic!("a list of values");
    };
    select(values)
}

fn parents() -> impl Strategy<Value = Vec<Value>> {
    let parents = vec![
        json!({ "name": "gate-0", "namespace": "s" }),
        json!({ "name": "gate-0", "namespace": "s", "sectionName": "listener-0" }),
        json!({ "name": "gate-0", "namespace": "s", "sectionName": "listener-1" }),
        json!({ "name": "gate-0", "namespace": "s", "port": 8081 }),
        json!({ "name": "gate-1", "namespace": "s" }),
        json!({ "name": "gate-1" }),
        json!({ "kind": "ListenerSet", "name": "set-0", "namespace": "s" }),
        json!({ "kind": "ListenerSet", "name": "set-1" }),
        json!({ "kind": "Service", "group": "", "name": "web" }),
    ];
    subsequence(parents, 1..3)
}

fn hostnames() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(vec!["a.test", "*.test", "*.b.test", "x.b.test"], 0..3)
}

fn backend() -> impl Strategy<Value = Value> {
    let weight = one_of(json!([null, null, 0, 3]));
    let namespace = one_of(json!([null, null, "s", "t"]));
    let kind = one_of(json!([null, null, null, "Other"]));
    let port = one_of(json!([80, 80, 81, null]));
    let name = select(vec!["web", "api", "gone"]);
    (name, port, weight, namespace, kind).prop_map(|(name, port, weight, namespace, kind)| {
        json!({ "name": name, "port": port, "weight": weight, "namespace": namespace, "kind": kind })
    })
}

fn backends() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(backend(), 0..3)
}

fn from_namespaces() -> impl Strategy<Value = Value> {
    one_of(json!([
        null, { "from": "Same" }, { "from": "All" }, { "from": "All" },
        { "from": "Selector", "selector": { "matchLabels": { "gate": "yes" } } },
        { "from": "None" },
    ]))
}

fn listener() -> impl Strategy<Value = Value> {
    let port = one_of(json!([80, 8081, 8081, 443, 9000]));
    let protocol = select(vec![
        "HTTP", "HTTP", "HTTP", "HTTPS", "HTTPS", "TLS", "TLS", "TCP", "UDP", "INVALID",
    ]);
    let hostname = one_of(json!([
        null, null, "a.test", "*.test", "*.b.test", "x.b.test"
    ]));
    let kinds = one_of(
        json!([[], [], [{ "kind": "GRPCRoute" }], [{ "kind": "TCPRoute" }, { "kind": "HTTPRoute" }]]),
    );
    let certificates = one_of(json!([
        [{ "name": "gate" }], [{ "name": "gate" }, { "name": "none" }], [{ "name": "gate", "namespace": "t" }], [],
    ]));
    let mode = one_of(json!([null, "Terminate", "Passthrough"]));
    (
        port,
        protocol,
        hostname,
        kinds,
        (certificates, mode),
        from_namespaces(),
    )
        .prop_map(
            |(port, protocol, hostname, kinds, (certificates, mode), namespaces)| {
                let tls = json!({ "mode": mode, "certificateRefs": certificates });
                json!({
                    "port": port, "protocol": protocol, "hostname": hostname,
                    "allowedRoutes": { "namespaces": namespaces, "kinds": kinds },
                    "tls": matches!(protocol, "HTTPS" | "TLS").then_some(tls),
                })
            },
        )
}

fn listeners() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(listener(), 1..4).prop_map(|mut listeners| {
        for (number, listener) in listeners.iter_mut().enumerate() {
            listener["name"] = json!(format!("listener-{number}"));
        }
        listeners
    })
}

type Manifest = (Kind, &'static str, String, Value);

fn gateway() -> impl Strategy<Value = Manifest> {
    let class = select(vec!["headgate", "headgate", "headgate", "other"]);
    let addresses = one_of(json!([
        [], [], [], [{ "value": "10.9.0.1" }], [{ "type": "Hostname", "value": "a.test" }], [{ "type": "example.com/x" }],
    ]));
    let authorities = json!([{ "kind": "ConfigMap", "group": "", "name": "ca" }]);
    let foreign = json!([{ "kind": "ConfigMap", "group": "", "name": "ca", "namespace": "t" }]);
    let tls = one_of(json!([
        null, null,
        { "frontend": { "default": { "validation": { "caCertificateRefs": authorities } } } },
        { "frontend": { "default": {}, "perPort": [{ "port": 443, "tls": { "validation": {
            "caCertificateRefs": foreign, "mode": "AllowInsecureFallback" } } }] } },
        { "backend": { "clientCertificateRef": { "name": "gate" } } },
        { "backend": { "clientCertificateRef": { "name": "gate", "namespace": "t" } } },
    ]));
    let parameters =
        json!({ "group": "headgate.dev", "kind": "HeadgateParameters", "name": "size" });
    let infrastructure =
        one_of(json!([null, null, { "labels": { "l": "1" } }, { "parametersRef": parameters }]));
    (0..2_usize, class, listeners(), addresses, (from_namespaces(), tls, infrastructure)).prop_map(
        |(number, class, listeners, addresses, (allowed, tls, infrastructure))| {
            let spec = json!({
                "gatewayClassName": class, "listeners": listeners, "addresses": addresses, "tls": tls,
                "allowedListeners": { "namespaces": allowed }, "infrastructure": infrastructure,
            });
            (Kind::Gateway, "s", format!("gate-{number}"), spec)
        },
    )
}

fn listener_set() -> impl Strategy<Value = Manifest> {
    (namespace(), 0..2_usize, 0..2_usize, listeners()).prop_map(
        |(namespace, number, gateway, listeners)| {
            let parent = json!({ "name": format!("gate-{gateway}"), "namespace": "s" });
            let spec = json!({ "parentRef": parent, "listeners": listeners });
            (Kind::ListenerSet, namespace, format!("set-{number}"), spec)
        },
    )
}

fn http_route() -> impl Strategy<Value = Manifest> {
    let path = one_of(json!([
        null, { "value": "/a" }, { "type": "Exact", "value": "/a" }, { "type": "RegularExpression", "value": "/b.*" },
        { "type": "RegularExpression", "value": "(" },
    ]));
    let method = one_of(json!([null, null, "GET"]));
    let headers = one_of(json!([[], [], [{ "name": "x-a", "value": "1" }]]));
    let matched = (path, method, headers).prop_map(
        |(path, method, headers)| json!({ "path": path, "method": method, "headers": headers }),
    );
    let filter = |kind: &str, field: &str, value: Value| json!({ "type": kind, field: value });
    let service = json!({ "name": "api", "port": 80 });
    let foreign = json!({ "name": "web", "port": 80, "namespace": "t" });
    let filters = one_of(json!([
        [],
        [],
        [],
        [filter(
            "RequestHeaderModifier",
            "requestHeaderModifier",
            json!({ "set": [{ "name": "x-b", "value": "1" }] })
        )],
        [filter(
            "RequestRedirect",
            "requestRedirect",
            json!({ "hostname": "c.test" })
        )],
        [filter(
            "RequestMirror",
            "requestMirror",
            json!({ "backendRef": service })
        )],
        [filter(
            "RequestMirror",
            "requestMirror",
            json!({ "backendRef": foreign })
        )],
        [filter(
            "ExternalAuth",
            "externalAuth",
            json!({ "protocol": "HTTP", "backendRef": service })
        )],
        [filter(
            "ExternalAuth",
            "externalAuth",
            json!({ "protocol": "GRPC", "backendRef": service, "forwardBody": { "maxSize": 9 } })
        )],
        [filter(
            "ExtensionRef",
            "extensionRef",
            json!({ "group": "x", "kind": "Y", "name": "z" })
        )],
    ]));
    let session = one_of(json!([null, null, null, { "sessionName": "own" }]));
    let rule = (prop::collection::vec(matched, 0..3), filters, backends(), session).prop_map(
        |(matches, filters, backends, session)| {
            json!({ "matches": matches, "filters": filters, "backendRefs": backends, "sessionPersistence": session })
        },
    );
    route(Kind::HttpRoute, prop::collection::vec(rule, 0..3))
}

fn grpc_route() -> impl Strategy<Value = Manifest> {
    let method = one_of(
        json!([null, { "service": "a.B" }, { "service": "a.B", "method": "C" }, { "method": "C" }]),
    );
    let rule = (method, backends()).prop_map(
        |(method, backends)| json!({ "matches": [{ "method": method }], "backendRefs": backends }),
    );
    route(Kind::GrpcRoute, prop::collection::vec(rule, 0..3))
}

fn stream_route(kind: Kind) -> impl Strategy<Value = Manifest> {
    let rule = backends().prop_map(|backends| vec![json!({ "backendRefs": backends })]);
    route(kind, rule)
}

fn route(kind: Kind, rules: impl Strategy<Value = Vec<Value>>) -> impl Strategy<Value = Manifest> {
    (namespace(), 0..3_usize, parents(), hostnames(), rules).prop_map(
        move |(namespace, number, parents, hostnames, rules)| {
            let spec = json!({ "parentRefs": parents, "hostnames": hostnames, "rules": rules });
            (kind, namespace, format!("route-{number}"), spec)
        },
    )
}

fn grant() -> impl Strategy<Value = Manifest> {
    let from = select(vec![
        "HTTPRoute",
        "TCPRoute",
        "TLSRoute",
        "Gateway",
        "ListenerSet",
    ]);
    let to = one_of(json!([
        { "kind": "Service" }, { "kind": "Service", "name": "web" }, { "kind": "Secret" }, { "kind": "ConfigMap" },
    ]));
    (namespace(), 0..2_usize, namespace(), prop::collection::vec(from, 1..4), to).prop_map(
        |(namespace, number, other, from, to)| {
            let from: Vec<Value> = from
                .into_iter()
                .map(|kind| json!({ "group": "gateway.networking.k8s.io", "kind": kind, "namespace": other }))
                .collect();
            (Kind::ReferenceGrant, namespace, format!("grant-{number}"), json!({ "from": from, "to": [to] }))
        },
    )
}

fn policy() -> impl Strategy<Value = Manifest> {
    let target = one_of(json!([
        { "group": "", "kind": "Service", "name": "web" },
        { "group": "", "kind": "Service", "name": "web", "sectionName": "http" },
        { "group": "", "kind": "Service", "name": "api" },
        { "group": "", "kind": "Service", "name": "gone" },
    ]));
    let validation = one_of(json!([
        { "hostname": "b.test", "wellKnownCACertificates": "System" },
        { "hostname": "b.test", "caCertificateRefs": [{ "group": "", "kind": "ConfigMap", "name": "ca" }] },
        { "hostname": "b.test", "caCertificateRefs": [{ "group": "", "kind": "Secret", "name": "gate" }] },
    ]));
    (
        namespace(),
        0..2_usize,
        prop::collection::vec(target, 1..3),
        validation,
    )
        .prop_map(|(namespace, number, targets, validation)| {
            let spec = json!({ "targetRefs": targets, "validation": validation });
            (
                Kind::BackendTlsPolicy,
                namespace,
                format!("policy-{number}"),
                spec,
            )
        })
}

fn traffic_policy() -> impl Strategy<Value = Manifest> {
    let target = one_of(json!([
        { "group": "", "kind": "Service", "name": "web" },
        { "group": "", "kind": "Service", "name": "api" },
        { "group": "", "kind": "Service", "name": "gone" },
    ]));
    let content = one_of(json!([
        { "sessionPersistence": { "sessionName": "of-service" } },
        { "retryConstraint": {} },
        { "retryConstraint": { "budget": { "percent": 5, "interval": "1m" } }, "sessionPersistence": {} },
        { "retryConstraint": { "budget": { "percent": 500 } } },
    ]));
    let targets = prop::collection::vec(target, 1..3);
    (namespace(), 0..2_usize, targets, content).prop_map(
        |(namespace, number, targets, mut spec)| {
            spec["targetRefs"] = targets.into();
            let name = format!("traffic-{number}");
            (Kind::BackendTrafficPolicy, namespace, name, spec)
        },
    )
}

/// An object whose fields are in its spec.
fn manifest() -> impl Strategy<Value = Manifest> {
    let controller = select(vec![
        "headgate.dev/gateway-controller",
        "headgate.dev/gateway-controller",
        "example.com/x",
    ]);
    let size = one_of(json!([{ "type": "ClusterIP" }, { "type": "Nonsense" }]));
    prop_oneof![
        5 => gateway(),
        3 => listener_set(),
        6 => http_route(),
        2 => grpc_route(),
        2 => stream_route(Kind::TlsRoute),
        2 => stream_route(Kind::TcpRoute),
        1 => stream_route(Kind::UdpRoute),
        2 => grant(),
        2 => policy(),
        2 => traffic_policy(),
        1 => controller.prop_map(|controller| (Kind::GatewayClass, "", "headgate".to_owned(), class(controller))),
        1 => size.prop_map(|size| (Kind::HeadgateParameters, "s", "size".to_owned(), json!({ "service": size }))),
    ]
}

fn any_object() -> impl Strategy<Value = Object> {
    let local = json!({ "20000": "s/gate-0:80/TCP", "20001": "s/gate-0:8081/TCP", "20002": "s/gate-1:443/TCP",
        "20003": "s/gate-1:80/TCP", "20004": "s/gate-0:9000/UDP", "80": "s/gate-1:8081/TCP" });
    let local: Vec<(String, Value)> = local.as_object().unwrap().clone().into_iter().collect();
    let local = subsequence(local, 0..6);
    prop_oneof![
        20 => manifest().prop_map(|(kind, namespace, name, spec)| object(kind, namespace, &name, spec)),
        1 => (namespace(), select(vec!["yes", "no"])).prop_map(|(name, gate)| labelled(name, gate)),
        1 => (namespace(), prop::option::of(0..2_usize)).prop_map(|(namespace, which)| secret(namespace, which)),
        1 => (namespace(), any::<bool>()).prop_map(|(namespace, is_valid)| authorities(namespace, is_valid)),
        1 => (namespace(), select(vec!["web", "api"]), select(vec![80, 81])).prop_map(|(namespace, name, port)| service(namespace, name, port)),
        1 => select(vec!["web", "api"]).prop_map(|service| slice("t", service)),
        1 => (0..2_usize, any::<bool>()).prop_map(|(number, is_own)| service_of_gateway(number, is_own)),
        1 => local.prop_map(|local| config_map("s", "ports", Value::Object(local.into_iter().collect()))),
    ]
}

fn any_deletion() -> impl Strategy<Value = Change> {
    any_object().prop_map(|object| Change::Delete(object.reference()))
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        12 => any_object().prop_map(Change::Apply),
        4 => any_deletion(),
        3 => universe::change(),
    ]
}

/// An object in whose spec some values are others; `None`: the API server would not deliver it.
fn hostile() -> impl Strategy<Value = Option<Object>> {
    let text = prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9/.*$(){}~,:|?%-]{0,24}",
        select(vec![
            "",
            "*",
            "*.",
            ".",
            "*.*",
            "/",
            "//",
            "(",
            "[::1]",
            "0",
            "65536",
            "\u{0}",
            "\r\n",
            "1h",
            "99999999h"
        ])
        .prop_map(str::to_owned),
    ];
    let value = prop_oneof![
        4 => text.prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => (0..70_000_u32).prop_map(Value::from),
        1 => one_of(json!([null, [], {}, true])),
    ];
    (
        manifest(),
        prop::collection::vec((any::<prop::sample::Index>(), value), 1..4),
    )
        .prop_map(|((kind, namespace, name, mut spec), changes)| {
            for (at, value) in changes {
                let places = leaves(&spec, String::new());
                if let Some(place) = (!places.is_empty()).then(|| at.get(&places)) {
                    *spec.pointer_mut(place).unwrap() = value;
                }
            }
            let metadata = json!({ "namespace": namespace, "name": name });
            delivered(kind, json!({ "metadata": metadata, "spec": spec })).ok()
        })
}

/// The pointers (RFC 6901) to the values that are neither lists nor objects with fields.
fn leaves(value: &Value, at: String) -> Vec<String> {
    match value {
        Value::Object(fields) if !fields.is_empty() => fields
            .iter()
            .flat_map(|(name, value)| leaves(value, format!("{at}/{name}")))
            .collect(),
        Value::Array(values) if !values.is_empty() => values
            .iter()
            .enumerate()
            .flat_map(|(index, value)| leaves(value, format!("{at}/{index}")))
            .collect(),
        _ => vec![at],
    }
}
