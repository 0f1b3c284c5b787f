//! `/debug/explain`: what would happen to a request now, and why.
//!
//! The reconciler, which alone publishes tables, is asked for pointers to a few objects and nothing else. The work is done by a
//! thread of the admin port, one request at a time.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use headgate_compile::Finding;
use headgate_proxy::{ExplainRequest, Explanation};
use headgate_table::RoutingTable;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::explain::json::Objects;
use crate::explain::{field, json, url};
use crate::reconciler::{Query, View};

/// Time for an explanation.
const PATIENCE: Duration = Duration::from_secs(5);

/// What explanations need besides the state that is served.
pub(crate) struct Explainer {
    queries: mpsc::Sender<Query>,
    /// Endpoints may have loopback addresses.
    loopback: bool,
    /// One request at a time is explained.
    permits: Arc<Semaphore>,
}

/// The state that is served.
pub(super) struct Current {
    pub(super) table: Arc<RoutingTable>,
    pub(super) findings: Arc<Vec<Finding>>,
}

type Failure = (StatusCode, String);

impl Explainer {
    /// Explanations with the objects of the reconciler that `queries` go to.
    pub(crate) fn new(queries: mpsc::Sender<Query>, loopback: bool) -> Self {
        Self {
            queries,
            loopback,
            permits: Arc::new(Semaphore::new(1)),
        }
    }

    /// The explanation of the request in a query: `url`, and perhaps `method`, `from` and several `header`.
    ///
    /// # Errors
    /// Status and reason.
    pub(super) async fn explain(&self, query: &str, current: Current) -> Result<Value, Failure> {
        let request = parsed(query).map_err(|reason| (StatusCode::BAD_REQUEST, reason))?;
        let request = ExplainRequest {
            loopback: self.loopback,
            ..request
        };
        let permit = self.permits.clone().try_acquire_owned();
        let permit =
            permit.map_err(|_| unavailable("another request is being explained: try again"))?;
        let explained = timeout(PATIENCE, self.run(request, current, permit)).await;
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
        let explanation = Arc::new(explanation.map_err(failed)?);
        let objects = self.objects(explanation.clone()).await?;
        let written = spawn_blocking(move || {
            let _permit = permit;
            json::explained((&request, &explanation), generation, &objects, &findings)
        });
        written.await.map_err(failed)
    }

    async fn objects(&self, explanation: Arc<Explanation>) -> Result<Objects, Failure> {
        let (sender, objects) = oneshot::channel();
        let query: Query = Box::new(move |view: &View<'_>| {
            // The client may have left while the query waited.
            if !sender.is_closed() {
                let state = (view.snapshot, view.compiled, view.options);
                let _ = sender.send(Objects::of(state, &explanation));
            }
        });
        let queued = self.queries.send(query).await;
        queued.map_err(|_| unavailable("stopping"))?;
        objects.await.map_err(|_| unavailable("stopping"))
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
    let mut request = ExplainRequest {
        method: Method::GET,
        url: http::Uri::default(),
        headers: HeaderMap::new(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        loopback: false,
        verifies_passwords: false,
    };
    let mut has_url = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("{name}: is not UTF-8"))?;
        let invalid = |reason: String| format!("{name}: {reason}");
        match name {
            "url" => {
                request.url = url(&value).map_err(invalid)?;
                has_url = true;
            }
            "method" => {
                let method = value.parse();
                request.method = method.map_err(|_| invalid("expected a method".to_owned()))?;
            }
            "from" => {
                let client = value.parse();
                request.client =
                    client.map_err(|_| invalid("expected an IP address".to_owned()))?;
            }
            "header" => {
                let (name, value) = field(&value).map_err(invalid)?;
                request.headers.append(name, value);
            }
            _ => {
                return Err(format!(
                    "unknown parameter {name}: expected url, method, header or from"
                ));
            }
        }
    }
    if has_url {
        Ok(request)
    } else {
        Err("expected ?url=https://HOST/PATH".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

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
