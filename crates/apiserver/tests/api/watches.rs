//! Watches.

use std::time::Duration;

use headgate_apiserver::{ApiServer, Disturbance, Options};
use serde_json::json;

use crate::client::{Watch, config_map, get};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";
const STREAMED: &str =
    "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

fn labelled(name: &str, app: &str) -> serde_json::Value {
    let mut object = config_map(name, "1");
    object["metadata"]["labels"] = json!({"app": app});
    object
}

#[test]
fn a_watch_sends_changes() {
    let api = ApiServer::start();
    api.create(config_map("old", "1"));
    let mut watch = Watch::open(
        &api,
        &format!("{MAPS}?watch=1&resourceVersion={}", api.version()),
    );
    api.wait_for_watches("configmaps", 1);
    api.create(config_map("one", "1"));
    api.replace(config_map("one", "2"));
    let version = api.version();
    api.delete("ConfigMap", "a", "one");
    assert_eq!(watch.lines(2), ["ADDED one", "MODIFIED one"]);
    let (kind, last) = watch.next().unwrap();
    assert_eq!(
        (kind.as_str(), &last["data"]["value"]),
        ("DELETED", &"2".into())
    );
    // A deletion has its own version.
    assert_eq!(
        last["metadata"]["resourceVersion"],
        (version + 1).to_string()
    );
    drop(watch);
    api.wait_for_watches("configmaps", 0);
}

#[test]
fn a_watch_without_a_version_begins_with_existing_objects() {
    let api = ApiServer::start();
    api.create(config_map("one", "1"));
    for version in ["", "&resourceVersion=0"] {
        let mut watch = Watch::open(&api, &format!("{MAPS}?watch=true{version}"));
        assert_eq!(watch.line(), "ADDED one");
    }
}

#[test]
fn a_watch_from_a_version_misses_nothing() {
    let api = ApiServer::start();
    let version = api.version();
    api.create(config_map("one", "1"));
    api.replace(config_map("one", "2"));
    let mut watch = Watch::open(
        &api,
        &format!("{MAPS}?watch=true&resourceVersion={version}"),
    );
    assert_eq!(watch.lines(2), ["ADDED one", "MODIFIED one"]);
}

#[test]
fn a_streaming_list_ends_with_a_bookmark() {
    let api = ApiServer::start();
    api.create(config_map("one", "1"));
    let mut watch = Watch::open(&api, &format!("{MAPS}?{STREAMED}"));
    assert_eq!(watch.line(), "ADDED one");
    let (kind, object) = watch.next().unwrap();
    assert_eq!(kind, "BOOKMARK");
    assert_eq!(
        object["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    assert_eq!(
        object["metadata"]["resourceVersion"],
        api.version().to_string()
    );
    api.create(config_map("two", "1"));
    assert_eq!(watch.line(), "ADDED two");
}

#[test]
fn streaming_lists_can_be_disabled() {
    let api = ApiServer::start_with(Options {
        streaming_lists: false,
        ..Options::default()
    });
    let refused = get(&api, &format!("{MAPS}?{STREAMED}")).is(422);
    assert_eq!(refused["reason"], "Invalid");
    assert_eq!(
        refused["details"]["causes"][0]["field"],
        "sendInitialEvents"
    );
    let api = ApiServer::start();
    get(&api, &format!("{MAPS}?watch=1&sendInitialEvents=true")).is(422);
}

#[test]
fn objects_enter_and_leave_a_selection() {
    let api = ApiServer::start();
    let path = format!(
        "{MAPS}?watch=1&resourceVersion={}&labelSelector=app%3Dweb",
        api.version()
    );
    let mut watch = Watch::open(&api, &path);
    api.create(labelled("one", "other"));
    api.replace(labelled("one", "web"));
    let mut inside = labelled("one", "web");
    inside["data"]["value"] = "2".into();
    api.replace(inside);
    api.replace(labelled("one", "other"));
    api.delete("ConfigMap", "a", "one");
    api.create(labelled("end", "web"));
    assert_eq!(watch.lines(2), ["ADDED one", "MODIFIED one"]);
    let (kind, object) = watch.next().unwrap();
    assert_eq!(kind, "DELETED");
    // The event has its last state in the selection, at the version of the change.
    assert_eq!(object["metadata"]["labels"]["app"], "web");
    assert_eq!(
        object["metadata"]["resourceVersion"],
        (api.version() - 2).to_string()
    );
    assert_eq!(watch.line(), "ADDED end");
}

#[test]
fn one_name_can_be_watched() {
    let api = ApiServer::start();
    let version = api.version();
    let mut selected = Watch::open(
        &api,
        &format!("{MAPS}?watch=1&resourceVersion={version}&fieldSelector=metadata.name=one"),
    );
    let mut named = Watch::open(
        &api,
        &format!("{MAPS}/one?watch=1&resourceVersion={version}"),
    );
    for name in ["zero", "one", "two"] {
        api.create(config_map(name, "1"));
    }
    api.delete("ConfigMap", "a", "one");
    for watch in [&mut selected, &mut named] {
        assert_eq!(watch.lines(2), ["ADDED one", "DELETED one"]);
    }
}

#[test]
fn a_compacted_version_is_410() {
    let api = ApiServer::start();
    let version = api.version();
    let mut open = Watch::open(&api, &format!("{MAPS}?watch=1&resourceVersion={version}"));
    api.wait_for_watches("configmaps", 1);
    api.create(config_map("one", "1"));
    api.compact();
    let mut watch = Watch::open(&api, &format!("{MAPS}?watch=1&resourceVersion={version}"));
    let (kind, status) = watch.next().unwrap();
    assert_eq!(
        (kind.as_str(), &status["code"], &status["reason"]),
        ("ERROR", &410.into(), &"Expired".into())
    );
    assert_eq!(watch.line(), "END");
    // Open watches continue.
    assert_eq!(open.line(), "ADDED one");
}

#[test]
fn bookmarks_are_sent_periodically_on_request_and_at_the_end() {
    let api = ApiServer::start_with(Options {
        bookmark_interval: Duration::from_millis(20),
        ..Options::default()
    });
    let version = api.version();
    let mut watch = Watch::open(
        &api,
        &format!("{MAPS}?watch=1&resourceVersion={version}&allowWatchBookmarks=true"),
    );
    assert_eq!(watch.line(), "BOOKMARK");
    let api = ApiServer::start();
    let version = api.version();
    let path = format!("{MAPS}?watch=1&resourceVersion={version}");
    let mut with_bookmarks = Watch::open(
        &api,
        &format!("{path}&allowWatchBookmarks=true&timeoutSeconds=1"),
    );
    let mut plain = Watch::open(&api, &path);
    api.wait_for_watches("configmaps", 2);
    api.create(config_map("one", "1"));
    api.disturb("configmaps", Disturbance::Bookmark);
    api.create(config_map("two", "1"));
    assert_eq!(
        with_bookmarks.lines(4),
        ["ADDED one", "BOOKMARK", "ADDED two", "BOOKMARK"]
    );
    assert_eq!(with_bookmarks.line(), "END");
    assert_eq!(plain.lines(2), ["ADDED one", "ADDED two"]);
}

#[test]
fn a_rewound_server_has_no_later_changes() {
    let api = ApiServer::start();
    api.create(config_map("kept", "1"));
    let version = api.version();
    let mut watch = Watch::open(&api, &format!("{MAPS}?watch=1&resourceVersion={version}"));
    api.wait_for_watches("configmaps", 1);
    api.create(config_map("lost", "1"));
    api.replace(config_map("kept", "2"));
    assert_eq!(watch.lines(2), ["ADDED lost", "MODIFIED kept"]);
    let ahead = api.version();
    api.rewind(version);
    assert_eq!(watch.line(), "END");
    assert_eq!(api.version(), version);
    assert_eq!(
        api.get("ConfigMap", "a", "kept").unwrap()["data"]["value"],
        "1"
    );
    assert!(api.get("ConfigMap", "a", "lost").is_none());
    // A watch from a later version gets events only after that version.
    let mut watch = Watch::open(&api, &format!("{MAPS}?watch=1&resourceVersion={ahead}"));
    get(&api, &format!("{MAPS}?resourceVersion={ahead}")).is(504);
    for name in ["one", "two", "three"] {
        api.create(config_map(name, "1"));
    }
    assert_eq!(watch.line(), "ADDED three");
}

#[test]
fn metadata_can_be_watched() {
    let api = ApiServer::start();
    api.create(config_map("one", "1"));
    let mut connection = headgate_testkit::Connection::open(api.address());
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let request = headgate_testkit::Request::get(&format!("{MAPS}?watch=1&timeoutSeconds=1"));
    let response = connection
        .exchange(&request.field("Accept", accept))
        .is(200);
    let event: serde_json::Value = serde_json::from_str(&response.text()).unwrap();
    assert_eq!(event["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(event["object"]["metadata"]["name"], "one");
}
