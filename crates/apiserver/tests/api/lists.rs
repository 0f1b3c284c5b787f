//! Lists: pages, versions, selectors, forms.

use headgate_apiserver::ApiServer;
use headgate_testkit::Request;
use serde_json::{Value, json};

use crate::client::{config_map, get, received};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";

fn filled(count: usize) -> ApiServer {
    let api = ApiServer::start();
    api.load((0..count).map(|index| config_map(&format!("m{index:03}"), "1")));
    api
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[test]
fn all_pages_have_one_version() {
    let api = filled(5);
    let first = get(&api, &format!("{MAPS}?limit=2")).is(200);
    assert_eq!(names(&first), ["m000", "m001"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    // Changes after the first page are not in later pages.
    api.delete("ConfigMap", "a", "m002");
    api.create(config_map("m0025", "new"));
    api.replace(config_map("m004", "changed"));
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = get(&api, &format!("{MAPS}?limit=2&continue={token}")).is(200);
    assert_eq!(names(&second), ["m002", "m003"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = get(&api, &format!("{MAPS}?limit=2&continue={token}")).is(200);
    assert_eq!(names(&third), ["m004"]);
    assert_eq!(third["items"][0]["data"]["value"], "1");
    assert_eq!(third["metadata"]["continue"], Value::Null);
    for page in [&second, &third] {
        assert_eq!(
            page["metadata"]["resourceVersion"],
            first["metadata"]["resourceVersion"]
        );
    }
}

#[test]
fn a_continue_token_of_a_compacted_version_is_410() {
    let api = filled(3);
    let first = get(&api, &format!("{MAPS}?limit=1")).is(200);
    api.create(config_map("other", "1"));
    api.compact();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let gone = get(&api, &format!("{MAPS}?limit=1&continue={token}")).is(410);
    assert_eq!(gone["reason"], "Expired");
    get(&api, &format!("{MAPS}?continue=nonsense")).is(400);
}

#[test]
fn lists_at_a_version_are_exact_or_refused() {
    let api = filled(1);
    let version = api.version();
    api.create(config_map("later", "1"));
    let exact = format!("{MAPS}?resourceVersion={version}&resourceVersionMatch=Exact");
    assert_eq!(names(&get(&api, &exact).is(200)), ["m000"]);
    let newer = format!("{MAPS}?resourceVersion={version}&resourceVersionMatch=NotOlderThan");
    assert_eq!(names(&get(&api, &newer).is(200)).len(), 2);
    let future = get(&api, &format!("{MAPS}?resourceVersion=999999"));
    assert_eq!(future.response.field("retry-after"), Some("1"));
    let future = future.is(504);
    assert_eq!(
        future["details"]["causes"][0]["reason"],
        "ResourceVersionTooLarge"
    );
}

#[test]
fn lists_have_a_kind_and_their_items_do_not() {
    let api = filled(1);
    let list = get(&api, MAPS).is(200);
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(list["items"][0]["kind"], Value::Null);
}

#[test]
fn field_selectors_select() {
    let api = ApiServer::start();
    api.apply_yaml(
        "{apiVersion: v1, kind: Secret, metadata: {namespace: a, name: s}}\n---\n\
         {apiVersion: v1, kind: Secret, metadata: {namespace: b, name: t}, type: helm.sh/release.v1}",
    );
    for (selector, expected) in [
        ("type!=helm.sh/release.v1", vec!["s"]),
        ("type=helm.sh/release.v1", vec!["t"]),
        ("metadata.name=s", vec!["s"]),
        ("metadata.namespace==b", vec!["t"]),
        ("metadata.name!=s,metadata.namespace!=b", vec![]),
    ] {
        let list = get(&api, &format!("/api/v1/secrets?fieldSelector={selector}")).is(200);
        assert_eq!(names(&list), expected, "{selector}");
    }
    let refused = get(&api, "/api/v1/secrets?fieldSelector=data.x=y").is(400);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.ends_with("field label not supported: data.x"),
        "{message}"
    );
}

#[test]
fn lists_can_be_metadata_or_tables() {
    let api = filled(1);
    let requested = |path: &str, accept: &str| {
        let request = Request::get(path).field("Accept", accept);
        received(request.send(api.address())).is(200)
    };
    let list = requested(
        MAPS,
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
    );
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["metadata"]["name"], "m000");
    assert_eq!(list["items"][0]["data"], Value::Null);
    let one = requested(
        &format!("{MAPS}/m000"),
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    );
    assert_eq!(one["kind"], "PartialObjectMetadata");
    let table = requested(
        MAPS,
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    );
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["rows"][0]["cells"][0], "m000");
    let json = requested(MAPS, "application/vnd.kubernetes.protobuf,application/json");
    assert_eq!(json["kind"], "ConfigMapList");
}

#[test]
fn discovery_lists_every_kind() {
    let api = ApiServer::start();
    let version = get(&api, "/version").is(200);
    assert_eq!(
        (&version["gitVersion"], &version["minor"]),
        (&"v1.36.0".into(), &"36".into())
    );
    let groups = get(&api, "/apis").is(200);
    for group in groups["groups"].as_array().unwrap() {
        let path = format!(
            "/apis/{}",
            group["preferredVersion"]["groupVersion"].as_str().unwrap()
        );
        let listed = get(&api, &path).is(200);
        assert!(
            !listed["resources"].as_array().unwrap().is_empty(),
            "{path}"
        );
    }
    let accept =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let response = Request::get("/apis")
        .field("Accept", accept)
        .send(api.address());
    assert!(
        response
            .field("content-type")
            .unwrap()
            .contains("APIGroupDiscoveryList")
    );
    let items = received(response).is(200);
    let has = |name: &str| {
        let groups = items["items"].as_array().unwrap();
        groups.iter().any(|group| group["metadata"]["name"] == name)
    };
    assert!(has("networking.k8s.io") && has("coordination.k8s.io"));
    get(&api, "/apis/nothing.test/v1").is(404);
    get(&api, "/api/v1/nothing").is(404);
}

#[test]
fn twenty_thousand_objects_are_listed_in_pages() {
    let api = ApiServer::start();
    api.load((0..20_000).map(|index| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "a", "name": format!("m{index:05}")}})
    }));
    let (mut seen, mut token, mut pages) = (0, String::new(), 0);
    loop {
        let page = get(
            &api,
            &format!("/api/v1/configmaps?limit=500&continue={token}"),
        )
        .is(200);
        seen += page["items"].as_array().unwrap().len();
        pages += 1;
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!((seen, pages), (20_000, 40));
}
