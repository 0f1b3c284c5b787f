//! Validating admission: calls the webhooks that match a write.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds;
use super::prepare::{self, Object};
use super::selectors::Labels;
use super::stored::Key;
use super::webhook;
use super::write::Caller;

/// Kinds that no webhook reviews, so that a broken configuration can be fixed.
const EXEMPT: &[&str] = &[
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
];

/// Calls the webhooks for a write, and returns their warnings, or the denial of one of them.
pub(crate) async fn review(
    caller: Caller<'_>,
    old: Option<&Object>,
    new: Option<&Object>,
) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    if EXEMPT.contains(&caller.kind.kind) {
        return Ok(warnings);
    }
    let write = Write { caller, old, new };
    for hook in write.hooks() {
        let name = hook["name"].as_str().unwrap_or_default();
        let response = webhook::call(caller.shared, &hook, &write.review()).await;
        match response {
            Ok(response) => {
                let texts = response["warnings"].as_array().into_iter().flatten();
                warnings.extend(texts.filter_map(|text| text.as_str().map(str::to_owned)));
                if response["allowed"] != true {
                    return Err(denial(name, &response["status"]));
                }
            }
            Err(_) if hook["failurePolicy"] == "Ignore" => {}
            Err(why) => {
                let message =
                    format!("failed calling webhook {name:?}: failed to call webhook: {why}");
                return Err(Failure::internal(&message));
            }
        }
    }
    Ok(warnings)
}

/// A write under review.
struct Write<'a> {
    caller: Caller<'a>,
    old: Option<&'a Object>,
    new: Option<&'a Object>,
}

impl Write<'_> {
    fn operation(&self) -> &'static str {
        match (self.old, self.new) {
            (None, _) => "CREATE",
            (Some(_), Some(_)) => "UPDATE",
            (Some(_), None) => "DELETE",
        }
    }

    fn object(&self) -> Option<&Object> {
        self.new.or(self.old)
    }

    /// The webhooks for this write.
    fn hooks(&self) -> Vec<Value> {
        let storage = kinds::by_name("ValidatingWebhookConfiguration").storage();
        let configured: Vec<_> = self
            .caller
            .shared
            .state()
            .store
            .collection(storage)
            .all()
            .cloned()
            .collect();
        configured
            .iter()
            .flat_map(|stored| match stored.object().remove("webhooks") {
                Some(Value::Array(hooks)) => hooks,
                _ => Vec::new(),
            })
            .filter(|hook| self.matches(hook))
            .collect()
    }

    fn matches(&self, hook: &Value) -> bool {
        let rules = hook["rules"].as_array().into_iter().flatten();
        let matches = rules.into_iter().any(|rule| self.matches_rule(rule));
        matches && self.is_selected(hook)
    }

    fn matches_rule(&self, rule: &Value) -> bool {
        let kind = self.caller.kind;
        let has = |field: &str, attribute: &str| {
            let values = rule[field].as_array().into_iter().flatten();
            values
                .into_iter()
                .any(|value| value == "*" || value == attribute)
        };
        let resource = self.caller.info.resource();
        let resources = rule["resources"].as_array().into_iter().flatten();
        let named = resources.filter_map(Value::as_str).any(|pattern| {
            let (plural, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
            let (of_request, subresource_of_request) =
                resource.split_once('/').unwrap_or((&resource, ""));
            let matches = |pattern: &str, value: &str| pattern == "*" || pattern == value;
            matches(plural, of_request) && matches(subresource, subresource_of_request)
        });
        let scope = match rule["scope"].as_str() {
            Some("Namespaced") => kind.namespaced,
            Some("Cluster") => !kind.namespaced,
            _ => true,
        };
        named
            && scope
            && has("operations", self.operation())
            && has("apiGroups", kind.group)
            && has("apiVersions", kind.version)
    }

    fn is_selected(&self, hook: &Value) -> bool {
        let labels = |object: &Object| -> BTreeMap<String, String> {
            let labels = object
                .get("metadata")
                .and_then(|metadata| metadata["labels"].as_object());
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            labels
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect()
        };
        let objects = Labels::of(&hook["objectSelector"]);
        let either = [self.new, self.old].into_iter().flatten();
        if !either
            .into_iter()
            .any(|object| objects.hold(&labels(object)))
        {
            return false;
        }
        let namespace = self
            .object()
            .map_or("", |object| prepare::metadata_text(object, "namespace"));
        if namespace.is_empty() {
            return true;
        }
        let storage = kinds::by_name("Namespace").storage();
        let found = self.caller.shared.find(storage, &Key::new("", namespace));
        let mut known = found.map(|found| found.labels.clone()).unwrap_or_default();
        // A namespace that is created with its first object is labelled with its name, too.
        let name = || {
            (
                "kubernetes.io/metadata.name".to_owned(),
                namespace.to_owned(),
            )
        };
        let (label, value) = name();
        known.entry(label).or_insert(value);
        Labels::of(&hook["namespaceSelector"]).hold(&known)
    }

    fn review(&self) -> Value {
        let (kind, info) = (self.caller.kind, self.caller.info);
        let whole = |object: Option<&Object>| {
            object.map_or(Value::Null, |object| {
                super::stored::complete(kind, object.clone())
            })
        };
        let api_kind = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let resource =
            json!({"group": kind.group, "version": kind.version, "resource": kind.plural});
        let text = |field: &str| {
            self.object()
                .map_or("", |object| prepare::metadata_text(object, field))
        };
        let mut request = json!({
            "uid": format!("{:032x}", fastrand::u128(..)), "kind": api_kind, "resource": resource,
            "requestKind": api_kind, "requestResource": resource,
            "name": text("name"), "namespace": text("namespace"), "operation": self.operation(),
            "userInfo": self.caller.user.info(), "object": whole(self.new), "oldObject": whole(self.old),
            "dryRun": info.query.dry_run(), "options": {"apiVersion": "meta.k8s.io/v1", "kind": self.options()},
        });
        if !info.subresource.is_empty() {
            request["subResource"] = info.subresource.as_str().into();
            request["requestSubResource"] = info.subresource.as_str().into();
        }
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    }

    fn options(&self) -> &'static str {
        match self.caller.info.verb {
            "create" => "CreateOptions",
            "patch" => "PatchOptions",
            "update" => "UpdateOptions",
            _ => "DeleteOptions",
        }
    }
}

/// The denial by a webhook, with the message of kube-apiserver.
fn denial(name: &str, status: &Value) -> Failure {
    let denied = format!("admission webhook {name:?} denied the request");
    let text = |field: &str| status[field].as_str().unwrap_or_default();
    let message = match (text("message"), text("reason")) {
        ("", "") => format!("{denied} without explanation"),
        ("", reason) => format!("{denied}: {reason}"),
        (message, _) => format!("{denied}: {message}"),
    };
    let code = status["code"]
        .as_u64()
        .and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| (400..600).contains(code)).unwrap_or(400);
    Failure {
        details: status.get("details").cloned(),
        ..Failure::new(code, text("reason"), message)
    }
}
