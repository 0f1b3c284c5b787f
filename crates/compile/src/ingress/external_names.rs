//! Findings about external names that do not resolve, which shows only while requests are served (behaviour.md 2.7).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;

use crate::finding::{Finding, Severity, Subject, UNRESOLVED};
use crate::ingress::class;
use crate::objects::{Service, backend_services};
use crate::{Kind, Name, ObjectRef, Options, Snapshot};

/// Warnings on the served Ingresses with a backend whose external name is one of these `names`, which do not resolve; sorted.
pub fn unresolved_names(
    names: &BTreeSet<Arc<str>>,
    snapshot: &Snapshot,
    options: &Options,
) -> Vec<Finding> {
    if names.is_empty() {
        return Vec::new();
    }
    let services = snapshot.all::<Service>().filter_map(|service| {
        let host = service.external_name.as_deref()?;
        names.contains(host).then_some((service.name(), host))
    });
    let services: BTreeMap<&Name, &str> = services.collect();
    if services.is_empty() {
        return Vec::new();
    }
    let mut findings = BTreeSet::new();
    for ingress in snapshot.all::<Ingress>() {
        let unresolved = backends(ingress).filter_map(|name| {
            let host = services.get(&name)?;
            Some((name, *host))
        });
        let mut unresolved = unresolved.peekable();
        if unresolved.peek().is_none() || !class::is_selected(ingress, snapshot, options) {
            continue;
        }
        findings.extend(unresolved.map(|(service, host)| finding(ingress, &service, host)));
    }
    findings.into_iter().collect()
}

fn finding(ingress: &Ingress, service: &Name, host: &str) -> Finding {
    let metadata = &ingress.metadata;
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    Finding {
        severity: Severity::Warning,
        subject: Subject::Object(ObjectRef {
            kind: Kind::Ingress,
            name: Name::new(&text(&metadata.namespace), &text(&metadata.name)),
        }),
        field: "spec.rules".into(),
        message: format!(
            "externalName \"{}\" of Service {service}{UNRESOLVED}; requests get 503",
            host.escape_debug()
        )
        .into(),
    }
}

/// The Services of an Ingress's backends.
fn backends(ingress: &Ingress) -> impl Iterator<Item = Name> {
    let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
    backend_services(ingress).map(move |service| Name::new(namespace, service))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use serde_json::json;

    use super::*;

    #[test]
    fn each_served_ingress_of_the_service_has_a_finding() {
        let mut snapshot = Snapshot::default();
        snapshot.set_classes_readable(false);
        for (name, class) in [("one", "nginx"), ("two", "nginx"), ("other", "other")] {
            let backend = json!({"service": {"name": "ext", "port": {"number": 80}}});
            let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
            let ingress: Ingress = serde_json::from_value(json!({
                "metadata": {"namespace": "shop", "name": name,
                    "annotations": {"kubernetes.io/ingress.class": class}},
                "spec": {"defaultBackend": backend, "rules": [{"http": {"paths": [path]}}]},
            }))
            .unwrap();
            snapshot.apply(ingress.into());
        }
        let service: k8s_openapi::api::core::v1::Service = serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "ext"},
            "spec": {"type": "ExternalName", "externalName": "api.example"},
        }))
        .unwrap();
        snapshot.apply(service.into());
        snapshot.take_changes();
        let find = |name: &str| {
            let names = BTreeSet::from([name.into()]);
            let findings = unresolved_names(&names, &snapshot, &Options::default());
            assert!(findings.iter().all(Finding::lacks_endpoints));
            let texts = findings.iter().map(ToString::to_string);
            texts.collect::<Vec<_>>()
        };
        assert_eq!(find("another.example"), [""; 0]);
        let text = |name| {
            format!(
                "warning Ingress shop/{name}: spec.rules: externalName \"api.example\" of Service shop/ext does not resolve; requests get 503"
            )
        };
        assert_eq!(find("api.example"), [text("one"), text("two")]);
    }
}
