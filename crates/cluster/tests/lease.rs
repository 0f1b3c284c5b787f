//! Elections over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod write;

use std::collections::HashMap;
use std::time::Duration;

use headgate_apiserver::{Effect, Fault};
use headgate_cluster::events::{EventMetrics, EventOptions, Events, Reporter};
use headgate_cluster::lease::{Elector, Leadership, LeaseMetrics, LeaseOptions};
use headgate_compile::Name;
use kube::Client;
use serde_json::json;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use write::World;

/// Short where a claim must expire.
const SHORT: Duration = Duration::from_secs(2);
/// Long where it must not expire: what happens much earlier did not wait for the expiry.
const LONG: Duration = Duration::from_secs(40);

struct Replica {
    leadership: watch::Receiver<Leadership>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn start(world: &World, client: Client, identity: &str, ttl: Duration) -> Replica {
    let options = LeaseOptions {
        lease: Name::new("ingress", "leader"),
        identity: identity.into(),
        ttl,
    };
    let metrics = LeaseMetrics::new("leader", &HashMap::new()).unwrap();
    let elector = Elector::new(client.clone(), options, metrics);
    let options = EventOptions {
        controller: "headgate".into(),
        instance: identity.into(),
        sync: true,
    };
    let metrics = EventMetrics::new(&HashMap::new()).unwrap();
    let (events, notices) = Events::new(client, options, metrics);
    world.runtime.spawn(events.run(Reporter::Always));
    let elector = elector.with_notices(notices);
    let leadership = elector.leadership();
    let (stop, stopped) = oneshot::channel();
    let task = world.runtime.spawn(elector.run(async {
        drop(stopped.await);
    }));
    Replica {
        leadership,
        stop,
        task,
    }
}

fn leads(leadership: &Leadership) -> bool {
    leadership.leader(Instant::now()).is_some()
}

#[test]
fn a_released_lease_is_acquired_at_once() {
    let world = World::start();
    let mut one = start(&world, world.client(), "one", LONG);
    world.wait(&mut one.leadership, leads);
    let mut two = start(&world, world.client(), "two", LONG);
    world.api.wait_for_watches("leases", 1);
    one.stop.send(()).unwrap();
    world.runtime.block_on(one.task).unwrap();
    let took = world.wait(&mut two.leadership, leads);
    assert!(took < LONG / 4, "{took:?}");
    let lease = world.api.get("Lease", "ingress", "leader").unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "two");
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

#[test]
fn a_killed_leader_is_replaced_within_the_lease_duration() {
    let world = World::start();
    let mut one = start(&world, world.client(), "one", SHORT);
    world.wait(&mut one.leadership, leads);
    let mut two = start(&world, world.client(), "two", SHORT);
    world.api.wait_for_watches("leases", 1);
    one.task.abort();
    let took = world.wait(&mut two.leadership, leads);
    assert!(took >= SHORT / 2 && took < SHORT * 2, "{took:?}");
    assert!(!leads(&one.leadership.borrow()));
}

#[test]
fn a_leader_stops_during_an_outage_of_the_api_server_and_leads_again_afterwards() {
    let mut world = World::start();
    let mut one = start(&world, world.client(), "one", SHORT);
    world.wait(&mut one.leadership, leads);
    let token = one
        .leadership
        .borrow()
        .leader(Instant::now())
        .cloned()
        .unwrap();
    world.api.stop();
    world.wait(&mut one.leadership, |leadership| !leads(leadership));
    assert!(!token.is_current(Instant::now()));
    world.api.resume();
    world.wait(&mut one.leadership, leads);
}

#[test]
fn a_renewal_that_hangs_ends_leadership() {
    let world = World::start();
    let mut one = start(&world, world.client(), "one", SHORT);
    world.wait(&mut one.leadership, leads);
    world
        .api
        .inject(Fault::new(Effect::Hang).resource("leases"));
    let took = world.wait(&mut one.leadership, |leadership| !leads(leadership));
    assert!(took < SHORT * 2, "{took:?}");
}

#[test]
fn an_election_works_without_permission_to_watch() {
    let world = World::start();
    let rules = json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "update"],
        "resourceNames": ["leader"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}]);
    let mut one = start(&world, world.client_with("one", &rules), "one", SHORT);
    world.wait(&mut one.leadership, leads);
    let mut two = start(&world, world.client_with("two", &rules), "two", SHORT);
    world.wait(
        &mut two.leadership,
        |leadership| matches!(leadership, Leadership::Follower(Some(leader)) if &**leader == "one"),
    );
    one.stop.send(()).unwrap();
    let took = world.wait(&mut two.leadership, leads);
    assert!(took < SHORT * 2, "{took:?}");
}

#[test]
fn a_new_leader_writes_an_event_on_the_lease() {
    let world = World::start();
    let mut one = start(&world, world.client(), "one", LONG);
    world.wait(&mut one.leadership, leads);
    world
        .api
        .wait_for_request(|request| request.verb == "create" && request.resource == "events");
    let event = headgate_testkit::wait::until("the event", || world.api.list("Event").pop());
    assert_eq!(event["reason"], "LeaderElection");
    assert_eq!(event["involvedObject"]["kind"], "Lease");
    assert_eq!(event["message"], "one became leader");
}
