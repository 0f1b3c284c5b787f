//! RBAC.

use headgate_apiserver::{ApiServer, UsedPermission};
use headgate_testkit::Request;
use serde_json::{Value, json};

use crate::client::{Received, config_map, ingress, received};

const ROLES: &str = r#"
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: reader}, rules: [
  {apiGroups: [networking.k8s.io], resources: [ingresses], verbs: [get, list, watch]},
  {apiGroups: [networking.k8s.io], resources: [ingresses/status], verbs: [patch]},
  {nonResourceURLs: [/metrics/*], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: reader},
  roleRef: {kind: ClusterRole, name: reader}, subjects: [{kind: ServiceAccount, name: bob, namespace: a}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: one, namespace: a}, rules: [
  {apiGroups: [""], resources: [configmaps], resourceNames: [one], verbs: [get, list, watch, patch]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: one, namespace: a},
  roleRef: {kind: Role, name: one}, subjects: [{kind: ServiceAccount, name: bob}]}
"#;

fn guarded() -> (ApiServer, String) {
    let api = ApiServer::start();
    api.apply_yaml(ROLES);
    api.create(ingress("web"));
    api.create(config_map("one", "1"));
    api.create(config_map("two", "1"));
    api.enforce_rbac(true);
    let token = api.service_account("a", "bob");
    (api, token)
}

fn send(api: &ApiServer, token: &str, method: &str, path: &str, body: &Value) -> Received {
    let mut request = Request::new(method, path).field("Authorization", &format!("Bearer {token}"));
    if !body.is_null() {
        let kind = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        request = request.field("Content-Type", kind).body(body.to_string());
    }
    received(request.send(api.address()))
}

#[test]
fn rbac_rules_are_enforced() {
    let (api, token) = guarded();
    let web = "/apis/networking.k8s.io/v1/namespaces/a/ingresses/web";
    let maps = "/api/v1/namespaces/a/configmaps";
    let status = format!("{web}/status");
    let empty = json!({});
    for (method, path, body, expected) in [
        ("GET", web, &Value::Null, 200),
        (
            "GET",
            "/apis/networking.k8s.io/v1/ingresses",
            &Value::Null,
            200,
        ),
        ("PATCH", &status, &empty, 200),
        ("PATCH", web, &empty, 403),
        ("DELETE", web, &Value::Null, 403),
        ("GET", &format!("{maps}/one"), &Value::Null, 200),
        ("GET", &format!("{maps}/two"), &Value::Null, 403),
        ("GET", maps, &Value::Null, 403),
        (
            "GET",
            &format!("{maps}?fieldSelector=metadata.name=one"),
            &Value::Null,
            200,
        ),
        (
            "GET",
            &format!("{maps}?fieldSelector=metadata.name=two"),
            &Value::Null,
            403,
        ),
        (
            "GET",
            "/api/v1/namespaces/b/configmaps/one",
            &Value::Null,
            403,
        ),
        ("GET", "/api/v1/secrets", &Value::Null, 403),
        ("GET", "/version", &Value::Null, 200),
        ("GET", "/apis", &Value::Null, 200),
        ("GET", "/metrics/x", &Value::Null, 404),
        ("GET", "/other", &Value::Null, 403),
    ] {
        let received = send(&api, &token, method, path, body);
        assert_eq!(
            received.response.status, expected,
            "{method} {path}: {received:?}"
        );
    }
}

#[test]
fn errors_have_the_messages_of_kube_apiserver() {
    let (api, token) = guarded();
    let message = |path: &str| {
        let refused = send(&api, &token, "GET", path, &Value::Null).is(403);
        refused["message"].as_str().unwrap().to_owned()
    };
    let user = "system:serviceaccount:a:bob";
    assert_eq!(
        message("/api/v1/secrets"),
        format!(
            "secrets is forbidden: User \"{user}\" cannot list resource \"secrets\" in API group \"\" at the cluster scope"
        )
    );
    assert_eq!(
        message("/apis/apps/v1/namespaces/b/deployments/d/status"),
        format!(
            "deployments.apps \"d\" is forbidden: User \"{user}\" cannot get resource \"deployments/status\" in API group \"apps\" in the namespace \"b\""
        )
    );
    assert_eq!(
        message("/other"),
        format!("forbidden: User \"{user}\" cannot get path \"/other\"")
    );
}

#[test]
fn tokens_can_be_created_and_revoked() {
    let (api, token) = guarded();
    let list = "/apis/networking.k8s.io/v1/ingresses";
    let other = api.service_account("a", "bob");
    send(&api, &other, "GET", list, &Value::Null).is(200);
    api.revoke(&token);
    let refused = send(&api, &token, "GET", list, &Value::Null).is(401);
    assert_eq!(refused["reason"], "Unauthorized");
    send(&api, &other, "GET", list, &Value::Null).is(200);
    // A request without a token is no longer from the administrator.
    Request::get(list).send(api.address()).is(403);
    assert!(api.kubeconfig().contains("\"admin\""));
    send(&api, "admin", "GET", "/api/v1/secrets", &Value::Null).is(200);
}

#[test]
fn used_permissions_are_recorded() {
    let (api, token) = guarded();
    api.clear_requests();
    let status = "/apis/networking.k8s.io/v1/namespaces/a/ingresses/web/status";
    send(&api, &token, "PATCH", status, &json!({})).is(200);
    send(
        &api,
        &token,
        "GET",
        "/api/v1/namespaces/a/configmaps?fieldSelector=metadata.name=one&watch=1&timeoutSeconds=1",
        &Value::Null,
    );
    let used = |verb: &str, group: &str, resource: &str, name: &str| UsedPermission {
        user: "system:serviceaccount:a:bob".to_owned(),
        verb: verb.to_owned(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        namespace: "a".to_owned(),
        name: name.to_owned(),
    };
    assert_eq!(
        api.used_permissions(),
        [
            used("patch", "networking.k8s.io", "ingresses/status", "web"),
            used("watch", "", "configmaps", "one"),
        ]
    );
}

#[test]
fn access_reviews_report_permissions() {
    let (api, token) = guarded();
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let review = |verb: &str| {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": "networking.k8s.io", "resource": "ingresses"}},
        });
        // Every user is permitted to review their own access.
        send(&api, &token, "POST", path, &review).is(201)["status"]["allowed"].clone()
    };
    assert_eq!(
        (review("list"), review("delete")),
        (true.into(), false.into())
    );
    api.create(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": "a", "name": "bob"}}));
    api.kubeconfig();
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let created = send(
        &api,
        "admin",
        "POST",
        "/api/v1/namespaces/a/serviceaccounts/bob/token",
        &request,
    )
    .is(201);
    let new = created["status"]["token"].as_str().unwrap();
    send(
        &api,
        new,
        "GET",
        "/apis/networking.k8s.io/v1/ingresses",
        &Value::Null,
    )
    .is(200);
}

#[test]
fn an_apply_of_a_new_object_needs_the_create_permission() {
    let (api, token) = guarded();
    api.delete("ConfigMap", "a", "one");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}});
    let request = Request::new(
        "PATCH",
        "/api/v1/namespaces/a/configmaps/one?fieldManager=m",
    )
    .field("Authorization", &format!("Bearer {token}"))
    .field("Content-Type", "application/apply-patch+yaml")
    .body(config.to_string());
    let refused = received(request.send(api.address())).is(403);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("cannot create"),
        "{refused}"
    );
}
