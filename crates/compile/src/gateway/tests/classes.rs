//! Statuses of GatewayClasses.

use super::*;

/// The status of a class.
fn of_class(cluster: &Cluster, name: &str) -> Option<(String, Vec<&'static str>)> {
    let object = ObjectRef {
        kind: Kind::GatewayClass,
        name: Name::new("", name),
    };
    let statuses = cluster.compiled.as_ref().unwrap().gateway_statuses();
    let StatusBody::GatewayClass {
        conditions,
        features,
        ..
    } = &statuses.get(&object)?.body
    else {
        unreachable!("the status of a class");
    };
    let conditions = conditions.iter();
    let shown: Vec<String> = conditions
        .map(|one| format!("{}={}", one.kind.as_str(), one.reason))
        .collect();
    Some((shown.join(" "), features.clone()))
}

#[test]
fn every_class_of_this_controller_has_a_status_about_the_installed_crds() {
    let mut cluster = Cluster::new();
    cluster.apply(json!({
        "kind": "GatewayClass", "metadata": { "name": "other" },
        "spec": { "controllerName": "example.com/other" },
    }));
    cluster.apply(json!({
        "kind": "GatewayClass", "metadata": { "name": "second" },
        "spec": {
            "controllerName": "headgate.dev/gateway-controller",
            "parametersRef": { "group": "", "kind": "ConfigMap", "name": "none", "namespace": "a" },
        },
    }));
    cluster.compile();
    let (shown, features) = of_class(&cluster, "headgate").unwrap();
    assert_eq!(
        shown,
        "Accepted=Accepted SupportedVersion=UnsupportedVersion"
    );
    assert!(features.is_sorted() && features.contains(&"TLSRouteModeTerminate"));
    assert!(!features.contains(&"GatewayInfrastructurePropagation"));
    assert_eq!(of_class(&cluster, "other"), None);
    let (shown, _) = of_class(&cluster, "second").unwrap();
    assert_eq!(
        shown,
        "Accepted=InvalidParameters SupportedVersion=UnsupportedVersion"
    );

    let definition = |plural: &str, version: &str, channel: &str| {
        json!({
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{plural}.gateway.networking.k8s.io"),
                "annotations": {
                    "gateway.networking.k8s.io/bundle-version": version,
                    "gateway.networking.k8s.io/channel": channel,
                },
            },
        })
    };
    cluster.apply(definition("httproutes", "v1.6.1", "standard"));
    cluster.compile();
    let (shown, features) = of_class(&cluster, "headgate").unwrap();
    assert_eq!(shown, "Accepted=Accepted SupportedVersion=SupportedVersion");
    assert!(features.contains(&"HTTPRouteCORS"));
    assert!(!features.contains(&"HTTPRouteRetry") && !features.contains(&"TLSRoute"));

    cluster.apply(definition("httproutes", "v1.7.0", "experimental"));
    cluster.compile();
    let (shown, features) = of_class(&cluster, "headgate").unwrap();
    assert_eq!(
        shown,
        "Accepted=Accepted SupportedVersion=UnsupportedVersion"
    );
    assert!(features.contains(&"HTTPRouteRetry"));
    // The statuses of its Gateways say that its parameters cannot be used.
    cluster.gateway("gate", json!({ "listeners": [] }));
    cluster.compile();
    let changed = |cluster: &Cluster| -> Vec<String> {
        let compiled = cluster.compiled.as_ref().unwrap();
        let changes = compiled.changed_gateway_statuses();
        changes
            .map(|(object, now)| format!("{object} {}", now.is_some()))
            .collect()
    };
    // Its class is in use now.
    assert_eq!(
        changed(&cluster),
        ["GatewayClass headgate true", "Gateway infra/gate true"]
    );
    cluster.apply(json!({
        "kind": "GatewayClass", "metadata": { "name": "headgate" },
        "spec": {
            "controllerName": "headgate.dev/gateway-controller",
            "parametersRef": { "group": "", "kind": "ConfigMap", "name": "none", "namespace": "a" },
        },
    }));
    cluster.compile();
    assert_eq!(
        changed(&cluster),
        ["GatewayClass headgate true", "Gateway infra/gate true"]
    );
    let status = cluster.gateway_status("infra/gate");
    assert!(status.starts_with("Accepted=InvalidParameters"), "{status}");
}

#[test]
fn what_is_of_services_is_a_feature_where_gateways_get_some() {
    let mut cluster = Cluster::new();
    let record = Name::new("headgate", "ports");
    cluster.options.gateway.as_mut().unwrap().ports = Some(record);
    cluster.compile();
    let (_, features) = of_class(&cluster, "headgate").unwrap();
    assert!(features.contains(&"GatewayInfrastructurePropagation"));
}
