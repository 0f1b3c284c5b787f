//! Namespaces and selectors.

use headgate_apiserver::{ApiServer, Disturbance};
use headgate_cluster::ConnectOptions;
use headgate_compile::{Kind, Name, Namespaces, Options};
use serde_json::json;

use crate::world::{World, config_map, ingress_in, options, secret, secured, service, slice};

#[test]
fn one_namespace_is_watched_and_objects_of_flags_elsewhere() {
    let api = ApiServer::start();
    for namespace in ["shop", "other"] {
        api.create(ingress_in(namespace, "web", "web"));
        api.create(service(namespace, "web"));
        api.create(slice(namespace, "web-1", "web"));
    }
    api.create(service("system", "errors"));
    api.create(slice("system", "errors-1", "errors"));
    api.create(slice("system", "else-1", "else"));
    api.create(service("system", "front"));
    api.create(secret("system", "wildcard"));
    api.create(config_map(
        "system",
        "settings",
        json!({"add-headers": "system/headers"}),
    ));
    api.create(config_map("system", "headers", json!({"X-One": "1"})));
    let mut options = options();
    options.compile = Options {
        namespaces: Namespaces::One("shop".into()),
        settings: Some(Name::new("system", "settings")),
        default_certificate: Some(Name::new("system", "wildcard")),
        default_backend: Some(Name::new("system", "errors")),
        ..Options::default()
    };
    options.publish_service = Some(Name::new("system", "front"));
    let mut world = World::ready(&api, options);
    world.until("all", |world| world.snapshot().len() >= 9);
    for (kind, namespace, name) in [
        (Kind::Ingress, "shop", "web"),
        (Kind::Service, "shop", "web"),
        (Kind::EndpointSlice, "shop", "web-1"),
        (Kind::Service, "system", "errors"),
        (Kind::EndpointSlice, "system", "errors-1"),
        (Kind::Service, "system", "front"),
        (Kind::Secret, "system", "wildcard"),
        (Kind::ConfigMap, "system", "settings"),
        (Kind::ConfigMap, "system", "headers"),
    ] {
        assert!(
            world.has(kind, namespace, name),
            "{kind:?} {namespace}/{name}"
        );
    }
    assert_eq!(world.snapshot().len(), 9);
    // No request selects more than that.
    for request in api.requests() {
        let is_class = request.resource == "ingressclasses";
        let is_named = request.query.contains("metadata.name")
            || request.query.contains("service-name%3Derrors");
        assert!(
            is_class || request.namespace == "shop" || is_named,
            "{request:?}"
        );
    }
    // All of them are kept up to date.
    api.delete("EndpointSlice", "system", "errors-1");
    world.until("the slice to go", |world| {
        !world.has(Kind::EndpointSlice, "system", "errors-1")
    });
    api.delete("Secret", "system", "wildcard");
    world.until("the Secret to go", |world| {
        !world.has(Kind::Secret, "system", "wildcard")
    });
}

#[test]
fn namespaces_are_selected_by_their_labels() {
    let api = ApiServer::start();
    let namespace = |name: &str, team: &str| {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"team": team}},
        })
    };
    api.create(namespace("shop", "web"));
    api.create(namespace("other", "else"));
    let mut options = options();
    let selector = "team in (web, api)".parse().unwrap();
    options.compile.namespaces = Namespaces::Selected(selector);
    let mut world = World::ready(&api, options);
    assert!(world.has(Kind::Namespace, "", "shop") && !world.has(Kind::Namespace, "", "other"));
    api.replace(namespace("other", "api"));
    world.until("the label", |world| world.has(Kind::Namespace, "", "other"));
    api.replace(namespace("shop", "none"));
    world.until("the label to go", |world| {
        !world.has(Kind::Namespace, "", "shop")
    });
}

#[test]
fn namespaces_are_not_requested_without_a_selector() {
    let api = ApiServer::start();
    World::ready(&api, options());
    assert!(
        api.requests()
            .iter()
            .all(|request| request.resource != "namespaces")
    );
}

#[test]
fn permission_to_list_and_watch_is_enough() {
    let api = ApiServer::start();
    api.create(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "headgate"},
        "rules": [
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            {"apiGroups": [""], "resources": ["services", "secrets", "configmaps"], "verbs": ["list", "watch"]},
        ],
    }));
    api.create(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "headgate"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "headgate"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "system", "name": "headgate"}],
    }));
    let token = api.service_account("system", "headgate");
    api.enforce_rbac(true);
    api.create(secret("shop", "cert"));
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("config");
    std::fs::write(&kubeconfig, api.kubeconfig_for(&token)).unwrap();
    let connect = ConnectOptions {
        kubeconfig: Some(kubeconfig),
        ..ConnectOptions::default()
    };
    let mut world = World::connected(&connect, options());
    world.batch();
    // Single objects are requested by a list, and resuming a watch checks the version by a list.
    api.create(secured("web", "cert"));
    world.until("the Secret", |world| {
        world.has(Kind::Secret, "shop", "cert")
    });
    api.disturb_all(Disturbance::Close);
    api.create(secured("api", "cert"));
    world.until("another", |world| world.has(Kind::Ingress, "shop", "api"));
    for kind in ["Ingress", "Secret", "ConfigMap", "Service"] {
        assert_eq!(world.metric("headgate_watch_denied", kind), 0.0, "{kind}");
    }
    let used = api.used_permissions();
    assert!(
        used.iter()
            .all(|used| used.verb == "list" || used.verb == "watch"),
        "{used:?}"
    );
}

#[test]
fn secrets_of_helm_are_not_requested() {
    let api = ApiServer::start();
    World::ready(&api, options());
    let request = api.wait_for_request(|request| request.resource == "secrets");
    assert!(
        request.query.contains("type%21%3Dhelm.sh%2Frelease.v1"),
        "{}",
        request.query
    );
}
