//! ReferenceGrants: which references into other namespaces are allowed (gateway-api.md 5.5).

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::objects::custom::{Custom, GATEWAY_GROUP, ReferenceGrantSpec};
use crate::{Kind, Snapshot};

/// The ReferenceGrants by their namespaces.
#[derive(Default)]
pub(crate) struct Grants(HashMap<Arc<str>, Vec<Arc<Custom<ReferenceGrantSpec>>>, RandomState>);

impl Grants {
    /// Those of a snapshot.
    pub(crate) fn read(snapshot: &Snapshot) -> Self {
        let mut grants = Self::default();
        for grant in snapshot.all::<Custom<ReferenceGrantSpec>>() {
            let of_namespace = grants.0.entry(grant.name.namespace.clone()).or_default();
            of_namespace.push(grant.clone());
        }
        grants
    }

    /// Whether a reference stays in one namespace, or is granted in the namespace of the object that it refers to.
    pub(crate) fn allow(&self, reference: &Reference<'_>) -> bool {
        if reference.from_namespace == reference.to_namespace {
            return true;
        }
        let grants = self.0.get(reference.to_namespace).into_iter().flatten();
        grants.into_iter().any(|grant| reference.is_in(&grant.spec))
    }
}

/// A reference from an object of one namespace to an object of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference<'a> {
    /// The kind of the referring object; its group is that of the Gateway API.
    pub(crate) from: Kind,
    /// Its namespace.
    pub(crate) from_namespace: &'a str,
    /// The group of the object that it refers to; empty for the core group.
    pub(crate) to_group: &'a str,
    /// The kind of that object.
    pub(crate) to_kind: &'a str,
    /// The namespace of that object.
    pub(crate) to_namespace: &'a str,
    /// The name of that object.
    pub(crate) to_name: &'a str,
}

impl Reference<'_> {
    fn is_in(&self, grant: &ReferenceGrantSpec) -> bool {
        let from = grant.from.iter().any(|from| {
            from.group == GATEWAY_GROUP
                && from.kind == self.from.as_str()
                && from.namespace == self.from_namespace
        });
        let to = grant.to.iter().any(|to| {
            to.group == self.to_group
                && to.kind == self.to_kind
                && to.name.as_deref().is_none_or(|name| name == self.to_name)
        });
        from && to
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::{Value, json};

    use super::*;
    use crate::objects::custom::Delivered;

    const REFERENCE: Reference<'_> = Reference {
        from: Kind::HttpRoute,
        from_namespace: "infra",
        to_group: "",
        to_kind: "Service",
        to_namespace: "web",
        to_name: "backend",
    };

    fn allows(namespace: &str, from: Value, to: Value) -> bool {
        let grant = json!({
            "metadata": { "name": "grant", "namespace": namespace },
            "spec": { "from": [from], "to": [to] },
        });
        let grant: Delivered<ReferenceGrantSpec> = serde_json::from_value(grant).unwrap();
        let mut snapshot = Snapshot::default();
        snapshot.apply(grant.into());
        snapshot.take_changes();
        Grants::read(&snapshot).allow(&REFERENCE)
    }

    #[test]
    fn every_part_of_a_grant_must_fit() {
        let group = GATEWAY_GROUP;
        let from = json!({ "group": group, "kind": "HTTPRoute", "namespace": "infra" });
        let to = json!({ "group": "", "kind": "Service" });
        let named = |name: &str| json!({ "group": "", "kind": "Service", "name": name });
        assert!(allows("web", from.clone(), to.clone()));
        assert!(allows("web", from.clone(), named("backend")));
        for (namespace, from, to) in [
            ("infra", from.clone(), to.clone()),
            (
                "web",
                json!({ "group": "", "kind": "HTTPRoute", "namespace": "infra" }),
                to.clone(),
            ),
            (
                "web",
                json!({ "group": group, "kind": "GRPCRoute", "namespace": "infra" }),
                to.clone(),
            ),
            (
                "web",
                json!({ "group": group, "kind": "HTTPRoute", "namespace": "web" }),
                to,
            ),
            (
                "web",
                from.clone(),
                json!({ "group": group, "kind": "Service" }),
            ),
            (
                "web",
                from.clone(),
                json!({ "group": "", "kind": "Secret" }),
            ),
            ("web", from, named("other")),
        ] {
            assert!(
                !allows(namespace, from.clone(), to.clone()),
                "{namespace} {from} {to}"
            );
        }
    }

    #[test]
    fn references_within_a_namespace_need_no_grant() {
        let local = Reference {
            to_namespace: "infra",
            ..REFERENCE
        };
        assert!(Grants::default().allow(&local));
        assert!(!Grants::default().allow(&REFERENCE));
    }
}
