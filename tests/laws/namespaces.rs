//! No Ingress reads a Secret or ConfigMap of another namespace, unless `allow-cross-namespace-resources` permits it. The
//! annotations are those that the registry says name one: a new one fails here until it has a line.

use std::collections::BTreeMap;

use headgate_compile::{Kind, Name, Object, Options, Snapshot, annotations, compile};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};

use super::dump;
use super::universe::{PREFIX, fallback, pem};

/// Annotations that name an object, each with those that it needs to be read.
const NAMING: &[(&str, &[(&str, &str)])] = &[
    ("auth-secret", &[("auth-type", "basic")]),
    ("auth-tls-secret", &[]),
    ("proxy-ssl-secret", &[("backend-protocol", "HTTPS")]),
    (
        "auth-proxy-set-headers",
        &[("auth-url", "http://auth.example/")],
    ),
    ("fastcgi-params-configmap", &[("backend-protocol", "FCGI")]),
    ("custom-headers", &[]),
];

/// Of any namespace, as in ingress-nginx: the operator names the fields that it may set (`global-allowed-response-headers`).
const OF_ANY_NAMESPACE: &[&str] = &["custom-headers"];

#[test]
fn objects_of_other_namespaces_are_not_read() {
    let named: Vec<_> = annotations::all()
        .filter(|row| matches!(row.entry.names, Some(Kind::Secret | Kind::ConfigMap)))
        .collect();
    assert!(named.len() >= 6, "{}", named.len());
    for row in named {
        let name = row.entry.name;
        let (_, others) = NAMING
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("{name} names an object: it needs a line in NAMING"));
        let mut all: BTreeMap<&str, &str> = others.iter().copied().collect();
        all.insert(name, "theirs/object");
        let ingress = || ingress(&all, "own");
        assert_ne!(
            compiled(ingress(), true, &[]),
            compiled(ingress(), true, &theirs()),
            "{name} is not read at all"
        );
        if !OF_ANY_NAMESPACE.contains(&name) {
            assert_eq!(
                compiled(ingress(), false, &[]),
                compiled(ingress(), false, &theirs()),
                "{name} reads an object of another namespace"
            );
        }
    }
}

#[test]
fn the_secret_of_tls_is_of_the_own_namespace() {
    let annotations = BTreeMap::new();
    for allowed in [false, true] {
        let ingress = || ingress(&annotations, "theirs/object");
        assert_eq!(
            compiled(ingress(), allowed, &[]),
            compiled(ingress(), allowed, &theirs())
        );
    }
}

/// An Ingress of `ours/web` with these annotations and this Secret for TLS.
fn ingress(annotations: &BTreeMap<&str, &str>, secret: &str) -> Object {
    let annotations: BTreeMap<String, &str> = annotations
        .iter()
        .map(|(name, value)| (format!("{PREFIX}{name}"), *value))
        .collect();
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "web", "port": { "number": 80 } } } });
    typed::<Ingress>(json!({
        "metadata": { "namespace": "ours", "name": "web", "annotations": annotations },
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{ "hosts": ["a.example"], "secretName": secret }],
            "rules": [{ "host": "a.example", "http": { "paths": [path] } }],
        },
    }))
    .into()
}

/// `theirs/object` as a Secret with all that an annotation may look for, and as a ConfigMap.
fn theirs() -> [Object; 2] {
    let pem = pem(&["a.example"]);
    let metadata = json!({ "namespace": "theirs", "name": "object" });
    let mut secret: Secret = typed(json!({ "metadata": metadata }));
    let texts = [
        ("tls.crt", &*pem.chain),
        ("tls.key", &*pem.key),
        ("ca.crt", &*pem.chain),
        ("auth", "user:{PLAIN}password"),
    ];
    let data = texts.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
    secret.data = Some(data.into());
    let map: ConfigMap = typed(json!({ "metadata": metadata, "data": { "X-Theirs": "text" } }));
    [secret.into(), map.into()]
}

/// Table and findings.
fn compiled(ingress: Object, allowed: bool, theirs: &[Object]) -> (String, String) {
    let class: IngressClass = typed(json!({
        "metadata": { "name": "nginx" },
        "spec": { "controller": "k8s.io/ingress-nginx" },
    }));
    let settings: ConfigMap = typed(json!({
        "metadata": { "namespace": "ours", "name": "settings" },
        "data": {
            "allow-cross-namespace-resources": allowed.to_string(),
            "global-allowed-response-headers": "X-Theirs",
        },
    }));
    let mut snapshot = Snapshot::default();
    let ours = [class.into(), settings.into(), ingress];
    for object in ours.into_iter().chain(theirs.iter().cloned()) {
        snapshot.apply(object);
    }
    let options = Options {
        settings: Some(Name::new("ours", "settings")),
        ..Options::default()
    };
    let changes = snapshot.take_changes();
    let compiled = compile(&snapshot, &changes, None, &options, fallback());
    let findings = compiled.findings();
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    (dump(&compiled), findings.join("\n"))
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
