//! The authentication service of all routes (behaviour.md 5.2).

use headgate_table::Template;
use http::Method;

use super::read::Source;
use super::security;
use crate::ingress::family::external_auth::{
    ExternalAuth, GlobalParts, cache_rules, response_fields, sign_in,
};

/// The service of routes whose objects name none. A URL that cannot be used closes every route: ingress-nginx would open them.
pub(super) fn read(source: &mut Source<'_>) -> Option<ExternalAuth> {
    let directive_fields = source.authentication_fields(&security::GLOBAL_AUTH_SNIPPET);
    let url = source.text(&security::GLOBAL_AUTH_URL).trim().to_owned();
    if url.is_empty() {
        return None;
    }
    match ExternalAuth::at(&url) {
        Ok(service) => Some(service.with(GlobalParts {
            directive_fields,
            ..parts(source)
        })),
        Err(reason) => {
            source.close(&security::GLOBAL_AUTH_URL, &reason);
            None
        }
    }
}

fn parts(source: &mut Source<'_>) -> GlobalParts {
    let parameter = source.text(&security::GLOBAL_AUTH_SIGNIN_REDIRECT_PARAM);
    let parameter = parameter.trim().to_owned();
    let names: Vec<String> = source.get(&security::GLOBAL_AUTH_RESPONSE_HEADERS);
    let response_fields = match response_fields(names.iter().map(String::as_str)) {
        Ok(fields) => fields,
        Err(reason) => {
            source.close(&security::GLOBAL_AUTH_RESPONSE_HEADERS, &reason);
            Default::default()
        }
    };
    GlobalParts {
        method: source.parsed(&security::GLOBAL_AUTH_METHOD, method),
        redirect: source.parsed_or_close(&security::GLOBAL_AUTH_REQUEST_REDIRECT, Template::parse),
        sign_in: source.parsed(&security::GLOBAL_AUTH_SIGNIN, |url| {
            absolute(url.trim())?;
            sign_in(url.trim(), Some(&parameter))
        }),
        response_fields,
        always_set_cookie: source.get(&security::GLOBAL_AUTH_ALWAYS_SET_COOKIE),
        cache_key: source.parsed_or_close(&security::GLOBAL_AUTH_CACHE_KEY, Template::parse),
        cache_rules: source.parsed_or_close(&security::GLOBAL_AUTH_CACHE_DURATION, cache_rules),
        directive_fields: Vec::new(),
    }
}

/// Unlike the annotation, the key must have a scheme and a host.
fn absolute(url: &str) -> Result<(), String> {
    let rest = url.split_once("://").map(|(_, rest)| rest);
    let host = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    match host {
        None | Some("") => Err(format!("\"{url}\" is not a URL with a scheme and a host")),
        Some(_) => Ok(()),
    }
}

fn method(text: &str) -> Result<Method, String> {
    const METHODS: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE",
    ];
    let text = text.trim();
    let known = METHODS
        .contains(&text)
        .then(|| Method::from_bytes(text.as_bytes()));
    known.and_then(Result::ok).ok_or_else(|| {
        format!(
            "\"{}\" is not one of {}",
            text.escape_debug(),
            METHODS.join(", ")
        )
    })
}
