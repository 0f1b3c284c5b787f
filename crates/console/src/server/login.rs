//! The form for the token, for browsers: the only request that is not a read. It changes nothing in this process; the
//! response sets or removes a cookie.

use std::time::Duration;

use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::access::{Access, SESSION, SESSION_COOKIE, is_from_elsewhere};
use super::answer::Form;
use super::refusal::Refusal;
use super::response::{self, Body};
use crate::pages;
use crate::query::Query;

pub(super) const PATH: &str = "/login";

/// Most bytes of the form, and the time for it.
const MAX_FORM: usize = 8 * 1024;
const FORM_TIME: Duration = Duration::from_secs(10);

/// What a client without a session gets: browsers the form, scripts an error.
pub(super) fn required<B>(request: &Request<B>, form: Form) -> Result<Response<Body>, Refusal> {
    if form != Form::Page {
        return Err(Refusal::TOKEN);
    }
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let page = match is_from_elsewhere(request) {
        // Browsers send no cookie with a link of another site. From this page, they do.
        true => pages::reload(),
        false => pages::login(target_of_login(target), false),
    };
    let mut response = response::html(page);
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    Ok(response)
}

/// The page of the form itself, also to end a session.
pub(super) fn shown() -> Response<Body> {
    response::html(pages::login("/", false))
}

/// The form was sent: the cookie and the page that was asked for; without a token, the session ends.
pub(super) async fn submitted(
    request: Request<Incoming>,
    access: &Access,
    now: u64,
) -> Result<Response<Body>, Refusal> {
    let body = Limited::new(request.into_body(), MAX_FORM).collect();
    let body = timeout(FORM_TIME, body).await.map_err(|_| Refusal::FORM)?;
    let body = body.map_err(|_| Refusal::FORM)?.to_bytes();
    let mut query = Query::parse(&String::from_utf8_lossy(&body));
    let (token, next) = (query.text("token")?, query.text("next")?);
    let next = target_of_login(&next);
    if token.is_empty() {
        return Ok(redirect(PATH, "", Duration::ZERO));
    }
    match access.session(&token, now) {
        Some(session) => Ok(redirect(next, &session, SESSION)),
        None => {
            let mut response = response::html(pages::login(next, true));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            Ok(response)
        }
    }
}

fn redirect(to: &str, session: &str, life: Duration) -> Response<Body> {
    let cookie = format!(
        "{SESSION_COOKIE}={session}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict",
        life.as_secs()
    );
    let mut response = response::full("text/plain; charset=utf-8", "");
    *response.status_mut() = StatusCode::SEE_OTHER;
    let fields = [(LOCATION, to), (SET_COOKIE, &cookie)];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A page of this site, else the first one: `//evil.example` and `/\evil.example` are other sites.
fn target_of_login(target: &str) -> &str {
    let is_visible = target.bytes().all(|byte| byte.is_ascii_graphic());
    let is_path = target.starts_with('/') && !target[1..].starts_with(['/', '\\']);
    let is_form = target == PATH || target.starts_with("/login?");
    if is_visible && is_path && !is_form {
        target
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests {
    use super::target_of_login;

    #[test]
    fn the_login_leads_to_pages_of_this_site_only() {
        for own in ["/", "/hosts?q=a", "/routes/%2F"] {
            assert_eq!(target_of_login(own), own);
        }
        let foreign = [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "/a\r\nb",
            "/login",
            "/ü",
            "/ /",
        ];
        for target in foreign {
            assert_eq!(target_of_login(target), "/", "{target:?}");
        }
    }
}
