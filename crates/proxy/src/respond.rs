//! Responses that the proxy generates: nginx's small pages, redirects, and the statuses of failures.

use bytes::Bytes;
use headgate_table::Settings;
use http::header::{CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER, SERVER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use crate::body::Body;
use crate::limit::Limit;
use crate::request::Malformed;
use crate::upstream::{CallError, Fault, RequestBodyError};

/// Name in `Server` and at the foot of pages: that of ingress-nginx, because monitoring relies on it.
const SERVER_NAME: &str = "nginx";

/// Marks a response that is not sent: the connection, or the stream of HTTP/2, is closed instead (nginx's 444).
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("closed without a response")]
pub(crate) struct Unanswered;

/// A response that the proxy generates.
#[derive(Debug)]
pub(crate) enum LocalResponse {
    /// The page of a status.
    Page(StatusCode),
    /// The page of a status, after which an HTTP/1 connection is closed: what follows may be part of the request's body.
    PageAndClose(StatusCode),
    Redirect {
        /// 3xx
        status: StatusCode,
        /// `Location`
        location: HeaderValue,
    },
    /// The page of 401.
    Unauthorized {
        /// `WWW-Authenticate`
        challenge: HeaderValue,
    },
    /// The page of 503 for a Service with too many requests: the client may try again in a second.
    Overloaded,
    /// The page of status 400 for what is wrong with the client's certificate, after which an HTTP/1 connection is closed.
    Certificate(&'static str),
    /// A status with this text.
    Text(StatusCode, &'static str),
    /// A status with a body that configuration sets.
    Fixed(Box<FixedText>),
    /// The response of a service that does not allow the request.
    Relayed(Box<Response<Bytes>>),
    /// The connection is closed without a response.
    Close,
    /// The response to a CORS preflight; its fields are those of every response of the route.
    Preflight,
    /// The health path.
    Healthy,
    /// The page of connection counters.
    Counters(String),
}

/// A body that configuration sets.
#[derive(Debug)]
pub(crate) struct FixedText {
    pub(crate) status: StatusCode,
    /// `Content-Type`
    pub(crate) media_type: HeaderValue,
    pub(crate) body: Bytes,
}

impl LocalResponse {
    /// The status of an error, and the reason if the step that responds gave none.
    pub(crate) fn error(&self) -> Option<Fault> {
        let detailed = |reason, detail: &'static str| {
            Some(Fault {
                reason,
                detail: detail.into(),
            })
        };
        let status = match self {
            Self::Page(status) | Self::PageAndClose(status) => status,
            Self::Certificate(why) => return detailed("client-certificate", why),
            Self::Text(StatusCode::FORBIDDEN, why) => return detailed("forbidden", why),
            Self::Unauthorized { .. } => &StatusCode::UNAUTHORIZED,
            Self::Overloaded => &StatusCode::SERVICE_UNAVAILABLE,
            Self::Relayed(response) => return of_status(response.status()),
            _ => return None,
        };
        of_status(*status)
    }

    /// The status if an error page may replace the response. Where the connection closes, the rest of the request is unknown.
    pub(crate) fn replaceable(&self) -> Option<StatusCode> {
        match self {
            Self::Page(status) | Self::Redirect { status, .. } => Some(*status),
            Self::Unauthorized { .. } => Some(StatusCode::UNAUTHORIZED),
            Self::Overloaded => Some(StatusCode::SERVICE_UNAVAILABLE),
            Self::PageAndClose(_)
            | Self::Certificate(_)
            | Self::Text(..)
            | Self::Fixed(_)
            | Self::Relayed(_)
            | Self::Close
            | Self::Preflight
            | Self::Healthy
            | Self::Counters(_) => None,
        }
    }

    /// The response to a request of `version`.
    pub(crate) fn response(self, settings: &Settings, version: Version) -> Response<Body> {
        match self {
            Self::Page(status) => page(status, settings),
            Self::PageAndClose(status) => closing(page(status, settings), version),
            Self::Certificate(reason) => closing(certificate_page(reason, settings), version),
            Self::Text(status, text) => {
                let mut response = bare(status, settings);
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                *response.body_mut() = Body::full(text);
                response
            }
            Self::Redirect { status, location } => {
                let mut response = page(status, settings);
                response.headers_mut().insert(LOCATION, location);
                response
            }
            Self::Unauthorized { challenge } => {
                let mut response = page(StatusCode::UNAUTHORIZED, settings);
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                response
            }
            Self::Overloaded => {
                let mut response = page(StatusCode::SERVICE_UNAVAILABLE, settings);
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Self::Fixed(fixed) => {
                let FixedText {
                    status,
                    media_type,
                    body,
                } = *fixed;
                let mut response = bare(status, settings);
                if !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
                    response.headers_mut().insert(CONTENT_TYPE, media_type);
                    *response.body_mut() = Body::full(body);
                }
                response
            }
            Self::Relayed(response) => response.map(Body::full),
            Self::Close => {
                let status = StatusCode::from_u16(444).unwrap_or(StatusCode::BAD_REQUEST);
                let mut response = bare(status, settings);
                response.extensions_mut().insert(Unanswered);
                response
            }
            Self::Preflight => bare(StatusCode::NO_CONTENT, settings),
            Self::Healthy => {
                let mut response = bare(StatusCode::OK, settings);
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, settings.default_type.clone());
                response
            }
            Self::Counters(text) => {
                let mut response = bare(StatusCode::OK, settings);
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
                *response.body_mut() = Body::full(text);
                response
            }
        }
    }
}

/// What is known of an error by its status.
fn of_status(status: StatusCode) -> Option<Fault> {
    let reason = match status.as_u16() {
        400 => "malformed-request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not-found",
        421 => "misdirected",
        429 => "limited",
        502 => "bad-gateway",
        503 => "unavailable",
        504 => "timeout",
        code if code >= 500 => "internal",
        code if code >= 400 => "refused",
        _ => return None,
    };
    Some(Fault::new(reason))
}

/// After a malformed request the connection cannot be trusted: what follows a refused CONNECT, for example, is not HTTP.
impl From<Malformed> for LocalResponse {
    fn from(malformed: Malformed) -> Self {
        Self::PageAndClose(malformed.status())
    }
}

/// `response`, the last one of an HTTP/1 connection.
fn closing(mut response: Response<Body>, version: Version) -> Response<Body> {
    if version <= Version::HTTP_11 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// nginx's page for a missing or unusable client certificate.
fn certificate_page(reason: &str, settings: &Settings) -> Response<Body> {
    let mut response = bare(StatusCode::BAD_REQUEST, settings);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    *response.body_mut() = Body::full(format!(
        "<html>\r\n<head><title>400 {reason}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n\
         <center>{reason}</center>\r\n<hr><center>{SERVER_NAME}</center>\r\n</body>\r\n</html>\r\n"
    ));
    response
}

/// nginx's small page for `status`: `text/html`, with `Server` if settings show it. The body is empty for a status that
/// nginx has no page for.
pub(crate) fn page(status: StatusCode, settings: &Settings) -> Response<Body> {
    let mut response = bare(status, settings);
    if let Some(reason) = reason(status) {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        *response.body_mut() = Body::full(html(status, reason));
    }
    response
}

fn bare(status: StatusCode, settings: &Settings) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Some(phrase) = phrase(status) {
        response
            .extensions_mut()
            .insert(ReasonPhrase::from_static(phrase));
    }
    if settings.server_tokens {
        response
            .headers_mut()
            .insert(SERVER, HeaderValue::from_static(SERVER_NAME));
    }
    response
}

fn html(status: StatusCode, reason: &str) -> String {
    let title = format_args!("{} {reason}", status.as_str());
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>{SERVER_NAME}</center>\r\n</body>\r\n</html>\r\n"
    )
}

/// The title of nginx's page for `status`, without the number.
fn reason(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        200..300 | 300 | 304..307 => None,
        302 => Some("Found"),
        401 => Some("Authorization Required"),
        _ => phrase(status).map_or_else(
            || status.canonical_reason(),
            |phrase| std::str::from_utf8(phrase).ok(),
        ),
    }
}

/// nginx's reason phrase, where it differs from that of RFC 9110.
fn phrase(status: StatusCode) -> Option<&'static [u8]> {
    Some(match status.as_u16() {
        302 => b"Moved Temporarily",
        405 => b"Not Allowed",
        408 => b"Request Time-out",
        413 => b"Request Entity Too Large",
        414 => b"Request-URI Too Large",
        416 => b"Requested Range Not Satisfiable",
        503 => b"Service Temporarily Unavailable",
        504 => b"Gateway Time-out",
        _ => return None,
    })
}

/// The outcome of a failure to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Status of the response; 499 if the client closed the connection.
    pub(crate) status: StatusCode,
    /// The connection must be closed.
    pub(crate) close: bool,
    /// The limit that refused the request.
    pub(crate) limit: Option<Limit>,
}

impl From<CallError> for Failure {
    /// The one place where failures to forward become statuses.
    fn from(error: CallError) -> Self {
        let failure = |status| Self {
            status,
            close: false,
            limit: None,
        };
        match error {
            CallError::NoEndpoints => failure(StatusCode::SERVICE_UNAVAILABLE),
            CallError::Overloaded(bound) => Self {
                limit: Some(bound.limit()),
                ..failure(StatusCode::SERVICE_UNAVAILABLE)
            },
            CallError::Connect
            | CallError::Broken
            | CallError::HeadTooLarge
            | CallError::InvalidResponse => failure(StatusCode::BAD_GATEWAY),
            CallError::ConnectTimeout | CallError::SendTimeout | CallError::ReadTimeout => {
                failure(StatusCode::GATEWAY_TIMEOUT)
            }
            CallError::RequestBody(RequestBodyError::TooLarge) => Self {
                limit: Some(Limit::BodySize),
                ..failure(StatusCode::PAYLOAD_TOO_LARGE)
            },
            CallError::RequestBody(RequestBodyError::Timeout) => Self {
                status: StatusCode::REQUEST_TIMEOUT,
                close: true,
                limit: Some(Limit::BodyTimeout),
            },
            CallError::RequestBody(RequestBodyError::TooSlow) => Self {
                status: StatusCode::REQUEST_TIMEOUT,
                close: true,
                limit: Some(Limit::BodyRate),
            },
            CallError::RequestBody(RequestBodyError::NoSpace) => Self {
                limit: Some(Limit::BodySpool),
                ..failure(StatusCode::SERVICE_UNAVAILABLE)
            },
            CallError::RequestBody(RequestBodyError::Malformed) => Self {
                close: true,
                ..failure(StatusCode::BAD_REQUEST)
            },
            CallError::RequestBody(RequestBodyError::Gone) => Self {
                close: true,
                ..failure(client_closed_request())
            },
            CallError::RequestBody(RequestBodyError::Spool) => {
                failure(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// 499, nginx's status for a client that closed the connection. It is for logs and metrics only.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use CallError as E;
    use RequestBodyError as B;
    use http_body::Body as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn text(response: Response<Body>) -> String {
        let mut body = pin!(response.into_body());
        match body
            .as_mut()
            .poll_frame(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Some(Ok(frame))) => {
                String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
            }
            Poll::Ready(None) => String::new(),
            _ => panic!("a page is ready at once"),
        }
    }

    #[test]
    fn pages_are_those_of_nginx() {
        let response = page(StatusCode::NOT_FOUND, &Settings::default());
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "text/html");
        assert!(!response.headers().contains_key(SERVER));
        assert_eq!(
            text(response),
            "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n\
             <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        for (status, words) in [
            (503, "503 Service Temporarily Unavailable"),
            (504, "504 Gateway Time-out"),
            (308, "308 Permanent Redirect"),
            (302, "302 Found"),
            (429, "429 Too Many Requests"),
            (431, "431 Request Header Fields Too Large"),
        ] {
            let page = text(page(
                StatusCode::from_u16(status).unwrap(),
                &Settings::default(),
            ));
            assert!(page.contains(&format!("<h1>{words}</h1>")), "{page}");
        }
        assert_eq!(
            text(page(
                StatusCode::from_u16(444).unwrap(),
                &Settings::default()
            )),
            ""
        );
        assert_eq!(text(page(StatusCode::NO_CONTENT, &Settings::default())), "");
    }

    #[test]
    fn reason_phrases_are_those_of_nginx() {
        let phrase = |status| {
            let page = page(StatusCode::from_u16(status).unwrap(), &Settings::default());
            let phrase = page.extensions().get::<ReasonPhrase>();
            phrase.map(|phrase| String::from_utf8(phrase.as_bytes().to_vec()).unwrap())
        };
        for (status, words) in [
            (302, "Moved Temporarily"),
            (405, "Not Allowed"),
            (408, "Request Time-out"),
            (413, "Request Entity Too Large"),
            (414, "Request-URI Too Large"),
            (416, "Requested Range Not Satisfiable"),
            (503, "Service Temporarily Unavailable"),
            (504, "Gateway Time-out"),
        ] {
            assert_eq!(phrase(status).as_deref(), Some(words));
        }
        for canonical in [200, 301, 308, 400, 401, 403, 404, 429, 431, 500, 502] {
            assert_eq!(phrase(canonical), None, "{canonical}");
        }
    }

    #[test]
    fn the_server_is_named_where_settings_show_it() {
        let settings = Settings {
            server_tokens: true,
            ..Settings::default()
        };
        assert_eq!(
            page(StatusCode::NOT_FOUND, &settings)
                .headers()
                .get(SERVER)
                .unwrap(),
            "nginx"
        );
    }

    #[test]
    fn local_responses() {
        let settings = Settings::default();
        let close = LocalResponse::PageAndClose(StatusCode::BAD_REQUEST);
        assert_eq!(
            close
                .response(&settings, Version::HTTP_11)
                .headers()
                .get(CONNECTION)
                .unwrap(),
            "close"
        );
        let close = LocalResponse::PageAndClose(StatusCode::BAD_REQUEST);
        assert!(
            !close
                .response(&settings, Version::HTTP_2)
                .headers()
                .contains_key(CONNECTION)
        );

        let location = HeaderValue::from_static("https://a/");
        let redirect = LocalResponse::Redirect {
            status: StatusCode::PERMANENT_REDIRECT,
            location,
        }
        .response(&settings, Version::HTTP_11);
        assert_eq!(
            (
                redirect.status().as_u16(),
                redirect.headers().get(LOCATION).unwrap().to_str().unwrap()
            ),
            (308, "https://a/")
        );

        let challenge = HeaderValue::from_static("Basic realm=\"a\"");
        let unauthorized =
            LocalResponse::Unauthorized { challenge }.response(&settings, Version::HTTP_11);
        assert_eq!(unauthorized.status(), 401);
        assert_eq!(
            unauthorized.headers().get(WWW_AUTHENTICATE).unwrap(),
            "Basic realm=\"a\""
        );
        assert!(text(unauthorized).contains("<h1>401 Authorization Required</h1>"));

        let preflight = LocalResponse::Preflight.response(&settings, Version::HTTP_11);
        assert_eq!(preflight.status(), 204);
        assert!(preflight.headers().is_empty());
        assert_eq!(
            LocalResponse::Healthy
                .response(&settings, Version::HTTP_11)
                .status(),
            200
        );
    }

    #[test]
    fn failures_map_to_status_close_and_limit() {
        for (error, status, close, limit) in [
            (E::NoEndpoints, 503, false, None),
            (E::Connect, 502, false, None),
            (E::Broken, 502, false, None),
            (E::HeadTooLarge, 502, false, None),
            (E::InvalidResponse, 502, false, None),
            (E::ConnectTimeout, 504, false, None),
            (E::SendTimeout, 504, false, None),
            (E::ReadTimeout, 504, false, None),
            (
                E::RequestBody(B::TooLarge),
                413,
                false,
                Some(Limit::BodySize),
            ),
            (
                E::RequestBody(B::Timeout),
                408,
                true,
                Some(Limit::BodyTimeout),
            ),
            (E::RequestBody(B::TooSlow), 408, true, Some(Limit::BodyRate)),
            (
                E::RequestBody(B::NoSpace),
                503,
                false,
                Some(Limit::BodySpool),
            ),
            (E::RequestBody(B::Malformed), 400, true, None),
            (E::RequestBody(B::Gone), 499, true, None),
            (E::RequestBody(B::Spool), 500, false, None),
        ] {
            let failure = Failure::from(error);
            assert_eq!(
                (failure.status.as_u16(), failure.close, failure.limit),
                (status, close, limit),
                "{error:?}"
            );
        }
    }
}
