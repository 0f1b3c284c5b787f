#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use headgate_compile::{Finding, Kind, Name, ObjectRef, Severity, Subject};
use http::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::queue::CAPACITY;
use super::{EventMetrics, EventOptions, Events, Notice, Notices, Reporter};
use crate::fake::{Failure, Fake};
use crate::leadership::{Leader, Leadership};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

struct EventContent {
    fake: Fake,
    notices: Notices,
    metrics: EventMetrics,
}

impl EventContent {
    fn start(fake: &Fake, reporter: Reporter) -> Self {
        let options = EventOptions {
            controller: "headgate".into(),
            instance: "pod-1".into(),
            sync: true,
        };
        let metrics = EventMetrics::new(&HashMap::new()).unwrap();
        let (events, notices) = Events::new(fake.client(), options, metrics.clone());
        tokio::spawn(events.run(reporter));
        Self {
            fake: fake.clone(),
            notices,
            metrics,
        }
    }

    /// The clock is paused: this passes once nobody has anything to do before that time.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    fn all(&self) -> Vec<Value> {
        self.fake.under(EVENTS)
    }
}

fn finding(severity: Severity, name: &str, field: &str, message: &str) -> Finding {
    Finding {
        severity,
        subject: Subject::Object(ObjectRef {
            kind: Kind::Ingress,
            name: Name::new("shop", name),
        }),
        field: field.into(),
        message: message.into(),
    }
}

fn broken(name: &str) -> (Finding, Option<Arc<str>>) {
    let field = "metadata.annotations[nginx.ingress.kubernetes.io/auth-type]";
    (
        finding(Severity::Error, name, field, "no such type"),
        Some("uid-of-web".into()),
    )
}

#[tokio::test(start_paused = true)]
async fn a_finding_is_told_on_its_object() {
    let content = EventContent::start(&Fake::default(), Reporter::Always);
    content.notices.findings([broken("web")], &[]);
    content.settle().await;
    let [event] = &content.all()[..] else {
        panic!("{:?}", content.all())
    };
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["reason"], "AnnotationParsingFailed");
    assert_eq!(
        event["note"],
        "metadata.annotations[nginx.ingress.kubernetes.io/auth-type]: no such type"
    );
    assert_eq!(event["reportingController"], "headgate");
    assert_eq!(event["reportingInstance"], "pod-1");
    let regarding = &event["regarding"];
    assert_eq!(regarding["kind"], "Ingress");
    assert_eq!(regarding["apiVersion"], "networking.k8s.io/v1");
    assert_eq!(regarding["name"], "web");
    assert_eq!(regarding["uid"], "uid-of-web");
}

#[tokio::test(start_paused = true)]
async fn what_is_only_worth_knowing_is_not_told() {
    let content = EventContent::start(&Fake::default(), Reporter::Always);
    content
        .notices
        .findings([(finding(Severity::Info, "web", "", "fine"), None)], &[]);
    content.settle().await;
    assert_eq!(content.all().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_again_becomes_a_series() {
    let content = EventContent::start(&Fake::default(), Reporter::Always);
    for _ in 0..3 {
        let (finding, uid) = broken("web");
        content.notices.findings([(finding.clone(), uid)], &[]);
        content.settle().await;
        content.notices.findings([], &[finding]);
    }
    let [event] = &content.all()[..] else {
        panic!("{:?}", content.all())
    };
    assert_eq!(event["series"]["count"], 3);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_make_one_event() {
    let fake = Fake::default();
    let one = EventContent::start(&fake, Reporter::Always);
    let two = EventContent::start(&fake, Reporter::Always);
    one.notices.findings([broken("web")], &[]);
    two.notices.findings([broken("web")], &[]);
    one.settle().await;
    assert_eq!(one.all().len(), 1);
    assert_eq!(one.all()[0]["series"]["count"], 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_aged_away_is_made_again() {
    let content = EventContent::start(&Fake::default(), Reporter::Always);
    let sync = || Notice::Sync {
        ingress: Name::new("shop", "web"),
        uid: None,
    };
    content.notices.push(sync());
    content.settle().await;
    let name = content.all()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    content.fake.remove(&format!("{EVENTS}/{name}"));
    content.notices.push(sync());
    content.settle().await;
    assert_eq!(content.all().len(), 1);
    assert_eq!(content.all()[0]["reason"], "Sync");
    assert_eq!(content.all()[0]["note"], "Scheduled for sync");
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_reports_findings_and_tells_those_that_hold() {
    let (leadership, follower) = watch::channel(Leadership::Follower(None));
    let content = EventContent::start(&Fake::default(), Reporter::Leader(follower));
    let (gone, uid) = broken("gone");
    content
        .notices
        .findings([broken("web"), (gone.clone(), uid)], &[]);
    content.settle().await;
    assert_eq!(content.all().len(), 0);
    content.notices.findings([], &[gone]);
    let until = Instant::now() + Duration::from_secs(3600);
    leadership.send_replace(Leadership::Leader(Leader::new(until)));
    content.settle().await;
    assert_eq!(content.all().len(), 1);
    leadership.send_replace(Leadership::Follower(None));
    content.settle().await;
    content.notices.findings([broken("later")], &[]);
    content.settle().await;
    assert_eq!(content.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_object_does_not_flood() {
    let content = EventContent::start(&Fake::default(), Reporter::Always);
    for number in 0..100 {
        let message = format!("problem {number}");
        content
            .notices
            .findings([(finding(Severity::Error, "web", "", &message), None)], &[]);
    }
    content.notices.findings([broken("other")], &[]);
    content.settle().await;
    assert_eq!(content.all().len(), 26);
    assert_eq!(content.metrics.counts(), (26, 75));
}

#[tokio::test(start_paused = true)]
async fn an_outage_delays_and_bounds() {
    let content = EventContent::start(&Fake::default(), Reporter::Always);
    content.fake.judge(|_| Some(Failure::Status(503)));
    for number in 0..CAPACITY + 10 {
        content.notices.push(Notice::Sync {
            ingress: Name::new("shop", &format!("web-{number}")),
            uid: None,
        });
    }
    content.notices.findings([broken("web")], &[]);
    content.settle().await;
    assert_eq!(content.metrics.counts().0, 0);
    content.fake.heal();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let reasons: Vec<Value> = content
        .all()
        .iter()
        .map(|event| event["reason"].clone())
        .collect();
    assert!(reasons.contains(&"AnnotationParsingFailed".into()));
    assert!(reasons.len() < 1000, "Syncs are limited: {}", reasons.len());
}

#[tokio::test(start_paused = true)]
async fn forbidden_events_are_not_tried_again() {
    let content = EventContent::start(&Fake::default(), Reporter::Always);
    content.fake.judge(|_| Some(Failure::Status(403)));
    content.notices.findings([broken("web")], &[]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let made = content.fake.take_made();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].method, Method::POST);
    assert_eq!(content.metrics.counts(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_long_message_is_cut_at_a_character() {
    let content = EventContent::start(&Fake::default(), Reporter::Always);
    let long = "ä".repeat(2000);
    content.notices.findings(
        [(finding(Severity::Warning, "web", "spec", &long), None)],
        &[],
    );
    content.settle().await;
    let note = content.all()[0]["note"].as_str().unwrap().to_owned();
    assert!(note.len() <= 1024 && note.len() > 1000, "{}", note.len());
    assert!(note.ends_with('…'));
}
