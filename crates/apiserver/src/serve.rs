//! One request: recorded, struck by a fault or not, permitted, answered.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::asked::Asked;
use super::failure::Failure;
use super::faults::{self, Effect};
use super::handle;
use super::log::Recorded;
use super::rbac;
use super::shared::Shared;
use super::transport::{Answer, Body, Content};
use super::users::User;

/// Longest body of a request, as in kube-apiserver.
const LONGEST: usize = 3 * 1024 * 1024;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed by a test")]
pub(crate) struct HungUp;

/// Answers a request.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, HungUp> {
    let (parts, body) = request.into_parts();
    let asked = Asked::read(&parts);
    let user = {
        let control = shared.control();
        control.users.sender(&parts.headers, control.enforce)
    };
    let name = user.as_ref().map_or("", |user| user.name.as_str());
    let request = recorded(&asked, &parts, name);
    shared.record(request.clone());
    let effect = faults::strike(&mut shared.control().faults, name, &asked);
    match effect {
        Some(Effect::Drop) => return Err(HungUp),
        Some(Effect::Hang) => std::future::pending::<()>().await,
        Some(Effect::Delay(time)) => tokio::time::sleep(time).await,
        Some(Effect::Status(code)) => return Ok(refused(code, None)),
        Some(Effect::RetryAfter(code, seconds)) => return Ok(refused(code, Some(seconds))),
        Some(Effect::Garbage) => {
            let garbage = Content::Whole(Bytes::from_static(b"\x00\xff{]garbage"));
            return Ok(Answer::new(StatusCode::OK, garbage).response(false));
        }
        Some(Effect::Truncate | Effect::Silence) | None => {}
    }
    let mut answer = match answer(&shared, &asked, user, (&parts, body)).await {
        Ok(answer) => answer,
        Err(failure) => Answer::refusal(&failure),
    };
    if answer.status == StatusCode::FORBIDDEN {
        shared.control().denied.push(request);
    }
    if effect == Some(Effect::Silence)
        && let Content::Events(events) = answer.content
    {
        // The watch stays open behind what never comes.
        answer.content = Content::Events(stream::pending().chain(events).boxed());
    }
    Ok(answer.response(effect == Some(Effect::Truncate)))
}

async fn answer(
    shared: &Arc<Shared>,
    asked: &Asked,
    user: Result<User, Failure>,
    (parts, body): (&Parts, Incoming),
) -> Result<Answer, Failure> {
    let user = user?;
    rbac::permit(shared, &user, asked)?;
    let body = Limited::new(body, LONGEST).collect().await.map_err(|_| {
        let message = format!("Request entity too large: limit is {LONGEST}");
        Failure::new(413, "RequestEntityTooLarge", message)
    })?;
    let body = body.to_bytes();
    match &shared.cluster {
        None => handle::handle(shared, asked, &user, &body).await,
        Some(cluster) => {
            not_compacted(shared, asked)?;
            cluster.answer(shared, asked, &user, (parts, body)).await
        }
    }
}

/// A cluster behind is compacted by refusing what it would refuse then.
fn not_compacted(shared: &Shared, asked: &Asked) -> Result<(), Failure> {
    let version = asked.query.number("resourceVersion")?.unwrap_or(0);
    let floor = shared.control().floor;
    let outdated = asked.verb == "watch" && version > 0 && version < floor;
    if outdated {
        let message = format!("too old resource version: {version} ({floor})");
        return Err(Failure::expired(message));
    }
    Ok(())
}

fn refused(code: u16, retry_after: Option<u32>) -> Response<Body> {
    let retry_after = retry_after.or_else(|| [429, 503].contains(&code).then_some(1));
    Answer::refusal(&Failure::injected(code, retry_after)).response(false)
}

fn recorded(asked: &Asked, parts: &Parts, user: &str) -> Recorded {
    Recorded {
        user: user.to_owned(),
        method: parts.method.to_string(),
        path: asked.path.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        verb: asked.verb.to_owned(),
        resource: asked.resource(),
        namespace: asked.namespace.clone().unwrap_or_default(),
        name: asked.name.clone().unwrap_or_default(),
        agent: asked.agent.clone(),
        content_type: asked.content_type.clone(),
        accept: asked.accept.clone(),
    }
}
