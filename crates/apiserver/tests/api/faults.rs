//! Faults and disturbances.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use headgate_apiserver::{ApiServer, Disturbance, Effect, Fault};
use headgate_testkit::{Connection, Request};
use serde_json::json;

use crate::client::{Watch, config_map, get, send};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";

#[test]
fn faults_are_matched_counted_and_ended() {
    let api = ApiServer::start();
    api.inject(
        Fault::new(Effect::Status(429))
            .verb("list")
            .resource("configmaps")
            .skip(1)
            .times(2),
    );
    get(&api, MAPS).is(200);
    let first = get(&api, MAPS);
    assert_eq!(first.response.field("retry-after"), Some("1"));
    assert_eq!(first.is(429)["reason"], "TooManyRequests");
    get(&api, "/api/v1/secrets").is(200);
    get(&api, MAPS).is(429);
    get(&api, MAPS).is(200);
    api.inject(Fault::new(Effect::RetryAfter(503, 7)));
    assert_eq!(get(&api, MAPS).response.field("retry-after"), Some("7"));
    api.heal();
    get(&api, MAPS).is(200);
    api.inject(Fault::new(Effect::Status(500)).verb("create"));
    send(&api, "POST", MAPS, &config_map("one", "1")).is(500);
    assert_eq!(api.count("ConfigMap"), 0);
}

#[test]
fn responses_can_be_broken() {
    let api = ApiServer::start();
    api.load((0..50).map(|index| config_map(&format!("m{index}"), "1")));
    let one = |effect: Effect| api.inject(Fault::new(effect).times(1));
    one(Effect::Drop);
    let error = Request::get(MAPS).try_send(api.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    one(Effect::Garbage);
    let garbage = get(&api, MAPS);
    assert!(garbage.body.is_null() && garbage.response.status == 200);
    one(Effect::Truncate);
    let half = get(&api, MAPS);
    assert!(!half.response.complete && !half.response.body.is_empty());
    one(Effect::Delay(Duration::from_millis(50)));
    let start = Instant::now();
    get(&api, MAPS).is(200);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_hanging_request_is_recorded_and_gets_no_response() {
    let mut api = ApiServer::start();
    api.inject(Fault::new(Effect::Hang).times(1));
    let mut connection = Connection::open(api.address());
    connection.send(Request::get(MAPS).bytes());
    api.wait_for_request(|request| request.verb == "list");
    // Other requests are served meanwhile.
    get(&api, MAPS).is(200);
    api.stop();
    assert!(connection.is_closed());
}

#[test]
fn a_stopped_server_resumes_on_its_port() {
    let mut api = ApiServer::start();
    api.create(config_map("one", "1"));
    let mut watch = Watch::open(&api, &format!("{MAPS}?watch=1"));
    assert_eq!(watch.line(), "ADDED one");
    let address = api.address();
    api.stop();
    assert!(watch.raw().is_empty());
    let refused = Connection::try_open(address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    api.create(config_map("two", "1"));
    api.resume();
    assert_eq!(api.address(), address);
    assert_eq!(
        get(&api, MAPS).is(200)["items"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn open_watches_can_be_disturbed() {
    let api = ApiServer::start();
    let open = || {
        let before = api.watches("configmaps");
        let watch = Watch::open(
            &api,
            &format!("{MAPS}?watch=1&resourceVersion={}", api.version()),
        );
        api.wait_for_watches("configmaps", before + 1);
        watch
    };
    let disturb = |what: Disturbance| api.disturb("configmaps", what);

    let mut watch = open();
    disturb(Disturbance::Duplicate(1));
    api.create(config_map("one", "1"));
    api.create(config_map("two", "1"));
    assert_eq!(watch.lines(3), ["ADDED one", "ADDED one", "ADDED two"]);
    disturb(Disturbance::Replay(2));
    assert_eq!(watch.lines(2), ["ADDED one", "ADDED two"]);
    disturb(Disturbance::Reorder(2));
    api.create(config_map("three", "1"));
    api.create(config_map("four", "1"));
    api.create(config_map("five", "1"));
    assert_eq!(watch.lines(3), ["ADDED four", "ADDED three", "ADDED five"]);
    // Disturbances take effect between changes, and only on their resource.
    api.disturb("secrets", Disturbance::Close);
    api.create(config_map("six", "1"));
    disturb(Disturbance::Close);
    api.create(config_map("seven", "1"));
    assert_eq!(watch.lines(2), ["ADDED six", "END"]);

    let mut watch = open();
    disturb(Disturbance::Error(410));
    let (kind, status) = watch.next().unwrap();
    assert_eq!((kind.as_str(), &status["code"]), ("ERROR", &410.into()));
    assert_eq!(watch.line(), "END");

    let mut watch = open();
    disturb(Disturbance::Garbage);
    assert!(String::from_utf8_lossy(&watch.chunk()).contains("garbage"));

    let mut watch = open();
    disturb(Disturbance::Abort);
    let raw = String::from_utf8(watch.raw()).unwrap();
    assert!(
        raw.contains("\"obj") && !raw.ends_with("0\r\n\r\n"),
        "{raw:?}"
    );
}

#[test]
fn a_silent_watch_stays_open_and_sends_nothing() {
    let mut api = ApiServer::start();
    let version = api.version();
    api.inject(Fault::new(Effect::Silence).verb("watch").times(1));
    let path = format!("{MAPS}?watch=1&resourceVersion={version}&timeoutSeconds=1");
    let mut silent = Watch::open(&api, &path);
    let mut other = Watch::open(&api, &path);
    api.wait_for_watches("configmaps", 2);
    api.create(config_map("one", "1"));
    assert_eq!(other.lines(2), ["ADDED one", "END"]);
    api.wait_for_watches("configmaps", 1);
    api.stop();
    assert!(silent.raw().is_empty());
}

#[test]
fn requests_are_recorded() {
    let api = ApiServer::start();
    let request =
        Request::get("/apis/networking.k8s.io/v1/ingresses?limit=5").field("User-Agent", "test/1");
    request.send(api.address());
    let seen = api.wait_for_request(|request| request.resource == "ingresses");
    assert_eq!(
        (seen.verb.as_str(), seen.query.as_str(), seen.agent.as_str()),
        ("list", "limit=5", "test/1")
    );
    assert_eq!(seen.user, "system:admin");
    api.clear_requests();
    assert!(api.requests().is_empty());
    send(&api, "PATCH", &format!("{MAPS}/x"), &json!({}));
    assert_eq!(api.requests()[0].verb, "patch");
}

#[test]
fn a_test_can_wait_for_a_change() {
    let api = ApiServer::start();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            api.create(config_map("one", "1"));
            api.modify("ConfigMap", "a", "one", |object| {
                object["data"]["value"] = "2".into()
            });
            api.delete("ConfigMap", "a", "one");
            api.create(config_map("one", "3"));
        });
        let found = api.until("cm", "a", "one", |object| object["data"]["value"] == "3");
        assert_eq!(found["kind"], "ConfigMap");
    });
    api.delete("ConfigMap", "a", "one");
    api.until_gone("ConfigMap", "a", "one");
}
