//! From the first request to the first batch.

use std::time::Duration;

use headgate_apiserver::{ApiServer, Effect, Fault, Options};
use headgate_cluster::ConnectOptions;
use headgate_compile::{Kind, Origin};
use serde_json::json;

use crate::world::{World, ingress, options, secret, secured, service, slice};

fn paged() -> ApiServer {
    ApiServer::start_with(Options {
        streaming_lists: false,
        ..Options::default()
    })
}

fn fill(api: &ApiServer) {
    api.create(secured("web", "cert"));
    api.create(service("shop", "web"));
    api.create(slice("shop", "web-1", "web"));
    api.create(secret("shop", "cert"));
    api.create(secret("shop", "unnamed"));
}

fn knows_all(world: &World) -> bool {
    world.has(Kind::Ingress, "shop", "web")
        && world.has(Kind::Service, "shop", "web")
        && world.has(Kind::EndpointSlice, "shop", "web-1")
        && world.has(Kind::Secret, "shop", "cert")
}

#[test]
fn the_first_batch_has_everything() {
    for api in [ApiServer::start(), paged()] {
        fill(&api);
        let mut world = World::new(&api);
        let batch = world.batch();
        assert!(knows_all(&world));
        assert!(!world.has(Kind::Secret, "shop", "unnamed"));
        assert_eq!(batch.origin, Origin::Live);
        assert!(batch.findings.is_empty());
        assert_eq!(world.metric("headgate_api_connected", ""), 1.0);
        assert_eq!(world.metric("headgate_objects", "Secret"), 1.0);
    }
}

#[test]
fn an_empty_cluster_makes_a_batch_too() {
    let api = ApiServer::start();
    let batch = World::new(&api).batch();
    assert_eq!(batch.origin, Origin::Live);
}

#[test]
fn lists_are_streamed_or_paged() {
    let many = |api: &ApiServer| {
        for index in 0..1200 {
            api.create(ingress(&format!("web-{index}"), "web"));
        }
    };
    let api = ApiServer::start();
    many(&api);
    let mut world = World::new(&api);
    world.batch();
    assert_eq!(world.snapshot().len(), 1200);
    assert!(api.requests().iter().all(|request| request.verb == "watch"));
    let api = paged();
    many(&api);
    let mut world = World::new(&api);
    world.batch();
    assert_eq!(world.snapshot().len(), 1200);
    let requests = api.requests();
    let pages = requests
        .iter()
        .filter(|one| one.verb == "list" && one.resource == "ingresses");
    assert_eq!(pages.count(), 3);
}

#[test]
fn an_unreachable_server_is_retried_until_it_responds() {
    let mut api = ApiServer::start();
    fill(&api);
    api.stop();
    let mut world = World::new(&api);
    assert!(world.is_quiet());
    assert_eq!(world.metric("headgate_api_connected", ""), 0.0);
    let problems = world.watch.health().borrow().problems.clone();
    assert!(!problems.is_empty());
    api.resume();
    world.batch();
    assert!(knows_all(&world));
    world.until_metric("headgate_api_connected", "", 1.0);
    assert!(world.watch.health().borrow().connected);
}

#[test]
fn failed_requests_at_start_are_retried() {
    let effects = [
        Effect::Drop,
        Effect::Status(500),
        Effect::Status(401),
        Effect::Status(410),
        Effect::RetryAfter(429, 1),
        Effect::Garbage,
        Effect::Truncate,
        Effect::Hang,
        Effect::Silence,
    ];
    for effect in effects {
        for api in [ApiServer::start(), paged()] {
            fill(&api);
            api.inject(Fault::new(effect.clone()).skip(2).times(3));
            let mut world = World::new(&api);
            world.batch();
            assert!(knows_all(&world), "{effect:?}");
        }
    }
}

#[test]
fn forbidden_classes_are_reported() {
    let api = ApiServer::start();
    fill(&api);
    api.create(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"},
    }));
    api.inject(Fault::new(Effect::Status(403)).resource("ingressclasses"));
    let mut world = World::new(&api);
    world.batch();
    let readable = |world: &World| world.snapshot().environment().classes_readable;
    assert!(!readable(&world) && knows_all(&world));
    assert_eq!(world.metric("headgate_watch_denied", "IngressClass"), 1.0);
    api.heal();
    world.until("the class", |world| {
        world.has(Kind::IngressClass, "", "nginx")
    });
    assert!(readable(&world));
    assert_eq!(world.metric("headgate_watch_denied", "IngressClass"), 0.0);
}

#[test]
fn forbidden_secrets_do_not_delay_the_first_batch_and_forbidden_services_do() {
    let api = ApiServer::start();
    fill(&api);
    api.inject(Fault::new(Effect::Status(403)).resource("secrets"));
    let mut world = World::new(&api);
    world.batch();
    assert!(world.has(Kind::Ingress, "shop", "web") && !world.has(Kind::Secret, "shop", "cert"));
    api.heal();
    world.until("the Secret", knows_all);

    api.inject(Fault::new(Effect::Status(403)).resource("services"));
    let mut world = World::new(&api);
    assert!(world.is_quiet());
    api.heal();
    world.batch();
    assert!(knows_all(&world));
}

#[test]
fn over_tls_with_a_private_ca() {
    let api = ApiServer::start_with(Options {
        tls: true,
        ..Options::default()
    });
    fill(&api);
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.crt");
    std::fs::write(&authority, api.authority()).unwrap();
    let connect = ConnectOptions {
        apiserver: Some(api.url()),
        certificate_authority: Some(authority),
        ..ConnectOptions::default()
    };
    let mut world = World::connected(&connect, options());
    world.batch();
    assert!(knows_all(&world));
}

#[test]
fn a_token_is_read_again_when_it_is_rejected() {
    let api = ApiServer::start();
    fill(&api);
    let token = api.service_account("system", "headgate");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "clusters": [{"name": "one", "cluster": {"server": api.url()}}],
        "users": [{"name": "one", "user": {"tokenFile": file}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
    });
    let config = directory.path().join("config");
    std::fs::write(&config, kubeconfig.to_string()).unwrap();
    let connect = ConnectOptions {
        kubeconfig: Some(config),
        ..ConnectOptions::default()
    };
    let mut world = World::connected(&connect, options());
    world.batch();
    assert!(
        api.requests()
            .iter()
            .all(|request| request.user.contains("headgate"))
    );
    api.revoke(&token);
    std::fs::write(&file, api.service_account("system", "headgate")).unwrap();
    api.disturb_all(headgate_apiserver::Disturbance::Close);
    api.create(ingress("later", "web"));
    world.until("the later Ingress", |world| {
        world.has(Kind::Ingress, "shop", "later")
    });
}

#[test]
fn dropping_the_future_of_a_batch_loses_nothing() {
    let api = ApiServer::start();
    fill(&api);
    let mut world = World::new(&api);
    let mut tries = 0;
    while world.batch_within(Duration::from_micros(200)).is_none() {
        tries += 1;
        assert!(tries < 100_000);
    }
    assert!(knows_all(&world));
}
