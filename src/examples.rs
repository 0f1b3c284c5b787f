//! The example manifests, compiled into the program: what `headgate demo` serves, and an introduction to Ingresses and
//! Gateways. Each file begins with what it shows and a command to try it.
//!
//! There are no EndpointSlices among them: `demo` starts a backend for every Service and adds the addresses.

/// An example: the name of its file, and its YAML text (one or several documents).
pub(crate) type Example = (&'static str, &'static str);

/// All examples, in reading order. They belong together: Ingresses of one file refer to Secrets and Services of others.
pub(crate) const EXAMPLES: &[Example] = &[
    ("00-class.yaml", include_str!("examples/00-class.yaml")),
    (
        "10-certificate.yaml",
        include_str!("examples/10-certificate.yaml"),
    ),
    ("20-shop.yaml", include_str!("examples/20-shop.yaml")),
    (
        "30-rate-limit.yaml",
        include_str!("examples/30-rate-limit.yaml"),
    ),
    ("40-canary.yaml", include_str!("examples/40-canary.yaml")),
    (
        "50-affinity.yaml",
        include_str!("examples/50-affinity.yaml"),
    ),
    (
        "60-websocket.yaml",
        include_str!("examples/60-websocket.yaml"),
    ),
    ("70-grpc.yaml", include_str!("examples/70-grpc.yaml")),
    (
        "80-rewrite-and-cors.yaml",
        include_str!("examples/80-rewrite-and-cors.yaml"),
    ),
    (
        "90-headless.yaml",
        include_str!("examples/90-headless.yaml"),
    ),
    (
        "95-external-name.yaml",
        include_str!("examples/95-external-name.yaml"),
    ),
    ("97-gateway.yaml", include_str!("examples/97-gateway.yaml")),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

    use std::collections::{BTreeMap, BTreeSet};

    use k8s_openapi::api::core::v1::{Secret, Service};
    use k8s_openapi::api::networking::v1::{Ingress, IngressServiceBackend};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::EXAMPLES;

    /// Every document of every example.
    fn documents() -> Vec<Value> {
        EXAMPLES
            .iter()
            .flat_map(|(file, text)| {
                serde_saphyr::from_multiple::<Value>(text)
                    .unwrap_or_else(|error| panic!("{file}: {error}"))
            })
            .collect()
    }

    /// The objects of one kind, by name.
    fn objects<T: DeserializeOwned>(kind: &str) -> BTreeMap<String, T> {
        documents()
            .into_iter()
            .filter(|document| document["kind"] == kind)
            .map(|document| {
                let name = document["metadata"]["name"].as_str().unwrap().to_owned();
                (name, serde_json::from_value(document).unwrap())
            })
            .collect()
    }

    fn backends(ingress: &Ingress) -> Vec<&IngressServiceBackend> {
        let rules = ingress.spec.as_ref().unwrap().rules.as_ref().unwrap();
        rules
            .iter()
            .flat_map(|rule| &rule.http.as_ref().unwrap().paths)
            .map(|path| path.backend.service.as_ref().unwrap())
            .collect()
    }

    fn has_port(service: &Service, backend: &IngressServiceBackend) -> bool {
        let desired = backend.port.as_ref().unwrap();
        let ports = service.spec.as_ref().unwrap().ports.as_ref().unwrap();
        ports.iter().any(|port| {
            Some(port.port) == desired.number || (port.name.is_some() && port.name == desired.name)
        })
    }

    #[test]
    fn all_files_are_listed() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples");
        let found: BTreeSet<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let listed: BTreeSet<String> = EXAMPLES
            .iter()
            .map(|(file, _)| (*file).to_owned())
            .collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn each_file_begins_with_a_command_to_try() {
        for (file, text) in EXAMPLES {
            let opening: Vec<&str> = text
                .lines()
                .take_while(|line| line.starts_with('#'))
                .collect();
            let tried = |line: &&str| line.contains("curl ") || line.contains("openssl ");
            assert!(opening.iter().any(tried), "{file} shows no command");
        }
    }

    #[test]
    fn every_backend_is_a_service_with_that_port() {
        let services = objects::<Service>("Service");
        let mut used = BTreeSet::new();
        for (name, ingress) in objects::<Ingress>("Ingress") {
            for backend in backends(&ingress) {
                let service = services
                    .get(&backend.name)
                    .unwrap_or_else(|| panic!("{name}: no Service {}", backend.name));
                assert!(has_port(service, backend), "{name}: {backend:?}");
                used.insert(backend.name.clone());
            }
        }
        assert_eq!(used, services.into_keys().collect());
    }

    #[test]
    fn every_certificate_has_its_key_and_every_tls_entry_its_secret() {
        let secrets = objects::<Secret>("Secret");
        for ingress in objects::<Ingress>("Ingress").values() {
            for tls in ingress.spec.as_ref().unwrap().tls.iter().flatten() {
                assert!(secrets.contains_key(tls.secret_name.as_ref().unwrap()));
            }
        }
        for secret in secrets.values() {
            let data = secret.data.as_ref().unwrap();
            let certificate = CertificateDer::from_pem_slice(&data["tls.crt"].0).unwrap();
            let key = PrivateKeyDer::from_pem_slice(&data["tls.key"].0).unwrap();
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            rustls::sign::CertifiedKey::from_der(vec![certificate], key, &provider).unwrap();
        }
    }
}
