//! Counters as numbers.

use headgate_table::Origin;

use super::*;

type Read = (u64, Option<String>, Option<String>, u64, u64, u64);

fn read(telemetry: &Telemetry) -> Vec<Read> {
    let mut all = Vec::new();
    telemetry.read_requests(|counts| {
        let text = |text: Option<&Arc<str>>| text.map(ToString::to_string);
        all.push((
            counts.route,
            text(counts.host),
            text(counts.canary),
            counts.client_errors,
            counts.server_errors,
            counts.times.iter().sum(),
        ));
    });
    all
}

#[test]
fn sides_are_summed_over_workers_methods_and_statuses() {
    let fixture = Fixture::new(&config());
    let (route, request) = (TestRoute::new("/a"), Request::default());
    let canary = Arc::from("shop-next-80");
    for (worker, status, alternative) in [
        (0, 200, None),
        (1, 404, None),
        (1, 503, None),
        (0, 500, Some(&canary)),
    ] {
        let mut seen = request.seen();
        (seen.route, seen.status, seen.alternative) = (Some(route.labels()), status, alternative);
        fixture.workers[worker].finish(&seen, &silent());
    }
    let host = || Some("shop.example".to_owned());
    let mut expected = vec![
        (0, host(), None, 1, 1, 3),
        (0, host(), Some("shop-next-80".to_owned()), 0, 1, 1),
    ];
    let mut all = read(&fixture.telemetry);
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    let server = fixture.telemetry.read_server();
    let requests: Vec<u64> = server.workers.iter().map(|one| one.requests).collect();
    assert_eq!(requests, [2, 2]);
}

#[test]
fn numbers_of_routes_are_not_used_again() {
    let fixture = Fixture::new(&config());
    let request = Request::default();
    fixture.observe(0, &request, &TestRoute::new("/a"));
    let route = TestRoute::new("/b");
    fixture.observe(0, &request, &route);
    let numbers: Vec<u64> = read(&fixture.telemetry).iter().map(|read| read.0).collect();
    assert_eq!(numbers, [1], "the first route is gone");
}

#[test]
fn hosts_that_no_object_names_are_read_but_in_no_metric() {
    let fixture = Fixture::new(&Config {
        counts_all_hosts: true,
        ..config()
    });
    let (route, request) = (TestRoute::new("/a"), Request::default());
    fixture.observe(0, &request, &route);
    let mut seen = request.seen();
    (seen.route, seen.host_is_literal) = (Some(route.labels()), false);
    fixture.workers[0].finish(&seen, &silent());
    let counts: Vec<u64> = read(&fixture.telemetry).iter().map(|read| read.5).collect();
    assert_eq!(counts, [2]);
    let samples = fixture.samples("requests");
    assert!(
        matches!(&samples[..], [line] if line.ends_with(" 1")),
        "{samples:?}"
    );
}

#[test]
fn publications_are_read() {
    let fixture = Fixture::new(&config());
    assert_eq!(
        fixture.telemetry.read_publications().published_unix_seconds,
        None
    );
    fixture.telemetry.publish_latency(Duration::from_millis(7));
    fixture.telemetry.published(1);
    let read = fixture.telemetry.read_publications();
    assert_eq!(read.last, Some(Duration::from_millis(7)));
    assert_eq!(read.times.iter().sum::<u64>(), 1);
    assert_eq!(read.times.len(), read.bounds.len() + 1);
    assert!(read.published_unix_seconds.is_some());
    assert!(fixture.telemetry.read_process().resident_bytes > 0);
}

#[test]
fn a_route_is_named_by_its_counters() {
    let fixture = Fixture::new(&config());
    let test = TestRoute::new("/a");
    let route = headgate_table::Route {
        rule: None,
        path: test.path.clone(),
        kind: headgate_table::PathKind::Prefix,
        origin: Arc::new(Origin::clone(&test.origin)),
        policy: Arc::default(),
        https: headgate_table::HttpsRedirect::Never,
        rewrite: None,
        error_pages: None,
        target: headgate_table::Target::DefaultBackend(None),
        sets_affinity_cookie: false,
        slot: test.slot.clone(),
    };
    assert_eq!(route_number(&route), None);
    fixture.observe(0, &Request::default(), &test);
    assert_eq!(route_number(&route), Some(0));
}
