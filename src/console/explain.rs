//! What would happen to a request, and why.

use std::collections::HashMap;

use headgate_console::Failed;
use headgate_console::model::{ExplainForm, Explained};
use headgate_proxy::ExplainRequest;
use headgate_table::{CATCH_ALL, HostTls, PathKind};
use parking_lot::Mutex;
use serde::Deserialize as _;

use super::index::{IndexedHost, IndexedRoute, kind};
use super::{Console, failed, not_yet};
use crate::admin::Asked;

/// Most explanations of routes that are kept.
const KEPT: usize = 64;

pub(super) async fn explain(console: &Console, form: &ExplainForm) -> Result<Explained, Failed> {
    explained(console, read(form).map_err(Failed::Invalid)?).await
}

fn read(form: &ExplainForm) -> Result<ExplainRequest, String> {
    let mut asked = Asked::default();
    let single = [
        ("url", &form.url),
        ("method", &form.method),
        ("from", &form.from),
    ];
    for (name, value) in single.into_iter().filter(|(_, value)| !value.is_empty()) {
        asked.set(name, value)?;
    }
    for field in form.header.iter().filter(|field| !field.is_empty()) {
        asked.set("header", field)?;
    }
    asked.request()
}

async fn explained(console: &Console, request: ExplainRequest) -> Result<Explained, Failed> {
    let current = console.state.current().ok_or_else(not_yet)?;
    let explainer = console.state.explainer();
    let value = explainer.explain_request(request, current).await;
    Explained::deserialize(value.map_err(failed)?)
        .map_err(|error| Failed::Internal(error.to_string()))
}

/// The explanations of routes whose pages are open, so that a page that is loaded again and again costs one for each table.
#[derive(Default)]
pub(super) struct Explanations(Mutex<HashMap<String, Explained>>);

/// A `GET` of the path of a route; `None` if another route would serve it, or if there is no time for it now.
pub(super) async fn of_route(
    console: &Console,
    generation: u64,
    (host, route): (&IndexedHost, &IndexedRoute),
) -> Option<Explained> {
    let id = route.id();
    let known = console.explanations.0.lock().get(&id).cloned();
    let explained = match known.filter(|known| known.generation == generation) {
        Some(known) => known,
        None => {
            let mut asked = Asked::default();
            asked.set("url", &url(host, route)?).ok()?;
            let explained = explained(console, asked.request().ok()?).await.ok()?;
            let mut kept = console.explanations.0.lock();
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(id, explained.clone());
            explained
        }
    };
    let is_own = explained.route.as_ref().is_some_and(|found| {
        found.path == *route.route.path && found.path_type == kind(&route.route)
    });
    is_own.then_some(explained)
}

/// A URL that the route serves, unless it has conditions; `None`: there is no simple one.
fn url(host: &IndexedHost, route: &IndexedRoute) -> Option<String> {
    let scheme = match host.host.tls {
        HostTls::None => "http",
        HostTls::Default | HostTls::Own(_) => "https",
    };
    let name = match &*route.host {
        CATCH_ALL => "unknown.invalid".to_owned(),
        name => name
            .strip_prefix("*.")
            .map_or_else(|| name.to_owned(), |rest| format!("www.{rest}")),
    };
    let path = &*route.route.path;
    let path = match route.route.kind {
        PathKind::Exact | PathKind::Prefix => path,
        // The part before the first character that may mean something else.
        PathKind::Expression => {
            let path = path.strip_prefix('^').unwrap_or(path);
            path.split(|c: char| !(c.is_ascii_alphanumeric() || "/-_~".contains(c)))
                .next()?
        }
    };
    let path = if path.is_empty() { "/" } else { path };
    Some(format!("{scheme}://{name}{path}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn empty_fields_have_defaults() {
        let form = ExplainForm {
            url: "shop.example/a".to_owned(),
            header: vec![String::new(), "X-A: b".to_owned()],
            ..ExplainForm::default()
        };
        let request = read(&form).unwrap();
        assert_eq!(request.url.to_string(), "http://shop.example/a");
        assert_eq!(request.method, http::Method::GET);
        assert_eq!(request.headers["x-a"], "b");
        assert_eq!(request.client.to_string(), "127.0.0.1");
        assert!(!request.verifies_passwords);
        let wrong = read(&ExplainForm {
            from: "shop".to_owned(),
            ..form
        });
        assert_eq!(wrong.unwrap_err(), "from: expected an IP address");
        assert!(read(&ExplainForm::default()).is_err());
    }
}
