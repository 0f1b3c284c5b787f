//! Compression of responses (behaviour.md 5.8): which coding a client accepts, which responses get it, and the coded body.

mod accept;
mod encoder;
mod stream;

pub(crate) use self::stream::Compressed;

use headgate_table::{Coder, Coding, Compression};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use http_body::Body;

use self::accept::{accepts, user_agent_matches};
use crate::request::Context;

/// What the head of a request says about the compression of its response.
pub(crate) struct Offer<'t> {
    compression: &'t Compression,
    gzip: bool,
    brotli: bool,
    zstd: bool,
    /// The response has no body, but the head that it has for GET.
    head_only: bool,
}

impl<'t> Offer<'t> {
    /// The codings that the client accepts.
    pub(crate) fn of(head: &Parts, compression: &'t Compression) -> Self {
        let is_head = head.method == Method::HEAD;
        Self::new((&head.headers, head.version, is_head), compression)
    }

    /// The same for a request whose fields may have been edited.
    pub(crate) fn of_request(context: &Context<'_>, compression: &'t Compression) -> Self {
        let target = context.parsed.target;
        let is_head = target.method == Method::HEAD;
        Self::new((&context.headers, target.version, is_head), compression)
    }

    fn new(
        (headers, version, head_only): (&HeaderMap, Version, bool),
        compression: &'t Compression,
    ) -> Self {
        let accepts =
            |coding: Coding| version >= Version::HTTP_11 && accepts(headers, coding.name());
        let disabled = compression.gzip_disabled.as_ref();
        let disabled = disabled.is_some_and(|agents| user_agent_matches(headers, agents));
        Self {
            compression,
            gzip: !disabled && accepts(Coding::Gzip),
            brotli: accepts(Coding::Brotli),
            zstd: accepts(Coding::Zstd),
            head_only,
        }
    }

    /// Makes the head that of the response that the client gets, and returns how its body must be coded, if it must.
    pub(crate) fn edit<B: Body>(&self, response: &mut Response<B>) -> Option<&'t Coder> {
        let status = response.status();
        // The pages of the proxy have no field yet. The response to HEAD of an upstream has an empty body.
        let exact = || response.body().size_hint().exact();
        let known = |length: &u64| *length > 0 || !self.head_only;
        let length = length(response.headers()).or_else(|| exact().filter(known));
        let headers = response.headers_mut();
        if length == Some(0) || !is_eligible(status, headers) {
            return None;
        }
        let mut coders = self.coders_for(headers, length).peekable();
        coders.peek()?;
        let accepted = coders.find(|coder| self.accepted(coder.coding));
        drop(coders);
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
        let coder = accepted.filter(|_| !forbids_transformation(headers))?;
        announce(headers, coder.coding);
        (!self.head_only).then_some(coder)
    }

    fn accepted(&self, coding: Coding) -> bool {
        match coding {
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        }
    }

    /// The coders for a response of this type and length.
    fn coders_for<'h>(
        &self,
        headers: &'h HeaderMap,
        length: Option<u64>,
    ) -> impl Iterator<Item = &'t Coder> + use<'t, 'h> {
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let content_type = content_type.unwrap_or_default();
        let coders: &'t [Coder] = &self.compression.coders;
        coders.iter().filter(move |coder| {
            length.is_none_or(|length| length >= coder.min_length)
                && coder.types.contains(content_type)
        })
    }
}

/// Whether nginx's filters look at such a response at all. gRPC messages have a compression of their own.
fn is_eligible(status: StatusCode, headers: &HeaderMap) -> bool {
    let coded = headers.get(CONTENT_ENCODING);
    let grpc = headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .get(..16)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
    });
    matches!(
        status,
        StatusCode::OK | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
    ) && coded.is_none_or(HeaderValue::is_empty)
        && !grpc
}

/// `Content-Length`, which hyper has checked.
fn length(headers: &HeaderMap) -> Option<u64> {
    std::str::from_utf8(headers.get(CONTENT_LENGTH)?.as_bytes())
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// `Cache-Control: no-transform` (RFC 9110 section 7.7).
fn forbids_transformation(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut directives = value.as_bytes().split(|byte| *byte == b',');
        directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
    })
}

/// Makes the head that of the coded body: its length is unknown, no ranges of it are served, and its bytes are not those that
/// a strong ETag names.
fn announce(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    let Some(etag) = headers.get(ETAG).map(HeaderValue::as_bytes) else {
        return;
    };
    if etag.starts_with(b"W/") {
        return;
    }
    let weak = etag.starts_with(b"\"").then(|| [b"W/", etag].concat());
    match weak.and_then(|weak| HeaderValue::from_bytes(&weak).ok()) {
        Some(weak) => headers.insert(ETAG, weak),
        None => headers.remove(ETAG),
    };
}

#[cfg(test)]
mod tests;
