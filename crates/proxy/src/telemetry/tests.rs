//! Metrics from the request to the exposition format.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod reading;
mod taps;

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_table::{AccessLogSettings, Slot};
use http::Method;
use prometheus::{Registry, TextEncoder};

use super::testing::{Request, TestRoute, attempt, config};
use super::*;
use crate::config::{AccessLog, Buckets};
use crate::current::testing::current;
use crate::limit::Limit;
use crate::record::Record;

/// Telemetry with two workers, without an access log.
struct Fixture {
    telemetry: Arc<Telemetry>,
    registry: Registry,
    workers: [WorkerTelemetry; 2],
}

impl Fixture {
    fn new(config: &Config) -> Self {
        let telemetry = Telemetry::new(config);
        let registry = Registry::new();
        telemetry.register(&registry).unwrap();
        let workers = [0, 1].map(|index| WorkerTelemetry::new(&telemetry, index, current()));
        Self {
            telemetry,
            registry,
            workers,
        }
    }

    fn observe(&self, worker: usize, request: &Request, route: &TestRoute) {
        let mut seen = request.seen();
        seen.route = Some(route.labels());
        self.workers[worker].finish(&seen, &silent());
    }

    fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap()
    }

    /// The samples of `name`, the common labels left out.
    fn samples(&self, name: &str) -> Vec<String> {
        let common = r#"controller_class="example.com/headgate",controller_namespace="ns",controller_pod="pod-1""#;
        let full = format!("nginx_ingress_controller_{name}");
        let text = self.text();
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(&full))
            .filter(|rest| rest.starts_with(['{', ' ']));
        lines
            .map(|line| {
                line.replace(&format!("{common},"), "")
                    .replace(&format!(",{common}"), "")
                    .replace(common, "")
            })
            .collect()
    }
}

fn silent() -> AccessLogSettings {
    AccessLogSettings {
        enabled: false,
        errors: false,
        ..headgate_table::Settings::default().access_log
    }
}

#[test]
fn requests_are_summed_over_workers() {
    let fixture = Fixture::new(&config());
    let route = TestRoute::new("/a");
    let request = Request::default();
    for worker in [0, 1, 1] {
        fixture.observe(worker, &request, &route);
    }
    let labels = r#"canary="",host="shop.example",ingress="web",method="GET",namespace="shop",path="/a",service="front",status="200""#;
    let expected = |value: &str| {
        let (before, after) = (
            r#"{canary="","#,
            labels.strip_prefix(r#"canary="","#).unwrap(),
        );
        vec![format!("{before}{after}}} {value}")]
    };
    assert_eq!(fixture.samples("requests"), expected("3"));
    assert_eq!(fixture.samples("request_size_sum"), expected("231"));
    assert_eq!(fixture.samples("response_size_sum"), expected("336"));
    assert_eq!(fixture.samples("bytes_sent_count"), expected("3"));
    assert_eq!(
        fixture.samples("request_duration_seconds_sum"),
        expected("0.009")
    );
    assert_eq!(
        fixture.samples("response_duration_seconds_count"),
        Vec::<String>::new()
    );
    assert_eq!(fixture.samples("nginx_process_requests_total"), ["{} 3"]);
}

#[test]
fn upstream_times_are_those_of_the_last_attempt() {
    let fixture = Fixture::new(&config());
    let mut request = Request::default();
    request.attempts = vec![
        attempt(request.end, 90, None),
        attempt(request.end, 40, Some(30)),
    ];
    fixture.observe(0, &request, &TestRoute::new("/gone"));
    let route = TestRoute::new("/a");
    fixture.observe(0, &request, &route);
    let values = |name: &str| {
        let samples = fixture.samples(name);
        samples
            .iter()
            .filter_map(|line| line.rsplit(' ').next().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(values("response_duration_seconds_sum"), ["0.03"]);
    assert_eq!(values("header_duration_seconds_sum"), ["0.001"]);
    assert_eq!(values("connect_duration_seconds_count"), ["1"]);
}

#[test]
fn series_live_as_long_as_the_slot_of_their_route() {
    let fixture = Fixture::new(&config());
    let request = Request::default();
    let first = TestRoute::new("/a");
    fixture.observe(0, &request, &first);
    let mut second = TestRoute::new("/a");
    second.slot = first.slot.clone();
    drop(first);
    fixture.observe(0, &request, &second);
    assert!(
        fixture
            .samples("requests")
            .first()
            .is_some_and(|line| line.ends_with(" 2"))
    );
    second.slot = Slot::default();
    assert_eq!(fixture.samples("requests"), Vec::<String>::new());
}

#[test]
fn a_slot_may_outlive_a_change_of_the_service() {
    let fixture = Fixture::new(&config());
    let mut route = TestRoute::new("/a");
    fixture.observe(0, &Request::default(), &route);
    Arc::make_mut(&mut route.origin).service = "next".into();
    fixture.observe(0, &Request::default(), &route);
    let samples = fixture.samples("requests");
    let services: Vec<_> = samples
        .iter()
        .filter_map(|line| line.split("service=").nth(1)?.split(',').next())
        .collect();
    assert_eq!(services, [r#""front""#, r#""next""#]);
}

#[test]
fn routes_with_equal_labels_make_one_series() {
    let fixture = Fixture::new(&config());
    let (exact, prefix) = (TestRoute::new("/a"), TestRoute::new("/a"));
    fixture.observe(0, &Request::default(), &exact);
    fixture.observe(0, &Request::default(), &prefix);
    let samples = fixture.samples("requests");
    assert_eq!(samples.len(), 1, "{samples:?}");
    assert!(samples.iter().all(|line| line.ends_with(" 2")));
}

#[test]
fn clients_cannot_create_series() {
    let fixture = Fixture::new(&config());
    let route = TestRoute::new("/a");
    for n in 0..10_000 {
        let method = Method::from_bytes(format!("M{n}").as_bytes()).unwrap();
        let mut request = Request {
            method,
            ..Request::default()
        };
        fixture.observe(0, &request, &route);
        request.host = format!("h{n}.example").into();
        let mut seen = request.seen();
        (seen.route, seen.host_is_literal) = (Some(route.labels()), false);
        fixture.workers[0].finish(&seen, &silent());
        seen.route = None;
        fixture.workers[0].finish(&seen, &silent());
    }
    let samples = fixture.samples("requests");
    assert_eq!(samples.len(), 1, "{samples:?}");
    assert!(
        samples
            .iter()
            .all(|line| line.contains(r#"method="OTHER""#) && line.ends_with(" 10000"))
    );
    assert_eq!(
        fixture.samples("nginx_process_requests_total"),
        ["{} 30000"]
    );
}

#[test]
fn statuses_of_a_backend_are_bounded() {
    let fixture = Fixture::new(&config());
    let route = TestRoute::new("/a");
    let request = Request::default();
    for status in 100..1000 {
        let mut seen = request.seen();
        (seen.route, seen.status) = (Some(route.labels()), status);
        fixture.workers[0].finish(&seen, &silent());
    }
    let samples = fixture.samples("requests");
    assert_eq!(
        samples.len(),
        128 + 8,
        "each of the first, then one a class from 2xx to 9xx"
    );
    let total: u64 = samples
        .iter()
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(total, 900);
}

#[test]
fn excluded_metrics_are_left_out() {
    let excluding = Config {
        excluded_metrics: vec!["request_size".to_owned()],
        ..config()
    };
    for (config, count) in [(config(), true), (excluding, false)] {
        let fixture = Fixture::new(&config);
        let (route, request) = (TestRoute::new("/a"), Request::default());
        let mut seen = request.seen();
        (seen.route, seen.host_is_literal) = (Some(route.labels()), true);
        fixture.workers[0].finish(&seen, &silent());
        assert!(!fixture.samples("requests").is_empty());
        assert_eq!(!fixture.samples("request_size_count").is_empty(), count);
    }
}

#[test]
fn buckets_follow_the_flags() {
    let fixture = Fixture::new(&Config {
        buckets: Buckets {
            time: vec![0.002, 0.003],
            length: vec![50.0],
            size: Vec::new(),
        },
        ..config()
    });
    let route = TestRoute::new("/a");
    fixture.observe(0, &Request::default(), &route);
    let bounds = |name: &str| -> Vec<String> {
        let samples = fixture.samples(&format!("{name}_bucket"));
        let bound = |line: &String| {
            let (_, rest) = line.split_once("le=\"").unwrap();
            let (bound, _) = rest.split_once('"').unwrap();
            format!("{bound}: {}", line.rsplit(' ').next().unwrap())
        };
        samples.iter().map(bound).collect()
    };
    assert_eq!(
        bounds("request_duration_seconds"),
        ["0.002: 0", "0.003: 1", "+Inf: 1"]
    );
    assert_eq!(bounds("request_size"), ["50: 0", "+Inf: 1"]);
    assert_eq!(bounds("bytes_sent"), ["+Inf: 1"]);
    let text = fixture.text();
    assert!(text.contains("headgate_publish_seconds_bucket"), "{text}");
    assert!(
        text.contains("le=\"0.025\""),
        "other histograms have fixed buckets: {text}"
    );
}

#[test]
fn labels_follow_the_flags() {
    let classes = Config {
        metrics_per_host: false,
        status_classes: true,
        ..config()
    };
    let fixture = Fixture::new(&classes);
    let (route, request) = (TestRoute::new("/a"), Request::default());
    let mut seen = request.seen();
    (seen.route, seen.host_is_literal, seen.status) = (Some(route.labels()), false, 404);
    fixture.workers[0].finish(&seen, &silent());
    let samples = fixture.samples("requests");
    assert!(
        matches!(&samples[..], [line] if line.contains(r#"status="4xx""#) && !line.contains("host=")),
        "{samples:?}"
    );

    let undefined = Fixture::new(&Config {
        metrics_per_undefined_host: true,
        ..config()
    });
    let (route, host) = (TestRoute::new("/a"), Arc::from("*.example"));
    (seen.route, seen.host) = (Some(route.labels()), Some(&host));
    undefined.workers[0].finish(&seen, &silent());
    let samples = undefined.samples("requests");
    assert!(
        matches!(&samples[..], [line] if line.contains(r#"host="*.example""#)),
        "{samples:?}"
    );
}

#[test]
fn open_connections_are_counted_by_state() {
    let fixture = Fixture::new(&config());
    let (first, second) = (
        fixture.workers[0].connection(),
        fixture.workers[1].connection(),
    );
    first.enter(ConnectionState::Writing);
    second.enter(ConnectionState::Waiting);
    fixture.workers[0].connection_refused(Limit::Connections);
    let open = |state: &str| {
        let samples = fixture.samples("nginx_process_connections");
        let line = samples
            .iter()
            .find(|line| line.contains(&format!(r#"state="{state}""#)))
            .unwrap()
            .clone();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(
        ["active", "reading", "writing", "waiting"].map(open),
        ["2", "0", "1", "1"]
    );
    drop(first);
    assert_eq!(
        ["active", "reading", "writing", "waiting"].map(open),
        ["1", "0", "0", "1"]
    );
    assert_eq!(fixture.telemetry.open_connections(), 1);
    drop(second);
    assert_eq!(
        fixture.samples("nginx_process_connections_total"),
        [r#"{state="accepted"} 3"#, r#"{state="handled"} 2"#]
    );
    assert!(fixture.text().contains(r#"limit="connections"} 1"#));
}

#[test]
fn reports_of_the_control_plane_are_exposed() {
    let fixture = Fixture::new(&config());
    let telemetry = &fixture.telemetry;
    assert_eq!(fixture.samples("config_last_reload_successful"), ["{} 0"]);
    telemetry.published(4);
    telemetry.set_config_hash(7);
    telemetry.publish_latency(Duration::from_millis(20));
    telemetry.set_findings(vec![("warning", 3), ("error", 0)]);
    let orphan = Orphan {
        namespace: "shop".into(),
        ingress: "web".into(),
        kind: OrphanKind::NoEndpoint,
    };
    telemetry.set_orphans(vec![orphan.clone(), orphan]);
    let facts = CertificateFacts {
        host: "shop.example".into(),
        namespace: "shop".into(),
        secret_name: "cert".into(),
        identifier: "-5".into(),
        not_after: 99,
        ..Default::default()
    };
    telemetry.set_certificates(vec![facts]);
    assert_eq!(fixture.samples("config_hash"), ["{} 7"]);
    assert_eq!(fixture.samples("config_last_reload_successful"), ["{} 1"]);
    assert_eq!(fixture.samples("success"), ["{} 1"]);
    assert_eq!(fixture.samples("errors"), ["{} 0"]);
    assert_eq!(
        fixture.samples("orphan_ingress"),
        [r#"{ingress="web",namespace="shop",type="no-endpoint"} 1"#]
    );
    let bare = r#"{class="example.com/headgate",host="shop.example",identifier="-5",namespace="shop",secret_name="cert"} 99"#;
    assert_eq!(fixture.samples("ssl_expire_time_seconds"), [bare]);
    assert_eq!(fixture.samples("ssl_certificate_info").len(), 1);
    let text = fixture.text();
    assert!(
        text.contains("headgate_publish_seconds_count{")
            && text.contains(r#"controller_pod="pod-1"} 4"#)
            && text.contains(r#"severity="warning"} 3"#),
        "{text}"
    );
    telemetry.set_orphans(Vec::new());
    assert_eq!(fixture.samples("orphan_ingress"), Vec::<String>::new());
}

/// Everything but request metrics, which need a request, is exposed from the start.
#[test]
fn every_name_is_exposed_with_help_and_type() {
    let fixture = Fixture::new(&config());
    let mut request = Request::default();
    request.attempts = vec![attempt(request.end, 5, Some(5))];
    let route = TestRoute::new("/quo\"te\\");
    fixture.observe(0, &request, &route);
    let client = (std::net::Ipv4Addr::LOCALHOST, 4711).into();
    fixture.workers[0].head_refused(client, 431, Limit::HeadSize);
    fixture.workers[0].panicked();
    fixture.workers[0].mirrored("sent");
    let port = fixture.workers[0].port((Protocol::Udp, 53));
    port.begin();
    port.end(200);
    fixture.telemetry.set_findings(vec![("error", 1)]);
    fixture.telemetry.set_orphans(vec![Orphan {
        namespace: "a".into(),
        ingress: "b".into(),
        kind: OrphanKind::NoService,
    }]);
    fixture
        .telemetry
        .set_certificates(vec![CertificateFacts::default()]);
    let text = fixture.text();
    for name in names::ALL {
        let kind = format!("{:?}", name.kind).to_lowercase();
        assert!(
            text.contains(&format!(
                "# HELP {} {}\n# TYPE {0} {kind}\n{0}",
                name.name, name.help
            )),
            "{}",
            name.name
        );
        let mut expected: BTreeSet<&str> = name.labels.iter().copied().collect();
        if !name.name.starts_with("process_") && !name.labels.contains(&"class") {
            expected.extend(["controller_namespace", "controller_class", "controller_pod"]);
        }
        let families = fixture.registry.gather();
        let family = families.iter().find(|family| family.name() == name.name);
        let sample = &family.unwrap().get_metric()[0];
        let labels: BTreeSet<&str> = sample
            .get_label()
            .iter()
            .map(|label| label.name())
            .collect();
        assert_eq!(labels, expected, "{}", name.name);
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(!series.contains('{') || series.ends_with('}'), "{line}");
    }
    assert!(text.contains(r#"path="/quo\"te\\""#), "{text}");
}

#[test]
fn lines_reach_the_file_in_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let fixture = Fixture::new(&Config {
        access_log: AccessLog::File(path.clone()),
        ..config()
    });
    let worker = &fixture.workers[0];
    let settings = AccessLogSettings {
        enabled: true,
        skip: Arc::new(["/a?b=c".to_owned()]),
        ..silent()
    };
    let (skipped, mut logged) = (Request::default(), Request::default());
    logged.target = http::Uri::from_static("/shown");
    worker.finish(&skipped.seen(), &settings);
    assert!(!worker.has_lines());
    let mut hidden = [logged.seen(), logged.seen()];
    (hidden[0].unlogged, hidden[1].default_backend) = (true, true);
    hidden
        .iter()
        .for_each(|seen| worker.finish(seen, &settings));
    assert!(!worker.has_lines());
    worker.finish(&logged.seen(), &settings);
    assert!(worker.has_lines());
    worker.flush();
    assert!(!worker.has_lines());
    worker.finish(
        &hidden[1],
        &AccessLogSettings {
            default_backend: true,
            ..settings
        },
    );
    drop(fixture.workers);
    assert!(fixture.telemetry.sync_log(Duration::from_secs(10)));
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(
        text.lines()
            .filter(|line| line.contains("\"GET /shown HTTP/1.1\" 200 12"))
            .count(),
        2,
        "{text}"
    );
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn a_full_block_does_not_wait_for_a_flush() {
    let fixture = Fixture::new(&Config {
        access_log: AccessLog::File("/dev/null".into()),
        ..config()
    });
    let settings = AccessLogSettings {
        enabled: true,
        ..silent()
    };
    let request = Request::default();
    let mut lines = 0;
    while lines == 0 || fixture.workers[0].has_lines() {
        fixture.workers[0].finish(&request.seen(), &settings);
        lines += 1;
        assert!(lines < 10_000);
    }
    assert!(lines > 100, "{lines}");
}

#[test]
fn the_time_of_an_attempt_ends_with_the_next_or_the_request() {
    let end = Instant::now();
    let mut second = attempt(end, 40, None);
    second.endpoint = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
    let request = Request {
        attempts: vec![attempt(end, 90, None), second],
        end,
        ..Request::default()
    };
    let times = [0, 1, 2].map(|index| {
        request
            .seen()
            .response_time(index)
            .map(|time| time.as_millis())
    });
    assert_eq!(times, [Some(50), Some(40), None]);
}

#[test]
fn a_request_is_recorded_once_when_it_is_dropped() {
    let fixture = Fixture::new(&config());
    let worker = WorkerTelemetry::new(&fixture.telemetry, 0, current());
    let (head, ()) = http::Request::get("/a").body(()).unwrap().into_parts();
    let mut record = Record::new(&head, Ipv6Addr::LOCALHOST.into());
    record.unlogged = true;
    let recording = Recording::new(record, Rc::new(worker));
    let moved = Box::new(recording);
    assert_eq!(fixture.samples("nginx_process_requests_total"), ["{} 0"]);
    drop(moved);
    assert_eq!(fixture.samples("nginx_process_requests_total"), ["{} 1"]);
}
