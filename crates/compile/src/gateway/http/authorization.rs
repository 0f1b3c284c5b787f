//! Filters that ask a service whether requests are allowed (gateway-api.md 3.11).

use std::num::NonZeroU32;
use std::sync::Arc;

use headgate_table::AuthorizationProtocol;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

use crate::gateway::condition::Problem;
use crate::objects::custom::{BackendRef, ExternalAuthFilter, ExternalAuthHttp, ForwardBody};

/// Longest body that a service may get, bytes: the field has 16 bits in the API.
const LARGEST_BODY: u32 = 65535;

/// What a filter asks, without the upstream of the service.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The service.
    pub(super) service: BackendRef,
    pub(super) protocol: AuthorizationProtocol,
    pub(super) body_limit: Option<NonZeroU32>,
}

impl Asked {
    pub(super) fn is_call(&self) -> bool {
        matches!(self.protocol, AuthorizationProtocol::Grpc { .. })
    }
}

/// What `filter` of a route of `namespace` asks.
///
/// # Errors
/// A setting that is not supported.
pub(super) fn asked(filter: &ExternalAuthFilter, namespace: &str) -> Result<Asked, Problem> {
    let protocol = match &*filter.protocol {
        "HTTP" => by_request(&filter.http.clone().unwrap_or_default())?,
        "GRPC" => {
            let allowed = filter.grpc.as_ref().map(|grpc| &*grpc.allowed_headers);
            let allowed = allowed.filter(|allowed| !allowed.is_empty());
            AuthorizationProtocol::Grpc {
                authority: authority(&filter.backend_ref, namespace)?,
                request_fields: allowed.map(names).transpose()?,
            }
        }
        other => return Err(unsupported("protocol", other, "HTTP or GRPC")),
    };
    let body = filter.forward_body.as_ref();
    Ok(Asked {
        service: filter.backend_ref.clone(),
        protocol,
        body_limit: body.map(body_limit).transpose()?.flatten(),
    })
}

fn body_limit(body: &ForwardBody) -> Result<Option<NonZeroU32>, Problem> {
    if body.max_size > LARGEST_BODY {
        let size = body.max_size.to_string();
        return Err(unsupported("forwardBody.maxSize", &size, "0 to 65535"));
    }
    Ok(NonZeroU32::new(body.max_size))
}

/// The name of the service in the cluster, with the port.
fn authority(service: &BackendRef, namespace: &str) -> Result<HeaderValue, Problem> {
    let namespace = service.namespace.as_deref().unwrap_or(namespace);
    let port = service.port.unwrap_or_default();
    let text = format!("{}.{namespace}.svc:{port}", service.name);
    let value = HeaderValue::try_from(text);
    value.map_err(|_| unsupported("backendRef.name", &service.name, "the name of a Service"))
}

fn by_request(http: &ExternalAuthHttp) -> Result<AuthorizationProtocol, Problem> {
    let path = http.path.as_deref().unwrap_or_default();
    let is_path = path.is_empty() || path.starts_with('/') && PathAndQuery::try_from(path).is_ok();
    if !is_path || path.contains('?') {
        return Err(unsupported("http.path", path, "a path"));
    }
    let allowed = &http.allowed_response_headers;
    let response_fields = (!allowed.is_empty()).then(|| names(allowed)).transpose()?;
    Ok(AuthorizationProtocol::Http {
        path: path.trim_end_matches('/').into(),
        request_fields: names(&http.allowed_headers)?,
        response_fields,
    })
}

fn names(list: &[String]) -> Result<Arc<[HeaderName]>, Problem> {
    let names = list.iter().map(|name| {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        parsed.map_err(|_| unsupported("allowedHeaders", name, "the name of a header field"))
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
