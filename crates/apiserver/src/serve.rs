//! Serves a request: records it, applies faults, authorizes it, and responds.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::failure::Failure;
use super::faults::{self, Effect};
use super::log::Recorded;
use super::rbac;
use super::request_info::RequestInfo;
use super::respond;
use super::shared::Shared;
use super::transport::{ApiResponse, Body, Content};
use super::users::User;

/// Maximum length of a request body, as in kube-apiserver.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// The connection closes without a response.
#[derive(Debug, thiserror::Error)]
#[error("closed by a test")]
pub(crate) struct HungUp;

/// Serves a request.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, HungUp> {
    let (parts, body) = request.into_parts();
    let info = RequestInfo::read(&parts);
    let user = {
        let control = shared.control();
        control.users.sender(&parts.headers, control.enforce)
    };
    let name = user.as_ref().map_or("", |user| user.name.as_str());
    let request = recorded(&info, &parts, name);
    shared.record(request.clone());
    let effect = faults::first_effect(&mut shared.control().faults, name, &info);
    match effect {
        Some(Effect::Drop) => return Err(HungUp),
        Some(Effect::Hang) => std::future::pending::<()>().await,
        Some(Effect::Delay(time)) => tokio::time::sleep(time).await,
        Some(Effect::Status(code)) => return Ok(refused(code, None)),
        Some(Effect::RetryAfter(code, seconds)) => return Ok(refused(code, Some(seconds))),
        Some(Effect::Garbage) => {
            let garbage = Content::Whole(Bytes::from_static(b"\x00\xff{]garbage"));
            return Ok(ApiResponse::new(StatusCode::OK, garbage).response(false));
        }
        Some(Effect::Truncate | Effect::Silence) | None => {}
    }
    let mut response = match authorized(&shared, &info, user, (&parts, body)).await {
        Ok(response) => response,
        Err(failure) => ApiResponse::refusal(&failure),
    };
    if response.status == StatusCode::FORBIDDEN {
        shared.control().denied.push(request);
    }
    if effect == Some(Effect::Silence)
        && let Content::Events(events) = response.content
    {
        // The watch stays open and sends nothing.
        response.content = Content::Events(stream::pending().chain(events).boxed());
    }
    Ok(response.response(effect == Some(Effect::Truncate)))
}

async fn authorized(
    shared: &Arc<Shared>,
    info: &RequestInfo,
    user: Result<User, Failure>,
    (parts, body): (&Parts, Incoming),
) -> Result<ApiResponse, Failure> {
    let user = user?;
    rbac::permit(shared, &user, info)?;
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| {
        let message = format!("Request entity too large: limit is {MAX_BODY}");
        Failure::new(413, "RequestEntityTooLarge", message)
    })?;
    let body = body.to_bytes();
    match &shared.cluster {
        None => respond::respond(shared, info, &user, &body).await,
        Some(cluster) => {
            not_compacted(shared, info)?;
            cluster.respond(shared, info, &user, (parts, body)).await
        }
    }
}

/// Refuses watches that a real cluster would refuse after a compaction.
fn not_compacted(shared: &Shared, info: &RequestInfo) -> Result<(), Failure> {
    let version = info.query.number("resourceVersion")?.unwrap_or(0);
    let floor = shared.control().floor;
    let outdated = info.verb == "watch" && version > 0 && version < floor;
    if outdated {
        let message = format!("too old resource version: {version} ({floor})");
        return Err(Failure::expired(message));
    }
    Ok(())
}

fn refused(code: u16, retry_after: Option<u32>) -> Response<Body> {
    let retry_after = retry_after.or_else(|| [429, 503].contains(&code).then_some(1));
    ApiResponse::refusal(&Failure::injected(code, retry_after)).response(false)
}

fn recorded(info: &RequestInfo, parts: &Parts, user: &str) -> Recorded {
    Recorded {
        user: user.to_owned(),
        method: parts.method.to_string(),
        path: info.path.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        verb: info.verb.to_owned(),
        resource: info.resource(),
        namespace: info.namespace.clone().unwrap_or_default(),
        name: info.name.clone().unwrap_or_default(),
        agent: info.agent.clone(),
        content_type: info.content_type.clone(),
        accept: info.accept.clone(),
    }
}
