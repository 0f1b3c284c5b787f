//! Each documented default is what applies without the annotation, and another value is seen in the table.

use std::sync::{Arc, LazyLock};

use headgate_table::{Certificate, PrivateBytes, text};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ingress::annotations::{Annotation, DEFAULT_PREFIX, all, full_name};
use crate::ingress::registry::samples::SAMPLES;
use crate::ingress::registry::{Support, Validation};
use crate::{Compiled, Options, Snapshot, certificate_from_pem, compile};

type Pairs<'a> = &'a [(&'a str, &'a str)];

#[test]
fn defaults_written_out_change_nothing() {
    for row in with_default() {
        let name = row.entry.name;
        let written = compiled(name, Some(row.entry.default));
        assert_eq!(written, compiled(name, None), "{name}");
    }
}

#[test]
fn other_values_than_the_default_are_seen_in_the_table() {
    let unseen = with_default().map(|row| row.entry).filter(|entry| {
        let absent = compiled(entry.name, None);
        let valid = |text: &&&str| entry.kind.parse(text, Validation::Full).is_ok();
        let mut samples = SAMPLES.iter().filter(valid);
        !samples.any(|text| compiled(entry.name, Some(text)) != absent)
    });
    let unseen: Vec<_> = unseen.map(|entry| entry.name).collect();
    // It exempts from `global-auth-url`, a ConfigMap key.
    let by_settings_alone = ["enable-global-auth"];
    assert_eq!(unseen, by_settings_alone, "or without a value in SAMPLES");
}

fn with_default() -> impl Iterator<Item = &'static Annotation> {
    all().filter(|row| row.entry.support == Support::Honoured && !row.entry.default.is_empty())
}

/// What an annotation is written beside, so that it has an effect.
fn beside(name: &str) -> Pairs<'static> {
    match name {
        "affinity-canary-behavior" => &[
            ("canary", "true"),
            ("canary-weight", "10"),
            ("affinity", "cookie"),
        ],
        "auth-always-set-cookie" => &[("auth-url", "http://auth.example/")],
        "auth-cache-duration" => &[
            ("auth-url", "http://auth.example/"),
            ("auth-cache-key", "$host"),
        ],
        "auth-signin-redirect-param" => &[
            ("auth-url", "http://auth.example/"),
            ("auth-signin", "https://auth.example/"),
        ],
        "auth-secret-type" => &[("auth-type", "basic"), ("auth-secret", "users")],
        "canary-weight" => &[("canary", "true")],
        "canary-weight-total" => &[("canary", "true"), ("canary-weight", "10")],
        "disable-proxy-intercept-errors" => &[("custom-http-errors", "404")],
        "headgate.dev/health-check-interval"
        | "headgate.dev/health-check-timeout"
        | "headgate.dev/health-check-unhealthy-threshold"
        | "headgate.dev/health-check-healthy-threshold" => {
            &[("headgate.dev/health-check-path", "/")]
        }
        "mirror-request-body" => &[("mirror-target", "http://mirror.example/")],
        "limit-burst-multiplier" => &[("limit-rps", "3")],
        "limit-rate-after" => &[("limit-rate", "3")],
        "permanent-redirect-code" => &[("permanent-redirect", "https://other.example")],
        "temporal-redirect-code" => &[("temporal-redirect", "https://other.example")],
        "upstream-hash-by-subset" => &[("upstream-hash-by", "$host")],
        "upstream-hash-by-subset-size" => &[
            ("upstream-hash-by", "$host"),
            ("upstream-hash-by-subset", "true"),
        ],
        "proxy-redirect-to" => &[("proxy-redirect-from", "http://from.example/")],
        "proxy-redirect-from" => &[("proxy-redirect-to", "http://to.example/")],
        "opentelemetry-trust-incoming-span" | "opentelemetry-operation-name" => {
            &[("enable-opentelemetry", "true")]
        }
        _ if name.starts_with("auth-tls-") => &[("auth-tls-secret", "s/backend")],
        _ if name.starts_with("cors-") => &[("enable-cors", "true")],
        _ if name.starts_with("session-cookie-") || name == "affinity-mode" => {
            &[("affinity", "cookie")]
        }
        _ if name.starts_with("proxy-ssl-") => &[
            ("proxy-ssl-secret", "s/backend"),
            ("backend-protocol", "HTTPS"),
        ],
        _ => &[],
    }
}

/// The table with this annotation on an Ingress. One that is beside `canary` is on the canary of a second Ingress, which
/// has the same annotations apart from those of the canary.
fn compiled(name: &str, value: Option<&str>) -> String {
    let options = Options {
        ssl_passthrough: name == "ssl-passthrough",
        ..Options::default()
    };
    let compiled = compiled_with(name, value, &options);
    text(compiled.table())
}

/// As [`compiled`], with these options and all that was compiled.
pub(super) fn compiled_with(name: &str, value: Option<&str>, options: &Options) -> Compiled {
    let mut annotations = beside(name).to_vec();
    let canary = annotations.iter().any(|(name, _)| *name == "canary");
    let primary: Vec<_> = annotations
        .iter()
        .filter(|(name, _)| !name.starts_with("canary"))
        .copied()
        .collect();
    annotations.extend(value.map(|value| (name, value)));

    let mut snapshot = Snapshot::default();
    let class = json!({ "metadata": { "name": "nginx" }, "spec": { "controller": "k8s.io/ingress-nginx" } });
    let class: IngressClass = serde_json::from_value(class).unwrap();
    snapshot.apply(class.into());
    let pem = DEFAULT_CERTIFICATE.1.as_str();
    snapshot.apply(object::<Secret>("backend", json!({ "stringData": { "ca.crt": pem } })).into());
    let users = json!({ "stringData": { "auth": "a:{PLAIN}x\nb:{PLAIN}y" } });
    snapshot.apply(object::<Secret>("users", users).into());
    for service in ["web", "next"] {
        let ports = json!([{ "port": 80, "targetPort": 8080 }]);
        snapshot.apply(
            object::<Service>(
                service,
                json!({ "spec": { "clusterIP": "10.0.0.1", "ports": ports } }),
            )
            .into(),
        );
        let slice = json!({ "addressType": "IPv4", "ports": [{ "port": 8080 }],
            "endpoints": [{ "addresses": ["10.1.0.1"] }, { "addresses": ["10.1.0.2"] }] });
        let mut slice = object::<EndpointSlice>(service, slice);
        let label = ("kubernetes.io/service-name".to_owned(), service.to_owned());
        slice
            .metadata
            .labels
            .get_or_insert_default()
            .extend([label]);
        snapshot.apply(slice.into());
    }
    if canary {
        snapshot.apply(ingress("web", &primary).into());
        snapshot.apply(ingress("next", &annotations).into());
    } else {
        snapshot.apply(ingress("web", &annotations).into());
    }
    let changes = snapshot.take_changes();
    compile(&snapshot, &changes, None, options, &DEFAULT_CERTIFICATE.0)
}

fn ingress(service: &str, annotations: Pairs<'_>) -> Ingress {
    let backend = json!({ "service": { "name": service, "port": { "number": 80 } } });
    let paths =
        json!([{ "path": "/shop", "pathType": "ImplementationSpecific", "backend": backend }]);
    let mut ingress: Ingress = object(
        service,
        json!({ "spec": {
        "ingressClassName": "nginx", "rules": [{ "host": "a.example", "http": { "paths": paths } }] } }),
    );
    let annotations = annotations
        .iter()
        .map(|(name, value)| (full_name(DEFAULT_PREFIX, name), (*value).to_owned()));
    ingress
        .metadata
        .annotations
        .get_or_insert_default()
        .extend(annotations);
    ingress
}

fn object<T: DeserializeOwned>(name: &str, mut object: Value) -> T {
    object["metadata"] = json!({ "namespace": "s", "name": name });
    serde_json::from_value(object).unwrap()
}

static DEFAULT_CERTIFICATE: LazyLock<(Arc<Certificate>, String)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["ingress.local".to_owned()]).unwrap();
    let key = PrivateBytes(made.signing_key.serialize_pem().into_bytes());
    let pem = made.cert.pem();
    (
        Arc::new(certificate_from_pem(pem.as_bytes(), &key, "default").unwrap()),
        pem,
    )
});
