//! The listeners of the Gateway: those beyond its bound are in ListenerSets.

use serde_json::{Value, json};

use super::GatewayTarget;
use crate::Name;

/// The most listeners of a Gateway or ListenerSet.
const MAX_LISTENERS: usize = 64;
/// Longest name of a listener.
const MAX_NAME: usize = 60;

/// All listeners, in order.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<Listener>);

#[derive(Debug)]
struct Listener {
    name: String,
    /// `None`: all names.
    hostname: Option<String>,
    /// The Secrets of its certificates; none: plain HTTP.
    secrets: Vec<Name>,
}

impl Listeners {
    /// The position of the listener for a hostname, over TLS with the certificates of `secrets`, if there are any.
    pub(super) fn position(&mut self, hostname: Option<&str>, secrets: &[Name]) -> usize {
        let is_same = |listener: &Listener| {
            listener.hostname.as_deref() == hostname
                && listener.secrets.is_empty() == secrets.is_empty()
        };
        if let Some(known) = self.0.iter().position(is_same) {
            return known;
        }
        let name = self.name(hostname, !secrets.is_empty());
        self.0.push(Listener {
            name,
            hostname: hostname.map(str::to_owned),
            secrets: secrets.to_vec(),
        });
        self.0.len() - 1
    }

    fn name(&self, hostname: Option<&str>, over_tls: bool) -> String {
        let scheme = if over_tls { "https" } else { "http" };
        let Some(hostname) = hostname else {
            return scheme.to_owned();
        };
        let host = hostname.replace("*.", "wildcard-").replace(['.', '_'], "-");
        let name = format!("{scheme}-{}", host.to_lowercase());
        let name = name.get(..MAX_NAME).unwrap_or(&name);
        let name = name.trim_end_matches('-');
        let is_taken = |name: &str| self.0.iter().any(|listener| listener.name == name);
        if !is_taken(name) {
            return name.to_owned();
        }
        format!(
            "{}-{}",
            name.get(..MAX_NAME - 6).unwrap_or(name),
            self.0.len()
        )
    }

    /// Whether the listener at a position is in a ListenerSet.
    pub(super) fn is_in_set(&self, position: usize) -> bool {
        position >= MAX_LISTENERS
    }

    /// The reference of a route to the listener at a position.
    pub(super) fn parent(&self, position: usize, target: &GatewayTarget) -> Option<Value> {
        let listener = self.0.get(position)?;
        let Name { namespace, name } = &target.name;
        Some(match position / MAX_LISTENERS {
            0 => json!({
                "name": &**name, "namespace": &**namespace, "sectionName": listener.name,
            }),
            set => json!({
                "group": "gateway.networking.k8s.io", "kind": "ListenerSet",
                "name": set_name(name, set), "namespace": &**namespace,
                "sectionName": listener.name,
            }),
        })
    }

    /// The Gateway and its ListenerSets; nothing without listeners.
    pub(super) fn objects(&self, target: &GatewayTarget) -> Vec<Value> {
        let Name { namespace, name } = &target.name;
        let has_sets = self.0.len() > MAX_LISTENERS;
        let chunks = self.0.chunks(MAX_LISTENERS).enumerate();
        let objects = chunks.map(|(set, listeners)| {
            let listeners: Vec<Value> = listeners.iter().map(|one| one.spec(namespace)).collect();
            if set > 0 {
                return json!({
                    "apiVersion": "gateway.networking.k8s.io/v1",
                    "kind": "ListenerSet",
                    "metadata": { "name": set_name(name, set), "namespace": &**namespace },
                    "spec": { "parentRef": { "name": &**name }, "listeners": listeners },
                });
            }
            let mut spec = json!({ "gatewayClassName": target.class, "listeners": listeners });
            if has_sets {
                spec["allowedListeners"] = json!({ "namespaces": { "from": "Same" } });
            }
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": { "name": &**name, "namespace": &**namespace },
                "spec": spec,
            })
        });
        objects.collect()
    }
}

impl Listener {
    fn spec(&self, namespace: &str) -> Value {
        let (port, protocol) = match self.secrets.is_empty() {
            false => (443, "HTTPS"),
            true => (80, "HTTP"),
        };
        let mut spec = json!({
            "name": self.name, "port": port, "protocol": protocol,
            "allowedRoutes": { "namespaces": { "from": "All" } },
        });
        if let Some(hostname) = &self.hostname {
            spec["hostname"] = json!(hostname);
        }
        let references = self.secrets.iter().map(|secret| {
            let mut reference = json!({ "name": &*secret.name });
            if *secret.namespace != *namespace {
                reference["namespace"] = json!(&*secret.namespace);
            }
            reference
        });
        if !self.secrets.is_empty() {
            spec["tls"] = json!({ "certificateRefs": references.collect::<Vec<_>>() });
        }
        spec
    }
}

fn set_name(gateway: &str, number: usize) -> String {
    format!("{gateway}-{}", number + 1)
}
