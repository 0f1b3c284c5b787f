//! Handles requests: from an HTTP request to its response.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use headgate_compile::{Name, Review, Reviewed};
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::body::{BodyError, Memory};
use super::message::{InvalidReview, ReviewRequest, ReviewResponse, Subject};
use super::metrics::{self, WebhookMetrics};
use super::validator::{Unavailable, Validator};

/// Where Ingresses are reviewed, as in ingress-nginx.
const PATH: &str = "/networking/v1/ingresses";
/// Where objects of the Gateway API and HeadgatePolicies are.
const GATEWAY_PATH: &str = "/gateway-api";
/// Timeout of the validator. Less than the API server's default of 10 s, which then receives the reason.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(8);
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Handles the requests of all connections.
#[derive(Debug)]
pub(super) struct Handler<V> {
    pub(super) validator: V,
    pub(super) memory: Memory,
    pub(super) metrics: Arc<WebhookMetrics>,
    /// Whether each response closes its connection.
    pub(super) draining: Arc<AtomicBool>,
}

/// Why the response is not an AdmissionReview.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(
        "no such path; Ingresses are reviewed at {PATH}, objects of the Gateway API at {GATEWAY_PATH}"
    )]
    WrongPath,
    #[error("method not allowed; only POST is")]
    WrongMethod,
    #[error("the request body is too large")]
    TooLarge,
    #[error("the request body did not arrive in time")]
    TooSlow,
    #[error("too many large requests at once")]
    NoMemory,
    #[error("the request body ended early or has invalid framing")]
    Broken,
    #[error("{0}")]
    InvalidReview(#[from] InvalidReview),
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    #[error("the review timed out")]
    TimedOut,
    #[error("the review failed")]
    Panicked,
}

impl<V: Validator> Handler<V> {
    pub(super) async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let mut response = self.review(request).await.unwrap_or_else(|failure| {
            match failure.status() {
                StatusCode::INTERNAL_SERVER_ERROR => {
                    tracing::warn!(error = %failure, "admission review failed");
                }
                status => tracing::debug!(%status, error = %failure, "admission request refused"),
            }
            failure.response()
        });
        if self.draining.load(Ordering::Relaxed) {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }

    async fn review(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
        let start = Instant::now();
        if ![PATH, GATEWAY_PATH].contains(&request.uri().path()) {
            return Err(Failure::WrongPath);
        }
        if request.method() != Method::POST {
            return Err(Failure::WrongMethod);
        }
        let body = self.memory.read(request.into_body()).await?;
        let (size, request) = (body.bytes.len(), ReviewRequest::read(&body.bytes)?);
        // The permit outlives the bytes: the decoded object takes as much memory.
        drop(body.bytes);
        let permit = body.permit;
        let ReviewRequest { uid, subject } = request;
        let (denied, warnings) = match subject {
            Subject::Unreviewed => (None, Vec::new()),
            Subject::Invalid(reason) => (Some(reason), Vec::new()),
            Subject::Object(object) => {
                let review = self.validate(object, start, size).await?;
                (review.denied, review.warnings)
            }
        };
        drop(permit);
        let response = ReviewResponse::new(&uid, denied.as_deref(), &warnings);
        let json = serde_json::to_vec(&response).map_err(|_| Failure::Panicked)?;
        let mut response = Response::new(Full::from(json));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }

    async fn validate(
        &self,
        object: Reviewed,
        start: Instant,
        size: usize,
    ) -> Result<Review, Failure> {
        let Name { namespace, name } = object.name();
        let kind = object.kind();
        let begin = Instant::now();
        let review = AssertUnwindSafe(self.validator.review(object)).catch_unwind();
        let review = tokio::time::timeout(REVIEW_TIMEOUT, review)
            .await
            .map_err(|_| Failure::TimedOut)?
            .map_err(|_| Failure::Panicked)??;
        if let Some(reason) = &review.denied {
            tracing::info!(kind, %namespace, %name, %reason, "denied an object");
        }
        self.metrics.reviewed(&metrics::Reviewed {
            namespace: &namespace,
            name: &name,
            review: &review,
            validation: begin.elapsed(),
            roundtrip: start.elapsed(),
            size,
        });
        Ok(review)
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::TooLarge,
            BodyError::TooSlow => Self::TooSlow,
            BodyError::NoMemory => Self::NoMemory,
            BodyError::Broken => Self::Broken,
        }
    }
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::WrongPath => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoMemory => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken | Self::InvalidReview(InvalidReview::Undecodable(_)) => {
                StatusCode::BAD_REQUEST
            }
            Self::InvalidReview(InvalidReview::Unsupported)
            | Self::Unavailable(_)
            | Self::TimedOut
            | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether a part of the request body may be unread, so that the connection must close.
    fn has_unread_body(&self) -> bool {
        match self {
            Self::WrongPath
            | Self::WrongMethod
            | Self::TooLarge
            | Self::TooSlow
            | Self::NoMemory
            | Self::Broken => true,
            Self::InvalidReview(_) | Self::Unavailable(_) | Self::TimedOut | Self::Panicked => {
                false
            }
        }
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(format!("{self}\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        if self.has_unread_body() {
            headers.insert(CONNECTION, CLOSE);
        }
        if matches!(self, Self::WrongMethod) {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}
