//! Layers of the client: the bearer token of a file, and the time within which a response must begin.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tower::{BoxError, Layer, Service};

/// A token is read anew after so long. The kubelet replaces it long before it ends.
const KEEP: Duration = Duration::from_secs(60);
/// After a rejection it is read anew, but not more often than this.
const AGAIN: Duration = Duration::from_secs(1);

type Answer<B> = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

/// A file that holds a bearer token, which others replace from time to time.
#[derive(Clone)]
pub(super) struct TokenFile {
    path: Arc<PathBuf>,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Marked as sensitive, so that it is printed nowhere.
    header: HeaderValue,
    read: Instant,
    rejected: bool,
}

impl TokenFile {
    /// Reads the file for the first time.
    pub(super) async fn open(path: PathBuf) -> std::io::Result<Self> {
        let header = read(path.clone()).await?;
        let state = State {
            header,
            read: Instant::now(),
            rejected: false,
        };
        Ok(Self {
            path: Arc::new(path),
            state: Arc::new(Mutex::new(state)),
        })
    }

    async fn header(&self) -> HeaderValue {
        {
            let mut state = self.state.lock();
            let age = state.read.elapsed();
            if age < AGAIN || (age < KEEP && !state.rejected) {
                return state.header.clone();
            }
            // Whoever comes while the file is being read takes the token as it was.
            state.read = Instant::now();
        }
        let read = read(PathBuf::clone(&self.path)).await;
        let mut state = self.state.lock();
        match read {
            Ok(header) => {
                state.header = header;
                state.rejected = false;
            }
            // The last one may be good still; some remove the file after the start.
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "the token cannot be read");
            }
        }
        state.header.clone()
    }

    fn rejected(&self) {
        self.state.lock().rejected = true;
    }
}

async fn read(path: PathBuf) -> std::io::Result<HeaderValue> {
    let text = tokio::fs::read_to_string(path).await?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", text.trim()))
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidData))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Adds the token of a file to every request.
#[derive(Clone)]
pub(super) struct TokenLayer(TokenFile);

impl TokenLayer {
    /// Of this file.
    pub(super) fn new(file: TokenFile) -> Self {
        Self(file)
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = WithToken<S>;

    fn layer(&self, inner: S) -> WithToken<S> {
        WithToken {
            inner,
            token: self.0.clone(),
        }
    }
}

/// See [`TokenLayer`].
#[derive(Clone)]
pub(super) struct WithToken<S> {
    inner: S,
    token: TokenFile,
}

impl<S, A, B> Service<Request<A>> for WithToken<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    A: Send + 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Answer<B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<A>) -> Answer<B> {
        // The one that was polled ready is the one to call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let token = self.token.clone();
        Box::pin(async move {
            let header = token.header().await;
            request.headers_mut().insert(AUTHORIZATION, header);
            let response = inner.call(request).await.map_err(Into::into)?;
            if response.status() == StatusCode::UNAUTHORIZED {
                token.rejected();
            }
            Ok(response)
        })
    }
}

/// Bounds the time to the head of a response, not to the end of its body.
#[derive(Clone)]
pub(super) struct AnswerWithin<S> {
    inner: S,
    time: Duration,
}

/// Nothing came within the time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs())]
struct NoAnswer(Duration);

impl<S> AnswerWithin<S> {
    /// Limits `inner`.
    pub(super) fn new(inner: S, time: Duration) -> Self {
        Self { inner, time }
    }
}

impl<S, A, B> Service<Request<A>> for AnswerWithin<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Answer<B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<A>) -> Answer<B> {
        let time = self.time;
        let answer = self.inner.call(request);
        Box::pin(async move {
            match timeout(time, answer).await {
                Ok(answer) => answer.map_err(Into::into),
                Err(_) => Err(NoAnswer(time).into()),
            }
        })
    }
}
