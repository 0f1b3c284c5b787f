//! Events about Ingresses.

use headgate_testkit::wait;
use serde_json::{Value, json};

use super::support::{ingress, until_status, with};
use super::testenv::TestEnv;

const TIMEOUT: &str = "nginx.ingress.kubernetes.io/proxy-read-timeout";

/// An Ingress with an invalid annotation value.
fn invalid(name: &str, note: &str) -> Value {
    with(ingress(name, &format!("{name}.test"), "none"), |ingress| {
        ingress["metadata"]["annotations"] = json!({ TIMEOUT: "soon", "example.com/note": note });
    })
}

fn plain() -> Value {
    ingress("a", "a.test", "none")
}

fn about(env: &TestEnv, name: &str, reason: &str) -> Vec<Value> {
    let mut events = env.events();
    events.retain(|event| event["reason"] == reason && event["involvedObject"]["name"] == name);
    events
}

/// How often these Events occurred.
fn times(events: &[Value]) -> u64 {
    let count = |event: &Value| {
        let series = event["series"]["count"].as_u64();
        series.or_else(|| event["count"].as_u64()).unwrap_or(1)
    };
    events.iter().map(count).sum()
}

#[track_caller]
fn until_event(env: &TestEnv, name: &str, reason: &str) -> Value {
    wait::until("an Event", || about(env, name, reason).pop())
}

#[test]
fn a_finding_becomes_one_event_on_its_ingress() {
    let env = TestEnv::new();
    let program = env.narrow_controller(&["--election-ttl=3s"]);
    env.replace(invalid("invalid", "first"));
    until_status(&program, "invalid.test", 503);
    let event = until_event(&env, "invalid", "AnnotationNotHonoured");
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["involvedObject"]["kind"], "Ingress");
    let stored = env.get("Ingress", "invalid").unwrap();
    assert_eq!(event["involvedObject"]["uid"], stored["metadata"]["uid"]);
    let message = event["message"].as_str().unwrap();
    assert!(message.contains("proxy-read-timeout"), "{message}");

    // A change that keeps the finding causes no Event, and neither does a finding of another Ingress.
    env.replace(invalid("invalid", "second"));
    env.replace(invalid("other", "first"));
    until_event(&env, "other", "AnnotationNotHonoured");
    let events = about(&env, "invalid", "AnnotationNotHonoured");
    assert_eq!(times(&events), 1, "{events:#?}");
}

#[test]
fn a_new_or_changed_ingress_gets_a_sync_event() {
    let env = TestEnv::new();
    let program = env.narrow_controller(&["--election-ttl=3s"]);
    env.replace(plain());
    until_status(&program, "a.test", 503);
    let event = until_event(&env, "a", "Sync");
    assert_eq!(event["type"], "Normal");
    assert_eq!(event["message"], "Scheduled for sync");
    // A change adds to the same series.
    let changed = with(plain(), |ingress| {
        ingress["metadata"]["annotations"] = json!({ "example.com/note": "changed" });
    });
    env.replace(changed);
    wait::until("a series", || {
        (times(&about(&env, "a", "Sync")) == 2).then_some(())
    });
}

#[test]
fn disable_sync_events_suppresses_sync_events() {
    let env = TestEnv::new();
    let _program = env.narrow_controller(&["--election-ttl=3s", "--disable-sync-events"]);
    env.replace(plain());
    env.replace(invalid("invalid", "first"));
    until_event(&env, "invalid", "AnnotationNotHonoured");
    assert!(about(&env, "a", "Sync").is_empty());
    assert!(about(&env, "invalid", "Sync").is_empty());
}

#[test]
fn kubectl_shows_events() {
    let env = TestEnv::new();
    let Some(kubectl) = env.kubectl() else {
        return;
    };
    let _program = env.narrow_controller(&["--election-ttl=3s"]);
    env.replace(invalid("invalid", "first"));
    until_event(&env, "invalid", "AnnotationNotHonoured");
    until_event(&env, "invalid", "Sync");
    let namespace = env.namespace();
    let listed = kubectl.run(&["get", "events", "-n", &namespace]).stdout;
    let described = kubectl
        .run(&["describe", "ingress", "invalid", "-n", &namespace])
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
