//! RBAC: whether the stored roles and bindings permit a request.

use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds;
use super::log::UsedPermission;
use super::request_info::RequestInfo;
use super::shared::Shared;
use super::store::Store;
use super::stored::Key;
use super::users::User;

/// The attributes of a request that rules match.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    /// With the subresource: `ingresses/status`.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The path, when it is not a resource.
    pub(crate) path: Option<String>,
}

impl Attributes {
    /// The attributes of a request.
    pub(crate) fn of(info: &RequestInfo) -> Self {
        let Some(kind) = info.kind else {
            return Self {
                verb: info.verb.to_owned(),
                path: Some(info.path.clone()),
                ..Self::default()
            };
        };
        let name = info.name.clone().or_else(|| {
            // A field selector by name counts as the name, as in kube-apiserver.
            let many = ["list", "watch", "deletecollection"].contains(&info.verb);
            let selection = info.selection(kind).ok().filter(|_| many)?;
            selection.name().map(str::to_owned)
        });
        Self {
            verb: info.verb.to_owned(),
            group: kind.group.to_owned(),
            resource: info.resource(),
            namespace: info.namespace.clone().unwrap_or_default(),
            name: name.unwrap_or_default(),
            path: None,
        }
    }
}

/// Records the permission, and refuses the request without it. A real cluster checks permissions itself.
pub(crate) fn permit(shared: &Shared, user: &User, info: &RequestInfo) -> Result<(), Failure> {
    let attributes = Attributes::of(info);
    let mut control = shared.control();
    let enforced = control.enforce;
    if attributes.path.is_none() {
        control.used.insert(UsedPermission {
            user: user.name.clone(),
            verb: attributes.verb.clone(),
            group: attributes.group.clone(),
            resource: attributes.resource.clone(),
            namespace: attributes.namespace.clone(),
            name: attributes.name.clone(),
        });
    }
    drop(control);
    if !enforced || shared.cluster.is_some() || allows(&shared.state().store, user, &attributes) {
        return Ok(());
    }
    Err(refusal(user, &attributes))
}

/// Whether a user is permitted to do this.
pub(crate) fn allows(store: &Store, user: &User, attributes: &Attributes) -> bool {
    if user.is_admin() {
        return true;
    }
    if let Some(path) = &attributes.path
        && is_public(path)
    {
        return true;
    }
    let cluster = bindings(store, "ClusterRoleBinding", "");
    let namespaced = match attributes.namespace.as_str() {
        "" => Vec::new(),
        namespace => bindings(store, "RoleBinding", namespace),
    };
    cluster
        .iter()
        .chain(&namespaced)
        .filter(|binding| is_bound(binding, user))
        .any(|binding| {
            rules(store, binding)
                .iter()
                .any(|rule| grants(rule, attributes))
        })
}

/// Discovery and health, which the default roles permit to every user.
fn is_public(path: &str) -> bool {
    const PATHS: &[&str] = &["/healthz", "/livez", "/readyz", "/version"];
    const TREES: &[&str] = &["/api", "/apis", "/openapi"];
    let in_tree = |tree: &&str| {
        path.strip_prefix(*tree)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    PATHS.contains(&path.trim_end_matches('/')) || TREES.iter().any(in_tree)
}

fn bindings(store: &Store, kind: &str, namespace: &str) -> Vec<Value> {
    store
        .collection(kinds::by_name(kind).storage())
        .range(Some(namespace), None)
        .map(|stored| Value::Object(stored.object()))
        .collect()
}

fn is_bound(binding: &Value, user: &User) -> bool {
    let namespace = &binding["metadata"]["namespace"];
    let subjects = binding["subjects"].as_array().into_iter().flatten();
    subjects.into_iter().any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("User") => user.name == name,
            Some("Group") => user.groups.iter().any(|group| group == name),
            Some("ServiceAccount") => {
                let of = subject["namespace"].as_str().or_else(|| namespace.as_str());
                user.name == format!("system:serviceaccount:{}:{name}", of.unwrap_or_default())
            }
            _ => false,
        }
    })
}

fn rules(store: &Store, binding: &Value) -> Vec<Value> {
    let reference = &binding["roleRef"];
    let name = reference["name"].as_str().unwrap_or_default();
    let (kind, key) = match reference["kind"].as_str() {
        Some("Role") => {
            let namespace = binding["metadata"]["namespace"].as_str();
            ("Role", Key::new(namespace.unwrap_or_default(), name))
        }
        _ => ("ClusterRole", Key::new("", name)),
    };
    let role = store
        .get(kinds::by_name(kind).storage(), &key)
        .map(Arc::clone);
    let Some(mut role) = role.map(|role| role.object()) else {
        return Vec::new();
    };
    match role.remove("rules") {
        Some(Value::Array(rules)) => rules,
        _ => Vec::new(),
    }
}

fn grants(rule: &Value, attributes: &Attributes) -> bool {
    let has = |field: &str, attribute: &str| {
        let values = rule[field].as_array().into_iter().flatten();
        values
            .into_iter()
            .any(|value| value == "*" || value == attribute)
    };
    if !has("verbs", &attributes.verb) {
        return false;
    }
    if let Some(path) = &attributes.path {
        let urls = rule["nonResourceURLs"].as_array().into_iter().flatten();
        return urls
            .filter_map(Value::as_str)
            .any(|url| match url.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => path == url,
            });
    }
    let names = rule["resourceNames"].as_array();
    let named = names.is_none_or(|names| {
        names.is_empty() || names.iter().any(|name| name == attributes.name.as_str())
    });
    named && has("apiGroups", &attributes.group) && has_resource(rule, &attributes.resource)
}

fn has_resource(rule: &Value, requested: &str) -> bool {
    let resources = rule["resources"].as_array().into_iter().flatten();
    resources.filter_map(Value::as_str).any(|resource| {
        let of_all = resource.strip_prefix("*/");
        let subresource = requested
            .split_once('/')
            .map(|(_, subresource)| subresource);
        resource == "*" || resource == requested || (of_all.is_some() && of_all == subresource)
    })
}

fn refusal(user: &User, attributes: &Attributes) -> Failure {
    let user = &user.name;
    let verb = &attributes.verb;
    if let Some(path) = &attributes.path {
        let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
        return Failure {
            details: Some(json!({})),
            ..Failure::new(403, "Forbidden", message)
        };
    }
    let (plural, _) = attributes
        .resource
        .split_once('/')
        .unwrap_or((&attributes.resource, ""));
    let qualified = match attributes.group.as_str() {
        "" => plural.to_owned(),
        group => format!("{plural}.{group}"),
    };
    let object = match attributes.name.as_str() {
        "" => String::new(),
        name => format!(" {name:?}"),
    };
    let scope = match attributes.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let message = format!(
        "{qualified}{object} is forbidden: User {user:?} cannot {verb} resource {:?} in API group {:?} {scope}",
        attributes.resource, attributes.group
    );
    let mut details = json!({"group": attributes.group, "kind": plural});
    if !attributes.name.is_empty() {
        details["name"] = attributes.name.as_str().into();
    }
    Failure {
        details: Some(details),
        ..Failure::new(403, "Forbidden", message)
    }
}
