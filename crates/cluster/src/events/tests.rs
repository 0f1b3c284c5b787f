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
use super::{EventMetrics, EventOptions, Events, Notice, Notices, Teller};
use crate::fake::{Failure, Fake};
use crate::leadership::{Leader, Leadership};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

struct Told {
    fake: Fake,
    notices: Notices,
    metrics: EventMetrics,
}

impl Told {
    fn start(fake: &Fake, teller: Teller) -> Self {
        let options = EventOptions {
            controller: "headgate".into(),
            instance: "pod-1".into(),
            sync: true,
        };
        let metrics = EventMetrics::new(&HashMap::new()).unwrap();
        let (events, notices) = Events::new(fake.client(), options, metrics.clone());
        tokio::spawn(events.run(teller));
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
    let told = Told::start(&Fake::default(), Teller::Always);
    told.notices.findings([broken("web")], &[]);
    told.settle().await;
    let [event] = &told.all()[..] else {
        panic!("{:?}", told.all())
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
    let told = Told::start(&Fake::default(), Teller::Always);
    told.notices
        .findings([(finding(Severity::Info, "web", "", "fine"), None)], &[]);
    told.settle().await;
    assert_eq!(told.all().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_again_becomes_a_series() {
    let told = Told::start(&Fake::default(), Teller::Always);
    for _ in 0..3 {
        let (finding, uid) = broken("web");
        told.notices.findings([(finding.clone(), uid)], &[]);
        told.settle().await;
        told.notices.findings([], &[finding]);
    }
    let [event] = &told.all()[..] else {
        panic!("{:?}", told.all())
    };
    assert_eq!(event["series"]["count"], 3);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_make_one_event() {
    let fake = Fake::default();
    let one = Told::start(&fake, Teller::Always);
    let two = Told::start(&fake, Teller::Always);
    one.notices.findings([broken("web")], &[]);
    two.notices.findings([broken("web")], &[]);
    one.settle().await;
    assert_eq!(one.all().len(), 1);
    assert_eq!(one.all()[0]["series"]["count"], 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_aged_away_is_made_again() {
    let told = Told::start(&Fake::default(), Teller::Always);
    let sync = || Notice::Sync {
        ingress: Name::new("shop", "web"),
        uid: None,
    };
    told.notices.push(sync());
    told.settle().await;
    let name = told.all()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    told.fake.remove(&format!("{EVENTS}/{name}"));
    told.notices.push(sync());
    told.settle().await;
    assert_eq!(told.all().len(), 1);
    assert_eq!(told.all()[0]["reason"], "Sync");
    assert_eq!(told.all()[0]["note"], "Scheduled for sync");
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_tells_findings_and_tells_those_that_hold() {
    let (leadership, follower) = watch::channel(Leadership::Follower(None));
    let told = Told::start(&Fake::default(), Teller::Leader(follower));
    let (gone, uid) = broken("gone");
    told.notices
        .findings([broken("web"), (gone.clone(), uid)], &[]);
    told.settle().await;
    assert_eq!(told.all().len(), 0);
    told.notices.findings([], &[gone]);
    let until = Instant::now() + Duration::from_secs(3600);
    leadership.send_replace(Leadership::Leader(Leader::new(until)));
    told.settle().await;
    assert_eq!(told.all().len(), 1);
    leadership.send_replace(Leadership::Follower(None));
    told.settle().await;
    told.notices.findings([broken("later")], &[]);
    told.settle().await;
    assert_eq!(told.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_object_does_not_flood() {
    let told = Told::start(&Fake::default(), Teller::Always);
    for number in 0..100 {
        let message = format!("problem {number}");
        told.notices
            .findings([(finding(Severity::Error, "web", "", &message), None)], &[]);
    }
    told.notices.findings([broken("other")], &[]);
    told.settle().await;
    assert_eq!(told.all().len(), 26);
    assert_eq!(told.metrics.counts(), (26, 75));
}

#[tokio::test(start_paused = true)]
async fn an_outage_delays_and_bounds() {
    let told = Told::start(&Fake::default(), Teller::Always);
    told.fake.judge(|_| Some(Failure::Status(503)));
    for number in 0..CAPACITY + 10 {
        told.notices.push(Notice::Sync {
            ingress: Name::new("shop", &format!("web-{number}")),
            uid: None,
        });
    }
    told.notices.findings([broken("web")], &[]);
    told.settle().await;
    assert_eq!(told.metrics.counts().0, 0);
    told.fake.heal();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let reasons: Vec<Value> = told
        .all()
        .iter()
        .map(|event| event["reason"].clone())
        .collect();
    assert!(reasons.contains(&"AnnotationParsingFailed".into()));
    assert!(reasons.len() < 1000, "Syncs are limited: {}", reasons.len());
}

#[tokio::test(start_paused = true)]
async fn forbidden_events_are_not_tried_again() {
    let told = Told::start(&Fake::default(), Teller::Always);
    told.fake.judge(|_| Some(Failure::Status(403)));
    told.notices.findings([broken("web")], &[]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let made = told.fake.take_made();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].method, Method::POST);
    assert_eq!(told.metrics.counts(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_long_message_is_cut_at_a_character() {
    let told = Told::start(&Fake::default(), Teller::Always);
    let long = "ä".repeat(2000);
    told.notices.findings(
        [(finding(Severity::Warning, "web", "spec", &long), None)],
        &[],
    );
    told.settle().await;
    let note = told.all()[0]["note"].as_str().unwrap().to_owned();
    assert!(note.len() <= 1024 && note.len() > 1000, "{}", note.len());
    assert!(note.ends_with('…'));
}
