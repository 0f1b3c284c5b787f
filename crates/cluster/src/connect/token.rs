//! Layers of the client: a bearer token from a file, and a timeout of the response head.

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
use zeroize::Zeroizing;

/// A token is read again after this time. The kubelet replaces it long before it expires.
const KEEP: Duration = Duration::from_secs(60);
/// Shortest time between two reads after a rejection.
const AGAIN: Duration = Duration::from_secs(1);

type ResponseFuture<B> = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

/// A file with a bearer token, which the kubelet replaces from time to time.
#[derive(Clone)]
pub(super) struct TokenFile {
    path: Arc<PathBuf>,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Marked as sensitive, so that it is never printed.
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
            // Requests that start during the read use the previous token.
            state.read = Instant::now();
        }
        let read = read(PathBuf::clone(&self.path)).await;
        let mut state = self.state.lock();
        match read {
            Ok(header) => {
                state.header = header;
                state.rejected = false;
            }
            // The last token may still be valid; some setups remove the file after start.
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "cannot read the token file; using the last token");
            }
        }
        state.header.clone()
    }

    fn rejected(&self) {
        self.state.lock().rejected = true;
    }
}

async fn read(path: PathBuf) -> std::io::Result<HeaderValue> {
    let text = Zeroizing::new(tokio::fs::read_to_string(path).await?);
    // The value takes over the memory of the text, and frees it as it is.
    let mut value = HeaderValue::try_from(format!("Bearer {}", text.trim()))
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidData))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Adds the token of a file to every request.
#[derive(Clone)]
pub(super) struct TokenLayer(TokenFile);

impl TokenLayer {
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
    type Future = ResponseFuture<B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<A>) -> ResponseFuture<B> {
        // Only the service that was polled ready may be called.
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

/// A timeout to the head of a response, not to the end of its body.
#[derive(Clone)]
pub(super) struct ResponseTimeout<S> {
    inner: S,
    time: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("no response within {} s", .0.as_secs())]
struct TimedOut(Duration);

impl<S> ResponseTimeout<S> {
    pub(super) fn new(inner: S, time: Duration) -> Self {
        Self { inner, time }
    }
}

impl<S, A, B> Service<Request<A>> for ResponseTimeout<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = ResponseFuture<B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<A>) -> ResponseFuture<B> {
        let time = self.time;
        let response = self.inner.call(request);
        Box::pin(async move {
            match timeout(time, response).await {
                Ok(response) => response.map_err(Into::into),
                Err(_) => Err(TimedOut(time).into()),
            }
        })
    }
}
