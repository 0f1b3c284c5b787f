//! Faults of established watches.

use std::time::Duration;

use headgate_apiserver::{ApiServer, Disturbance, Effect, Fault, Options};
use headgate_compile::{Kind, Object};
use serde_json::json;

use crate::world::{World, ingress, options, reference, secret, secured, service, slice};

/// Objects that must never be reported as deleted, and `doomed`.
fn fill(api: &ApiServer) {
    api.create(secured("steady", "cert"));
    api.create(service("shop", "web"));
    api.create(slice("shop", "web-1", "web"));
    api.create(secret("shop", "cert"));
    api.create(ingress("doomed", "web"));
}

fn servers() -> [ApiServer; 2] {
    let paged = Options {
        streaming_lists: false,
        ..Options::default()
    };
    let servers = [ApiServer::start(), ApiServer::start_with(paged)];
    servers.iter().for_each(fill);
    servers
}

/// Waits for the effects of [`change`]; nothing else may be reported as deleted.
fn check(api: &ApiServer, world: &mut World, what: &str) {
    world.until(what, |world| {
        world.has(Kind::Ingress, "shop", "new") && !world.has(Kind::Ingress, "shop", "doomed")
    });
    assert_eq!(world.deleted.len(), 1, "{what}: {:?}", world.deleted);
    assert!(world.has(Kind::Ingress, "shop", "steady"), "{what}");
    // Later changes arrive as well.
    api.create(ingress("last", "web"));
    world.until(what, |world| world.has(Kind::Ingress, "shop", "last"));
    assert_eq!(world.deleted.len(), 1, "{what}: {:?}", world.deleted);
}

fn change(api: &ApiServer) {
    api.create(ingress("new", "web"));
    api.modify("Ingress", "shop", "steady", |ingress| {
        ingress["metadata"]["annotations"] = json!({"a": "b"});
    });
    api.delete("Ingress", "shop", "doomed");
}

#[test]
fn disturbed_watches_recover() {
    let disturbances = [
        Disturbance::Close,
        Disturbance::Abort,
        Disturbance::Garbage,
        Disturbance::Error(410),
        Disturbance::Error(500),
        Disturbance::Duplicate(3),
        Disturbance::Replay(3),
        Disturbance::Reorder(3),
        Disturbance::Bookmark,
    ];
    for what in disturbances {
        for api in servers() {
            let mut world = World::ready(&api, options());
            // An event to replay.
            api.modify("Ingress", "shop", "doomed", |ingress| {
                ingress["metadata"]["annotations"] = json!({"doomed": "yes"});
            });
            world.batch();
            api.wait_for_watches("ingresses", 1);
            api.disturb_all(what.clone());
            change(&api);
            check(&api, &mut world, &format!("{what:?}"));
        }
    }
}

/// The annotation `step` of an Ingress.
fn step(world: &World, name: &str) -> Option<String> {
    match world
        .snapshot()
        .object(&reference(Kind::Ingress, "shop", name))?
    {
        Object::Ingress(ingress) => ingress.metadata.annotations.as_ref()?.get("step").cloned(),
        _ => None,
    }
}

#[test]
fn the_latest_version_wins_over_reordered_events() {
    for api in servers() {
        let mut world = World::ready(&api, options());
        api.wait_for_watches("ingresses", 1);
        api.disturb("ingresses", Disturbance::Reorder(3));
        for step in ["1", "2", "3"] {
            api.modify("Ingress", "shop", "steady", |ingress| {
                ingress["metadata"]["annotations"] = json!({"step": step});
            });
        }
        world.until("the last step", |world| {
            step(world, "steady").as_deref() == Some("3")
        });
        assert!(world.is_quiet());
        assert_eq!(step(&world, "steady").as_deref(), Some("3"));
    }
}

#[test]
fn a_deleted_object_stays_deleted_when_events_are_replayed() {
    for api in servers() {
        let mut world = World::ready(&api, options());
        api.wait_for_watches("ingresses", 1);
        api.create(ingress("short", "web"));
        world.until("it to come", |world| {
            world.has(Kind::Ingress, "shop", "short")
        });
        api.delete("Ingress", "shop", "short");
        world.until("it to go", |world| {
            !world.has(Kind::Ingress, "shop", "short")
        });
        // Replays that it was added and deleted.
        api.disturb("ingresses", Disturbance::Replay(2));
        world.until_metric("headgate_watch_restarts_total", "disorder", 1.0);
        assert!(world.is_quiet());
        assert!(!world.has(Kind::Ingress, "shop", "short"));
    }
}

#[test]
fn a_silent_watch_times_out() {
    for api in servers() {
        let mut options = options();
        options.timing.watch = Duration::from_secs(1);
        options.timing.slack = Duration::from_millis(100);
        let mut world = World::ready(&api, options);
        api.wait_for_watches("ingresses", 1);
        api.disturb_all(Disturbance::Silence);
        change(&api);
        check(&api, &mut world, "silence");
        assert!(world.metric("headgate_watch_restarts_total", "silent") >= 1.0);
    }
}

#[test]
fn changes_during_an_outage_are_found() {
    for mut api in servers() {
        let mut world = World::ready(&api, options());
        api.stop();
        assert!(world.is_quiet(), "known objects stay");
        assert_eq!(world.metric("headgate_api_connected", ""), 0.0);
        change(&api);
        api.compact();
        api.resume();
        check(&api, &mut world, "outage");
        world.until_metric("headgate_api_connected", "", 1.0);
    }
}

#[test]
fn failed_requests_are_retried() {
    let effects = [
        Effect::Drop,
        Effect::Status(500),
        Effect::Status(503),
        Effect::Status(429),
        Effect::Status(410),
        Effect::Status(401),
        Effect::Status(403),
        Effect::Garbage,
        Effect::Truncate,
        Effect::Hang,
    ];
    for effect in effects {
        for api in servers() {
            let mut world = World::ready(&api, options());
            api.wait_for_watches("ingresses", 1);
            api.inject(Fault::new(effect.clone()).resource("ingresses").times(4));
            api.disturb_all(Disturbance::Close);
            change(&api);
            check(&api, &mut world, &format!("{effect:?}"));
        }
    }
}

#[test]
fn a_restored_backup_is_detected() {
    for api in servers() {
        let mut world = World::ready(&api, options());
        api.wait_for_watches("ingresses", 1);
        let version = api.version();
        for index in 0..20 {
            api.create(ingress(&format!("lost-{index}"), "web"));
        }
        world.until("all", |world| world.has(Kind::Ingress, "shop", "lost-19"));
        api.rewind(version);
        change(&api);
        world.until("the backup", |world| {
            world.has(Kind::Ingress, "shop", "new") && !world.has(Kind::Ingress, "shop", "lost-19")
        });
        assert!(world.has(Kind::Ingress, "shop", "steady"));
        assert!(!world.has(Kind::Ingress, "shop", "doomed"));
        assert_eq!(world.deleted.len(), 21);
    }
}

#[test]
fn an_interrupted_list_is_repeated() {
    let api = ApiServer::start_with(Options {
        streaming_lists: false,
        ..Options::default()
    });
    fill(&api);
    for index in 0..1200 {
        api.create(ingress(&format!("many-{index}"), "web"));
    }
    for effect in [
        Effect::Truncate,
        Effect::Status(410),
        Effect::Drop,
        Effect::Garbage,
    ] {
        // The third page.
        let fault = Fault::new(effect.clone())
            .verb("list")
            .resource("ingresses");
        api.inject(fault.skip(2).times(1));
        let mut world = World::ready(&api, options());
        assert_eq!(world.snapshot().len(), 1202 + 3, "{effect:?}");
        // The same for a relist.
        let fault = Fault::new(effect).verb("list").resource("ingresses");
        api.inject(fault.skip(2).times(1));
        api.wait_for_watches("ingresses", 1);
        api.disturb("ingresses", Disturbance::Error(410));
        api.replace(ingress("after", "web"));
        world.until("the Ingress after it", |world| {
            world.has(Kind::Ingress, "shop", "after")
        });
        assert!(world.deleted.is_empty());
        api.delete("Ingress", "shop", "after");
    }
}

#[test]
fn an_unreadable_object_affects_no_other() {
    for api in servers() {
        let invalidate = |api: &ApiServer| {
            api.modify("Ingress", "shop", "steady", |ingress| {
                ingress["spec"]["rules"] = json!("none");
            });
        };
        let mut world = World::ready(&api, options());
        invalidate(&api);
        let batch = world.batch();
        assert_eq!(batch.findings.len(), 1);
        let finding = batch.findings[0].to_string();
        assert!(finding.contains("Ingress shop/steady"), "{finding}");
        assert!(
            world.has(Kind::Ingress, "shop", "steady"),
            "as it was before"
        );
        api.create(ingress("new", "web"));
        world.until("another", |world| world.has(Kind::Ingress, "shop", "new"));
        // Nor does it fail a list.
        let mut other = World::ready(&api, options());
        assert!(other.has(Kind::Ingress, "shop", "new"));
        assert!(!other.has(Kind::Ingress, "shop", "steady"));
        assert_eq!(other.last.as_ref().unwrap().findings.len(), 1);
        api.replace(secured("steady", "cert"));
        for world in [&mut world, &mut other] {
            world.until("it to be valid", |world| {
                let last = world.last.as_ref().unwrap();
                last.findings.is_empty() && world.has(Kind::Secret, "shop", "cert")
            });
        }
    }
}

#[test]
fn everything_is_relisted_periodically_if_configured() {
    let api = ApiServer::start();
    fill(&api);
    let mut options = options();
    options.timing.resync = Duration::from_millis(50);
    let mut world = World::ready(&api, options);
    let lists = || {
        let requests = api.requests();
        let lists = requests
            .iter()
            .filter(|one| one.query.contains("sendInitialEvents"));
        lists.count()
    };
    let first = lists();
    world.work_until("new lists", || lists() > first + 8);
    assert!(world.deleted.is_empty());
}
