//! The API server is away, or answers nonsense, and requests go on.

use std::time::{Duration, Instant};

use headgate_testkit::kubernetes::{Disturbance, Effect, Fault, Options};
use headgate_testkit::{ApiServer, Echo, Program, manifest, wait};
use serde_json::{Value, json};

use super::support::{
    SHOP, all_good, api, ask, controller, ingress, load, publish, replica, replica_with, slice,
    until_answered_by, until_metric, until_status, until_told,
};

#[test]
fn an_absent_api_server_is_waited_for() {
    let mut api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    api.stop();
    let program = replica(&api, "headgate-0", &[]);
    until_told(&program, "a line about it", |line| {
        line.contains("the API server cannot be reached")
    });
    let told = program.ask("/readyz").is(503).text();
    assert!(told.contains("waiting"), "{told}");
    program.ask("/healthz").is(200);
    assert_eq!(program.metric("headgate_api_connected", &[]), 0.0);

    api.resume();
    program.until_ready();
    assert_eq!(ask(&program, "a.test").is(200).echo().name(), "web");
    until_metric(&program, "headgate_api_connected", &[], 1.0);
}

/// How long the API server is away: `HEADGATE_TEST_OUTAGE` in seconds, default 1.
fn outage() -> Duration {
    let seconds = std::env::var("HEADGATE_TEST_OUTAGE").ok();
    Duration::from_secs(
        seconds
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(1),
    )
}

#[test]
fn nothing_fails_while_the_api_server_is_away() {
    let mut api = api();
    let (old, new) = (Echo::start("old"), Echo::start("new"));
    publish(&api, &[old.address()]);
    api.create(ingress("ghost", "ghost.test", "web"));
    let program = controller(&api, &[]);
    let load = load(&program);
    load.wait_for(20);
    // A change just before it goes, which may or may not have come through.
    api.create(ingress("early", "early.test", "web"));
    api.stop();
    until_metric(&program, "headgate_api_connected", &[], 0.0);
    assert!(program.is_ready(), "what is known can be served");
    let gone = Instant::now();
    for change in 0.. {
        api.replace(slice(&format!("other-{}", change % 3), new.address()));
        load.wait_for(50);
        if gone.elapsed() >= outage() {
            break;
        }
    }
    let first = format!("web-{}", old.address().port());
    api.delete("EndpointSlice", SHOP, &first);
    api.create(slice("web", new.address()));
    api.delete("Ingress", SHOP, "ghost");
    api.create(ingress("late", "late.test", "web"));
    assert_eq!(ask(&program, "ghost.test").is(200).echo().name(), "old");

    api.resume();
    until_answered_by(&program, "late.test", "new");
    until_status(&program, "early.test", 200);
    until_status(&program, "ghost.test", 404);
    until_answered_by(&program, "a.test", "new");
    drop(old);
    load.wait_for(200);
    all_good(load);
    until_metric(&program, "headgate_api_connected", &[], 1.0);
    until_told(&program, "a line about its return", |line| {
        line.contains("the API server answers again")
    });
}

#[test]
fn changes_come_through_disturbed_watches() {
    let api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    let program = controller(&api, &[]);
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
        api.disturb_all(disturbance);
        // Each comes, changes and stays or goes: an event that is lost or out of order would show.
        let (stays, goes) = (format!("stays-{number}"), format!("goes-{number}"));
        api.create(ingress(&stays, &format!("{stays}.test"), "web"));
        api.create(ingress(&goes, &format!("{goes}.test"), "web"));
        until_status(&program, &format!("{stays}.test"), 200);
        until_status(&program, &format!("{goes}.test"), 200);
        api.delete("Ingress", SHOP, &goes);
        until_status(&program, &format!("{goes}.test"), 404);
    }
    all_good(load);
}

#[test]
fn changes_come_through_failing_requests() {
    let api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
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
        // A new one each time: the pauses grow with trouble after trouble.
        let program = controller(&api, &[]);
        let load = load(&program);
        for verb in ["list", "watch"] {
            let fault = Fault::new(effect.clone()).verb(verb);
            api.inject(fault.resource("ingresses").times(2));
        }
        api.disturb("ingresses", Disturbance::Error(410));
        let name = format!("new-{number}");
        api.create(ingress(&name, &format!("{name}.test"), "web"));
        until_status(&program, &format!("{name}.test"), 200);
        api.heal();
        all_good(load);
    }
}

#[test]
fn a_new_token_is_read_when_the_old_one_ends() {
    let api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let first = api.service_account("ingress-nginx", "headgate");
    std::fs::write(&file, &first).unwrap();
    let kubeconfig = by_token_file(&api, &file);
    let program = replica_with(&kubeconfig, "headgate-0", &[]);
    program.until_ready();

    let load = load(&program);
    let second = api.service_account("ingress-nginx", "headgate");
    std::fs::write(&file, second).unwrap();
    api.revoke(&first);
    api.disturb_all(Disturbance::Close);
    api.create(ingress("later", "later.test", "web"));
    until_status(&program, "later.test", 200);
    all_good(load);
}

#[test]
fn an_api_server_of_the_past_is_followed() {
    let api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    let program = controller(&api, &[]);
    let load = load(&program);
    let version = api.version();
    for number in 0..20 {
        api.create(ingress(
            &format!("undone-{number}"),
            &format!("undone-{number}.test"),
            "web",
        ));
    }
    until_status(&program, "undone-19.test", 200);
    // As after the restore of a backup; the next change tells.
    api.rewind(version);
    api.create(ingress("redone", "redone.test", "web"));
    until_status(&program, "redone.test", 200);
    until_status(&program, "undone-19.test", 404);
    all_good(load);
}

#[test]
fn an_api_server_is_known_by_its_certificate() {
    let mut api = ApiServer::start_with(Options {
        tls: true,
        ..Options::default()
    });
    api.create(manifest::ingress_class());
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    let kubeconfig = api.kubeconfig();
    let program = replica_with(&kubeconfig, "headgate-0", &[]);
    program.until_ready();
    ask(&program, "a.test").is(200);

    // Somebody else in its place is told nothing and not believed.
    api.forget_requests();
    api.rotate_authority();
    api.create(ingress("later", "later.test", "web"));
    until_metric(&program, "headgate_api_connected", &[], 0.0);
    let stranger = replica_with(&kubeconfig, "headgate-1", &[]);
    until_told(&stranger, "a line about it", |line| {
        line.contains("the API server cannot be reached") && line.contains("certificate")
    });
    stranger.ask("/readyz").is(503);
    ask(&program, "a.test").is(200);
    ask(&program, "later.test").is(404);
    assert_eq!(api.requests(), []);
}

/// A kubeconfig whose token is in a file, as a Pod's is.
fn by_token_file(api: &ApiServer, file: &std::path::Path) -> String {
    let mut config: Value = serde_json::from_str(&api.kubeconfig_for("none")).unwrap();
    config["users"][0]["user"] = json!({ "tokenFile": file });
    config.to_string()
}

#[test]
fn a_stop_while_the_api_server_is_away_is_a_stop() {
    let mut api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    let absent = {
        let program = controller(&api, &[]);
        api.stop();
        program
    };
    until_metric(&absent, "headgate_api_connected", &[], 0.0);
    let never = replica(&api, "headgate-1", &[]);
    for program in [&absent, &never] {
        stops(program);
    }
}

fn stops(program: &Program) {
    program.terminate();
    let status = program.wait();
    assert!(status.success(), "{status}");
    wait::until("refused connections", || {
        (!program.is_ready()).then_some(())
    });
}
