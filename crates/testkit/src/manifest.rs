//! Kubernetes objects and their text. Objects are written as JSON, which is YAML, so that no value needs quoting; `---`
//! separates documents.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::certificate::Issued;

/// The namespace of every object built here.
pub const NAMESPACE: &str = "shop";
/// Prefix of the annotations of ingress-nginx.
const PREFIX: &str = "nginx.ingress.kubernetes.io";

/// Several documents as one file.
pub fn file<'a>(documents: impl IntoIterator<Item = &'a Value>) -> String {
    documents
        .into_iter()
        .map(|document| format!("---\n{document:#}\n"))
        .collect()
}

/// The IngressClass `nginx` of the controller `k8s.io/ingress-nginx`.
pub fn ingress_class() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": { "name": "nginx" },
        "spec": { "controller": "k8s.io/ingress-nginx" },
    })
}

/// A Service with port 80 named `http`, of type ClusterIP.
pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": {
            "clusterIP": "10.96.0.1",
            "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }],
        },
    })
}

/// EndpointSlices of a Service: one for each address, because a slice has one port for all its endpoints.
pub fn endpoint_slices(service: &str, addresses: &[SocketAddr]) -> Vec<Value> {
    addresses
        .iter()
        .map(|address| endpoint_slice(service, *address, true))
        .collect()
}

/// An EndpointSlice with one endpoint.
pub fn endpoint_slice(service: &str, address: SocketAddr, ready: bool) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-{}", address.port()),
            "namespace": NAMESPACE,
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "ports": [{ "name": "http", "port": address.port() }],
        "endpoints": [{
            "addresses": [address.ip().to_string()],
            "conditions": { "ready": ready },
        }],
    })
}

/// A TLS Secret.
pub fn tls_secret(name: &str, issued: &Issued) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "stringData": { "tls.crt": issued.certificate, "tls.key": issued.key },
    })
}

/// A ConfigMap.
pub fn config_map(namespace: &str, name: &str, data: &[(&str, &str)]) -> Value {
    let data: Map<String, Value> = data
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.into()))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": namespace },
        "data": data,
    })
}

/// Builds an Ingress.
#[derive(Clone, Debug)]
pub struct Ingress {
    name: String,
    namespace: String,
    created: Option<String>,
    annotations: Map<String, Value>,
    rules: Vec<(Option<String>, Vec<Value>)>,
    tls: Vec<Value>,
    default_backend: Option<Value>,
}

impl Ingress {
    /// An Ingress of the class `nginx` without rules.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: NAMESPACE.to_owned(),
            created: None,
            annotations: Map::new(),
            rules: Vec::new(),
            tls: Vec::new(),
            default_backend: None,
        }
    }

    /// Sets an annotation, named without its prefix unless that is another one than ingress-nginx's.
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        let key = match name.contains('/') {
            true => name.to_owned(),
            false => format!("{PREFIX}/{name}"),
        };
        self.annotations.insert(key, value.into());
        self
    }

    /// Sets annotations, named without their prefix.
    pub fn annotations(self, annotations: &[(&str, &str)]) -> Self {
        annotations.iter().fold(self, |ingress, (name, value)| {
            ingress.annotation(name, value)
        })
    }

    /// Sets the creation timestamp, as RFC 3339: the older Ingress wins a conflict.
    pub fn created(mut self, timestamp: &str) -> Self {
        self.created = Some(timestamp.to_owned());
        self
    }

    /// Adds a rule for a host; an empty name adds a rule without host. The following paths belong to it.
    pub fn host(mut self, host: &str) -> Self {
        let host = (!host.is_empty()).then(|| host.to_owned());
        self.rules.push((host, Vec::new()));
        self
    }

    /// Adds a path of type Prefix to port 80 of a Service.
    pub fn path(self, path: &str, service: &str) -> Self {
        self.typed_path("Prefix", path, service)
    }

    /// Adds a path of type Exact to port 80 of a Service.
    pub fn exact(self, path: &str, service: &str) -> Self {
        self.typed_path("Exact", path, service)
    }

    /// Adds a path of type ImplementationSpecific to port 80 of a Service: for regular expressions.
    pub fn pattern(self, path: &str, service: &str) -> Self {
        self.typed_path("ImplementationSpecific", path, service)
    }

    /// Adds a tls entry; an empty Secret name is left out.
    pub fn tls(mut self, hosts: &[&str], secret: &str) -> Self {
        let mut entry = json!({ "hosts": hosts });
        if !secret.is_empty() {
            entry["secretName"] = secret.into();
        }
        self.tls.push(entry);
        self
    }

    /// Sets `spec.defaultBackend` to port 80 of a Service.
    pub fn default_backend(mut self, service: &str) -> Self {
        self.default_backend = Some(backend(service));
        self
    }

    /// The object.
    pub fn object(&self) -> Value {
        let rules: Vec<Value> = self.rules.iter().map(rule).collect();
        let mut spec = json!({ "ingressClassName": "nginx" });
        if !rules.is_empty() {
            spec["rules"] = rules.into();
        }
        if !self.tls.is_empty() {
            spec["tls"] = self.tls.clone().into();
        }
        if let Some(backend) = &self.default_backend {
            spec["defaultBackend"] = backend.clone();
        }
        let mut metadata = json!({
            "name": self.name,
            "namespace": self.namespace,
            "annotations": self.annotations,
        });
        if let Some(created) = &self.created {
            metadata["creationTimestamp"] = created.as_str().into();
        }
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": metadata,
            "spec": spec,
        })
    }

    fn typed_path(mut self, path_type: &str, path: &str, service: &str) -> Self {
        if self.rules.is_empty() {
            self = self.host("a.test");
        }
        if let Some((_, paths)) = self.rules.last_mut() {
            paths.push(json!({
                "path": path,
                "pathType": path_type,
                "backend": backend(service),
            }));
        }
        self
    }
}

fn backend(service: &str) -> Value {
    json!({ "service": { "name": service, "port": { "number": 80 } } })
}

fn rule((host, paths): &(Option<String>, Vec<Value>)) -> Value {
    let mut rule = json!({});
    if let Some(host) = host {
        rule["host"] = host.as_str().into();
    }
    if !paths.is_empty() {
        rule["http"] = json!({ "paths": paths });
    }
    rule
}
