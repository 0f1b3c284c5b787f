#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use headgate_compile::{Finding, Kind, Name, ObjectRef, Severity, Subject};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::queue::{CAPACITY, STARTING};
use super::series::UPDATE;
use super::{EventError, EventMetrics, EventOptions, Events, Notice, Notices, Reporter};
use crate::fake::{Failure, Fake};
use crate::leadership::{Leader, Leadership};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

struct Setup {
    fake: Fake,
    notices: Notices,
    metrics: EventMetrics,
}

impl Setup {
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

    /// The clock is paused: this returns once no task has work before that time.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// The counts of all series.
    fn counts(&self) -> Vec<Value> {
        let counts = self.all().into_iter();
        counts
            .map(|event| event["series"]["count"].clone())
            .collect()
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
async fn events_regard_objects_of_the_gateway_api() {
    let setup = Setup::start(&Fake::default(), Reporter::Always);
    for (kind, namespace, field, reason) in [
        (Kind::GatewayClass, "", "spec.parametersRef", "NotServed"),
        (Kind::Gateway, "shop", "spec.listeners[a].port", "NotServed"),
        (
            Kind::ListenerSet,
            "shop",
            "spec.listeners[a].tls.certificateRefs",
            "CertificateInvalid",
        ),
        (Kind::HttpRoute, "shop", "spec.rules", "NotServed"),
        (
            Kind::BackendTlsPolicy,
            "shop",
            "spec.targetRefs",
            "NotServed",
        ),
    ] {
        let finding = Finding {
            subject: Subject::Object(ObjectRef {
                kind,
                name: Name::new(namespace, "one"),
            }),
            ..finding(Severity::Error, "", field, "wrong")
        };
        let uid = format!("uid-of-{}", kind.as_str());
        setup.notices.findings([(finding, Some(uid.into()))], &[]);
        setup.settle().await;
        let expected = if namespace.is_empty() {
            "default"
        } else {
            namespace
        };
        let path = EVENTS.replace("shop", expected);
        let events = setup.fake.under(&path);
        let mut events = events.iter();
        let event = events.find(|event| event["regarding"]["kind"] == kind.as_str());
        let event = event.unwrap();
        assert_eq!(event["reason"], reason);
        let regarding = &event["regarding"];
        assert_eq!(regarding["apiVersion"], "gateway.networking.k8s.io/v1");
        assert_eq!(regarding["uid"], format!("uid-of-{}", kind.as_str()));
        assert_eq!(event["metadata"]["namespace"], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_becomes_an_event_on_its_object() {
    let setup = Setup::start(&Fake::default(), Reporter::Always);
    setup.notices.findings([broken("web")], &[]);
    setup.settle().await;
    let [event] = &setup.all()[..] else {
        panic!("{:?}", setup.all())
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
async fn an_info_finding_makes_no_event() {
    let setup = Setup::start(&Fake::default(), Reporter::Always);
    setup
        .notices
        .findings([(finding(Severity::Info, "web", "", "fine"), None)], &[]);
    setup.settle().await;
    assert_eq!(setup.all().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_becomes_a_series() {
    let setup = Setup::start(&Fake::default(), Reporter::Always);
    repeat(&setup, 2).await;
    assert_eq!(
        setup.counts(),
        [2],
        "the first repetition is written at once"
    );
    repeat(&setup, 98).await;
    assert_eq!(setup.counts(), [2], "later ones are only counted");
    tokio::time::sleep(UPDATE).await;
    assert_eq!(setup.counts(), [100]);
    let requests = setup.fake.take_requests();
    let methods: Vec<&Method> = requests.iter().map(|request| &request.method).collect();
    assert_eq!(methods, [Method::POST, Method::PATCH, Method::PATCH]);
    tokio::time::sleep(UPDATE * 3).await;
    assert!(setup.fake.take_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_series_is_continued_after_a_restart() {
    let fake = Fake::default();
    let first = Setup::start(&fake, Reporter::Always);
    repeat(&first, 10).await;
    tokio::time::sleep(UPDATE).await;
    let second = Setup::start(&fake, Reporter::Always);
    repeat(&second, 3).await;
    tokio::time::sleep(UPDATE).await;
    assert_eq!(second.counts(), [13]);
}

/// The same finding comes and goes this often.
async fn repeat(setup: &Setup, times: usize) {
    for _ in 0..times {
        let (finding, uid) = broken("web");
        setup.notices.findings([(finding.clone(), uid)], &[]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        setup.notices.findings([], &[finding]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_without_endpoints_is_reported_when_that_lasts() {
    let message = "Service shop/web has no ready endpoint for port 80; requests get 503";
    let starting = finding(Severity::Warning, "web", "spec.rules", message);
    let (leadership, follower) = watch::channel(Leadership::Follower(None));
    let setup = Setup::start(&Fake::default(), Reporter::Leader(follower));
    setup.notices.findings([(starting.clone(), None)], &[]);
    tokio::time::sleep(STARTING / 2).await;
    let until = Instant::now() + Duration::from_secs(3600);
    leadership.send_replace(Leadership::Leader(Leader::new(until)));
    // It goes, and comes back: the time begins anew.
    setup
        .notices
        .findings([(starting.clone(), None)], std::slice::from_ref(&starting));
    tokio::time::sleep(STARTING * 3 / 4).await;
    assert_eq!(setup.all().len(), 0);
    tokio::time::sleep(STARTING / 2).await;
    assert_eq!(setup.all().len(), 1);
    assert_eq!(setup.all()[0]["reason"], "NoEndpoints");
    setup.notices.findings([], std::slice::from_ref(&starting));
    setup.notices.findings([(starting.clone(), None)], &[]);
    setup.notices.findings([], &[starting]);
    tokio::time::sleep(STARTING * 2).await;
    assert_eq!(setup.all()[0]["series"]["count"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_writes_what_all_replicas_notice() {
    let sync = || Notice::Sync {
        ingress: Name::new("shop", "web"),
        uid: None,
    };
    let fake = Fake::default();
    let (one, follower) = watch::channel(Leadership::Follower(None));
    let first = Setup::start(&fake, Reporter::Leader(follower));
    let (two, follower) = watch::channel(Leadership::Follower(None));
    let second = Setup::start(&fake, Reporter::Leader(follower));
    for setup in [&first, &second] {
        setup.notices.push(sync());
        setup.settle().await;
    }
    assert_eq!(fake.take_requests().len(), 0, "no leader is known");
    let until = Instant::now() + Duration::from_secs(3600);
    one.send_replace(Leadership::Leader(Leader::new(until)));
    two.send_replace(Leadership::Follower(Some("one".into())));
    first.settle().await;
    let requests = fake.take_requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].method, Method::POST);
}

#[test]
fn events_in_a_namespace_that_is_deleted_are_recognized() {
    let error = |status: Value| EventError::Api {
        reason: "Sync",
        object: "Ingress shop/web".into(),
        source: Box::new(kube::Error::Api(serde_json::from_value(status).unwrap())),
    };
    let status = |code: u16, details: Value| json!({"status": "Failure", "message": "", "reason": "", "code": code, "details": details});
    let cause =
        json!({"reason": "NamespaceTerminating", "message": "", "field": "metadata.namespace"});
    let deleted = [
        status(
            403,
            json!({"name": "web.1", "kind": "events", "causes": [cause]}),
        ),
        status(404, json!({"name": "shop", "kind": "namespaces"})),
    ];
    for one in deleted {
        assert!(error(one.clone()).is_of_deleted_namespace(), "{one}");
    }
    let others = [
        status(403, json!({"name": "web.1", "kind": "events"})),
        status(404, json!({"name": "web.1", "kind": "events"})),
    ];
    for one in others {
        assert!(!error(one.clone()).is_of_deleted_namespace(), "{one}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_replicas_write_one_event() {
    let fake = Fake::default();
    let one = Setup::start(&fake, Reporter::Always);
    let two = Setup::start(&fake, Reporter::Always);
    one.notices.findings([broken("web")], &[]);
    two.notices.findings([broken("web")], &[]);
    one.settle().await;
    assert_eq!(one.all().len(), 1);
    assert_eq!(one.all()[0]["series"]["count"], 2);
}

#[tokio::test(start_paused = true)]
async fn an_expired_event_is_created_again() {
    let setup = Setup::start(&Fake::default(), Reporter::Always);
    let sync = || Notice::Sync {
        ingress: Name::new("shop", "web"),
        uid: None,
    };
    setup.notices.push(sync());
    setup.settle().await;
    let name = setup.all()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    setup.fake.remove(&format!("{EVENTS}/{name}"));
    setup.notices.push(sync());
    setup.settle().await;
    assert_eq!(setup.all().len(), 1);
    assert_eq!(setup.all()[0]["reason"], "Sync");
    assert_eq!(setup.all()[0]["note"], "Scheduled for sync");
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_reports_findings_and_a_new_leader_reports_the_present_ones() {
    let (leadership, follower) = watch::channel(Leadership::Follower(None));
    let setup = Setup::start(&Fake::default(), Reporter::Leader(follower));
    let (gone, uid) = broken("gone");
    setup
        .notices
        .findings([broken("web"), (gone.clone(), uid)], &[]);
    setup.settle().await;
    assert_eq!(setup.all().len(), 0);
    setup.notices.findings([], &[gone]);
    let until = Instant::now() + Duration::from_secs(3600);
    leadership.send_replace(Leadership::Leader(Leader::new(until)));
    setup.settle().await;
    assert_eq!(setup.all().len(), 1);
    leadership.send_replace(Leadership::Follower(None));
    setup.settle().await;
    setup.notices.findings([broken("later")], &[]);
    setup.settle().await;
    assert_eq!(setup.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_of_one_object_are_limited() {
    let setup = Setup::start(&Fake::default(), Reporter::Always);
    for number in 0..100 {
        let message = format!("problem {number}");
        setup
            .notices
            .findings([(finding(Severity::Error, "web", "", &message), None)], &[]);
    }
    setup.notices.findings([broken("other")], &[]);
    setup.settle().await;
    assert_eq!(setup.all().len(), 26);
    assert_eq!(setup.metrics.counts(), (26, 75));
}

#[tokio::test(start_paused = true)]
async fn an_outage_delays_events_and_the_queue_is_bounded() {
    let setup = Setup::start(&Fake::default(), Reporter::Always);
    setup.fake.fail_if(|_| Some(Failure::Status(503)));
    for number in 0..CAPACITY + 10 {
        setup.notices.push(Notice::Sync {
            ingress: Name::new("shop", &format!("web-{number}")),
            uid: None,
        });
    }
    setup.notices.findings([broken("web")], &[]);
    setup.settle().await;
    assert_eq!(setup.metrics.counts().0, 0);
    setup.fake.heal();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let reasons: Vec<Value> = setup
        .all()
        .iter()
        .map(|event| event["reason"].clone())
        .collect();
    assert!(reasons.contains(&"AnnotationParsingFailed".into()));
    assert!(reasons.len() < 1000, "Syncs are limited: {}", reasons.len());
}

#[tokio::test(start_paused = true)]
async fn forbidden_events_are_not_retried() {
    let setup = Setup::start(&Fake::default(), Reporter::Always);
    setup.fake.fail_if(|_| Some(Failure::Status(403)));
    setup.notices.findings([broken("web")], &[]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let requests = setup.fake.take_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, Method::POST);
    assert_eq!(setup.metrics.counts(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_long_message_is_cut_at_a_character() {
    let setup = Setup::start(&Fake::default(), Reporter::Always);
    let long = "ä".repeat(2000);
    setup.notices.findings(
        [(finding(Severity::Warning, "web", "spec", &long), None)],
        &[],
    );
    setup.settle().await;
    let note = setup.all()[0]["note"].as_str().unwrap().to_owned();
    assert!(note.len() <= 1024 && note.len() > 1000, "{}", note.len());
    assert!(note.ends_with('…'));
}
