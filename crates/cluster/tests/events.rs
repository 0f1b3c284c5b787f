//! Events over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod write;

use std::collections::HashMap;

use headgate_apiserver::{Effect, Fault};
use headgate_cluster::events::{EventMetrics, EventOptions, Events, Notice, Notices, Reporter};
use headgate_compile::{Finding, Kind, Name, ObjectRef, Severity, Subject};
use serde_json::{Value, json};
use write::World;

fn start(world: &World, instance: &str) -> Notices {
    let rules = json!([{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}]);
    let options = EventOptions {
        controller: "headgate".into(),
        instance: instance.into(),
        sync: true,
    };
    let metrics = EventMetrics::new(&HashMap::new()).unwrap();
    let (events, notices) = Events::new(world.client_with(instance, &rules), options, metrics);
    world.runtime.spawn(events.run(Reporter::Always));
    notices
}

fn finding(kind: Kind, name: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        subject: Subject::Object(ObjectRef {
            kind,
            name: if kind.is_namespaced() {
                Name::new("shop", name)
            } else {
                Name::new("", name)
            },
        }),
        field: "spec.rules[0].host".into(),
        message: "not a host name".into(),
    }
}

fn until(world: &World, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    headgate_testkit::wait::until(what, || world.api.list("Event").into_iter().find(&holds))
}

#[test]
fn replicas_write_one_event_for_the_same_finding() {
    let world = World::start();
    let (one, two) = (start(&world, "one"), start(&world, "two"));
    one.findings(
        [(finding(Kind::Ingress, "web"), Some("the-uid".into()))],
        &[],
    );
    until(&world, "the event", |event| event["series"].is_null());
    two.findings(
        [(finding(Kind::Ingress, "web"), Some("the-uid".into()))],
        &[],
    );
    let event = until(&world, "the series", |event| event["series"]["count"] == 2);
    assert_eq!(event["reason"], "NotServed");
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["involvedObject"]["uid"], "the-uid");
    assert_eq!(event["metadata"]["namespace"], "shop");
    assert_eq!(world.api.list("Event").len(), 1);
}

#[test]
fn events_about_cluster_scoped_objects_are_in_the_default_namespace() {
    let world = World::start();
    start(&world, "one").findings([(finding(Kind::IngressClass, "nginx"), None)], &[]);
    let event = until(&world, "the event", |_| true);
    assert_eq!(event["metadata"]["namespace"], "default");
    assert!(event["involvedObject"]["namespace"].is_null());
}

#[test]
fn failed_writes_are_retried() {
    let world = World::start();
    let notices = start(&world, "one");
    world
        .api
        .inject(Fault::new(Effect::Drop).resource("events").times(1));
    world
        .api
        .inject(Fault::new(Effect::Status(503)).resource("events").times(1));
    notices.push(Notice::Sync {
        ingress: Name::new("shop", "web"),
        uid: None,
    });
    let event = until(&world, "the event", |_| true);
    assert_eq!(event["reason"], "Sync");
    assert_eq!(event["type"], "Normal");
}
