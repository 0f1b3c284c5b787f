//! Statuses over real HTTP, with server-side apply and permissions.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod write;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use headgate_apiserver::{Effect, Fault};
use headgate_cluster::lease::{Leader, Leadership};
use headgate_cluster::status::{
    Address, AddressSource, Observations, Observed, PublishService, StatusInput, StatusMetrics,
    StatusOptions, StatusWriter, owns_status,
};
use headgate_compile::Name;
use k8s_openapi::api::networking::v1::Ingress;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use write::World;

/// Statuses of Ingresses, observed by a watch.
#[derive(Default)]
struct WatchedStatuses {
    all: Mutex<HashMap<Name, Observed>>,
    changed: Notify,
}

impl WatchedStatuses {
    fn start(world: &World) -> Arc<Self> {
        let watched = Arc::new(Self::default());
        let api: Api<Ingress> = Api::all(world.client());
        let statuses = watched.clone();
        world.runtime.spawn(async move {
            let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                match event.unwrap() {
                    Event::Apply(ingress) | Event::InitApply(ingress) => {
                        let name = Name::of(&ingress.metadata);
                        statuses
                            .all
                            .lock()
                            .unwrap()
                            .insert(name, observed(&ingress));
                    }
                    Event::Delete(ingress) => {
                        statuses
                            .all
                            .lock()
                            .unwrap()
                            .remove(&Name::of(&ingress.metadata));
                    }
                    Event::Init | Event::InitDone => {}
                }
                statuses.changed.notify_one();
            }
        });
        watched
    }
}

fn observed(ingress: &Ingress) -> Observed {
    let balancer = ingress
        .status
        .iter()
        .filter_map(|status| status.load_balancer.as_ref());
    let entries = balancer
        .filter_map(|balancer| balancer.ingress.as_ref())
        .flatten();
    Observed {
        uid: ingress.metadata.uid.as_deref().unwrap().into(),
        entries: entries
            .map(|entry| Address::new(entry.ip.as_deref(), entry.hostname.as_deref()))
            .collect(),
        managed: owns_status(&ingress.metadata),
    }
}

impl Observations for WatchedStatuses {
    fn observed(&self, ingress: &Name) -> Option<Observed> {
        self.all.lock().unwrap().get(ingress).cloned()
    }

    fn publish_service(&self) -> Option<PublishService> {
        None
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }
}

struct Writer {
    inputs: mpsc::UnboundedSender<StatusInput>,
    leadership: watch::Sender<Leadership>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Writer {
    /// A writer that leads.
    fn start(world: &World, client: Client, source: AddressSource) -> Self {
        let options = StatusOptions {
            source,
            interval: Duration::from_secs(60),
            clear_on_shutdown: true,
            pod: Name::new("ingress", "pod-1"),
        };
        let metrics = StatusMetrics::new(&HashMap::new()).unwrap();
        let writer = StatusWriter::new(client, options, WatchedStatuses::start(world), metrics);
        let (inputs, input) = mpsc::unbounded_channel();
        let leader = Leader::new(Instant::now() + Duration::from_secs(3600));
        let (leadership, follower) = watch::channel(Leadership::Leader(leader));
        let (stop, stopped) = oneshot::channel();
        let task = world.runtime.spawn(writer.run(input, follower, async {
            drop(stopped.await);
        }));
        Self {
            inputs,
            leadership,
            stop,
            task,
        }
    }

    fn input(&self, adopted: &[&str], released: &[&str]) {
        let names = |names: &[&str]| names.iter().map(|name| Name::new("shop", name)).collect();
        let (adopted, released) = (names(adopted), names(released));
        self.inputs.send(StatusInput { adopted, released }).unwrap();
    }

    fn stop(self, world: &World) {
        self.stop.send(()).unwrap();
        world.runtime.block_on(self.task).unwrap();
        drop(self.leadership);
    }
}

fn ingress(name: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"namespace": "shop", "name": name},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "ingress", "name": name, "labels": {"app": "gate", "pod-template-hash": name}},
        "spec": {"nodeName": format!("node-of-{name}"), "containers": [{"name": "gate", "image": "gate"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn node(name: &str, address: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]}})
}

fn fixed() -> AddressSource {
    AddressSource::fixed("lb.example,127.0.0.9")
}

fn published() -> Value {
    json!([{"hostname": "lb.example"}, {"ip": "127.0.0.9"}])
}

fn is_published(ingress: &Value) -> bool {
    ingress["status"]["loadBalancer"]["ingress"] == published()
}

fn is_empty(ingress: &Value) -> bool {
    let entries = &ingress["status"]["loadBalancer"]["ingress"];
    entries.is_null() || *entries == json!([])
}

#[test]
fn statuses_are_applied_and_cleared_by_the_field_manager() {
    let world = World::start();
    world.api.create(ingress("web"));
    let writer = Writer::start(&world, world.client(), fixed());
    writer.input(&["web"], &[]);
    let ingress = world.api.until("Ingress", "shop", "web", is_published);
    let metadata = serde_json::from_value(ingress["metadata"].clone()).unwrap();
    assert!(owns_status(&metadata));
    writer.input(&[], &["web"]);
    let ingress = world.api.until("Ingress", "shop", "web", is_empty);
    let metadata = serde_json::from_value(ingress["metadata"].clone()).unwrap();
    assert!(!owns_status(&metadata));
    assert_eq!(ingress["spec"]["defaultBackend"]["service"]["name"], "web");
}

#[test]
fn a_changed_status_is_repaired() {
    let world = World::start();
    world.api.create(ingress("web"));
    let writer = Writer::start(&world, world.client(), fixed());
    writer.input(&["web"], &[]);
    world.api.until("Ingress", "shop", "web", is_published);
    world.api.modify("Ingress", "shop", "web", |ingress| {
        ingress["status"]["loadBalancer"]["ingress"] = json!([{"ip": "127.0.0.77"}]);
    });
    world.api.until("Ingress", "shop", "web", is_published);
    assert!(world.api.delete("Ingress", "shop", "web"));
    world.api.create(ingress("web"));
    world.api.until("Ingress", "shop", "web", is_published);
}

#[test]
fn the_permissions_of_ingress_nginx_are_enough() {
    let world = World::start();
    world.api.create(ingress("web"));
    world.api.create(pod("pod-1"));
    world.api.create(node("node-of-pod-1", "127.0.0.9"));
    let rules = json!([
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]);
    let client = world.client_with("drop-in", &rules);
    let writer = Writer::start(&world, client, AddressSource::Nodes { internal: false });
    writer.input(&["web"], &[]);
    let ingress = world
        .api
        .until("Ingress", "shop", "web", |ingress| !is_empty(ingress));
    assert_eq!(
        ingress["status"]["loadBalancer"]["ingress"],
        json!([{"ip": "127.0.0.9"}])
    );
    writer.input(&[], &["web"]);
    world.api.until("Ingress", "shop", "web", is_empty);
}

#[test]
fn a_status_written_by_update_can_be_cleared_by_apply() {
    let world = World::start();
    world.api.create(ingress("web"));
    world.api.inject(
        Fault::new(Effect::Status(403))
            .verb("patch")
            .resource("ingresses/status")
            .times(1),
    );
    let writer = Writer::start(&world, world.client(), fixed());
    writer.input(&["web"], &[]);
    world.api.until("Ingress", "shop", "web", is_published);
    drop(writer);
    let again = Writer::start(&world, world.client(), fixed());
    again.input(&[], &["web"]);
    world.api.until("Ingress", "shop", "web", is_empty);
}

#[test]
fn failed_writes_are_retried() {
    for effect in [
        Effect::Drop,
        Effect::Status(500),
        Effect::Garbage,
        Effect::RetryAfter(429, 1),
    ] {
        let world = World::start();
        world.api.create(ingress("web"));
        world
            .api
            .inject(Fault::new(effect).resource("ingresses/status").times(1));
        let writer = Writer::start(&world, world.client(), fixed());
        writer.input(&["web"], &[]);
        world.api.until("Ingress", "shop", "web", is_published);
    }
}

#[test]
fn the_last_replica_clears_only_adopted_ingresses() {
    let world = World::start();
    for name in ["web", "unmanaged"] {
        world.api.create(ingress(name));
    }
    world.api.modify("Ingress", "shop", "unmanaged", |ingress| {
        ingress["status"]["loadBalancer"]["ingress"] = published();
    });
    world.api.create(pod("pod-1"));
    let writer = Writer::start(&world, world.client(), fixed());
    writer.input(&["web"], &[]);
    world.api.until("Ingress", "shop", "web", is_published);
    world.api.create(pod("pod-2"));
    writer.stop(&world);
    assert!(
        is_published(&world.api.get("Ingress", "shop", "web").unwrap()),
        "another replica runs"
    );
    world.api.delete("Pod", "ingress", "pod-2");
    let writer = Writer::start(&world, world.client(), fixed());
    writer.input(&["web"], &[]);
    // The writer has the Ingress adopted once it repairs it.
    world.api.modify("Ingress", "shop", "web", |ingress| {
        ingress["status"] = json!({})
    });
    world.api.until("Ingress", "shop", "web", is_published);
    writer.stop(&world);
    world.api.until("Ingress", "shop", "web", is_empty);
    assert!(is_published(
        &world.api.get("Ingress", "shop", "unmanaged").unwrap()
    ));
}
