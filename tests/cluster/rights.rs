//! The rights of a tested controller: those of the chart's roles, rendered for what its flags ask for
//! (`roles/*.yaml`, made by `charts/manifests/render`).

use serde_json::{Value, json};

use super::place::Place;

/// The release's name in the rendered files, and its namespace. The one namespace that is watched is the builders' there,
/// which a place makes its own.
const RELEASE: &str = "headgate";

/// The case of these flags.
pub(super) fn case(arguments: &[&str]) -> &'static str {
    let given = |flag: &str| arguments.iter().any(|argument| argument.starts_with(flag));
    if given("--watch-namespace-selector") {
        "selected-namespaces"
    } else if given("--watch-namespace=") {
        "one-namespace"
    } else if given("--report-node-internal") {
        "nodes"
    } else {
        "everywhere"
    }
}

/// The ServiceAccount with the rights for these flags, of those for a purpose.
pub(super) fn account(purpose: &str, arguments: &[&str]) -> String {
    format!("{purpose}-{}", case(arguments))
}

/// Gives a ServiceAccount of the home the roles of a case, and waits until they hold.
pub(super) fn give(place: &Place, case: &str, account: &str) {
    let path = format!(
        "{}/tests/cluster/roles/{case}.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let mut held = Vec::new();
    for mut object in documents {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let name = named(place, &object["kind"], &name, account);
        object["metadata"]["name"] = name.into();
        if object["metadata"]["namespace"] == RELEASE {
            object["metadata"]["namespace"] = place.home().into();
        }
        if let Some(role) = object["roleRef"]["name"].as_str() {
            let role = named(place, &object["roleRef"]["kind"], role, account);
            object["roleRef"]["name"] = role.into();
            object["subjects"] =
                json!([{"kind": "ServiceAccount", "namespace": place.home(), "name": account}]);
        }
        for rule in object["rules"].as_array_mut().into_iter().flatten() {
            if rule["apiGroups"][0] == "admissionregistration.k8s.io" {
                let configuration = rule["resourceNames"][0].as_str().unwrap();
                rule["resourceNames"] = json!([place.named(configuration)]);
            }
        }
        let created = place.create(object);
        if let Some(rule) = created["rules"].as_array().and_then(|rules| rules.last()) {
            held.push((namespace(&created), rule.clone()));
        }
    }
    for (namespace, rule) in held {
        until_held(place, account, &namespace, &rule);
    }
}

/// A real cluster heeds new roles after a moment.
fn until_held(place: &Place, account: &str, namespace: &str, rule: &Value) {
    let resource = rule["resources"][0].as_str().unwrap();
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = json!({"namespace": namespace, "group": rule["apiGroups"][0], "verb": rule["verbs"][0],
        "resource": resource, "subresource": subresource, "name": rule["resourceNames"][0]});
    super::place::until("the account's rights", || {
        place.api.permits(&place.user(account), &attributes)
    });
}

fn namespace(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str();
    namespace.unwrap_or_default().to_owned()
}

/// A role's name, which several accounts of a place may have roles of.
fn named(place: &Place, kind: &Value, name: &str, account: &str) -> String {
    let name = format!("{name}-{account}");
    match kind.as_str() {
        Some("ClusterRole" | "ClusterRoleBinding") => place.named(&name),
        _ => name,
    }
}
