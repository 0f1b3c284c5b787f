//! Validating admission: which webhooks a write concerns, and what their answers mean for it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds;
use super::prepare::{self, Object};
use super::selectors::Labels;
use super::stored::Key;
use super::webhook;
use super::write::Caller;

/// Kinds that no webhook is asked about, so that a broken one can be repaired.
const EXEMPT: &[&str] = &[
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
];

/// Asks the webhooks that are configured for a write; their warnings, or the refusal of one of them.
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
        let answer = webhook::call(caller.shared, &hook, &write.review()).await;
        match answer {
            Ok(response) => {
                let told = response["warnings"].as_array().into_iter().flatten();
                warnings.extend(told.filter_map(|text| text.as_str().map(str::to_owned)));
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

/// A write that is to be judged.
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

    /// The webhooks it concerns.
    fn hooks(&self) -> Vec<Value> {
        let shelf = kinds::by_name("ValidatingWebhookConfiguration").shelf();
        let configured: Vec<_> = self
            .caller
            .shared
            .state()
            .store
            .kept(shelf)
            .all()
            .cloned()
            .collect();
        configured
            .iter()
            .flat_map(|stored| match stored.object().remove("webhooks") {
                Some(Value::Array(hooks)) => hooks,
                _ => Vec::new(),
            })
            .filter(|hook| self.concerns(hook))
            .collect()
    }

    fn concerns(&self, hook: &Value) -> bool {
        let rules = hook["rules"].as_array().into_iter().flatten();
        let ruled = rules.into_iter().any(|rule| self.falls_under(rule));
        ruled && self.is_selected(hook)
    }

    fn falls_under(&self, rule: &Value) -> bool {
        let kind = self.caller.kind;
        let has = |field: &str, wanted: &str| {
            let values = rule[field].as_array().into_iter().flatten();
            values
                .into_iter()
                .any(|value| value == "*" || value == wanted)
        };
        let resource = self.caller.asked.resource();
        let resources = rule["resources"].as_array().into_iter().flatten();
        let named = resources.filter_map(Value::as_str).any(|pattern| {
            let (plural, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
            let (own, own_subresource) = resource.split_once('/').unwrap_or((&resource, ""));
            let matches = |pattern: &str, own: &str| pattern == "*" || pattern == own;
            matches(plural, own) && matches(subresource, own_subresource)
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
            .map_or("", |object| prepare::told(object, "namespace"));
        if namespace.is_empty() {
            return true;
        }
        let shelf = kinds::by_name("Namespace").shelf();
        let found = self.caller.shared.find(shelf, &Key::new("", namespace));
        let mut known = found.map(|found| found.labels.clone()).unwrap_or_default();
        // A namespace that is made with its first object has its name as a label, too.
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
        let (kind, asked) = (self.caller.kind, self.caller.asked);
        let whole = |object: Option<&Object>| {
            object.map_or(Value::Null, |object| {
                super::stored::complete(kind, object.clone())
            })
        };
        let own_kind = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let resource =
            json!({"group": kind.group, "version": kind.version, "resource": kind.plural});
        let told = |field: &str| {
            self.object()
                .map_or("", |object| prepare::told(object, field))
        };
        let mut request = json!({
            "uid": format!("{:032x}", fastrand::u128(..)), "kind": own_kind, "resource": resource,
            "requestKind": own_kind, "requestResource": resource,
            "name": told("name"), "namespace": told("namespace"), "operation": self.operation(),
            "userInfo": self.caller.user.info(), "object": whole(self.new), "oldObject": whole(self.old),
            "dryRun": asked.query.dry_run(), "options": {"apiVersion": "meta.k8s.io/v1", "kind": self.options()},
        });
        if !asked.subresource.is_empty() {
            request["subResource"] = asked.subresource.as_str().into();
            request["requestSubResource"] = asked.subresource.as_str().into();
        }
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    }

    fn options(&self) -> &'static str {
        match self.caller.asked.verb {
            "create" => "CreateOptions",
            "patch" => "PatchOptions",
            "update" => "UpdateOptions",
            _ => "DeleteOptions",
        }
    }
}

/// The refusal of a webhook, as the server words it.
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
