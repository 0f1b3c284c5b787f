//! RBAC: whether the stored roles and bindings let a user do what is asked.

use std::sync::Arc;

use serde_json::{Value, json};

use super::asked::Asked;
use super::failure::Failure;
use super::kinds;
use super::log::Use;
use super::shared::Shared;
use super::store::Store;
use super::stored::Key;
use super::users::User;

/// What somebody wants to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) verb: String,
    pub(crate) group: String,
    /// With the subresource: `ingresses/status`.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Path, when it is no resource.
    pub(crate) path: Option<String>,
}

impl Wish {
    /// What a request wants.
    pub(crate) fn of(asked: &Asked) -> Self {
        let Some(kind) = asked.kind else {
            return Self {
                verb: asked.verb.to_owned(),
                path: Some(asked.path.clone()),
                ..Self::default()
            };
        };
        let name = asked.name.clone().or_else(|| {
            // A selection by name counts as naming, as in kube-apiserver.
            let many = ["list", "watch", "deletecollection"].contains(&asked.verb);
            let selection = asked.selection(kind).ok().filter(|_| many)?;
            selection.name().map(str::to_owned)
        });
        Self {
            verb: asked.verb.to_owned(),
            group: kind.group.to_owned(),
            resource: asked.resource(),
            namespace: asked.namespace.clone().unwrap_or_default(),
            name: name.unwrap_or_default(),
            path: None,
        }
    }
}

/// Records that a permission is used, and refuses when it is not given. What a cluster behind permits, it says itself.
pub(crate) fn permit(shared: &Shared, user: &User, asked: &Asked) -> Result<(), Failure> {
    let wish = Wish::of(asked);
    let mut control = shared.control();
    let enforced = control.enforce;
    if wish.path.is_none() {
        control.used.insert(Use {
            user: user.name.clone(),
            verb: wish.verb.clone(),
            group: wish.group.clone(),
            resource: wish.resource.clone(),
            namespace: wish.namespace.clone(),
            name: wish.name.clone(),
        });
    }
    drop(control);
    if !enforced || shared.cluster.is_some() || allows(&shared.state().store, user, &wish) {
        return Ok(());
    }
    Err(refusal(user, &wish))
}

/// Whether a user may.
pub(crate) fn allows(store: &Store, user: &User, wish: &Wish) -> bool {
    if user.is_admin() {
        return true;
    }
    if let Some(path) = &wish.path
        && is_public(path)
    {
        return true;
    }
    let everywhere = bindings(store, "ClusterRoleBinding", "");
    let here = match wish.namespace.as_str() {
        "" => Vec::new(),
        namespace => bindings(store, "RoleBinding", namespace),
    };
    everywhere
        .iter()
        .chain(&here)
        .filter(|binding| is_bound(binding, user))
        .any(|binding| rules(store, binding).iter().any(|rule| grants(rule, wish)))
}

/// Discovery and health, which every user may see through the roles that a cluster begins with.
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
        .kept(kinds::by_name(kind).shelf())
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
        .get(kinds::by_name(kind).shelf(), &key)
        .map(Arc::clone);
    let Some(mut role) = role.map(|role| role.object()) else {
        return Vec::new();
    };
    match role.remove("rules") {
        Some(Value::Array(rules)) => rules,
        _ => Vec::new(),
    }
}

fn grants(rule: &Value, wish: &Wish) -> bool {
    let has = |field: &str, wanted: &str| {
        let values = rule[field].as_array().into_iter().flatten();
        values
            .into_iter()
            .any(|value| value == "*" || value == wanted)
    };
    if !has("verbs", &wish.verb) {
        return false;
    }
    if let Some(path) = &wish.path {
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
        names.is_empty() || names.iter().any(|name| name == wish.name.as_str())
    });
    named && has("apiGroups", &wish.group) && has_resource(rule, &wish.resource)
}

fn has_resource(rule: &Value, wanted: &str) -> bool {
    let resources = rule["resources"].as_array().into_iter().flatten();
    resources.filter_map(Value::as_str).any(|resource| {
        let of_all = resource.strip_prefix("*/");
        let subresource = wanted.split_once('/').map(|(_, subresource)| subresource);
        resource == "*" || resource == wanted || (of_all.is_some() && of_all == subresource)
    })
}

fn refusal(user: &User, wish: &Wish) -> Failure {
    let user = &user.name;
    let verb = &wish.verb;
    if let Some(path) = &wish.path {
        let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
        return Failure {
            details: Some(json!({})),
            ..Failure::new(403, "Forbidden", message)
        };
    }
    let (plural, _) = wish
        .resource
        .split_once('/')
        .unwrap_or((&wish.resource, ""));
    let qualified = match wish.group.as_str() {
        "" => plural.to_owned(),
        group => format!("{plural}.{group}"),
    };
    let object = match wish.name.as_str() {
        "" => String::new(),
        name => format!(" {name:?}"),
    };
    let place = match wish.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let message = format!(
        "{qualified}{object} is forbidden: User {user:?} cannot {verb} resource {:?} in API group {:?} {place}",
        wish.resource, wish.group
    );
    let mut details = json!({"group": wish.group, "kind": plural});
    if !wish.name.is_empty() {
        details["name"] = wish.name.as_str().into();
    }
    Failure {
        details: Some(details),
        ..Failure::new(403, "Forbidden", message)
    }
}
