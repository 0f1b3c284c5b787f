#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headgate_compile::Name;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{
    Address, AddressSource, Observations, Observed, PublishService, ServiceKind, StatusInput,
    StatusMetrics, StatusOptions, StatusWriter, owns_status,
};
use crate::fake::{Failure, Fake, RecordedRequest};
use crate::leadership::{Leader, Leadership};

const INTERVAL: Duration = Duration::from_secs(60);
const PODS: &str = "/api/v1/namespaces/ingress/pods";

/// Observations of a watch, read directly from the fake server.
struct FakeObservations {
    fake: Fake,
    service: Mutex<Option<PublishService>>,
    changed: Notify,
}

impl Observations for FakeObservations {
    fn observed(&self, ingress: &Name) -> Option<Observed> {
        let object = self.fake.get(&path(&ingress.name))?;
        let metadata = serde_json::from_value(object["metadata"].clone()).unwrap();
        let entries = object["status"]["loadBalancer"]["ingress"].as_array();
        Some(Observed {
            uid: object["metadata"]["uid"].as_str().unwrap().into(),
            entries: entries
                .into_iter()
                .flatten()
                .map(|entry| Address::new(entry["ip"].as_str(), entry["hostname"].as_str()))
                .collect(),
            managed: owns_status(&metadata),
        })
    }

    fn publish_service(&self) -> Option<PublishService> {
        self.service.lock().unwrap().clone()
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }
}

struct World {
    fake: Fake,
    observations: Arc<FakeObservations>,
    inputs: mpsc::UnboundedSender<StatusInput>,
    leadership: watch::Sender<Leadership>,
    metrics: StatusMetrics,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl World {
    fn start(fake: &Fake, source: AddressSource) -> Self {
        let observations = Arc::new(FakeObservations {
            fake: fake.clone(),
            service: Mutex::default(),
            changed: Notify::new(),
        });
        let options = StatusOptions {
            source,
            interval: INTERVAL,
            clear_on_shutdown: true,
            pod: Name::new("ingress", "pod-1"),
        };
        let metrics = StatusMetrics::new(&HashMap::new()).unwrap();
        let writer = StatusWriter::new(
            fake.client(),
            options,
            observations.clone(),
            metrics.clone(),
        );
        let (inputs, input) = mpsc::unbounded_channel();
        let (leadership, follower) = watch::channel(Leadership::Follower(None));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(writer.run(input, follower, async {
            drop(stopped.await);
        }));
        Self {
            fake: fake.clone(),
            observations,
            inputs,
            leadership,
            metrics,
            stop,
            task,
        }
    }

    /// A leader with these Ingresses, existing and adopted.
    async fn leading(source: AddressSource, ingresses: &[&str]) -> Self {
        let world = Self::start(&Fake::default(), source);
        for name in ingresses {
            world.add(name, &json!([]));
        }
        world.adopt(ingresses);
        world.lead();
        world.settle().await;
        world
    }

    fn add(&self, name: &str, entries: &Value) {
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"namespace": "shop", "name": name},
            "status": {"loadBalancer": {"ingress": entries}}});
        self.fake.put(&path(name), ingress);
        self.observations.changed.notify_one();
    }

    fn adopt(&self, names: &[&str]) {
        let adopted = names.iter().map(|name| Name::new("shop", name)).collect();
        self.inputs
            .send(StatusInput {
                adopted,
                released: vec![],
            })
            .unwrap();
    }

    fn release(&self, name: &str) {
        let released = vec![Name::new("shop", name)];
        self.inputs
            .send(StatusInput {
                adopted: vec![],
                released,
            })
            .unwrap();
    }

    fn lead(&self) -> Leader {
        let leader = Leader::new(Instant::now() + Duration::from_secs(360_000));
        self.leadership
            .send_replace(Leadership::Leader(leader.clone()));
        leader
    }

    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }

    fn entries(&self, name: &str) -> Value {
        self.fake.get(&path(name)).unwrap()["status"]["loadBalancer"]["ingress"].clone()
    }

    fn writes(&self) -> Vec<RecordedRequest> {
        let requests = self.fake.take_requests().into_iter();
        requests.filter(|one| one.method != Method::GET).collect()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn path(name: &str) -> String {
    format!("/apis/networking.k8s.io/v1/namespaces/shop/ingresses/{name}")
}

fn fixed() -> AddressSource {
    AddressSource::fixed("192.0.2.2, lb.example,192.0.2.2")
}

fn published() -> Value {
    json!([{"hostname": "lb.example"}, {"ip": "192.0.2.2"}])
}

fn pod(name: &str, hash: &str, node: &str, is_ready: bool) -> Value {
    let ready = if is_ready { "True" } else { "False" };
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "ingress", "name": name, "labels": {"app": "gate", "pod-template-hash": hash}},
        "spec": {"nodeName": node, "containers": []},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
}

fn node(fake: &Fake, name: &str, addresses: &[(&str, &str)]) {
    let addresses: Vec<Value> = addresses
        .iter()
        .map(|(kind, address)| json!({"type": kind, "address": address}))
        .collect();
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"addresses": addresses}});
    fake.put(&format!("/api/v1/nodes/{name}"), node);
}

#[tokio::test(start_paused = true)]
async fn the_leader_writes_each_difference_once() {
    let world = World::leading(fixed(), &["web", "api"]).await;
    assert_eq!(world.entries("web"), published());
    let writes = world.writes();
    assert_eq!(writes.len(), 2);
    let write = &writes[0];
    assert_eq!(write.method, Method::PATCH);
    assert!(write.path.ends_with("/status"));
    assert!(write.query.contains("fieldManager=headgate") && write.query.contains("force=true"));
    assert_eq!(
        write.body["status"],
        json!({"loadBalancer": {"ingress": published()}})
    );
    assert!(write.body["metadata"]["uid"].is_string() && write.body.get("spec").is_none());
    tokio::time::sleep(INTERVAL * 5).await;
    assert_eq!(world.writes().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_addresses_in_another_order_are_left_alone() {
    let world = World::start(&Fake::default(), fixed());
    world.add(
        "web",
        &json!([{"ip": "192.0.2.2"}, {"hostname": "lb.example"}]),
    );
    world.adopt(&["web"]);
    world.lead();
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(world.writes().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_follower_writes_nothing_and_a_lost_claim_stops_writes_at_once() {
    let world = World::start(&Fake::default(), fixed());
    world.add("web", &json!([]));
    world.adopt(&["web"]);
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(world.writes().len(), 0);
    let leader = world.lead();
    // The token ends before the task is notified.
    leader.end();
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(world.writes().len(), 0);
    world.lead();
    world.settle().await;
    assert_eq!(world.entries("web"), published());
}

#[tokio::test(start_paused = true)]
async fn statuses_of_other_controllers_are_never_written() {
    let world = World::leading(fixed(), &["web"]).await;
    world.add("unmanaged", &json!([{"ip": "192.0.2.77"}]));
    world.add("former", &json!([{"ip": "192.0.2.77"}]));
    world.release("former");
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(world.entries("unmanaged"), json!([{"ip": "192.0.2.77"}]));
    assert_eq!(world.entries("former"), json!([{"ip": "192.0.2.77"}]));
}

#[tokio::test(start_paused = true)]
async fn a_released_status_is_cleared_even_by_a_later_leader() {
    let world = World::leading(fixed(), &["web"]).await;
    let other = World::start(&world.fake, fixed());
    other.adopt(&["web"]);
    other.settle().await;
    world.leadership.send_replace(Leadership::Follower(None));
    world.release("web");
    other.release("web");
    other.settle().await;
    assert_eq!(world.entries("web"), published(), "no replica leads");
    other.lead();
    other.settle().await;
    assert_eq!(world.entries("web"), Value::Null);
    world.fake.take_requests();
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(world.writes().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_changed_address_is_written_at_once() {
    let world = World::leading(AddressSource::Service, &["web"]).await;
    assert_eq!(world.writes().len(), 0, "the Service is not known yet");
    let service = |ip: &str| PublishService {
        kind: ServiceKind::LoadBalancer,
        load_balancer: vec![Address::parse(ip)],
        ..PublishService::default()
    };
    world.add("former", &json!([{"ip": "192.0.2.66"}]));
    world.adopt(&["former"]);
    *world.observations.service.lock().unwrap() = Some(PublishService {
        load_balancer: vec![],
        ..service("")
    });
    world.observations.changed.notify_one();
    world.settle().await;
    assert_eq!(
        world.entries("former"),
        json!([{"ip": "192.0.2.66"}]),
        "it is kept until there is an address"
    );
    for ip in ["192.0.2.1", "192.0.2.3"] {
        *world.observations.service.lock().unwrap() = Some(service(ip));
        world.observations.changed.notify_one();
        world.settle().await;
        assert_eq!(world.entries("web"), json!([{"ip": ip}]));
    }
    *world.observations.service.lock().unwrap() = None;
    world.observations.changed.notify_one();
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(
        world.entries("web"),
        json!([{"ip": "192.0.2.3"}]),
        "a deleted Service clears nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn addresses_of_nodes_with_ready_pods_are_published() {
    let fake = Fake::default();
    for (name, hash, node, is_ready) in [
        ("pod-1", "a", "n1", true),
        ("pod-2", "b", "n2", true),
        ("pod-3", "a", "n3", false),
    ] {
        fake.put(&format!("{PODS}/{name}"), pod(name, hash, node, is_ready));
    }
    node(
        &fake,
        "n1",
        &[("InternalIP", "10.0.0.1"), ("ExternalIP", "192.0.2.1")],
    );
    node(
        &fake,
        "n2",
        &[("InternalIP", "10.0.0.2"), ("Hostname", "n2")],
    );
    node(&fake, "n3", &[("ExternalIP", "192.0.2.3")]);
    for (internal, expected) in [
        (false, ["10.0.0.2", "192.0.2.1"]),
        (true, ["10.0.0.1", "10.0.0.2"]),
    ] {
        let world = World::start(&fake, AddressSource::Nodes { internal });
        world.add("web", &json!([]));
        world.adopt(&["web"]);
        world.lead();
        world.settle().await;
        assert_eq!(
            world.entries("web"),
            json!([{"ip": expected[0]}, {"ip": expected[1]}])
        );
    }
    let requests = fake.take_requests();
    let list = requests.iter().find(|one| one.path == PODS).unwrap();
    assert!(
        list.query.contains("labelSelector=app%3Dgate") && !list.query.contains("hash"),
        "{}",
        list.query
    );
}

#[tokio::test(start_paused = true)]
async fn without_permission_to_patch_statuses_are_updated() {
    let world = World::start(&Fake::default(), fixed());
    world
        .fake
        .fail_if(|request| (request.method == Method::PATCH).then_some(Failure::Status(403)));
    world.add("web", &json!([{"ip": "192.0.2.77"}]));
    world.adopt(&["web"]);
    world.lead();
    world.settle().await;
    assert_eq!(world.entries("web"), published());
    assert!(!world.metrics.is_forbidden());
    let update = world.writes().pop().unwrap();
    assert_eq!(update.method, Method::PUT);
    assert!(update.path.ends_with("/status"));
}

#[tokio::test(start_paused = true)]
async fn missing_permission_is_reported_and_retried_rarely() {
    let world = World::start(&Fake::default(), fixed());
    world
        .fake
        .fail_if(|request| (request.method != Method::GET).then_some(Failure::Status(403)));
    let names: Vec<String> = (0..100).map(|number| format!("web-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        world.add(name, &json!([]));
    }
    world.adopt(&names);
    world.lead();
    tokio::time::sleep(INTERVAL * 3).await;
    assert!(world.metrics.is_forbidden());
    let tried = world.writes().len();
    assert!(tried < 100, "{tried} attempts in three minutes");
    world.fake.heal();
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(world.entries("web-99"), published());
    assert!(!world.metrics.is_forbidden());
}

#[tokio::test(start_paused = true)]
async fn an_ingress_created_again_gets_its_status() {
    let world = World::leading(fixed(), &["web"]).await;
    world.fake.remove(&path("web"));
    world.add("web", &json!([]));
    world.settle().await;
    assert_eq!(world.entries("web"), published());
}

#[tokio::test(start_paused = true)]
async fn failed_writes_are_retried_with_back_off() {
    let world = World::start(&Fake::default(), fixed());
    world.fake.fail_if(|_| Some(Failure::Status(503)));
    world.add("web", &json!([]));
    world.adopt(&["web"]);
    world.lead();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let tried = world.writes().len();
    assert!((8..40).contains(&tried), "{tried}");
    world.fake.heal();
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(world.entries("web"), published());
}

#[tokio::test(start_paused = true)]
async fn concurrent_failures_extend_the_back_off_once() {
    let world = World::start(&Fake::default(), fixed());
    world.fake.fail_if(|_| Some(Failure::Hang));
    let names: Vec<String> = (0..10).map(|number| format!("web-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        world.add(name, &json!([]));
    }
    world.adopt(&names);
    world.lead();
    // Ten writes hang, and time out together after 10 s.
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.fake.heal();
    tokio::time::sleep(Duration::from_secs(10)).await;
    for name in &names {
        assert_eq!(world.entries(name), published(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_statuses_are_written_at_a_bounded_rate() {
    let world = World::start(&Fake::default(), fixed());
    let names: Vec<String> = (0..3000).map(|number| format!("web-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        world.add(name, &json!([]));
    }
    world.adopt(&names);
    world.lead();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let after_ten = world.writes().len();
    assert!((500..=1001).contains(&after_ten), "{after_ten}");
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(after_ten + world.writes().len(), 3000, "each once");
}

#[tokio::test(start_paused = true)]
async fn only_the_last_replica_clears_statuses() {
    for (others, cleared) in [(vec![], true), (vec![("pod-2", "b")], false)] {
        let world = World::leading(fixed(), &["web"]).await;
        world
            .fake
            .put(&format!("{PODS}/pod-1"), pod("pod-1", "a", "n1", true));
        for (name, hash) in others {
            world
                .fake
                .put(&format!("{PODS}/{name}"), pod(name, hash, "n2", true));
        }
        let fake = world.fake.clone();
        world.stop().await;
        let status = &fake.get(&path("web")).unwrap()["status"]["loadBalancer"]["ingress"];
        assert_eq!(status.is_null(), cleared);
    }
}

/// What the leader before it has written is cleared, although the addresses of nodes and the Ingresses are not known yet.
#[tokio::test(start_paused = true)]
async fn a_replica_that_stops_as_soon_as_it_leads_clears_statuses() {
    let fake = Fake::default();
    fake.put(&format!("{PODS}/pod-1"), pod("pod-1", "a", "n1", true));
    node(&fake, "n1", &[("ExternalIP", "192.0.2.1")]);
    for source in [fixed(), AddressSource::Nodes { internal: false }] {
        let expected = match source {
            AddressSource::Nodes { .. } => json!([{"ip": "192.0.2.1"}]),
            _ => published(),
        };
        let world = World::start(&fake, source);
        world.add("web", &expected);
        world.adopt(&["web"]);
        world.lead();
        world.stop().await;
        let status = &fake.get(&path("web")).unwrap()["status"]["loadBalancer"]["ingress"];
        assert!(status.is_null(), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_an_unresponsive_api_server() {
    let world = World::leading(fixed(), &["web"]).await;
    world.fake.fail_if(|_| Some(Failure::Hang));
    let begun = Instant::now();
    world.stop().await;
    assert!(
        begun.elapsed() <= Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}
