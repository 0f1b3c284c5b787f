//! From a request to its response: who asks, which page, in which form.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::ACCEPT;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;

use super::refusal::Refusal;
use super::response::{self, Body, JSON};
use super::{Console, events, login, pieces};
use crate::address::Target;
use crate::assets::Asset;
use crate::content::Content;
use crate::openapi;
use crate::pages;

/// The forms in which a page can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// HTML.
    Page,
    /// JSON.
    Data,
    /// JSON values, one a line, without an end.
    Lines,
    /// Server-sent events with HTML.
    Events,
}

impl Form {
    /// The first known media type of `Accept`, which browsers and scripts list in the order of their preference; else HTML.
    fn accepted(headers: &HeaderMap) -> Self {
        let fields = headers.get_all(ACCEPT).iter();
        let fields = fields.filter_map(|field| field.to_str().ok());
        let mut types = fields.flat_map(|field| field.split(','));
        let known = types.find_map(|one| {
            let kind = one.split(';').next().unwrap_or_default().trim();
            match kind.to_ascii_lowercase().as_str() {
                "text/html" => Some(Self::Page),
                "application/json" => Some(Self::Data),
                "application/x-ndjson" => Some(Self::Lines),
                "text/event-stream" => Some(Self::Events),
                _ => None,
            }
        });
        known.unwrap_or(Self::Page)
    }
}

/// The response to a request.
pub(super) async fn answer(
    request: Request<Incoming>,
    console: &Arc<Console>,
    local: SocketAddr,
) -> Response<Body> {
    let form = Form::accepted(request.headers());
    match respond(request, form, console, local).await {
        Ok(response) => response,
        Err(refusal) => response::refused(&refusal, form),
    }
}

async fn respond(
    request: Request<Incoming>,
    form: Form,
    console: &Arc<Console>,
    local: SocketAddr,
) -> Result<Response<Body>, Refusal> {
    console.access.check_site(&request, local)?;
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_login = *request.method() == Method::POST && path == login::PATH;
    if is_login && console.access.has_token() {
        return login::submitted(request, &console.access, now()).await;
    }
    if !is_read {
        return Err(Refusal::METHOD);
    }
    if let Some(name) = path.strip_prefix("/assets/") {
        let asset = Asset::find(name).ok_or(Refusal::NOT_FOUND)?;
        return Ok(response::asset(asset));
    }
    if !console.access.admits(request.headers(), now()) {
        return login::required(&request, form);
    }
    if path == openapi::PATH {
        return Ok(response::full(JSON, openapi::DOCUMENT));
    }
    if path == login::PATH && console.access.has_token() {
        return Ok(login::shown());
    }
    let target = Target::parse(path, request.uri().query().unwrap_or_default())?;
    page(target.ok_or(Refusal::NOT_FOUND)?, form, console).await
}

async fn page(
    target: Target,
    form: Form,
    console: &Arc<Console>,
) -> Result<Response<Body>, Refusal> {
    match (form, &target) {
        (Form::Events, Target::Live(filter)) => events::rows(console, filter),
        (Form::Events, _) => {
            let pace = pace(&target).ok_or(Refusal::NO_STREAM)?;
            events::versions(console, target, pace)
        }
        (Form::Lines, Target::Live(filter)) => events::lines(console, filter),
        (Form::Lines, _) => Err(Refusal::NO_STREAM),
        (Form::Data, Target::Live(filter)) => {
            Ok(response::json(&events::collected(console, filter).await?))
        }
        (Form::Data, Target::Explain(form)) if form.url.is_empty() => Err(Refusal::NO_URL),
        (Form::Data, _) => {
            let content = read(console, &target).await?;
            Ok(response::json_text(content.json()))
        }
        // It takes seconds in a large cluster: its frame is there at once.
        (Form::Page, Target::Check(_)) => Ok(pieces::page(console, target)),
        (Form::Page, _) => match read(console, &target).await {
            // What is wrong with a form is shown with the form.
            Err(refusal) if matches!(target, Target::Explain(_) | Target::Live(_)) => {
                let wrong = Content::Wrong(refusal.reason.into_owned());
                let mut response = response::html(pages::page(&target, &wrong));
                *response.status_mut() = refusal.status;
                Ok(response)
            }
            content => Ok(response::html(pages::page(&target, &content?))),
        },
    }
}

pub(super) async fn read(console: &Console, target: &Target) -> Result<Content, Refusal> {
    let content = Content::read(&*console.source, target).await?;
    content.ok_or(Refusal::GONE)
}

/// How many ticks pass between the versions of a page; `None`: it does not change by itself. Lists take longer to make.
fn pace(target: &Target) -> Option<u32> {
    match target {
        Target::Overview(_) | Target::Route(_) | Target::Host(_) | Target::Live(_) => Some(1),
        Target::Canaries(_) | Target::Routes(_) | Target::Hosts(_) => Some(2),
        Target::Findings(_)
        | Target::Certificates(_)
        | Target::Explain(_)
        | Target::Check(_)
        | Target::Annotation(_) => None,
    }
}

/// Unix seconds.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
