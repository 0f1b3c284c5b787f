//! Two replicas elect who writes, and the other takes over.

use std::time::{Duration, Instant};

use headgate_apiserver::{Effect, Fault, Recorded};
use headgate_testkit::Program;
use serde_json::json;

use super::place::{LEASE, Place, until_leader};
use super::rights;
use super::status::until_addresses;
use super::support::{ingress, stop, until_metric, until_status};

const LEADS: &str = "nginx_ingress_controller_leader_election_status";
const TOLD: &str = "192.0.2.1";
/// How long the lease lasts.
const TTL: Duration = Duration::from_secs(3);

/// A replica with an account of its own, by which its requests are known.
fn replica(place: &Place, pod: &str) -> Program {
    let program = unready(place, pod);
    program.until_ready();
    program
}

fn unready(place: &Place, pod: &str) -> Program {
    let address = format!("--publish-status-address={TOLD}");
    place.replica_as(pod, pod, &[&address, "--election-ttl=3s"])
}

/// Ingresses whose status the account of this replica has written.
fn wrote(place: &Place, pod: &str) -> Vec<String> {
    let user = place.user(&rights::account(pod, &[]));
    let is_write =
        |request: &Recorded| request.resource == "ingresses/status" && request.user == user;
    let requests = place.api.requests();
    let written = requests.iter().filter(|request| is_write(request));
    written.map(|request| request.name.clone()).collect()
}

#[test]
fn a_killed_leader_is_followed_within_the_lease_time() {
    let place = Place::new();
    place.create(ingress("first", "first.test", "web"));
    let leader = replica(&place, "headgate-0");
    until_addresses(&place, "first", &[TOLD]);
    let follower = replica(&place, "headgate-1");
    until_metric(&leader, LEADS, &[], 1.0);
    assert_eq!(follower.metric(LEADS, &[]), 0.0);
    place.create(ingress("second", "second.test", "web"));
    until_addresses(&place, "second", &[TOLD]);
    assert_eq!(wrote(&place, "headgate-0"), ["first", "second"]);
    assert!(
        wrote(&place, "headgate-1").is_empty(),
        "only the leader writes"
    );

    // Killed, with no chance to give anything back.
    drop(leader);
    let killed = Instant::now();
    place.create(ingress("third", "third.test", "web"));
    until_status(&follower, "third.test", 503);
    until_leader(&place, "headgate-1");
    // The lease time after the last renewal that the other saw, and the pause between two looks.
    let took = killed.elapsed();
    assert!(took < TTL + TTL / 2, "{took:?}");
    until_addresses(&place, "third", &[TOLD]);
    assert_eq!(
        wrote(&place, "headgate-1"),
        ["third"],
        "nothing is written twice"
    );
}

#[test]
fn a_leader_that_lost_its_lease_writes_no_more() {
    let place = Place::new();
    place.create(ingress("first", "first.test", "web"));
    let program = replica(&place, "headgate-0");
    until_addresses(&place, "first", &[TOLD]);

    let stolen = json!({"holderIdentity": "another", "leaseDurationSeconds": 3, "leaseTransitions": 7,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"});
    place.api.modify("Lease", &place.home(), LEASE, |lease| {
        lease["spec"] = stolen.clone()
    });
    until_metric(&program, LEADS, &[], 0.0);
    place.create(ingress("second", "second.test", "web"));
    until_status(&program, "second.test", 503);
    assert_eq!(wrote(&place, "headgate-0"), ["first"]);

    // The thief never renews it. Whatever its clock says, it has the lease time from when we saw it.
    until_leader(&place, "headgate-0");
    until_addresses(&place, "second", &[TOLD]);
    place.api.until("Lease", &place.home(), LEASE, |lease| {
        lease["spec"]["leaseTransitions"] == 8
    });
}

#[test]
fn a_deleted_lease_is_made_again() {
    let place = Place::new();
    let program = replica(&place, "headgate-0");
    until_leader(&place, "headgate-0");
    place.api.delete("Lease", &place.home(), LEASE);
    until_leader(&place, "headgate-0");
    until_metric(&program, LEADS, &[], 1.0);
    place.create(ingress("first", "first.test", "web"));
    until_addresses(&place, "first", &[TOLD]);
}

#[test]
fn who_cannot_renew_the_lease_writes_no_more() {
    let mut place = Place::new();
    let program = replica(&place, "headgate-0");
    until_metric(&program, LEADS, &[], 1.0);
    place.api.stop();
    let stopped = Instant::now();
    until_metric(&program, LEADS, &[], 0.0);
    let took = stopped.elapsed();
    assert!(took < TTL, "given up before another may take it: {took:?}");
    place.api.resume();
    until_metric(&program, LEADS, &[], 1.0);
}

#[test]
fn who_never_served_gives_the_lease_back() {
    let place = Place::new();
    for verb in ["list", "watch"] {
        place.api.inject(
            Fault::new(Effect::Status(500))
                .verb(verb)
                .resource("ingresses"),
        );
    }
    let program = unready(&place, "headgate-0");
    until_metric(&program, LEADS, &[], 1.0);
    program.ask("/readyz").is(503);
    stop(&program);
    let lease = place.api.get("Lease", &place.home(), LEASE).unwrap();
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    assert_eq!(holder, "");
}
