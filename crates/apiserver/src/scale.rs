//! The `scale` subresource of workloads.

use bytes::Bytes;
use serde_json::{Value, json};

use super::encode;
use super::failure::Failure;
use super::patch::{self, Patch};
use super::prepare;
use super::read;
use super::stored::Stored;
use super::transport::ApiResponse;
use super::write::{self, Caller};

/// The response to a request for the scale of a workload.
pub(crate) async fn respond(caller: Caller<'_>, body: &Bytes) -> Result<ApiResponse, Failure> {
    let before = read::one(caller.shared, caller.kind, caller.info)?;
    let scale = scale(&before);
    let desired = match caller.info.verb {
        "get" => return Ok(ApiResponse::ok(encode::bytes(&scale))),
        "update" => patch::yaml(body)?,
        "patch" => {
            let patch = Patch::read(&caller.info.content_type, body)?;
            patch::apply(caller.kind, &patch, scale)?
        }
        _ => return Err(Failure::no_such_method()),
    };
    let mut object = before.object();
    let mut spec = object.get("spec").cloned().unwrap_or_default();
    spec["replicas"] = desired["spec"]["replicas"].clone();
    object.insert("spec".to_owned(), spec);
    prepare::next(caller.kind, &before, &mut object, "")?;
    let name = &before.key.name;
    let stored = write::replace(caller.shared, caller.kind, &before, object)
        .ok_or_else(|| Failure::stale(caller.kind, name))?;
    Ok(ApiResponse::ok(encode::bytes(&self::scale(&stored))))
}

fn scale(stored: &Stored) -> Value {
    let object = Value::Object(stored.object());
    let replicas = object["spec"]["replicas"].as_i64().unwrap_or(0);
    let labels = object["spec"]["selector"]["matchLabels"].as_object();
    let labels = labels.into_iter().flatten();
    let selector: Vec<String> = labels
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {
            "name": stored.key.name, "namespace": stored.key.namespace, "uid": stored.uid,
            "resourceVersion": stored.version.to_string(),
        },
        "spec": {"replicas": replicas},
        "status": {
            "replicas": object["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector.join(","),
        },
    })
}
