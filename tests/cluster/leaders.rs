//! Two replicas elect who writes, and the other takes over.

use std::time::{Duration, Instant};

use headgate_testkit::kubernetes::{Effect, Fault, Recorded};
use headgate_testkit::{ApiServer, Program};
use serde_json::json;

use super::status::{until_addresses, until_leader};
use super::support::{HOME, api, ingress, replica_with, until_metric, until_status};

const LEASE: &str = "ingress-controller-leader";
const LEADS: &str = "nginx_ingress_controller_leader_election_status";
const TOLD: &str = "192.0.2.1";
/// How long the lease lasts.
const TTL: Duration = Duration::from_secs(3);

/// A replica with an account of its own, by which its requests are known.
fn replica(api: &ApiServer, pod: &str) -> Program {
    let program = unready(api, pod);
    program.until_ready();
    program
}

fn unready(api: &ApiServer, pod: &str) -> Program {
    let token = api.service_account(HOME, pod);
    let address = format!("--publish-status-address={TOLD}");
    replica_with(
        &api.kubeconfig_for(&token),
        pod,
        &[&address, "--election-ttl=3s"],
    )
}

fn wrote(api: &ApiServer, pod: &str) -> Vec<String> {
    let user = format!("system:serviceaccount:{HOME}:{pod}");
    let is_write =
        |request: &Recorded| request.resource == "ingresses/status" && request.user == user;
    let requests = api.requests();
    let written = requests.iter().filter(|request| is_write(request));
    written.map(|request| request.name.clone()).collect()
}

#[test]
fn a_killed_leader_is_followed_within_the_lease_time() {
    let api = api();
    api.create(ingress("first", "first.test", "web"));
    let leader = replica(&api, "headgate-0");
    until_addresses(&api, "first", &[TOLD]);
    let follower = replica(&api, "headgate-1");
    until_metric(&leader, LEADS, &[], 1.0);
    assert_eq!(follower.metric(LEADS, &[]), 0.0);
    api.create(ingress("second", "second.test", "web"));
    until_addresses(&api, "second", &[TOLD]);
    assert_eq!(wrote(&api, "headgate-0"), ["first", "second"]);
    assert!(
        wrote(&api, "headgate-1").is_empty(),
        "only the leader writes"
    );

    // Killed, with no chance to give anything back.
    drop(leader);
    let killed = Instant::now();
    api.create(ingress("third", "third.test", "web"));
    until_status(&follower, "third.test", 503);
    until_leader(&api, "headgate-1");
    // The lease time after the last renewal that the other saw, and the pause between two looks.
    let took = killed.elapsed();
    assert!(took < TTL + TTL / 2, "{took:?}");
    until_addresses(&api, "third", &[TOLD]);
    assert_eq!(
        wrote(&api, "headgate-1"),
        ["third"],
        "nothing is written twice"
    );
}

#[test]
fn a_leader_that_lost_its_lease_writes_no_more() {
    let api = api();
    api.create(ingress("first", "first.test", "web"));
    let program = replica(&api, "headgate-0");
    until_addresses(&api, "first", &[TOLD]);

    let stolen = json!({"holderIdentity": "another", "leaseDurationSeconds": 3, "leaseTransitions": 7,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"});
    api.modify("Lease", HOME, LEASE, |lease| lease["spec"] = stolen.clone());
    until_metric(&program, LEADS, &[], 0.0);
    api.create(ingress("second", "second.test", "web"));
    until_status(&program, "second.test", 503);
    assert_eq!(wrote(&api, "headgate-0"), ["first"]);

    // The thief never renews it. Whatever its clock says, it has the lease time from when we saw it.
    until_leader(&api, "headgate-0");
    until_addresses(&api, "second", &[TOLD]);
    api.until("Lease", HOME, LEASE, |lease| {
        lease["spec"]["leaseTransitions"] == 8
    });
}

#[test]
fn a_deleted_lease_is_made_again() {
    let api = api();
    let program = replica(&api, "headgate-0");
    until_leader(&api, "headgate-0");
    api.delete("Lease", HOME, LEASE);
    until_leader(&api, "headgate-0");
    until_metric(&program, LEADS, &[], 1.0);
    api.create(ingress("first", "first.test", "web"));
    until_addresses(&api, "first", &[TOLD]);
}

#[test]
fn who_cannot_renew_the_lease_writes_no_more() {
    let mut api = api();
    let program = replica(&api, "headgate-0");
    until_metric(&program, LEADS, &[], 1.0);
    api.stop();
    let stopped = Instant::now();
    until_metric(&program, LEADS, &[], 0.0);
    let took = stopped.elapsed();
    assert!(took < TTL, "given up before another may take it: {took:?}");
    api.resume();
    until_metric(&program, LEADS, &[], 1.0);
}

#[test]
fn who_never_served_gives_the_lease_back() {
    let api = api();
    for verb in ["list", "watch"] {
        api.inject(
            Fault::new(Effect::Status(500))
                .verb(verb)
                .resource("ingresses"),
        );
    }
    let program = unready(&api, "headgate-0");
    until_metric(&program, LEADS, &[], 1.0);
    program.ask("/readyz").is(503);
    program.terminate();
    assert!(program.wait().success());
    let lease = api.get("Lease", HOME, LEASE).unwrap();
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    assert_eq!(holder, "");
}
