//! Kinds that are not stored: reviews of tokens and permissions, and new tokens.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::clock;
use super::encode;
use super::failure::Failure;
use super::kinds::{self, REVIEWS};
use super::rbac::{self, Attributes};
use super::read;
use super::shared::Shared;
use super::transport::{ApiResponse, Content};
use super::users::User;
use super::write::Caller;

/// Reported lifetime of a new token, seconds.
const LIFETIME: i64 = 3600;

/// The response to a review.
pub(crate) fn respond(
    shared: &Arc<Shared>,
    path: &str,
    user: &User,
    review: &Value,
) -> Result<ApiResponse, Failure> {
    let known = REVIEWS.iter().find(|review| {
        path == format!(
            "/apis/{}/{}",
            kinds::group_version(review.group, "v1"),
            review.plural
        )
    });
    let known = known.ok_or_else(Failure::no_such_path)?;
    let status = match known.kind {
        "TokenReview" => token_status(shared, &review["spec"]),
        "SelfSubjectReview" => json!({"userInfo": user.info()}),
        "SubjectAccessReview" => access(shared, &subject(&review["spec"]), &review["spec"]),
        _ => access(shared, user, &review["spec"]),
    };
    let response = json!({
        "apiVersion": kinds::group_version(known.group, "v1"), "kind": known.kind,
        "metadata": {}, "spec": review["spec"], "status": status,
    });
    Ok(created(&response))
}

/// Creates a token for the service account of the request.
pub(crate) fn token(caller: Caller<'_>, request: &Value) -> Result<ApiResponse, Failure> {
    if caller.info.verb != "create" {
        return Err(Failure::no_such_method());
    }
    let account = read::one(caller.shared, caller.kind, caller.info)?;
    let (namespace, name) = (&account.key.namespace, &account.key.name);
    let token = format!("{namespace}.{name}.{:016x}", fastrand::u64(..));
    let user = User::service_account(namespace, name);
    caller.shared.control().users.add(&token, user);
    let seconds = request["spec"]["expirationSeconds"]
        .as_i64()
        .unwrap_or(LIFETIME);
    Ok(created(&json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "metadata": {"name": name, "namespace": namespace}, "spec": request["spec"],
        "status": {"token": token, "expirationTimestamp": clock::after(seconds)},
    })))
}

/// Whether the subject of a SubjectAccessReview is permitted to do this.
pub(crate) fn is_allowed(shared: &Shared, spec: &Value) -> bool {
    access(shared, &subject(spec), spec)["allowed"] == true
}

fn created(value: &Value) -> ApiResponse {
    let content = Content::Whole(encode::bytes(value));
    ApiResponse::new(StatusCode::CREATED, content)
}

fn token_status(shared: &Shared, spec: &Value) -> Value {
    let token = spec["token"].as_str().unwrap_or_default();
    match shared.control().users.by_token(token) {
        Some(user) => json!({"authenticated": true, "user": user.info()}),
        None => json!({"authenticated": false, "error": "unknown token"}),
    }
}

fn subject(spec: &Value) -> User {
    let groups = spec["groups"].as_array().into_iter().flatten();
    User {
        name: spec["user"].as_str().unwrap_or_default().to_owned(),
        groups: groups
            .filter_map(|group| group.as_str().map(str::to_owned))
            .collect(),
    }
}

fn access(shared: &Shared, user: &User, spec: &Value) -> Value {
    let enforced = shared.control().enforce;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = &spec["resourceAttributes"];
    let attributes = match spec["nonResourceAttributes"]["path"].as_str() {
        Some(path) => Attributes {
            verb: text(&spec["nonResourceAttributes"]["verb"]),
            path: Some(path.to_owned()),
            ..Attributes::default()
        },
        None => Attributes {
            verb: text(&resource["verb"]),
            group: text(&resource["group"]),
            resource: match resource["subresource"]
                .as_str()
                .filter(|name| !name.is_empty())
            {
                Some(subresource) => format!("{}/{subresource}", text(&resource["resource"])),
                None => text(&resource["resource"]),
            },
            namespace: text(&resource["namespace"]),
            name: text(&resource["name"]),
            path: None,
        },
    };
    let allowed = !enforced || rbac::allows(&shared.state().store, user, &attributes);
    json!({"allowed": allowed})
}
