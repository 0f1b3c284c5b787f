//! From a request to its answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use headgate_compile::Review;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use k8s_openapi::api::networking::v1::Ingress;

use super::body::{Memory, Refused};
use super::judge::{Judge, Unavailable};
use super::message::{Answer, NoQuestion, Question, Subject};
use super::metrics::{Reviewed, WebhookMetrics};

/// Where Ingresses are reviewed.
const PATH: &str = "/networking/v1/ingresses";
/// Bound on a verdict. The API server waits 10 s by default, and should hear why there is none.
const VERDICT_TIME: Duration = Duration::from_secs(8);
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Answers requests of all connections.
#[derive(Debug)]
pub(super) struct Answerer<J> {
    pub(super) judge: J,
    pub(super) memory: Memory,
    pub(super) metrics: Arc<WebhookMetrics>,
    /// Whether each response is the last of its connection.
    pub(super) leaving: Arc<AtomicBool>,
}

/// Why a request gets no AdmissionReview back.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("there is nothing here; Ingresses are reviewed at {PATH}")]
    WrongPath,
    #[error("only POST")]
    WrongMethod,
    #[error("the body is larger than any review")]
    TooLarge,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("too many large reviews at once")]
    NoMemory,
    #[error("the body ended early or its framing is wrong")]
    Broken,
    #[error("{0}")]
    NoQuestion(#[from] NoQuestion),
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    #[error("there was no verdict in time")]
    NoVerdict,
    #[error("the review failed")]
    Panicked,
}

impl<J: Judge> Answerer<J> {
    /// The answer to `request`.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let mut response = self.reviewed(request).await.unwrap_or_else(|failure| {
            match failure.status() {
                StatusCode::INTERNAL_SERVER_ERROR => {
                    tracing::warn!(error = %failure, "an admission review was not answered");
                }
                status => tracing::debug!(%status, error = %failure, "no admission review"),
            }
            failure.response()
        });
        if self.leaving.load(Ordering::Relaxed) {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }

    async fn reviewed(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
        let start = Instant::now();
        if request.uri().path() != PATH {
            return Err(Failure::WrongPath);
        }
        if request.method() != Method::POST {
            return Err(Failure::WrongMethod);
        }
        let body = self.memory.read(request.into_body()).await?;
        let (size, question) = (body.bytes.len(), Question::read(&body.bytes)?);
        // The text goes, and its place stays taken: what was read from it needs as much.
        drop(body.bytes);
        let place = body.place;
        let Question { uid, subject } = question;
        let (denied, warnings) = match subject {
            Subject::Nothing => (None, Vec::new()),
            Subject::Unreadable(reason) => (Some(reason), Vec::new()),
            Subject::Ingress(ingress) if ingress.metadata.deletion_timestamp.is_some() => {
                (None, Vec::new())
            }
            Subject::Ingress(ingress) => {
                let review = self.judged(*ingress, start, size).await?;
                (review.denied, review.warnings)
            }
        };
        drop(place);
        let answer = Answer::new(&uid, denied.as_deref(), &warnings);
        let json = serde_json::to_vec(&answer).map_err(|_| Failure::Panicked)?;
        let mut response = Response::new(Full::from(json));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        Ok(response)
    }

    async fn judged(
        &self,
        ingress: Ingress,
        start: Instant,
        size: usize,
    ) -> Result<Review, Failure> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (namespace, name) = (
            text(&ingress.metadata.namespace),
            text(&ingress.metadata.name),
        );
        let asked = Instant::now();
        let verdict = AssertUnwindSafe(self.judge.review(ingress)).catch_unwind();
        let review = tokio::time::timeout(VERDICT_TIME, verdict)
            .await
            .map_err(|_| Failure::NoVerdict)?
            .map_err(|_| Failure::Panicked)??;
        if let Some(reason) = &review.denied {
            tracing::info!(%namespace, %name, %reason, "an Ingress was denied");
        }
        self.metrics.reviewed(&Reviewed {
            namespace: &namespace,
            name: &name,
            review: &review,
            judged: asked.elapsed(),
            roundtrip: start.elapsed(),
            size,
        });
        Ok(review)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooLarge => Self::TooLarge,
            Refused::TooSlow => Self::TooSlow,
            Refused::NoMemory => Self::NoMemory,
            Refused::Broken => Self::Broken,
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
            Self::Broken | Self::NoQuestion(NoQuestion::Undecodable(_)) => StatusCode::BAD_REQUEST,
            Self::NoQuestion(NoQuestion::Unsupported)
            | Self::Unavailable(_)
            | Self::NoVerdict
            | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the body, or a part of it, may still be under way.
    fn leaves_a_body(&self) -> bool {
        match self {
            Self::WrongPath
            | Self::WrongMethod
            | Self::TooLarge
            | Self::TooSlow
            | Self::NoMemory
            | Self::Broken => true,
            Self::NoQuestion(_) | Self::Unavailable(_) | Self::NoVerdict | Self::Panicked => false,
        }
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(format!("{self}\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        if self.leaves_a_body() {
            headers.insert(CONNECTION, CLOSE);
        }
        if matches!(self, Self::WrongMethod) {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}
