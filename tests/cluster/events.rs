//! What the authors of objects are told by Events.

use headgate_testkit::wait;
use serde_json::{Value, json};

use super::place::Place;
use super::support::{ingress, until_status, with};

const ODD: &str = "nginx.ingress.kubernetes.io/proxy-read-timeout";

/// An Ingress with an annotation that means nothing.
fn odd(name: &str, note: &str) -> Value {
    with(ingress(name, &format!("{name}.test"), "none"), |ingress| {
        ingress["metadata"]["annotations"] = json!({ ODD: "soon", "example.com/note": note });
    })
}

fn plain() -> Value {
    ingress("a", "a.test", "none")
}

fn about(place: &Place, name: &str, reason: &str) -> Vec<Value> {
    let mut events = place.events();
    events.retain(|event| event["reason"] == reason && event["involvedObject"]["name"] == name);
    events
}

/// How often these tell something.
fn times(events: &[Value]) -> u64 {
    let count = |event: &Value| {
        let series = event["series"]["count"].as_u64();
        series.or_else(|| event["count"].as_u64()).unwrap_or(1)
    };
    events.iter().map(count).sum()
}

#[track_caller]
fn until_event(place: &Place, name: &str, reason: &str) -> Value {
    wait::until("an Event", || about(place, name, reason).pop())
}

#[test]
fn a_finding_is_told_on_its_ingress_once() {
    let place = Place::new();
    let program = place.narrow_controller(&["--election-ttl=3s"]);
    place.replace(odd("odd", "first"));
    until_status(&program, "odd.test", 503);
    let event = until_event(&place, "odd", "AnnotationNotHonoured");
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["involvedObject"]["kind"], "Ingress");
    let kept = place.get("Ingress", "odd").unwrap();
    assert_eq!(event["involvedObject"]["uid"], kept["metadata"]["uid"]);
    let message = event["message"].as_str().unwrap();
    assert!(message.contains("proxy-read-timeout"), "{message}");

    // A change that leaves the finding as it is tells nothing new, and that of another is about the other.
    place.replace(odd("odd", "second"));
    place.replace(odd("other", "first"));
    until_event(&place, "other", "AnnotationNotHonoured");
    let told = about(&place, "odd", "AnnotationNotHonoured");
    assert_eq!(times(&told), 1, "{told:#?}");
}

#[test]
fn who_comes_and_changes_is_told_of_it() {
    let place = Place::new();
    let program = place.narrow_controller(&["--election-ttl=3s"]);
    place.replace(plain());
    until_status(&program, "a.test", 503);
    let event = until_event(&place, "a", "Sync");
    assert_eq!(event["type"], "Normal");
    assert_eq!(event["message"], "Scheduled for sync");
    // A change is one more of the same.
    let changed = with(plain(), |ingress| {
        ingress["metadata"]["annotations"] = json!({ "example.com/note": "changed" });
    });
    place.replace(changed);
    wait::until("a series", || {
        (times(&about(&place, "a", "Sync")) == 2).then_some(())
    });
}

#[test]
fn nothing_is_told_of_coming_where_that_is_switched_off() {
    let place = Place::new();
    let _program = place.narrow_controller(&["--election-ttl=3s", "--disable-sync-events"]);
    place.replace(plain());
    place.replace(odd("odd", "first"));
    until_event(&place, "odd", "AnnotationNotHonoured");
    assert!(about(&place, "a", "Sync").is_empty());
    assert!(about(&place, "odd", "Sync").is_empty());
}

#[test]
fn kubectl_shows_them() {
    let place = Place::new();
    let Some(kubectl) = place.kubectl() else {
        return;
    };
    let _program = place.narrow_controller(&["--election-ttl=3s"]);
    place.replace(odd("odd", "first"));
    until_event(&place, "odd", "AnnotationNotHonoured");
    until_event(&place, "odd", "Sync");
    let shop = place.shop();
    let listed = kubectl.run(&["get", "events", "-n", &shop]).stdout;
    let described = kubectl
        .run(&["describe", "ingress", "odd", "-n", &shop])
        .stdout;
    for text in [&listed, &described] {
        for word in [
            "AnnotationNotHonoured",
            "proxy-read-timeout",
            "Sync",
            "Scheduled for sync",
        ] {
            assert!(text.contains(word), "{word}:\n{text}");
        }
    }
}
