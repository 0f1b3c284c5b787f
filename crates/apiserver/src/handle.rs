//! From a request that is understood and permitted to its answer.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::Value;

use super::answer::{self, Form};
use super::asked::Asked;
use super::discovery;
use super::failure::Failure;
use super::kinds::Kind;
use super::patch;
use super::protobuf;
use super::read;
use super::reviews;
use super::scale;
use super::shared::Shared;
use super::transport::{Answer, Content};
use super::users::User;
use super::watch::Watch;
use super::write::{self, Caller, Written};

/// Answers.
pub(crate) async fn handle(
    shared: &Arc<Shared>,
    asked: &Asked,
    user: &User,
    body: &Bytes,
) -> Result<Answer, Failure> {
    let Some(kind) = asked.kind else {
        if asked.verb == "post" {
            let review = read_body(asked, body)?;
            return reviews::answer(shared, &asked.path, user, &review);
        }
        return discovery::answer(shared, asked);
    };
    if asked.name.is_none()
        && asked.namespace.is_none()
        && kind.namespaced
        && asked.verb == "create"
    {
        return Err(Failure::no_such_method());
    }
    let caller = Caller {
        shared,
        kind,
        asked,
        user,
    };
    match asked.subresource.as_str() {
        "scale" => scale::answer(caller, body).await,
        "token" => reviews::token(caller, &read_body(asked, body)?),
        _ => resource(caller, body).await,
    }
}

async fn resource(caller: Caller<'_>, body: &Bytes) -> Result<Answer, Failure> {
    let (shared, kind, asked) = (caller.shared, caller.kind, caller.asked);
    let form = Form::accepted(&asked.accept);
    match asked.verb {
        "get" => {
            let stored = read::one(shared, kind, asked)?;
            Ok(Answer::ok(form.object(kind, &stored)))
        }
        "list" => Ok(Answer::ok(read::list(shared, kind, asked)?)),
        "watch" => {
            let watch = Watch::open(shared, kind, asked)?;
            let events = Content::Events(watch.stream().boxed());
            Ok(Answer::new(StatusCode::OK, events))
        }
        "create" if asked.name.is_none() => {
            let written = write::create(caller, read_body(asked, body)?).await?;
            Ok(written_answer(form, kind, written))
        }
        "update" => {
            let written = write::update(caller, read_body(asked, body)?).await?;
            Ok(written_answer(form, kind, written))
        }
        "patch" => {
            let written = write::patch(caller, body).await?;
            Ok(written_answer(form, kind, written))
        }
        "delete" => {
            let gone = write::delete(caller, &options(body)).await?;
            Ok(Answer::ok(answer::bytes(&gone)))
        }
        "deletecollection" => Ok(Answer::ok(write::all(caller, &options(body)).await?)),
        _ => Err(Failure::no_such_method()),
    }
}

/// The answer to a write.
pub(crate) fn written_answer(form: Form, kind: &Kind, written: Written) -> Answer {
    let body = form.object(kind, &written.stored);
    Answer {
        warnings: written.warnings,
        ..Answer::new(written.status, Content::Whole(body))
    }
}

/// The object in a body.
fn read_body(asked: &Asked, body: &[u8]) -> Result<Value, Failure> {
    match asked.content_type.as_str() {
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

/// The options in the body of a deletion; there may be none.
fn options(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}
