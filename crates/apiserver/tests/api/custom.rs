//! Custom resources: the kinds of the Gateway API are served while their CRDs are stored.

use headgate_apiserver::ApiServer;
use headgate_testkit::Request;
use serde_json::{Value, json};

use crate::client::{get, received, send};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GROUP: &str = "/apis/gateway.networking.k8s.io";
const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/a/gateways";

fn definition(plural: &str, versions: &[&str]) -> Value {
    let versions = versions.iter();
    let versions: Vec<Value> = versions
        .map(|name| json!({"name": name, "served": true, "storage": true}))
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.gateway.networking.k8s.io")},
        "spec": {"group": "gateway.networking.k8s.io", "versions": versions},
    })
}

#[test]
fn a_kind_is_served_while_its_crd_is_stored() {
    let api = ApiServer::start();
    get(&api, GROUP).is(404);
    get(&api, GATEWAYS).is(404);
    send(&api, "POST", DEFINITIONS, &definition("gateways", &["v1"])).is(201);
    let tcp = definition("tcproutes", &["v1alpha2"]);
    send(&api, "POST", DEFINITIONS, &tcp).is(201);
    let versions = get(&api, GROUP).is(200)["versions"].clone();
    let versions = versions.as_array().unwrap().iter();
    let versions: Vec<&str> = versions
        .map(|one| one["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["v1", "v1alpha2"]);
    let resources = get(&api, &format!("{GROUP}/v1")).is(200)["resources"].clone();
    let resources = resources.as_array().unwrap().iter();
    let resources: Vec<&str> = resources.map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(resources, ["gateways", "gateways/status"]);
    get(&api, &format!("{GROUP}/v1/tcproutes")).is(404);
    get(&api, &format!("{GROUP}/v1alpha2/tcproutes")).is(200);

    let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "gate"}, "spec": {"gatewayClassName": "one"}});
    let made = send(&api, "POST", GATEWAYS, &gateway).is(201);
    assert_eq!(made["metadata"]["generation"], 1);
    let mut changed = made;
    changed["status"] = json!({"addresses": []});
    let path = format!("{GATEWAYS}/gate");
    let written = send(&api, "PUT", &format!("{path}/status"), &changed).is(200);
    assert_eq!(written["status"], changed["status"]);
    assert_eq!(written["metadata"]["generation"], 1);

    // With a CRD go its objects.
    let name = "gateways.gateway.networking.k8s.io";
    send(
        &api,
        "DELETE",
        &format!("{DEFINITIONS}/{name}"),
        &Value::Null,
    )
    .is(200);
    get(&api, &path).is(404);
    send(&api, "POST", DEFINITIONS, &definition("gateways", &["v1"])).is(201);
    let listed = get(&api, GATEWAYS).is(200);
    assert_eq!(listed["items"], json!([]));
}

#[test]
fn crds_are_listed_as_metadata() {
    let api = ApiServer::start();
    api.create(definition("gateways", &["v1"]));
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let request = Request::get(DEFINITIONS).field("Accept", accept);
    let list = received(request.send(api.address())).is(200);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    let item = &list["items"][0];
    assert_eq!(
        item["metadata"]["name"],
        "gateways.gateway.networking.k8s.io"
    );
    assert_eq!(item["spec"], Value::Null);
}
