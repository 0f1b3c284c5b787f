//! Leader election: one replica writes, and another takes over.

use std::time::{Duration, Instant};

use headgate_apiserver::{Effect, Fault, Recorded};
use headgate_testkit::Program;
use serde_json::json;

use super::roles;
use super::status::until_addresses;
use super::support::{ingress, stop, until_metric, until_status};
use super::testenv::{LEASE, TestEnv, until_leader};

const LEADS: &str = "nginx_ingress_controller_leader_election_status";
const ADDRESS: &str = "192.0.2.1";
/// Duration of the lease.
const TTL: Duration = Duration::from_secs(3);

/// A ready replica whose ServiceAccount identifies its requests.
fn replica(env: &TestEnv, pod: &str) -> Program {
    let program = unready(env, pod);
    program.until_ready();
    program
}

fn unready(env: &TestEnv, pod: &str) -> Program {
    let address = format!("--publish-status-address={ADDRESS}");
    env.replica_with_account(pod, pod, &[&address, "--election-ttl=3s"])
}

/// Ingresses whose status this replica has written.
fn written_by(env: &TestEnv, pod: &str) -> Vec<String> {
    let user = env.user(&roles::account(pod, &[]));
    let is_write =
        |request: &Recorded| request.resource == "ingresses/status" && request.user == user;
    let requests = env.api.requests();
    let written = requests.iter().filter(|request| is_write(request));
    written.map(|request| request.name.clone()).collect()
}

#[test]
fn a_killed_leader_is_replaced_within_the_lease_duration() {
    let env = TestEnv::new();
    env.create(ingress("first", "first.test", "web"));
    let leader = replica(&env, "headgate-0");
    until_addresses(&env, "first", &[ADDRESS]);
    let follower = replica(&env, "headgate-1");
    until_metric(&leader, LEADS, &[], 1.0);
    assert_eq!(follower.metric(LEADS, &[]), 0.0);
    env.create(ingress("second", "second.test", "web"));
    until_addresses(&env, "second", &[ADDRESS]);
    assert_eq!(written_by(&env, "headgate-0"), ["first", "second"]);
    assert!(
        written_by(&env, "headgate-1").is_empty(),
        "only the leader writes"
    );

    // Killed, so that it cannot release its lease.
    drop(leader);
    let killed = Instant::now();
    env.create(ingress("third", "third.test", "web"));
    until_status(&follower, "third.test", 503);
    until_leader(&env, "headgate-1");
    // The lease duration after the last renewal that the follower observed, and its retry period.
    let took = killed.elapsed();
    assert!(took < TTL + TTL / 2, "{took:?}");
    until_addresses(&env, "third", &[ADDRESS]);
    assert_eq!(
        written_by(&env, "headgate-1"),
        ["third"],
        "nothing is written twice"
    );
}

#[test]
fn a_leader_that_loses_its_lease_stops_writing() {
    let env = TestEnv::new();
    env.create(ingress("first", "first.test", "web"));
    let program = replica(&env, "headgate-0");
    until_addresses(&env, "first", &[ADDRESS]);

    let taken = json!({"holderIdentity": "another", "leaseDurationSeconds": 3, "leaseTransitions": 7,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"});
    env.api
        .modify("Lease", &env.controller_namespace(), LEASE, |lease| {
            lease["spec"] = taken.clone()
        });
    until_metric(&program, LEADS, &[], 0.0);
    env.create(ingress("second", "second.test", "web"));
    until_status(&program, "second.test", 503);
    assert_eq!(written_by(&env, "headgate-0"), ["first"]);

    // The claim is never renewed. It expires one lease duration after the replica observed it, whatever its timestamps.
    until_leader(&env, "headgate-0");
    until_addresses(&env, "second", &[ADDRESS]);
    env.api
        .until("Lease", &env.controller_namespace(), LEASE, |lease| {
            lease["spec"]["leaseTransitions"] == 8
        });
}

#[test]
fn a_deleted_lease_is_recreated() {
    let env = TestEnv::new();
    let program = replica(&env, "headgate-0");
    until_leader(&env, "headgate-0");
    env.api.delete("Lease", &env.controller_namespace(), LEASE);
    until_leader(&env, "headgate-0");
    until_metric(&program, LEADS, &[], 1.0);
    env.create(ingress("first", "first.test", "web"));
    until_addresses(&env, "first", &[ADDRESS]);
}

#[test]
fn a_leader_that_cannot_renew_its_lease_stops_leading_before_it_expires() {
    let mut env = TestEnv::new();
    let program = replica(&env, "headgate-0");
    until_metric(&program, LEADS, &[], 1.0);
    env.api.stop();
    let stopped = Instant::now();
    until_metric(&program, LEADS, &[], 0.0);
    let took = stopped.elapsed();
    assert!(took < TTL, "after another replica may acquire it: {took:?}");
    env.api.resume();
    until_metric(&program, LEADS, &[], 1.0);
}

#[test]
fn a_replica_that_never_became_ready_releases_its_lease() {
    let env = TestEnv::new();
    for verb in ["list", "watch"] {
        env.api.inject(
            Fault::new(Effect::Status(500))
                .verb(verb)
                .resource("ingresses"),
        );
    }
    let program = unready(&env, "headgate-0");
    until_metric(&program, LEADS, &[], 1.0);
    program.admin_get("/readyz").is(503);
    stop(&program);
    let lease = env
        .api
        .get("Lease", &env.controller_namespace(), LEASE)
        .unwrap();
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    assert_eq!(holder, "");
}
