//! The webhook's certificate over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod write;

use std::collections::HashMap;
use std::sync::Arc;

use headgate_apiserver::{Effect, Fault};
use headgate_cluster::webhook_certificate::{
    CertificateSource, ManagedOptions, ServingCertificate, WebhookCertificate,
    WebhookCertificateMetrics,
};
use headgate_compile::Name;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;
use write::World;

type Serving = watch::Receiver<Option<Arc<ServingCertificate>>>;

fn start(world: &World, client: Client) -> Serving {
    let options = ManagedOptions {
        secret: Name::new("ingress", "webhook"),
        configuration: Some("gate".into()),
        service: Name::new("ingress", "gate"),
    };
    let source = CertificateSource::Managed(options);
    let metrics = WebhookCertificateMetrics::new(&HashMap::new()).unwrap();
    let task = WebhookCertificate::new(client, source, metrics);
    let serving = task.serving();
    world.runtime.spawn(task.run());
    serving
}

fn configuration() -> Value {
    let webhook = |name: &str, service: &str| {
        json!({"name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"service": {"namespace": "ingress", "name": service, "path": "/x"}}})
    };
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "gate"}, "webhooks": [webhook("other.example", "other"), webhook("gate.example", "gate")]})
}

fn bundle(configuration: &Value, webhook: usize) -> &Value {
    &configuration["webhooks"][webhook]["clientConfig"]["caBundle"]
}

fn rules() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "update"], "resourceNames": ["webhook"]},
        {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingwebhookconfigurations"],
            "verbs": ["get", "patch", "watch"], "resourceNames": ["gate"]}])
}

#[test]
fn racing_replicas_agree_and_ca_bundle_is_updated() {
    let world = World::start();
    world.api.create(configuration());
    let mut replicas: Vec<Serving> = (0..4)
        .map(|number| {
            start(
                &world,
                world.client_with(&format!("replica-{number}"), &rules()),
            )
        })
        .collect();
    for replica in &mut replicas {
        world.wait(replica, Option::is_some);
    }
    let all: Vec<_> = replicas
        .iter()
        .map(|replica| replica.borrow().clone().unwrap())
        .collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    let secret = world.api.get("Secret", "ingress", "webhook").unwrap();
    let updated = world.api.until(
        "ValidatingWebhookConfiguration",
        "",
        "gate",
        |configuration| *bundle(configuration, 1) == secret["data"]["ca.crt"],
    );
    assert!(bundle(&updated, 0).is_null());
}

#[test]
fn a_conflict_and_a_failed_request_are_retried() {
    let world = World::start();
    world.api.create(configuration());
    world
        .api
        .inject(Fault::new(Effect::Drop).resource("secrets").times(1));
    world.api.inject(
        Fault::new(Effect::Status(409))
            .verb("patch")
            .resource("validatingwebhookconfigurations")
            .times(1),
    );
    let mut serving = start(&world, world.client());
    world.wait(&mut serving, Option::is_some);
    world.api.until(
        "ValidatingWebhookConfiguration",
        "",
        "gate",
        |configuration| !bundle(configuration, 1).is_null(),
    );
}

#[test]
fn an_empty_secret_of_the_chart_needs_no_permission_to_create() {
    let world = World::start();
    world.api.create(configuration());
    world.api.create(
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "ingress", "name": "webhook"}}),
    );
    let rules = rules().as_array().unwrap()[1..].to_vec();
    let mut serving = start(&world, world.client_with("gate", &rules.into()));
    world.wait(&mut serving, Option::is_some);
}

#[test]
fn a_removed_ca_bundle_is_restored_at_once() {
    let world = World::start();
    world.api.create(configuration());
    let mut serving = start(&world, world.client_with("gate", &rules()));
    world.wait(&mut serving, Option::is_some);
    let kind = "ValidatingWebhookConfiguration";
    let has_bundle = |configuration: &Value| !bundle(configuration, 1).is_null();
    world.api.until(kind, "", "gate", has_bundle);
    for _ in 0..2 {
        world.api.modify(kind, "", "gate", |configuration| {
            configuration["webhooks"][1]["clientConfig"]
                .as_object_mut()
                .unwrap()
                .remove("caBundle");
        });
        // Sooner than the next reconciliation, which is due after a minute.
        world.api.until(kind, "", "gate", has_bundle);
    }
}
