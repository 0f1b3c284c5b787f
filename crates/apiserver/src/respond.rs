//! The response to an authorized request.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::Value;

use super::discovery;
use super::encode::{self, Form};
use super::failure::Failure;
use super::kinds::Kind;
use super::patch;
use super::protobuf;
use super::read;
use super::request_info::RequestInfo;
use super::reviews;
use super::scale;
use super::shared::Shared;
use super::transport::{ApiResponse, Content};
use super::users::User;
use super::watch::Watch;
use super::write::{self, Caller, Written};

/// The response to a request.
pub(crate) async fn respond(
    shared: &Arc<Shared>,
    info: &RequestInfo,
    user: &User,
    body: &Bytes,
) -> Result<ApiResponse, Failure> {
    let Some(kind) = info.kind else {
        if info.verb == "post" {
            let review = read_body(info, body)?;
            return reviews::respond(shared, &info.path, user, &review);
        }
        return discovery::respond(shared, info);
    };
    if !kind.is_served(&shared.state().store) {
        return Err(Failure::no_such_path());
    }
    if info.name.is_none() && info.namespace.is_none() && kind.namespaced && info.verb == "create" {
        return Err(Failure::no_such_method());
    }
    let caller = Caller {
        shared,
        kind,
        info,
        user,
    };
    match info.subresource.as_str() {
        "scale" => scale::respond(caller, body).await,
        "token" => reviews::token(caller, &read_body(info, body)?),
        _ => resource(caller, body).await,
    }
}

async fn resource(caller: Caller<'_>, body: &Bytes) -> Result<ApiResponse, Failure> {
    let (shared, kind, info) = (caller.shared, caller.kind, caller.info);
    let form = Form::accepted(&info.accept);
    match info.verb {
        "get" => {
            let stored = read::one(shared, kind, info)?;
            Ok(ApiResponse::ok(form.object(kind, &stored)))
        }
        "list" => Ok(ApiResponse::ok(read::list(shared, kind, info)?)),
        "watch" => {
            let watch = Watch::open(shared, kind, info)?;
            let events = Content::Events(watch.stream().boxed());
            Ok(ApiResponse::new(StatusCode::OK, events))
        }
        "create" if info.name.is_none() => {
            let written = write::create(caller, read_body(info, body)?).await?;
            Ok(self::written(form, kind, written))
        }
        "update" => {
            let written = write::update(caller, read_body(info, body)?).await?;
            Ok(self::written(form, kind, written))
        }
        "patch" => {
            let written = write::patch(caller, body).await?;
            Ok(self::written(form, kind, written))
        }
        "delete" => {
            let deleted = write::delete(caller, &options(body)).await?;
            Ok(ApiResponse::ok(encode::bytes(&deleted)))
        }
        "deletecollection" => Ok(ApiResponse::ok(write::all(caller, &options(body)).await?)),
        _ => Err(Failure::no_such_method()),
    }
}

/// The response to a write.
pub(crate) fn written(form: Form, kind: &Kind, written: Written) -> ApiResponse {
    let body = form.object(kind, &written.stored);
    ApiResponse {
        warnings: written.warnings,
        ..ApiResponse::new(written.status, Content::Whole(body))
    }
}

/// The object in a body.
fn read_body(info: &RequestInfo, body: &[u8]) -> Result<Value, Failure> {
    match info.content_type.as_str() {
        "" | "application/json" => serde_json::from_slice(body).map_err(|error| {
            Failure::bad_request(format!(
                "couldn't get version/kind; json parse error: {error}"
            ))
        }),
        "application/yaml" => patch::yaml(body),
        "application/vnd.kubernetes.protobuf" => protobuf::read(body).ok_or_else(unknown_format),
        _ => Err(unknown_format()),
    }
}

fn unknown_format() -> Failure {
    Failure::new(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
    )
}

/// The options in the body of a deletion, if any.
fn options(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}
