//! Stored Ingresses from lines of text, and the review of another one.
//!
//! An Ingress is a line: `namespace/name`, hosts, `Kind:/path` for the preceding host, `key=value` for annotations (without a
//! slash in the key, under the default prefix), `tls:host:secret`, and marks that begin with `+`. A `~` is a space.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use headgate_table::{Certificate, PrivateBytes};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};

use crate::ingress::annotations::DEFAULT_PREFIX;
use crate::{
    Compiled, Kind, Name, Object, ObjectRef, Options, Review, Snapshot, certificate_from_pem,
    compile,
};

const UID: &str = "0b1c7a52-6f0e-4c1d-9d5b-2f6f5c0e8a11";

static FALLBACK: LazyLock<Arc<Certificate>> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["ingress.local".to_owned()]).unwrap();
    let key = PrivateBytes(made.signing_key.serialize_pem().into_bytes());
    Arc::new(certificate_from_pem(made.cert.pem().as_bytes(), &key, "default").unwrap())
});

pub(super) fn ingress(line: &str, year: usize) -> Ingress {
    let mut words = line.split_whitespace();
    let (namespace, name) = words.next().unwrap().split_once('/').unwrap();
    let mut metadata = json!({ "namespace": namespace, "name": name, "uid": UID,
        "creationTimestamp": format!("{}-01-01T00:00:00Z", 2000 + year), "annotations": {} });
    let mut spec = json!({ "ingressClassName": "nginx", "rules": [], "tls": [] });
    let backend = json!({ "service": { "name": "web", "port": { "number": 80 } } });
    for word in words {
        let rules = spec["rules"].as_array_mut().unwrap();
        if let Some(mark) = word.strip_prefix('+') {
            match mark.split_once(':').unwrap_or((mark, "")) {
                ("deleting", _) => metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
                ("uid", uid) => metadata["uid"] = json!(uid),
                ("class", class) => spec["ingressClassName"] = json!(class),
                ("default-backend", _) => spec["defaultBackend"] = backend.clone(),
                other => panic!("no mark {other:?}"),
            }
        } else if let Some((key, value)) = word.split_once('=') {
            let key = if key.contains('/') {
                key.to_owned()
            } else {
                format!("{DEFAULT_PREFIX}/{key}")
            };
            metadata["annotations"][key] = json!(value.replace('~', " "));
        } else if let Some(tls) = word.strip_prefix("tls:") {
            let (host, secret) = tls.split_once(':').unwrap();
            let entry = json!({ "hosts": [host], "secretName": secret });
            spec["tls"].as_array_mut().unwrap().push(entry);
        } else if let Some((kind, path)) = word.split_once(':') {
            let kind = kind.replace("Any", "ImplementationSpecific");
            let path =
                json!({ "path": path.replace('~', " "), "pathType": kind, "backend": backend });
            let rule = rules.last_mut().unwrap();
            match rule["http"]["paths"].as_array_mut() {
                Some(paths) => paths.push(path),
                None => rule["http"] = json!({ "paths": [path] }),
            }
        } else {
            let host = if word == "_" { "" } else { word };
            rules.push(json!({ "host": host }));
        }
    }
    let value = json!({ "metadata": metadata, "spec": spec });
    serde_json::from_value(value).unwrap()
}

/// Stored objects, compiled.
pub(super) struct State {
    pub(super) snapshot: Snapshot,
    pub(super) compiled: Compiled,
    pub(super) options: Options,
}

impl State {
    pub(super) fn new(stored: &[&str], settings: &[(&str, &str)], options: Options) -> Self {
        let mut snapshot = Snapshot::default();
        for (name, controller) in [
            ("nginx", "k8s.io/ingress-nginx"),
            ("other", "example.com/x"),
        ] {
            let class =
                json!({ "metadata": { "name": name }, "spec": { "controller": controller } });
            snapshot.apply(
                serde_json::from_value::<IngressClass>(class)
                    .unwrap()
                    .into(),
            );
        }
        let namespace = json!({ "metadata": { "name": "watched" } });
        snapshot.apply(
            serde_json::from_value::<Namespace>(namespace)
                .unwrap()
                .into(),
        );
        let data: Value = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), json!(v)))
            .collect();
        let map = json!({ "metadata": { "namespace": "ns", "name": "cm" }, "data": data });
        snapshot.apply(serde_json::from_value::<ConfigMap>(map).unwrap().into());
        for (year, line) in stored.iter().enumerate() {
            snapshot.apply(Object::Ingress(Arc::new(ingress(line, year))));
        }
        let options = Options {
            settings: Some(Name::new("ns", "cm")),
            ..options
        };
        let changes = snapshot.take_changes();
        let compiled = compile(&snapshot, &changes, None, &options, &FALLBACK);
        Self {
            snapshot,
            compiled,
            options,
        }
    }

    pub(super) fn review(&self, reviewed: &Ingress) -> Review {
        crate::ingress::review(reviewed, &self.compiled, &self.snapshot, &self.options)
    }

    /// The review as text: `ok`, `not selected` or `no: reason`, and a line for each warning.
    pub(super) fn text(&self, line: &str) -> String {
        let review = self.review(&ingress(line, 50));
        let mut text = match (review.denied, review.selected) {
            (Some(reason), _) => format!("no: {reason}"),
            (None, true) => "ok".to_owned(),
            (None, false) => "not selected".to_owned(),
        };
        for warning in review.warnings {
            write!(text, "\n{warning}").unwrap();
        }
        text
    }

    pub(super) fn store(mut self, ingress: Ingress) -> Self {
        self.snapshot.apply(Object::Ingress(Arc::new(ingress)));
        self.compiled()
    }

    pub(super) fn remove(mut self, name: &Name) -> Self {
        self.snapshot.delete(&ObjectRef {
            kind: Kind::Ingress,
            name: name.clone(),
        });
        self.compiled()
    }

    fn compiled(mut self) -> Self {
        let changes = self.snapshot.take_changes();
        let (snapshot, options) = (&self.snapshot, &self.options);
        self.compiled = compile(snapshot, &changes, Some(self.compiled), options, &FALLBACK);
        self
    }
}
