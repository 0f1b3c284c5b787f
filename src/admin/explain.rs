//! `/debug/explain`: what would happen to a request now, and why.
//!
//! The reconciler, which alone publishes tables, is asked for pointers to a few objects and nothing else. The work is done by a
//! thread of the admin port, one request at a time.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use headgate_proxy::{ExplainRequest, Explanation, ResolvedNames};
use headgate_table::RoutingTable;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Findings;
use crate::explain::json::Objects;
use crate::explain::{RequestUrl, field, json};
use crate::reconciler::{Query, View};

/// Time for an explanation.
const PATIENCE: Duration = Duration::from_secs(5);

/// What explanations need besides the state that is served.
pub(crate) struct Explainer {
    queries: mpsc::Sender<Query>,
    /// Endpoints may have loopback addresses.
    loopback: bool,
    /// The names that the data plane has resolved, when it has started.
    names: OnceLock<ResolvedNames>,
    /// One request at a time is explained.
    permits: Arc<Semaphore>,
    /// Time for an explanation; default [`PATIENCE`].
    patience: Duration,
}

/// The state that is served.
pub(crate) struct Current {
    pub(crate) table: Arc<RoutingTable>,
    pub(crate) findings: Findings,
}

pub(crate) type Failure = (StatusCode, String);

impl Explainer {
    /// Explanations with the objects of the reconciler that `queries` go to.
    pub(crate) fn new(queries: mpsc::Sender<Query>, loopback: bool) -> Self {
        Self {
            queries,
            loopback,
            names: OnceLock::new(),
            permits: Arc::new(Semaphore::new(1)),
            patience: PATIENCE,
        }
    }

    /// Sets the names that the data plane has resolved. Later calls have no effect.
    pub(super) fn set_names(&self, names: ResolvedNames) {
        self.names.get_or_init(|| names);
    }

    /// The names that the data plane has resolved, when it has started.
    pub(crate) fn names(&self) -> Option<&ResolvedNames> {
        self.names.get()
    }

    /// The explanation of the request in a query: `url`, and perhaps `method`, `from` and several `header`.
    ///
    /// # Errors
    /// Status and reason.
    pub(super) async fn explain(&self, query: &str, current: Current) -> Result<Value, Failure> {
        let request = parsed(query).map_err(|reason| (StatusCode::BAD_REQUEST, reason))?;
        self.explain_request(request, current).await
    }

    /// The explanation of a request of [`Asked`].
    ///
    /// # Errors
    /// Status and reason.
    pub(crate) async fn explain_request(
        &self,
        request: ExplainRequest,
        current: Current,
    ) -> Result<Value, Failure> {
        let request = ExplainRequest {
            loopback: self.loopback,
            names: self.names.get().cloned(),
            ..request
        };
        let permit = self.permits.clone().try_acquire_owned();
        let permit =
            permit.map_err(|_| unavailable("another request is being explained: try again"))?;
        let explained = timeout(self.patience, self.run(request, current, permit)).await;
        explained.map_err(|_| unavailable("not explained in time: try again"))?
    }

    /// The permit goes with the work, which goes on when the client has left.
    async fn run(
        &self,
        request: ExplainRequest,
        current: Current,
        permit: OwnedSemaphorePermit,
    ) -> Result<Value, Failure> {
        let Current { table, findings } = current;
        let generation = table.generation;
        let explained = spawn_blocking(move || {
            let explanation = headgate_proxy::explain(&table, &request);
            (request, explanation, permit)
        });
        let (request, explanation, permit) = explained.await.map_err(failed)?;
        let explained = Arc::new((request, explanation.map_err(failed)?));
        let objects = self.objects(explained.clone()).await?;
        let written = spawn_blocking(move || {
            let _permit = permit;
            let (request, explanation) = &*explained;
            json::explained(
                (request, explanation),
                generation,
                &objects,
                findings.iter(),
            )
        });
        written.await.map_err(failed)
    }

    async fn objects(
        &self,
        explained: Arc<(ExplainRequest, Explanation)>,
    ) -> Result<Objects, Failure> {
        self.query(move |view| {
            let state = (view.snapshot, view.compiled, view.options);
            let (request, explanation) = &*explained;
            Objects::of(state, (request, explanation))
        })
        .await
    }

    /// Asks the reconciler, which does nothing else meanwhile.
    ///
    /// # Errors
    /// When the process stops.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, answer) = oneshot::channel();
        let query: Query = Box::new(move |view: &View<'_>| {
            // The client may have left while the query waited.
            if !sender.is_closed() {
                let _ = sender.send(read(view));
            }
        });
        let queued = self.queries.send(query).await;
        queued.map_err(|_| unavailable("stopping"))?;
        answer.await.map_err(|_| unavailable("stopping"))
    }
}

fn unavailable(reason: &str) -> Failure {
    (StatusCode::SERVICE_UNAVAILABLE, reason.to_owned())
}

fn failed(error: impl std::error::Error + 'static) -> Failure {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "cannot explain a request"
    );
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn parsed(query: &str) -> Result<ExplainRequest, String> {
    let mut asked = Asked::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("{name}: is not UTF-8"))?;
        asked.set(name, &value)?;
    }
    asked.request()
}

/// A request to explain, as its parameters are read.
#[derive(Default)]
pub(crate) struct Asked {
    url: Option<RequestUrl>,
    method: Method,
    from: Option<IpAddr>,
    headers: HeaderMap,
}

impl Asked {
    /// Reads the parameter `url`, `method`, `from` or `header`, the last of which may occur several times.
    ///
    /// # Errors
    /// The name, and what is expected.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let invalid = |reason: String| format!("{name}: {reason}");
        match name {
            "url" => self.url = Some(RequestUrl::parse(value).map_err(invalid)?),
            "method" => {
                let method = value.parse();
                self.method = method.map_err(|_| invalid("expected a method".to_owned()))?;
            }
            "from" => {
                let client = value.parse();
                let client = client.map_err(|_| invalid("expected an IP address".to_owned()))?;
                self.from = Some(client);
            }
            "header" => {
                let (name, value) = field(value).map_err(invalid)?;
                self.headers.append(name, value);
            }
            _ => {
                return Err(format!(
                    "unknown parameter {name}: expected url, method, header or from"
                ));
            }
        }
        Ok(())
    }

    /// The request. `Authorization` replaces the user information of the URL.
    ///
    /// # Errors
    /// When there is no URL.
    pub(crate) fn request(self) -> Result<ExplainRequest, String> {
        let url = self.url.ok_or("expected ?url=https://HOST/PATH")?;
        let mut headers = self.headers;
        if let Some(authorization) = url.authorization {
            let entry = headers.entry(AUTHORIZATION);
            entry.or_insert(authorization);
        }
        Ok(ExplainRequest {
            method: self.method,
            url: url.url,
            headers,
            client: self.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            loopback: false,
            names: None,
            verifies_passwords: false,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const QUERY: &str = "url=http://a.test/";

    fn current() -> Current {
        Current {
            table: Arc::new(RoutingTable::new(Arc::default())),
            findings: Findings::default(),
        }
    }

    #[tokio::test]
    async fn one_request_at_a_time_is_explained() {
        let (queries, mut asked) = mpsc::channel(1);
        let explainer = Arc::new(Explainer::new(queries, false));
        let first = explainer.clone();
        let first = tokio::spawn(async move { first.explain(QUERY, current()).await });
        // The first waits for the objects of the reconciler.
        let query = asked.recv().await.unwrap();
        let (status, reason) = explainer.explain(QUERY, current()).await.unwrap_err();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(reason.contains("another request"), "{reason}");
        // The reconciler has stopped.
        drop(query);
        let (status, reason) = first.await.unwrap().unwrap_err();
        assert_eq!(
            (status, &*reason),
            (StatusCode::SERVICE_UNAVAILABLE, "stopping")
        );
        // The next one has its turn.
        drop(asked);
        let (_, reason) = explainer.explain(QUERY, current()).await.unwrap_err();
        assert_eq!(reason, "stopping");
    }

    #[tokio::test]
    async fn a_reconciler_that_is_busy_ends_the_wait() {
        let (queries, _asked) = mpsc::channel(1);
        let explainer = Explainer {
            patience: Duration::from_millis(1),
            ..Explainer::new(queries, false)
        };
        let (status, reason) = explainer.explain(QUERY, current()).await.unwrap_err();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(reason.contains("not explained in time"), "{reason}");
    }

    #[test]
    fn user_information_is_a_field_of_the_request() {
        let request = parsed("url=http%3A%2F%2Fa%3Ab%40shop.example%2F").unwrap();
        assert_eq!(request.url.to_string(), "http://shop.example/");
        assert_eq!(request.headers[AUTHORIZATION], "Basic YTpi");
        let own = parsed("url=http%3A%2F%2Fa%3Ab%40shop.example%2F&header=Authorization%3A%20x");
        assert_eq!(own.unwrap().headers[AUTHORIZATION], "x");
    }

    #[test]
    fn queries_are_read_strictly() {
        let asked = "url=https%3A%2F%2Fshop.example%2Fa%3Fb&method=POST&header=X-A%3A%20b&header=X-A%3A%20c&from=192.0.2.1";
        let request = parsed(asked).unwrap();
        assert_eq!(request.url.to_string(), "https://shop.example/a?b");
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.headers.get_all("x-a").iter().count(), 2);
        assert_eq!(request.client.to_string(), "192.0.2.1");
        for wrong in [
            "",
            "url=",
            "url=ftp://a/",
            "url=a&method=%20",
            "url=a&from=x",
            "url=a&header=x",
            "url=a&x=y",
            "url=%ff",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
