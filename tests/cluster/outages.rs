//! The API server is unreachable or misbehaves, and requests are still served.

use std::time::{Duration, Instant};

use headgate_apiserver::{Disturbance, Effect, Fault};
use headgate_testkit::wait;
use serde_json::{Value, json};

use super::support::{
    assert_no_failures, get, ingress, load, slice, stop, until_logged, until_metric,
    until_served_by, until_status,
};
use super::testenv::{TestEnv, until_leader};

#[test]
fn a_replica_waits_for_an_unreachable_api_server() {
    let mut env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    env.api.stop();
    let program = env.replica("headgate-0", &[]);
    until_logged(&program, "a log line about it", |line| {
        line.contains("cannot reach the API server")
    });
    let message = program.admin_get("/readyz").is(503).text();
    assert!(message.contains("waiting"), "{message}");
    program.admin_get("/healthz").is(200);
    assert_eq!(program.metric("headgate_api_connected", &[]), 0.0);

    env.api.resume();
    program.until_ready();
    assert_eq!(get(&program, "a.test").is(200).echo().name(), "web");
    until_metric(&program, "headgate_api_connected", &[], 1.0);
}

#[test]
fn watches_that_break_off_are_logged_in_own_words() {
    let mut env = TestEnv::new();
    let leader = env.controller(&[]);
    until_leader(&env, "headgate-0");
    let follower = env.replica("headgate-1", &[]);
    follower.until_ready();
    env.api.wait_for_watches("leases", 1);
    env.api.stop();
    for program in [&leader, &follower] {
        until_logged(program, "the outage", |line| {
            line.contains("API server failing: serving the objects known so far")
        });
        let log = program.stderr();
        let foreign = log.iter().find(|line| line.contains("in poll"));
        assert_eq!(foreign, None);
    }
}

/// How long the API server is unreachable.
const OUTAGE: Duration = Duration::from_secs(60);

#[test]
fn no_request_fails_while_the_api_server_is_unreachable() {
    let mut env = TestEnv::new();
    let (old, new) = (env.start_echo("old"), env.start_echo("new"));
    env.serve_web(&[old.address()]);
    env.create(ingress("ghost", "ghost.test", "web"));
    let program = env.controller(&[]);
    let load = load(&program);
    load.wait_for(20);
    // A change just before the outage, which may or may not arrive.
    env.create(ingress("early", "early.test", "web"));
    env.api.stop();
    until_metric(&program, "headgate_api_connected", &[], 0.0);
    assert!(program.is_ready(), "the last state is served");
    let stopped = Instant::now();
    for change in 0.. {
        env.replace(slice(&format!("other-{}", change % 3), new.address()));
        load.wait_for(50);
        if stopped.elapsed() >= OUTAGE {
            break;
        }
    }
    let first = format!("web-{}", old.address().port());
    env.delete("EndpointSlice", &first);
    env.create(slice("web", new.address()));
    env.delete("Ingress", "ghost");
    env.create(ingress("late", "late.test", "web"));
    assert_eq!(get(&program, "ghost.test").is(200).echo().name(), "old");

    env.api.resume();
    until_served_by(&program, "late.test", "new");
    until_status(&program, "early.test", 200);
    until_status(&program, "ghost.test", 404);
    until_served_by(&program, "a.test", "new");
    drop(old);
    load.wait_for(200);
    assert_no_failures(load);
    until_metric(&program, "headgate_api_connected", &[], 1.0);
    until_logged(&program, "a log line about its return", |line| {
        line.contains("API server responding again")
    });
}

#[test]
fn changes_are_served_despite_disturbed_watches() {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let program = env.controller(&[]);
    let load = load(&program);
    let disturbances = [
        Disturbance::Close,
        Disturbance::Abort,
        Disturbance::Garbage,
        Disturbance::Error(410),
        Disturbance::Error(500),
        Disturbance::Duplicate(3),
        Disturbance::Replay(3),
        Disturbance::Reorder(2),
    ];
    for (number, disturbance) in disturbances.into_iter().enumerate() {
        env.api.disturb_all(disturbance);
        // Both are created, one is deleted: a lost or reordered event fails the test.
        let (kept, deleted) = (format!("kept-{number}"), format!("deleted-{number}"));
        env.create(ingress(&kept, &format!("{kept}.test"), "web"));
        env.create(ingress(&deleted, &format!("{deleted}.test"), "web"));
        until_status(&program, &format!("{kept}.test"), 200);
        until_status(&program, &format!("{deleted}.test"), 200);
        env.delete("Ingress", &deleted);
        until_status(&program, &format!("{deleted}.test"), 404);
    }
    assert_no_failures(load);
}

#[test]
fn changes_are_served_despite_failing_requests() {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let effects = [
        Effect::Status(500),
        Effect::Status(503),
        Effect::RetryAfter(429, 1),
        Effect::Status(410),
        Effect::Garbage,
        Effect::Truncate,
        Effect::Drop,
    ];
    for (number, effect) in effects.into_iter().enumerate() {
        // A new controller for each effect: the back-off grows with repeated failures.
        let program = env.controller(&[]);
        let load = load(&program);
        for verb in ["list", "watch"] {
            let fault = Fault::new(effect.clone()).verb(verb);
            env.api.inject(fault.resource("ingresses").times(2));
        }
        env.api.disturb("ingresses", Disturbance::Error(410));
        let name = format!("new-{number}");
        env.create(ingress(&name, &format!("{name}.test"), "web"));
        until_status(&program, &format!("{name}.test"), 200);
        env.api.heal();
        assert_no_failures(load);
    }
}

#[test]
fn a_rotated_token_is_reread_from_its_file() {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let first = env.token("headgate", &[]);
    std::fs::write(&file, &first).unwrap();
    let mut config: Value = serde_json::from_str(&env.api.kubeconfig_for("none")).unwrap();
    config["users"][0]["user"] = json!({ "tokenFile": file });
    let program = env.replica_with_kubeconfig(&config.to_string(), "headgate-0", &[]);
    program.until_ready();

    let load = load(&program);
    let second = env.token("headgate", &[]);
    std::fs::write(&file, second).unwrap();
    env.api.revoke(&first);
    env.api.disturb_all(Disturbance::Close);
    env.create(ingress("later", "later.test", "web"));
    until_status(&program, "later.test", 200);
    assert_no_failures(load);
}

#[test]
fn an_api_server_restored_from_a_backup_is_relisted() {
    let env = TestEnv::new();
    if env.is_real_cluster() {
        println!("skipped: a real cluster cannot be rewound");
        return;
    }
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let program = env.controller(&[]);
    let load = load(&program);
    let version = env.api.version();
    for number in 0..20 {
        env.create(ingress(
            &format!("undone-{number}"),
            &format!("undone-{number}.test"),
            "web",
        ));
    }
    until_status(&program, "undone-19.test", 200);
    // As after the restore of a backup; the next change has an older resource version.
    env.api.rewind(version);
    env.create(ingress("redone", "redone.test", "web"));
    until_status(&program, "redone.test", 200);
    until_status(&program, "undone-19.test", 404);
    assert_no_failures(load);
}

#[test]
fn an_api_server_with_an_untrusted_certificate_is_not_contacted() {
    let mut env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let kubeconfig = env.kubeconfig("headgate", &[]);
    let program = env.replica_with_kubeconfig(&kubeconfig, "headgate-0", &[]);
    program.until_ready();
    get(&program, "a.test").is(200);

    // A server with a certificate of another CA gets no request and changes nothing.
    env.api.rotate_authority();
    env.api.clear_requests();
    env.create(ingress("later", "later.test", "web"));
    until_metric(&program, "headgate_api_connected", &[], 0.0);
    let second = env.replica_with_kubeconfig(&kubeconfig, "headgate-1", &[]);
    until_logged(&second, "a log line about it", |line| {
        line.contains("cannot reach the API server") && line.contains("certificate")
    });
    second.admin_get("/readyz").is(503);
    get(&program, "a.test").is(200);
    get(&program, "later.test").is(404);
    assert_eq!(env.api.requests(), []);
}

#[test]
fn sigterm_stops_a_replica_while_the_api_server_is_unreachable() {
    let mut env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let disconnected = {
        let program = env.controller(&[]);
        env.api.stop();
        program
    };
    until_metric(&disconnected, "headgate_api_connected", &[], 0.0);
    let never_connected = env.replica("headgate-1", &[]);
    for program in [&disconnected, &never_connected] {
        stop(program);
        wait::until("refused connections", || {
            (!program.is_ready()).then_some(())
        });
    }
}
