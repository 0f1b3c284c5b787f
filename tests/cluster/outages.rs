//! The API server is away, or answers nonsense, and requests go on.

use std::time::{Duration, Instant};

use headgate_apiserver::{Disturbance, Effect, Fault};
use headgate_testkit::wait;
use serde_json::{Value, json};

use super::place::Place;
use super::support::{
    all_good, ask, ingress, load, slice, stop, until_answered_by, until_metric, until_status,
    until_told,
};

#[test]
fn an_absent_api_server_is_waited_for() {
    let mut place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    place.api.stop();
    let program = place.replica("headgate-0", &[]);
    until_told(&program, "a line about it", |line| {
        line.contains("the API server cannot be reached")
    });
    let told = program.ask("/readyz").is(503).text();
    assert!(told.contains("waiting"), "{told}");
    program.ask("/healthz").is(200);
    assert_eq!(program.metric("headgate_api_connected", &[]), 0.0);

    place.api.resume();
    program.until_ready();
    assert_eq!(ask(&program, "a.test").is(200).echo().name(), "web");
    until_metric(&program, "headgate_api_connected", &[], 1.0);
}

/// How long the API server is away.
const OUTAGE: Duration = Duration::from_secs(60);

#[test]
fn nothing_fails_while_the_api_server_is_away() {
    let mut place = Place::new();
    let (old, new) = (place.echo("old"), place.echo("new"));
    place.publish(&[old.address()]);
    place.create(ingress("ghost", "ghost.test", "web"));
    let program = place.controller(&[]);
    let load = load(&program);
    load.wait_for(20);
    // A change just before it goes, which may or may not have come through.
    place.create(ingress("early", "early.test", "web"));
    place.api.stop();
    until_metric(&program, "headgate_api_connected", &[], 0.0);
    assert!(program.is_ready(), "what is known can be served");
    let gone = Instant::now();
    for change in 0.. {
        place.replace(slice(&format!("other-{}", change % 3), new.address()));
        load.wait_for(50);
        if gone.elapsed() >= OUTAGE {
            break;
        }
    }
    let first = format!("web-{}", old.address().port());
    place.delete("EndpointSlice", &first);
    place.create(slice("web", new.address()));
    place.delete("Ingress", "ghost");
    place.create(ingress("late", "late.test", "web"));
    assert_eq!(ask(&program, "ghost.test").is(200).echo().name(), "old");

    place.api.resume();
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
    let place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    let program = place.controller(&[]);
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
        place.api.disturb_all(disturbance);
        // Each comes, changes and stays or goes: an event that is lost or out of order would show.
        let (stays, goes) = (format!("stays-{number}"), format!("goes-{number}"));
        place.create(ingress(&stays, &format!("{stays}.test"), "web"));
        place.create(ingress(&goes, &format!("{goes}.test"), "web"));
        until_status(&program, &format!("{stays}.test"), 200);
        until_status(&program, &format!("{goes}.test"), 200);
        place.delete("Ingress", &goes);
        until_status(&program, &format!("{goes}.test"), 404);
    }
    all_good(load);
}

#[test]
fn changes_come_through_failing_requests() {
    let place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
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
        let program = place.controller(&[]);
        let load = load(&program);
        for verb in ["list", "watch"] {
            let fault = Fault::new(effect.clone()).verb(verb);
            place.api.inject(fault.resource("ingresses").times(2));
        }
        place.api.disturb("ingresses", Disturbance::Error(410));
        let name = format!("new-{number}");
        place.create(ingress(&name, &format!("{name}.test"), "web"));
        until_status(&program, &format!("{name}.test"), 200);
        place.api.heal();
        all_good(load);
    }
}

#[test]
fn a_new_token_is_read_when_the_old_one_ends() {
    let place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let first = place.token("headgate", &[]);
    std::fs::write(&file, &first).unwrap();
    let mut config: Value = serde_json::from_str(&place.api.kubeconfig_for("none")).unwrap();
    config["users"][0]["user"] = json!({ "tokenFile": file });
    let program = place.replica_with(&config.to_string(), "headgate-0", &[]);
    program.until_ready();

    let load = load(&program);
    let second = place.token("headgate", &[]);
    std::fs::write(&file, second).unwrap();
    place.api.revoke(&first);
    place.api.disturb_all(Disturbance::Close);
    place.create(ingress("later", "later.test", "web"));
    until_status(&program, "later.test", 200);
    all_good(load);
}

#[test]
fn an_api_server_of_the_past_is_followed() {
    let place = Place::new();
    if place.is_given() {
        println!("skipped: a given cluster does not go back");
        return;
    }
    let web = place.echo("web");
    place.publish(&[web.address()]);
    let program = place.controller(&[]);
    let load = load(&program);
    let version = place.api.version();
    for number in 0..20 {
        place.create(ingress(
            &format!("undone-{number}"),
            &format!("undone-{number}.test"),
            "web",
        ));
    }
    until_status(&program, "undone-19.test", 200);
    // As after the restore of a backup; the next change tells.
    place.api.rewind(version);
    place.create(ingress("redone", "redone.test", "web"));
    until_status(&program, "redone.test", 200);
    until_status(&program, "undone-19.test", 404);
    all_good(load);
}

#[test]
fn an_api_server_is_known_by_its_certificate() {
    let mut place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    let kubeconfig = place.account("headgate", &[]);
    let program = place.replica_with(&kubeconfig, "headgate-0", &[]);
    program.until_ready();
    ask(&program, "a.test").is(200);

    // Somebody else in its place is told nothing and not believed.
    place.api.rotate_authority();
    place.api.forget_requests();
    place.create(ingress("later", "later.test", "web"));
    until_metric(&program, "headgate_api_connected", &[], 0.0);
    let stranger = place.replica_with(&kubeconfig, "headgate-1", &[]);
    until_told(&stranger, "a line about it", |line| {
        line.contains("the API server cannot be reached") && line.contains("certificate")
    });
    stranger.ask("/readyz").is(503);
    ask(&program, "a.test").is(200);
    ask(&program, "later.test").is(404);
    assert_eq!(place.api.requests(), []);
}

#[test]
fn a_stop_while_the_api_server_is_away_is_a_stop() {
    let mut place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    let absent = {
        let program = place.controller(&[]);
        place.api.stop();
        program
    };
    until_metric(&absent, "headgate_api_connected", &[], 0.0);
    let never = place.replica("headgate-1", &[]);
    for program in [&absent, &never] {
        stop(program);
        wait::until("refused connections", || {
            (!program.is_ready()).then_some(())
        });
    }
}
