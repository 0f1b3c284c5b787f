//! Heads of requests to endpoints: version, framing, and what differs between HTTP/1 and HTTP/2.

use headgate_table::ConnectionHeader;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

use super::options::{CallOptions, Protocol, Security};
use super::payload::Length;
use super::request_body::RequestBody;
use crate::trace::{AttemptSpan, RequestSpan};

/// A request without its body: what is sent again with the next attempt.
#[derive(Clone)]
pub(super) struct RequestHead {
    pub(super) method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
}

impl RequestHead {
    /// The head for a body of `length`. `kept`: the connection may be kept after the response.
    pub(super) fn new(
        parts: http::request::Parts,
        length: Length,
        options: &CallOptions<'_>,
        kept: bool,
    ) -> Self {
        let mut head = Self {
            method: parts.method,
            uri: parts.uri,
            version: Version::HTTP_11,
            headers: parts.headers,
        };
        head.frame(length, options.is_http2());
        if options.fastcgi.is_some() {
            head.for_fastcgi();
        } else if options.is_http2() {
            head.for_http2(matches!(options.security, Security::Tls(_)));
        } else {
            head.for_http1(options, kept);
        }
        head
    }

    /// The head as HTTP/1 writes it.
    pub(super) fn for_wire(&self) -> headgate_http1::RequestHead<'_> {
        headgate_http1::RequestHead {
            method: &self.method,
            target: &self.uri,
            version: self.version,
            headers: &self.headers,
        }
    }

    /// The request for one attempt over HTTP/2.
    pub(super) fn request(self, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers;
        request
    }

    /// Undoes [`RequestHead::request`] for a request that was not sent.
    pub(super) fn recover(request: Request<RequestBody>) -> (Self, RequestBody) {
        let (parts, body) = request.into_parts();
        (
            Self {
                method: parts.method,
                uri: parts.uri,
                version: parts.version,
                headers: parts.headers,
            },
            body,
        )
    }

    /// A span for the next attempt, as part of `span`, after `resends` attempts; its id is in the head.
    pub(super) fn begin_span(
        &mut self,
        span: &RequestSpan,
        (tls, http2): (bool, bool),
        resends: u32,
    ) -> AttemptSpan {
        let (method, uri) = (self.method.clone(), self.uri.clone());
        let own = AttemptSpan::new(method, uri, (tls, http2), resends);
        span.inject_attempt(own.id, &mut self.headers);
        own
    }

    /// Exactly one framing field, in canonical digits; that of the client is not forwarded.
    fn frame(&mut self, length: Length, http2: bool) {
        self.headers.remove(TRANSFER_ENCODING);
        match length {
            // Without a body the field is redundant, but if the client sent it, the endpoint gets it.
            Length::None if self.headers.contains_key(CONTENT_LENGTH) => self.content_length(0),
            Length::None => {}
            Length::Exact(length) => self.content_length(length),
            Length::Unknown => {
                self.headers.remove(CONTENT_LENGTH);
                if !http2 {
                    self.headers
                        .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
            }
        }
    }

    fn content_length(&mut self, length: u64) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(length);
        if self
            .headers
            .get(CONTENT_LENGTH)
            .is_none_or(|value| value != digits)
        {
            self.headers
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
    }

    /// Only the framing of the body is left of the fields: the parameters have the rest.
    fn for_fastcgi(&mut self) {
        let length = self.headers.remove(CONTENT_LENGTH);
        self.headers.clear();
        self.headers
            .extend(length.map(|length| (CONTENT_LENGTH, length)));
    }

    fn for_http1(&mut self, options: &CallOptions<'_>, kept: bool) {
        let old = options.protocol == Protocol::Http10;
        if old {
            self.version = Version::HTTP_10;
        }
        match options.connection_header {
            Some(ConnectionHeader::Close) => self.connection("close"),
            Some(ConnectionHeader::KeepAlive) => self.connection("keep-alive"),
            // HTTP/1.0 closes without being told.
            None if !kept && !options.upgrade && !old => self.connection("close"),
            None => {}
        }
    }

    fn connection(&mut self, value: &'static str) {
        self.headers
            .insert(CONNECTION, HeaderValue::from_static(value));
    }

    /// The authority moves from `Host` into the target (RFC 9113 section 8.3.1).
    fn for_http2(&mut self, tls: bool) {
        self.version = Version::HTTP_2;
        let host = self.headers.remove(HOST);
        self.headers.remove(CONNECTION);
        let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let mut target = std::mem::take(&mut self.uri).into_parts();
        target.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
        target.authority = authority.or_else(|| Some(Authority::from_static("_")));
        target
            .path_and_query
            .get_or_insert_with(|| PathAndQuery::from_static("/"));
        // Only a missing part would be an error, and all three are there.
        self.uri = Uri::from_parts(target).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn head(
        request: http::request::Builder,
        length: Length,
        options: &CallOptions<'_>,
        kept: bool,
    ) -> RequestHead {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        RequestHead::new(parts, length, options, kept)
    }

    #[test]
    fn one_canonical_framing_field() {
        let options = CallOptions::default();
        let request = || {
            Request::post("/")
                .header("host", "a")
                .header("content-length", "0005")
        };
        let framed = |length| head(request(), length, &options, true).headers;
        assert_eq!(framed(Length::Exact(5))[CONTENT_LENGTH], "5");
        assert_eq!(framed(Length::None)[CONTENT_LENGTH], "0");
        let chunked = framed(Length::Unknown);
        assert_eq!(chunked[TRANSFER_ENCODING], "chunked");
        assert!(!chunked.contains_key(CONTENT_LENGTH));
        let both = request().header("transfer-encoding", "gzip");
        let both = head(both, Length::Exact(5), &options, true);
        assert!(!both.headers.contains_key(TRANSFER_ENCODING));
    }

    #[test]
    fn versions_and_connection() {
        let options = CallOptions::default();
        let request = || Request::get("/x").header("host", "a");
        let plain = head(request(), Length::None, &options, true);
        assert_eq!(
            (plain.version, plain.headers.get(CONNECTION)),
            (Version::HTTP_11, None)
        );
        let unkept = head(request(), Length::None, &options, false);
        assert_eq!(unkept.headers[CONNECTION], "close");
        for header in [Some(ConnectionHeader::KeepAlive), None] {
            let old = CallOptions {
                protocol: Protocol::Http10,
                connection_header: header,
                ..options
            };
            let old = head(request(), Length::None, &old, false);
            let sent = header.map(|_| HeaderValue::from_static("keep-alive"));
            assert_eq!(
                (old.version, old.headers.get(CONNECTION)),
                (Version::HTTP_10, sent.as_ref())
            );
        }
    }

    #[test]
    fn http2_carries_the_host_as_authority() {
        let request = Request::post("/svc/Call?x=1")
            .header("host", "grpc.example:8443")
            .header("te", "trailers");
        let options = CallOptions {
            protocol: Protocol::Http2,
            security: Security::Tls(None),
            ..CallOptions::default()
        };
        let head = head(request, Length::Unknown, &options, true);
        assert_eq!(head.uri, "https://grpc.example:8443/svc/Call?x=1");
        assert!(!head.headers.contains_key(HOST) && !head.headers.contains_key(TRANSFER_ENCODING));
        assert_eq!(head.headers["te"], "trailers");
    }

    /// A head of any fields, one a line after length, method and target, is one request to another parser, and has at most
    /// one framing field.
    fn is_one_request(bytes: &[u8]) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let (length, method, target) = (lines.next(), lines.next(), lines.next());
        let length = match length {
            Some(b"chunked") => Length::Unknown,
            Some(b"") | None => Length::None,
            Some(digits) => Length::Exact(digits.len() as u64),
        };
        let mut request = Request::builder();
        request = request.method(method.unwrap_or_default());
        request = request.uri(target.unwrap_or_default());
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.unwrap_or(line.len()));
            let name = http::HeaderName::from_bytes(name);
            let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
            if let (Ok(name), Ok(value)) = (name, value) {
                request = request.header(name, value);
            }
        }
        let Ok(request) = request.body(()) else {
            return;
        };
        let (mut parts, ()) = request.into_parts();
        if parts.uri.path_and_query().is_none() {
            return;
        }
        parts.headers.remove(CONNECTION);
        let head = RequestHead::new(parts, length, &CallOptions::default(), true);
        let target = head.uri.path_and_query().unwrap();
        let mut text = format!("{} {target} HTTP/1.1\r\n", head.method).into_bytes();
        for (name, value) in &head.headers {
            text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        text.extend(b"\r\nrest");
        let mut fields = vec![httparse::EMPTY_HEADER; head.headers.len() + 1];
        let mut read = httparse::Request::new(&mut fields);
        let end = read.parse(&text).unwrap();
        assert_eq!(end, httparse::Status::Complete(text.len() - 4));
        assert_eq!(read.headers.len(), head.headers.len());
        let framing = [CONTENT_LENGTH, TRANSFER_ENCODING];
        let framing = framing.iter().flat_map(|name| head.headers.get_all(name));
        assert!(framing.count() <= 1);
    }

    #[test]
    fn fuzz_request_head() {
        headgate_fuzz::check("request-head", is_one_request);
    }
}
