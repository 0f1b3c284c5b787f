//! The CORS filter (gateway-api.md 3.10).

use headgate_table::{FetchCors, OriginPattern, Origins};
use http::HeaderValue;

use crate::gateway::condition::Problem;
use crate::objects::custom::CorsFilter;

/// Seconds for which clients keep the response to a preflight, if the filter does not say.
const MAX_AGE: u32 = 5;

/// # Errors
/// A text that cannot be in a header field.
pub(super) fn rules(filter: &CorsFilter) -> Result<FetchCors, Problem> {
    let credentials = filter.allow_credentials.unwrap_or(false);
    let expose = list(&filter.expose_headers)?;
    Ok(FetchCors {
        origins: origins(&filter.allow_origins),
        methods: allowed(&filter.allow_methods)?,
        headers: allowed(&filter.allow_headers)?,
        // With credentials `*` is a name.
        expose: expose.filter(|_| !(credentials && is_all(&filter.expose_headers))),
        credentials,
        max_age: filter.max_age.unwrap_or(MAX_AGE).into(),
    })
}

fn is_all(list: &[String]) -> bool {
    list.iter().any(|entry| entry == "*")
}

/// `None`: all; an empty list allows none but what needs no permission.
fn allowed(names: &[String]) -> Result<Option<HeaderValue>, Problem> {
    if is_all(names) {
        return Ok(None);
    }
    Ok(Some(list(names)?.unwrap_or(HeaderValue::from_static(""))))
}

fn list(names: &[String]) -> Result<Option<HeaderValue>, Problem> {
    if names.is_empty() {
        return Ok(None);
    }
    let text = names.join(", ");
    let value = HeaderValue::from_str(&text).map_err(|_| {
        Problem::new(
            "UnsupportedValue",
            format!("the CORS filter has an invalid list: {text:?}"),
        )
    });
    value.map(Some)
}

fn origins(list: &[String]) -> Origins {
    if is_all(list) {
        return Origins::Any;
    }
    Origins::List(
        list.iter()
            .map(|origin| pattern(&origin.to_ascii_lowercase()))
            .collect(),
    )
}

/// A wildcard covers one or more labels; default ports of schemes are left out, as browsers do.
fn pattern(origin: &str) -> OriginPattern {
    let Some((scheme, host)) = origin.split_once("://") else {
        return OriginPattern::Exact(origin.to_owned());
    };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let bare = host.strip_suffix(default_port).unwrap_or(host);
    match bare.strip_prefix('*') {
        Some(suffix) => OriginPattern::Labels {
            scheme: format!("{scheme}://"),
            suffix: suffix.to_owned(),
        },
        None => OriginPattern::Exact(format!("{scheme}://{bare}")),
    }
}
