//! Filters that ask a service whether requests are allowed (gateway-api.md 3.11).

use std::sync::Arc;

use http::HeaderName;
use http::uri::PathAndQuery;

use crate::gateway::condition::Problem;
use crate::objects::custom::{BackendRef, ExternalAuthFilter};

/// What a filter asks, without the upstream of the service.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The service.
    pub(super) service: BackendRef,
    /// Without a final slash.
    pub(super) path: Arc<str>,
    pub(super) request_fields: Arc<[HeaderName]>,
    /// `None`: all.
    pub(super) response_fields: Option<Arc<[HeaderName]>>,
}

/// What `filter` asks.
///
/// # Errors
/// A setting that is not supported.
pub(super) fn asked(filter: &ExternalAuthFilter) -> Result<Asked, Problem> {
    if filter.protocol != "HTTP" {
        return Err(unsupported("protocol", &filter.protocol, "HTTP"));
    }
    if let Some(body) = filter
        .forward_body
        .as_ref()
        .filter(|body| body.max_size > 0)
    {
        let size = body.max_size.to_string();
        return Err(unsupported("forwardBody.maxSize", &size, "0"));
    }
    let http = filter.http.clone().unwrap_or_default();
    let path = http.path.as_deref().unwrap_or_default();
    let is_path = path.is_empty() || path.starts_with('/') && PathAndQuery::try_from(path).is_ok();
    if !is_path || path.contains('?') {
        return Err(unsupported("http.path", path, "a path"));
    }
    let allowed = &http.allowed_response_headers;
    let response_fields = (!allowed.is_empty()).then(|| names(allowed)).transpose()?;
    Ok(Asked {
        service: filter.backend_ref.clone(),
        path: path.trim_end_matches('/').into(),
        request_fields: names(&http.allowed_headers)?,
        response_fields,
    })
}

fn names(list: &[String]) -> Result<Arc<[HeaderName]>, Problem> {
    let names = list.iter().map(|name| {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        parsed.map_err(|_| unsupported("http", name, "the name of a header field"))
    });
    names.collect()
}

fn unsupported(field: &str, value: &str, right: &str) -> Problem {
    let value = value.escape_debug();
    Problem::new(
        "UnsupportedValue",
        format!("externalAuth.{field} \"{value}\" is not supported; it must be {right}"),
    )
}
