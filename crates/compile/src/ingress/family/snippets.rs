//! nginx directives of Ingresses (behaviour.md 1.16).

use std::borrow::Cow;
use std::sync::Arc;

use headgate_table::Template;
use http::HeaderName;

use super::auth::AUTH_SNIPPET;
use crate::Severity;
use crate::ingress::annotations::{Annotation, Risk, Rules, annotation, find};
use crate::ingress::registry::{Key, Protection, Reader, keys, types};
use crate::ingress::snippet::{self, ONLY_FIELDS, Place, Snippet};

keys! { Annotation {
    // A snippet may hold a deny or an authentication, so without it the route must not be open.
    CONFIGURATION_SNIPPET: String =
        annotation("configuration-snippet", types::RAW,
            "nginx directives of the location: a subset is honoured; with others that could restrict access the routes respond with 503.")
            .risk(Risk::Critical).protects(Protection::Routes)
            .of_no_policy("it is text for nginx");
    SERVER_SNIPPET: String =
        annotation("server-snippet", types::RAW,
            "nginx directives of the host: a subset is honoured; with others that could restrict access the host responds with 503.")
            .ingress().risk(Risk::Critical).protects(Protection::Routes)
            .of_no_policy("it is text for nginx");
    STREAM_SNIPPET: String =
        annotation("stream-snippet", types::RAW, "Raw nginx text for TCP and UDP; no HTTP route depends on it.")
            .ingress().risk(Risk::Critical).not_yet();
} }

/// The snippets of an Ingress as types.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snippets {
    pub(crate) configuration: Option<Snippet>,
    /// `Err`: why the whole host is closed.
    pub(crate) server: Option<Result<Snippet, Arc<str>>>,
}

impl Snippets {
    /// `None` without snippets. What is not honoured closes the routes, or is a finding. Unless they are `allowed`, all close.
    pub(crate) fn read(reader: &mut Reader, allowed: bool) -> Option<Self> {
        let server = read(reader, &SERVER_SNIPPET, Place::Server, allowed);
        let snippets = Self {
            configuration: read(reader, &CONFIGURATION_SNIPPET, Place::Location, allowed)
                .and_then(Result::ok),
            server,
        };
        (snippets != Self::default()).then_some(snippets)
    }
}

/// The fields that directives set in requests to the authentication service; others close the routes.
pub(super) fn of_authentication(
    reader: &mut Reader,
    rules: &Rules<'_>,
) -> Vec<(HeaderName, Template)> {
    let Some(text) = reader.text(&AUTH_SNIPPET).map(str::to_owned) else {
        return Vec::new();
    };
    if !rules.allow_snippets() {
        reader.close_with_advice(&AUTH_SNIPPET, NOT_ALLOWED, ONLY_FIELDS);
        return Vec::new();
    }
    let (fields, closed) = snippet::authentication_fields(&text, rules.knows_location);
    if let Some(reason) = closed {
        reader.close_with_advice(&AUTH_SNIPPET, &reason, ONLY_FIELDS);
    }
    fields
}

/// Why a snippet closes its routes while the settings do not allow any.
const NOT_ALLOWED: &str = "snippets are honoured only with allow-snippet-annotations: \"true\" and \
    annotations-risk-level: Critical in the ConfigMap";

fn read(
    reader: &mut Reader,
    key: &Key<String>,
    place: Place,
    allowed: bool,
) -> Option<Result<Snippet, Arc<str>>> {
    let text = reader.text(key)?.to_owned();
    if !allowed {
        reader.close_with_advice(key, NOT_ALLOWED, &advice(&text));
        return None;
    }
    let reading = snippet::read(&text, place);
    for remark in reading.remarks {
        reader.report(key.entry().name, remark.severity, remark.message);
    }
    if let Some(reason) = reading.closed {
        reader.close_with_advice(key, &reason, &advice(&text));
        return Some(Err(reason.into()));
    }
    // A hint, even where something else is wrong with the snippet.
    if let Some(instead) = instead_of_all(&text) {
        let message = format!("possible without a snippet: {instead}");
        reader.report(key.entry().name, Severity::Info, message);
    }
    Some(Ok(reading.snippet))
}

/// Most directives of a snippet that are named.
const MAX_NAMED: usize = 4;

/// What replaces directives whose names differ from those of annotations.
const INSTEAD: &[(&str, &str)] = &[
    (
        "proxy_ssl_verify",
        "backends are not verified unless proxy-ssl-secret and proxy-ssl-verify: \"on\" are set, so \"off\" can be deleted",
    ),
    ("add_header", "custom-headers"),
    ("more_set_headers", "custom-headers"),
    ("more_clear_headers", "the ConfigMap key hide-headers"),
    ("proxy_hide_header", "the ConfigMap key hide-headers"),
    (
        "proxy_set_header",
        "the ConfigMap key proxy-set-headers, and upstream-vhost for Host",
    ),
    (
        "more_set_input_headers",
        "the ConfigMap key proxy-set-headers",
    ),
    ("allow", "allowlist-source-range"),
    ("deny", "denylist-source-range"),
    ("return", "permanent-redirect or temporal-redirect"),
    ("rewrite", "rewrite-target"),
    ("auth_request", "auth-url"),
    ("auth_basic", "auth-type: basic with auth-secret"),
    ("auth_basic_user_file", "auth-type: basic with auth-secret"),
    ("client_max_body_size", "proxy-body-size"),
    ("limit_req", "limit-rps or limit-rpm"),
    ("limit_conn", "limit-connections"),
    ("ssl_client_certificate", "auth-tls-secret"),
    (
        "ssl_verify_client",
        "auth-tls-secret and auth-tls-verify-client",
    ),
    ("gzip", "the ConfigMap key use-gzip"),
    ("access_log", "enable-access-log"),
    ("location", "a path of an Ingress"),
];

/// What to write instead of the directives of a snippet.
pub(crate) fn advice(text: &str) -> Cow<'static, str> {
    match instead_of_all(text) {
        None => "annotations or keys of the ConfigMap must replace its directives".into(),
        Some(instead) => format!("instead of {instead}").into(),
    }
}

/// The directives that annotations can replace, each with these.
fn instead_of_all(text: &str) -> Option<String> {
    let mut named: Vec<&str> = Vec::new();
    for directive in directives(text) {
        if named.len() < MAX_NAMED && !named.contains(&directive) {
            named.push(directive);
        }
    }
    let advice: Vec<String> = named.into_iter().filter_map(instead).collect();
    (!advice.is_empty()).then(|| advice.join("; of "))
}

fn instead(directive: &str) -> Option<String> {
    let known = INSTEAD.iter().find(|(name, _)| *name == directive);
    let by_name = || find(&directive.replace('_', "-")).map(|row| row.entry.name);
    let write = known.map(|(_, write)| *write).or_else(by_name)?;
    Some(format!("{directive}: {write}"))
}

/// The names of directives, which consist of lower-case letters, digits and `_`.
fn directives(text: &str) -> impl Iterator<Item = &str> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let statements = lines.flat_map(|line| line.split([';', '{', '}']));
    let words = statements.filter_map(|statement| statement.split_whitespace().next());
    let is_name = |word: &&str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        word.len() <= 64 && word.bytes().all(inner)
    };
    words.filter(is_name)
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn the_directives_of_a_snippet_have_their_replacement() {
        let text = "# deny all;\nproxy_ssl_verify off; proxy_read_timeout 5s;\nlua_x y;\n";
        let advice = advice(text);
        assert!(
            advice.starts_with("instead of proxy_ssl_verify: backends are not verified"),
            "{advice}"
        );
        assert!(
            advice.ends_with("; of proxy_read_timeout: proxy-read-timeout"),
            "{advice}"
        );
        assert!(
            !advice.contains("deny") && !advice.contains("lua_x"),
            "{advice}"
        );
        assert!(super::advice("").contains("must replace"));
        assert!(super::advice("\u{1b}[1m x; }").contains("must replace"));
    }
}
