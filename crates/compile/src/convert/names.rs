//! Names of new objects.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Grant;

/// Longest name of an object that gets a suffix.
const MAX_NAME: usize = 240;

/// The names that are taken, by kind and namespace.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<(&'static str, String, String)>);

impl Names {
    /// `wanted`, or with a number if that is taken.
    pub(super) fn unique(&mut self, kind: &'static str, namespace: &str, wanted: &str) -> String {
        let base = wanted.get(..MAX_NAME).unwrap_or(wanted);
        let base = base.trim_end_matches(['-', '.']);
        let mut name = base.to_owned();
        for number in 2_usize.. {
            if self.0.insert((kind, namespace.to_owned(), name.clone())) {
                break;
            }
            name = format!("{base}-{number}");
        }
        name
    }

    /// The ReferenceGrant of a reference.
    pub(super) fn grant(&self, grant: &Grant) -> Value {
        let (kind, namespace) = &grant.from;
        let (to_kind, to) = &grant.to;
        let name = format!("{}-{namespace}-{}", kind.to_lowercase(), to.name);
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "ReferenceGrant",
            "metadata": {
                "name": name.get(..MAX_NAME).unwrap_or(&name), "namespace": &*to.namespace,
            },
            "spec": {
                "from": [{
                    "group": "gateway.networking.k8s.io", "kind": kind, "namespace": namespace,
                }],
                "to": [{ "group": "", "kind": to_kind, "name": &*to.name }],
            },
        })
    }
}
