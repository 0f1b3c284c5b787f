//! A small universe of objects with few names, so that random changes affect each other.

use std::sync::{Arc, LazyLock};

use headgate_compile::{
    EndpointOptions, Kind, Name, Namespaces, Object, ObjectRef, Options, Snapshot,
    certificate_from_pem,
};
use headgate_table::{Certificate, PrivateBytes};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use proptest::prelude::*;
use serde_json::{Value, json};

pub(crate) const PREFIX: &str = "nginx.ingress.kubernetes.io/";
const HOSTS: [&str; 8] = [
    "a.example",
    "www.a.example",
    "b.example",
    "www.b.example",
    "*.b.example",
    "x.b.example",
    "alias.example",
    "",
];
const SERVICES: [&str; 3] = ["web", "api", "gone"];
/// None of these refuses an Ingress: a refused update keeps the last good version, which full compilation cannot know.
const ANNOTATIONS: [(&str, &str); 32] = [
    ("use-regex", "true"),
    ("rewrite-target", "/x"),
    ("rewrite-target", "/a"),
    ("canary-weight", "20"),
    ("canary-by-header", "X-Canary"),
    ("affinity", "cookie"),
    ("affinity", "cookie"),
    ("affinity-mode", "persistent"),
    ("affinity-canary-behavior", "legacy"),
    ("session-cookie-name", "OTHER"),
    ("from-to-www-redirect", "true"),
    ("from-to-www-redirect", "true"),
    ("server-alias", "alias.example,*.deep.example"),
    ("server-alias", "alias.example,~^v[0-9]+$,x.b.example"),
    ("app-root", "/app"),
    ("limit-rps", "5"),
    ("enable-cors", "true"),
    ("allowlist-source-range", "10.0.0.0/8"),
    ("allowlist-source-range", "nonsense"),
    ("auth-url", "https://auth.example/"),
    ("auth-tls-secret", "s/ca"),
    ("default-backend", "api"),
    ("default-backend", "gone"),
    ("custom-http-errors", "404,503"),
    ("backend-protocol", "HTTPS"),
    ("backend-protocol", "FCGI"),
    ("fastcgi-params-configmap", "headers"),
    ("service-upstream", "true"),
    ("ssl-passthrough", "true"),
    ("load-balance", "ewma"),
    ("custom-headers", "s/headers"),
    ("permanent-redirect", "https://new.example"),
];
const SETTINGS: [(&str, &str); 9] = [
    ("max-regex-memory-per-namespace", "40k"),
    ("ssl-redirect", "false"),
    ("load-balance", "ewma"),
    ("custom-http-errors", "503"),
    ("whitelist-source-range", "192.0.2.0/24"),
    ("global-allowed-response-headers", "X-One"),
    ("add-headers", "s/headers"),
    ("global-auth-url", "https://auth.example/"),
    ("service-upstream", "true"),
];

/// One change of the universe.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Apply(Object),
    Delete(ObjectRef),
    ClassesReadable(bool),
    Zone(Option<Arc<str>>),
}

impl Change {
    pub(crate) fn write(self, snapshot: &mut Snapshot) {
        match self {
            Self::Apply(object) => snapshot.apply(object),
            Self::Delete(object) => snapshot.delete(&object),
            Self::ClassesReadable(readable) => snapshot.set_classes_readable(readable),
            Self::Zone(zone) => snapshot.set_zone(zone),
        };
    }
}

/// A path of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) service: &'static str,
    pub(crate) port: i32,
}

impl Path {
    pub(crate) fn new(path: &str, kind: &str, service: &'static str) -> Self {
        Self {
            path: path.into(),
            kind: kind.into(),
            service,
            port: 80,
        }
    }
}

/// An Ingress of the universe.
#[derive(Clone, Debug)]
pub(crate) struct IngressSpec {
    pub(crate) number: usize,
    pub(crate) year: u32,
    pub(crate) class: &'static str,
    pub(crate) host: &'static str,
    pub(crate) second_host: Option<&'static str>,
    pub(crate) paths: Vec<Path>,
    pub(crate) default_backend: Option<&'static str>,
    pub(crate) annotations: Vec<(&'static str, &'static str)>,
    pub(crate) tls: Option<&'static str>,
    /// Has only a default backend.
    pub(crate) without_rules: bool,
}

impl IngressSpec {
    /// Sends all requests of a host to Service `web`.
    pub(crate) fn at(number: usize, host: &'static str) -> Self {
        Self {
            number,
            year: 2020,
            class: "nginx",
            host,
            second_host: None,
            paths: vec![Path::new("/", "Prefix", "web")],
            default_backend: None,
            annotations: Vec::new(),
            tls: None,
            without_rules: false,
        }
    }
}

/// The object.
pub(crate) fn ingress(spec: IngressSpec) -> Object {
    let annotations: std::collections::BTreeMap<String, &str> = spec
        .annotations
        .iter()
        .map(|(name, value)| (format!("{PREFIX}{name}"), *value))
        .collect();
    let backend = |service: &str, port: i32| json!({ "service": { "name": service, "port": { "number": port } } });
    let paths: Vec<Value> = spec
        .paths
        .iter()
        .map(|path| {
            let backend = backend(path.service, path.port);
            json!({ "path": path.path, "pathType": path.kind, "backend": backend })
        })
        .collect();
    let hosts = [Some(spec.host), spec.second_host];
    let rules: Vec<Value> = hosts
        .into_iter()
        .flatten()
        .filter(|_| !spec.without_rules)
        .map(|host| json!({ "host": host, "http": { "paths": paths } }))
        .collect();
    let value = json!({
        "metadata": {
            "namespace": "s",
            "name": format!("ingress-{}", spec.number),
            "uid": format!("uid-{}", spec.number),
            "creationTimestamp": format!("{}-01-01T00:00:00Z", spec.year),
            "annotations": annotations,
        },
        "spec": {
            "ingressClassName": spec.class,
            "rules": rules,
            "tls": spec.tls.map(|secret| vec![json!({ "hosts": [spec.host], "secretName": secret })]),
            "defaultBackend": spec.default_backend.map(|service| backend(service, 80)),
        },
    });
    serde_json::from_value::<Ingress>(value).unwrap().into()
}

fn service(name: &str, sticky: bool) -> Object {
    let value = json!({
        "metadata": { "namespace": "s", "name": name },
        "spec": {
            "clusterIP": "10.96.0.1",
            "sessionAffinity": if sticky { "ClientIP" } else { "None" },
            "trafficDistribution": if sticky { "PreferClose" } else { "" },
            "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }],
        },
    });
    serde_json::from_value::<Service>(value).unwrap().into()
}

/// A slice of a Service.
pub(crate) fn slice(service: &str, number: usize, addresses: &[&str]) -> Object {
    named_slice(&format!("{service}-{number}"), service, addresses)
}

/// Endpoints whose address ends in 1 have a hint for zone `near`, others for `far`.
fn named_slice(name: &str, service: &str, addresses: &[&str]) -> Object {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| {
            let zone = if address.ends_with('1') {
                "near"
            } else {
                "far"
            };
            json!({ "addresses": [address], "hints": { "forZones": [{ "name": zone }] } })
        })
        .collect();
    let value = json!({
        "metadata": {
            "namespace": "s",
            "name": name,
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": 8080 }],
        "endpoints": endpoints,
    });
    serde_json::from_value::<EndpointSlice>(value)
        .unwrap()
        .into()
}

/// The ConfigMap of the settings.
pub(crate) fn settings(data: &[(&str, &str)]) -> Object {
    config_map("settings", data)
}

fn config_map(name: &str, data: &[(&str, &str)]) -> Object {
    let data: std::collections::BTreeMap<_, _> = data.iter().copied().collect();
    let value = json!({ "metadata": { "namespace": "s", "name": name }, "data": data });
    serde_json::from_value::<ConfigMap>(value).unwrap().into()
}

fn namespace() -> Object {
    let value = json!({ "metadata": { "name": "s", "labels": { "team": "web" } } });
    serde_json::from_value::<Namespace>(value).unwrap().into()
}

fn class(is_selected: bool) -> Object {
    class_with(is_selected, None)
}

/// With parameters in ConfigMap `s/headers`, which has no valid setting, or `s/more`.
fn class_with(is_selected: bool, parameters: Option<&str>) -> Object {
    let controller = if is_selected {
        "k8s.io/ingress-nginx"
    } else {
        "example.com/other"
    };
    let parameters = parameters.map(
        |name| json!({ "kind": "ConfigMap", "name": name, "namespace": "s", "scope": "Namespace" }),
    );
    let spec = json!({ "controller": controller, "parameters": parameters });
    let value = json!({ "metadata": { "name": "nginx" }, "spec": spec });
    serde_json::from_value::<IngressClass>(value)
        .unwrap()
        .into()
}

/// A certificate and its key as PEM.
pub(crate) struct Pem {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// A new one for these names.
pub(crate) fn pem(names: &[&str]) -> Pem {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let generated = rcgen::generate_simple_self_signed(names).unwrap();
    Pem {
        chain: generated.cert.pem(),
        key: generated.signing_key.serialize_pem(),
    }
}

static CERTIFICATES: LazyLock<[Pem; 2]> = LazyLock::new(|| {
    [
        pem(&["a.example", "www.a.example"]),
        pem(&["b.example", "*.b.example"]),
    ]
});

static FALLBACK: LazyLock<Arc<Certificate>> = LazyLock::new(|| {
    let pem = pem(&["ingress.local"]);
    let key = PrivateBytes(pem.key.into_bytes());
    Arc::new(certificate_from_pem(pem.chain.as_bytes(), &key, "default").unwrap())
});

/// The default certificate.
pub(crate) fn fallback() -> &'static Arc<Certificate> {
    &FALLBACK
}

/// A Secret with one of the certificates. Secrets are never deleted or invalid here: the last valid certificate would stay in
/// service, which full compilation cannot know.
fn secret(name: &str, which: usize) -> Object {
    secret_object(name, which).into()
}

/// A Secret with one of the certificates.
pub(crate) fn secret_object(name: &str, which: usize) -> Secret {
    let pem = CERTIFICATES.get(which).unwrap();
    let mut secret = Secret::default();
    secret.metadata.namespace = Some("s".into());
    secret.metadata.name = Some(name.into());
    let entry = |key: &str, text: &str| {
        let bytes = k8s_openapi::ByteString(text.as_bytes().to_vec());
        (key.to_owned(), bytes)
    };
    secret.data = Some([entry("tls.crt", &pem.chain), entry("tls.key", &pem.key)].into());
    secret
}

/// The initial objects.
pub(crate) fn stage() -> Vec<Object> {
    vec![
        namespace(),
        class(true),
        service("web", false),
        service("api", false),
        slice("web", 1, &["10.0.0.1", "10.0.0.2"]),
        slice("api", 1, &["10.0.1.1"]),
        secret("cert-a", 0),
        secret("cert-b", 1),
        config_map("settings", &[]),
    ]
}

/// The flags of the universe.
pub(crate) fn options() -> Options {
    Options {
        settings: Some(Name::new("s", "settings")),
        default_backend: Some(Name::new("s", "web")),
        default_certificate: Some(Name::new("s", "cert-b")),
        namespaces: Namespaces::Selected("team=web".parse().unwrap()),
        explain_unserved: true,
        ssl_passthrough: true,
        endpoints: EndpointOptions {
            topology: true,
            ..EndpointOptions::default()
        },
        ..Options::default()
    }
}

// === strategies ===

fn path() -> impl Strategy<Value = Path> {
    let text = prop::sample::select(vec!["/", "/a", "/a/", "/b(.*)", "/(", "/b{200}"]);
    let kind = prop::sample::select(vec!["Prefix", "Prefix", "Exact", "ImplementationSpecific"]);
    let service = prop::sample::select(SERVICES.to_vec());
    (text, kind, service).prop_map(|(text, kind, service)| Path::new(text, kind, service))
}

fn any_ingress() -> impl Strategy<Value = Object> {
    let host = || prop::sample::select(HOSTS.to_vec());
    let spec = (
        (0..6_usize, 2020..2023_u32, host()),
        prop::option::weighted(0.3, host()),
        prop::collection::vec(path(), 0..3),
        prop::option::weighted(0.2, prop::sample::select(SERVICES.to_vec())),
        prop::sample::subsequence(ANNOTATIONS.to_vec(), 0..6),
        prop::option::weighted(
            0.4,
            prop::sample::select(vec!["cert-a", "cert-b", "cert-none"]),
        ),
        (
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.25),
        ),
    );
    spec.prop_map(
        |(
            (number, year, host),
            second_host,
            paths,
            default_backend,
            mut annotations,
            tls,
            rare,
        )| {
            let (other_class, without_rules, canary) = rare;
            annotations.extend(canary.then_some(("canary", "true")));
            ingress(IngressSpec {
                number,
                year,
                class: if other_class { "other" } else { "nginx" },
                host,
                second_host,
                paths,
                default_backend,
                annotations,
                tls,
                without_rules,
            })
        },
    )
}

fn any_other() -> impl Strategy<Value = Object> {
    let service_name = || prop::sample::select(SERVICES.to_vec());
    let addresses = || prop::sample::subsequence(vec!["10.0.0.1", "10.0.0.2", "127.0.0.1"], 0..3);
    prop_oneof![
        3 => (service_name(), 1..3_usize, addresses()).prop_map(|(name, number, addresses)| slice(name, number, &addresses)),
        1 => (service_name(), addresses()).prop_map(|(name, addresses)| named_slice("moving", name, &addresses)),
        2 => (service_name(), any::<bool>()).prop_map(|(name, sticky)| service(name, sticky)),
        2 => (prop::sample::select(vec!["cert-a", "cert-b"]), 0..2_usize).prop_map(|(name, which)| secret(name, which)),
        2 => prop::sample::subsequence(SETTINGS.to_vec(), 0..4).prop_map(|data| settings(&data)),
        1 => prop::sample::select(vec!["X-One", "X-Two", "X Three"]).prop_map(|name| config_map("headers", &[(name, "1")])),
        2 => (any::<bool>(), prop::sample::select(vec![None, Some("more"), Some("headers")])).prop_map(|(is_selected, parameters)| class_with(is_selected, parameters)),
        1 => prop::sample::subsequence(SETTINGS.to_vec(), 0..3).prop_map(|data| config_map("more", &data)),
        1 => Just(namespace()),
    ]
}

fn any_deletion() -> impl Strategy<Value = Change> {
    let reference = |kind, name: String| {
        let namespace = if Kind::is_namespaced(kind) { "s" } else { "" };
        Change::Delete(ObjectRef {
            kind,
            name: Name::new(namespace, &name),
        })
    };
    prop_oneof![
        6 => (0..6_usize).prop_map(move |number| reference(Kind::Ingress, format!("ingress-{number}"))),
        2 => prop::sample::select(SERVICES.to_vec()).prop_map(move |name| reference(Kind::Service, name.into())),
        2 => (prop::sample::select(SERVICES.to_vec()), 1..3_usize).prop_map(move |(name, number)| reference(Kind::EndpointSlice, format!("{name}-{number}"))),
        1 => prop::sample::select(vec!["settings", "headers", "more"]).prop_map(move |name| reference(Kind::ConfigMap, name.into())),
        1 => Just(reference(Kind::IngressClass, "nginx".into())),
        1 => Just(reference(Kind::Namespace, "s".into())),
    ]
}

/// Any change.
pub(crate) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        10 => any_ingress().prop_map(Change::Apply),
        4 => any_other().prop_map(Change::Apply),
        3 => any_deletion(),
        1 => any::<bool>().prop_map(Change::ClassesReadable),
        1 => prop::sample::select(vec![None, Some("near"), Some("gone")])
            .prop_map(|zone| Change::Zone(zone.map(Into::into))),
    ]
}

/// Objects with distinct kinds and names.
pub(crate) fn objects() -> impl Strategy<Value = Vec<Object>> {
    prop::collection::vec(any_ingress(), 0..10).prop_map(|objects| {
        let mut known = std::collections::BTreeSet::new();
        objects
            .into_iter()
            .filter(|object| known.insert(object.reference()))
            .collect()
    })
}
