//! The permissions of a controller under test: the chart's roles, rendered for its flags (`roles/*.yaml`, written by
//! `charts/manifests/render`).

use serde_json::{Value, json};

use super::testenv::TestEnv;

/// Name and namespace of the release in the rendered files. The namespace that they watch is that of the testkit's objects.
const RELEASE: &str = "headgate";

/// Name of the roles file for these flags.
pub(super) fn variant(arguments: &[&str]) -> &'static str {
    let has = |flag: &str| arguments.iter().any(|argument| argument.starts_with(flag));
    if has("--enable-gateway-api") {
        "gateway-api"
    } else if has("--watch-namespace-selector") {
        "selected-namespaces"
    } else if has("--watch-namespace=") {
        "one-namespace"
    } else if has("--report-node-internal") {
        "nodes"
    } else {
        "everywhere"
    }
}

/// Name of the ServiceAccount for these flags.
pub(super) fn account(name: &str, arguments: &[&str]) -> String {
    format!("{name}-{}", variant(arguments))
}

/// Binds the roles of a file to a ServiceAccount of the controller, and waits until they take effect.
pub(super) fn bind(env: &TestEnv, variant: &str, account: &str) {
    let path = format!(
        "{}/tests/cluster/roles/{variant}.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let mut rules = Vec::new();
    for mut object in documents {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let name = role_name(env, &object["kind"], &name, account);
        object["metadata"]["name"] = name.into();
        if object["metadata"]["namespace"] == RELEASE {
            object["metadata"]["namespace"] = env.controller_namespace().into();
        }
        if let Some(role) = object["roleRef"]["name"].as_str() {
            let role = role_name(env, &object["roleRef"]["kind"], role, account);
            object["roleRef"]["name"] = role.into();
            object["subjects"] = json!([{"kind": "ServiceAccount", "namespace": env.controller_namespace(), "name": account}]);
        }
        for rule in object["rules"].as_array_mut().into_iter().flatten() {
            if rule["apiGroups"][0] == "admissionregistration.k8s.io" {
                let configuration = rule["resourceNames"][0].as_str().unwrap();
                rule["resourceNames"] = json!([env.scoped(configuration)]);
            }
        }
        let created = env.create(object);
        if let Some(rule) = created["rules"].as_array().and_then(|rules| rules.last()) {
            rules.push((namespace(&created), rule.clone()));
        }
    }
    for (namespace, rule) in rules {
        until_permitted(env, account, &namespace, &rule);
    }
}

/// A real cluster applies new roles after a moment.
fn until_permitted(env: &TestEnv, account: &str, namespace: &str, rule: &Value) {
    let resource = rule["resources"][0].as_str().unwrap();
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = json!({"namespace": namespace, "group": rule["apiGroups"][0], "verb": rule["verbs"][0],
        "resource": resource, "subresource": subresource, "name": rule["resourceNames"][0]});
    super::testenv::until("the account's permissions", || {
        env.api.is_allowed(&env.user(account), &attributes)
    });
}

fn namespace(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str();
    namespace.unwrap_or_default().to_owned()
}

/// The name of a role for one account: several accounts may have the roles of a file.
fn role_name(env: &TestEnv, kind: &Value, name: &str, account: &str) -> String {
    let name = format!("{name}-{account}");
    match kind.as_str() {
        Some("ClusterRole" | "ClusterRoleBinding") => env.scoped(&name),
        _ => name,
    }
}
