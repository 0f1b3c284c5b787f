//! Objects for the benches: any number of Ingresses, each with a host, paths, TLS and three annotations.

#![allow(dead_code, reason = "each bench uses a part")]

pub(crate) mod gateways;
pub(crate) mod lookup;
pub(crate) mod results;
pub(crate) mod series;
pub(crate) mod served;

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_compile::{Object, Options, Snapshot, certificate_from_pem};
use headgate_table::{Certificate, PrivateBytes};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

/// Paths of each host.
pub(crate) const PATHS: [&str; 5] = ["/", "/users", "/products", "/orders/history", "/assets"];

/// The host of Ingress `n`.
pub(crate) fn host(n: usize) -> String {
    format!("shop-{n}.example.com")
}

/// Ingress `n` with the five paths. `revision` goes into an annotation, so that two revisions differ.
pub(crate) fn ingress(n: usize, revision: usize) -> Object {
    let written = Written {
        number: n,
        host: host(n),
        paths: PATHS.map(str::to_owned).into(),
        service: n,
        secret: n,
    };
    written.ingress(revision)
}

/// What differs from one Ingress to the next.
pub(crate) struct Written {
    /// Its own number.
    pub(crate) number: usize,
    pub(crate) host: String,
    pub(crate) paths: Vec<String>,
    /// The number of the Service of all paths.
    pub(crate) service: usize,
    /// The number of the Secret.
    pub(crate) secret: usize,
}

impl Written {
    pub(crate) fn ingress(&self, revision: usize) -> Object {
        let Self {
            number,
            host,
            service,
            secret,
            ..
        } = self;
        let path = |path: &String| {
            json!({ "path": path, "pathType": "Prefix", "backend": { "service": {
                "name": format!("web-{service}"), "port": { "number": 80 } } } })
        };
        let paths: Vec<_> = self.paths.iter().map(path).collect();
        let value = json!({
            "metadata": {
                "name": format!("web-{number}"), "namespace": "shop", "uid": number.to_string(),
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {
                    "nginx.ingress.kubernetes.io/proxy-body-size": format!("{}m", 1 + revision % 64),
                    "nginx.ingress.kubernetes.io/proxy-read-timeout": "30",
                    "nginx.ingress.kubernetes.io/limit-rps": "100",
                },
            },
            "spec": {
                "ingressClassName": "nginx",
                "rules": [{ "host": host, "http": { "paths": paths } }],
                "tls": [{ "hosts": [host], "secretName": format!("tls-{secret}") }],
            },
        });
        let ingress = serde_json::from_value::<Ingress>(value);
        ingress.expect("a valid Ingress").into()
    }
}

/// The certificates of the hosts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificates {
    /// One wildcard certificate, copied into the Secret of every host.
    Wildcard,
    /// A certificate for each host.
    Each,
}

/// The Service and slice of Ingress `n`.
pub(crate) fn backend(n: usize) -> [Object; 2] {
    [service(n), slice(n, n, 2, 0)]
}

/// Service `n`.
pub(crate) fn service(n: usize) -> Object {
    let service = json!({
        "metadata": { "name": format!("web-{n}"), "namespace": "shop" },
        "spec": { "clusterIP": "10.0.0.1", "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }] },
    });
    let service = serde_json::from_value::<Service>(service);
    service.expect("a valid Service").into()
}

/// Slice `n`, of a Service. The first address differs from one `revision` to the next.
pub(crate) fn slice(n: usize, service: usize, endpoints: usize, revision: usize) -> Object {
    let address = |at: usize| {
        let number = n * endpoints + at;
        let first = if at == 0 { 10 + revision % 2 } else { 10 };
        let [_, two, three, four] = u32::try_from(number).unwrap_or(0).to_be_bytes();
        json!({ "addresses": [format!("{first}.{}.{three}.{four}", 1 + two)] })
    };
    let slice = json!({
        "metadata": { "name": format!("web-{n}-abc"), "namespace": "shop",
            "labels": { "kubernetes.io/service-name": format!("web-{service}") } },
        "addressType": "IPv4",
        "endpoints": (0..endpoints).map(address).collect::<Vec<_>>(),
        "ports": [{ "name": "http", "port": 8080 }],
    });
    let slice = serde_json::from_value::<EndpointSlice>(slice);
    slice.expect("a valid slice").into()
}

/// The class of all Ingresses.
fn class() -> Object {
    let class = json!({ "metadata": { "name": "nginx" }, "spec": { "controller": "k8s.io/ingress-nginx" } });
    let class = serde_json::from_value::<IngressClass>(class);
    class.expect("a valid IngressClass").into()
}

/// `count` Ingresses with their Services, slices and Secrets.
pub(crate) fn snapshot(count: usize, certificates: Certificates) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.apply(class());
    let wildcard = Pair::new("*.example.com".to_owned());
    for n in 0..count {
        snapshot.apply(ingress(n, 0));
        for object in backend(n) {
            snapshot.apply(object);
        }
        let secret = match certificates {
            Certificates::Wildcard => wildcard.secret(n),
            Certificates::Each => Pair::new(host(n)).secret(n),
        };
        snapshot.apply(secret.into());
    }
    snapshot
}

/// The default certificate.
pub(crate) fn fallback() -> Arc<Certificate> {
    let generated =
        rcgen::generate_simple_self_signed(["ingress.local".to_owned()]).expect("a certificate");
    let key = PrivateBytes(generated.signing_key.serialize_pem().into_bytes());
    let certificate = certificate_from_pem(generated.cert.pem().as_bytes(), &key, "default");
    Arc::new(certificate.expect("a usable certificate"))
}

/// Default options.
pub(crate) fn options() -> Options {
    Options::default()
}

/// A certificate with its key, PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new(name: String) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![name]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn secret(&self, n: usize) -> Secret {
        let data = [("tls.crt", &self.certificate), ("tls.key", &self.key)];
        let data: BTreeMap<String, ByteString> = data
            .into_iter()
            .map(|(name, text)| (name.to_owned(), ByteString(text.clone().into_bytes())))
            .collect();
        Secret {
            metadata: ObjectMeta {
                name: Some(format!("tls-{n}")),
                namespace: Some("shop".into()),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..Secret::default()
        }
    }
}
