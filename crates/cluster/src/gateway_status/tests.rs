#![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

use headgate_compile::gateway::{Status, StatusBody};
use headgate_compile::{Kind, Name, ObjectRef};
use serde_json::{Value, json};

use super::observed::ObservedStatus;
use super::part::{
    FINALIZER, desired, digest, generation, has_entries, has_finalizer, merge, own, wants_finalizer,
};

const OWN: &str = "headgate.dev/gateway-controller";
const NOW: &str = "2026-11-30T00:00:00Z";
const BEFORE: &str = "2026-01-01T00:00:00Z";

fn condition(kind: &str, status: &str, generation: i64) -> Value {
    json!({"type": kind, "status": status, "reason": "Because", "message": "",
        "observedGeneration": generation})
}

fn at(mut condition: Value, time: &str) -> Value {
    condition["lastTransitionTime"] = time.into();
    condition
}

fn entry(controller: &str, name: &str, conditions: &[Value]) -> Value {
    json!({"controllerName": controller, "parentRef": {"name": name}, "conditions": conditions})
}

/// After a merge an own part is what it should be, and a further merge changes nothing.
#[track_caller]
fn merged(kind: Kind, present: &Value, part: &Value) -> Value {
    let after = merge(kind, present, part, OWN, NOW);
    assert_eq!(digest(&own(kind, &after, OWN)), digest(part));
    assert_eq!(merge(kind, &after, part, OWN, "later"), after);
    after
}

#[test]
fn the_time_of_a_condition_changes_with_its_status_alone() {
    let present = json!({"conditions": [
        at(condition("Accepted", "True", 1), BEFORE),
        at(condition("Programmed", "False", 1), BEFORE),
    ]});
    let part = json!({"conditions": [condition("Accepted", "True", 2), condition("Programmed", "True", 2)],
        "supportedFeatures": []});
    let after = merged(Kind::GatewayClass, &present, &part);
    assert_eq!(
        after["conditions"],
        json!([
            at(condition("Accepted", "True", 2), BEFORE),
            at(condition("Programmed", "True", 2), NOW),
        ])
    );
}

#[test]
fn foreign_conditions_entries_and_fields_stay_and_own_ones_that_are_not_desired_go() {
    let foreign = at(condition("example.com/Audited", "True", 9), BEFORE);
    let other = entry(
        "example.com/other",
        "gate",
        &[at(condition("Accepted", "False", 1), BEFORE)],
    );
    let present = json!({
        "future": 1,
        "parents": [
            entry(OWN, "gone", &[]),
            other,
            entry(OWN, "gate", &[foreign.clone(), at(condition("PartiallyInvalid", "True", 1), BEFORE)]),
        ],
    });
    let part = json!({"parents": [entry(OWN, "gate", &[condition("Accepted", "True", 1)])]});
    let after = merged(Kind::HttpRoute, &present, &part);
    let accepted = at(condition("Accepted", "True", 1), NOW);
    assert_eq!(
        after,
        json!({"future": 1, "parents": [other, entry(OWN, "gate", &[foreign, accepted])]})
    );
    // Without a status, the entries go.
    let object = ObjectRef {
        kind: Kind::HttpRoute,
        name: Name::new("shop", "web"),
    };
    let none = desired(&object, None, OWN);
    assert!(!has_entries(Kind::HttpRoute, &none));
    let after = merged(Kind::HttpRoute, &after, &none);
    assert_eq!(after, json!({"future": 1, "parents": [other]}));
}

#[test]
fn listeners_follow_the_desired_ones_and_keep_their_times() {
    let listener = |name: &str, conditions: &[Value]| json!({"name": name, "attachedRoutes": 0, "supportedKinds": [], "conditions": conditions});
    let accepted = || condition("Accepted", "True", 1);
    let present = json!({"listeners": [
        listener("gone", &[]),
        listener("http", &[at(accepted(), BEFORE)]),
    ]});
    let part = json!({
        "attachedListenerSets": 0,
        "conditions": [],
        "listeners": [listener("new", &[accepted()]), listener("http", &[accepted()])],
    });
    let after = merged(Kind::Gateway, &present, &part);
    assert_eq!(
        after["listeners"],
        json!([
            listener("new", &[at(accepted(), NOW)]),
            listener("http", &[at(accepted(), BEFORE)]),
        ])
    );
}

#[test]
fn a_digest_does_not_depend_on_times_or_on_the_order_of_fields() {
    let one = r#"{"metadata":{"uid":"u","generation":3},"status":{"conditions":[
        {"type":"Accepted","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}"#;
    let two = r#"{"status":{"conditions":[{"lastTransitionTime":"2026-02-01T00:00:00Z",
        "status":"True","type":"Accepted"}]},"spec":{},"metadata":{"generation":3,"uid":"u"}}"#;
    let read = |text| ObservedStatus::read(Kind::GatewayClass, text, OWN).unwrap();
    assert_eq!(read(one), read(two));
    assert_eq!(read(one).generation, 3);
    let other = one.replace("True", "False");
    assert_ne!(read(&other).digest, read(one).digest);
    assert_eq!(ObservedStatus::read(Kind::Gateway, "42", OWN), None);
}

#[test]
fn the_generation_of_a_part_is_that_of_its_newest_condition() {
    let part = json!({"parents": [
        entry(OWN, "one", &[condition("Accepted", "True", 4), condition("ResolvedRefs", "True", 5)]),
        entry(OWN, "two", &[]),
    ]});
    assert_eq!(generation(&part), 5);
    assert_eq!(generation(&json!({})), 0);
}

#[test]
fn a_class_has_the_finalizer_while_it_is_in_use() {
    let class = |in_use: bool| Status {
        generation: 1,
        body: StatusBody::GatewayClass {
            conditions: Vec::new(),
            features: Vec::new(),
            in_use,
        },
    };
    let object = ObjectRef {
        kind: Kind::GatewayClass,
        name: Name::new("", "headgate"),
    };
    let observed = |finalizers: &[&str]| {
        let object = json!({
            "metadata": {"uid": "1", "finalizers": finalizers},
            "status": {"conditions": [], "supportedFeatures": []},
        });
        ObservedStatus::read(Kind::GatewayClass, &object.to_string(), OWN).unwrap()
    };
    for in_use in [true, false] {
        let part = desired(&object, Some(&class(in_use)), OWN);
        assert_eq!(wants_finalizer(&part), Some(in_use));
        let with = digest(&part) == observed(&["example.com/other", FINALIZER]).digest;
        let without = digest(&part) == observed(&["example.com/other"]).digest;
        assert_eq!((with, without), (in_use, !in_use));
    }
    assert!(!has_finalizer(["example.com/other"].into_iter()));
    let route = ObjectRef {
        kind: Kind::HttpRoute,
        name: Name::new("shop", "web"),
    };
    assert_eq!(wants_finalizer(&desired(&route, None, OWN)), None);
}
