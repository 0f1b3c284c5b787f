//! Asks by a request like the one that it is about.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, SERVER,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};

use super::{FieldChanges, Reply, Verdict, fields, hop_by_hop, is_reserved};
use crate::pipeline::field_changes::Change;
use crate::request::Context;
use crate::upstream::CallError;

/// Fields that are about a response, not about the request that it allows.
const OF_RESPONSE: [HeaderName; 5] = [CONTENT_TYPE, CONTENT_ENCODING, DATE, SERVER, CONTENT_LENGTH];

/// The head of the request, with `path` before that of the client and some of its fields.
pub(super) fn head(
    context: &Context<'_>,
    path: &str,
    names: &[HeaderName],
) -> Result<Parts, CallError> {
    let target = context.parsed.target;
    let all = fields(context);
    let mut headers = HeaderMap::new();
    for name in [AUTHORIZATION].iter().chain(names) {
        for value in all.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    let host = target.host.clone();
    let host = host.unwrap_or_else(|| HeaderValue::from_static(""));
    headers.insert(HOST, host);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    if let Some(span) = &context.span {
        span.inject(&mut headers);
    }
    let path = format!("{path}{}", context.raw_target());
    // Text of the client that cannot be part of a path fails the request.
    let path = PathAndQuery::try_from(path).map_err(|_| CallError::InvalidResponse)?;
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = target.method.clone();
    head.uri = Uri::from(path);
    head.headers = headers;
    Ok(head)
}

/// Status 200 allows a request, with these fields of the response; `None`: all that are not about the response itself.
pub(super) fn verdict(reply: Reply, response_fields: Option<&[HeaderName]>) -> Verdict {
    let Reply {
        status,
        mut headers,
        body,
        ..
    } = reply;
    hop_by_hop::remove(&mut headers);
    if status == StatusCode::OK {
        return Verdict::Allowed {
            request: granted(&headers, response_fields),
            response: FieldChanges::default(),
        };
    }
    headers.remove(CONTENT_LENGTH);
    headers.remove(http::header::TRAILER);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Verdict::Refused(response)
}

/// The fields for the endpoint. One that is listed and that the response lacks is removed, so that a client cannot send it.
fn granted(headers: &HeaderMap, names: Option<&[HeaderName]>) -> FieldChanges {
    let names: Vec<HeaderName> = match names {
        Some(names) => names.to_vec(),
        None => {
            let about = |name: &&HeaderName| !OF_RESPONSE.contains(name) && !is_reserved(name);
            headers.keys().filter(about).cloned().collect()
        }
    };
    let changes = names.into_iter().map(|name| {
        let value = headers.get(&name).cloned();
        (name, value.map_or(Change::Remove, Change::Set))
    });
    FieldChanges(changes.collect())
}
