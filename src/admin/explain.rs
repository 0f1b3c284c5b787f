//! `/debug/explain`: what would happen to a request now, and why. The reconciler has the objects.

use std::net::{IpAddr, Ipv4Addr};

use headgate_proxy::ExplainRequest;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::explain::{field, json, url};
use crate::reconciler::{Query, View};

/// The explanation of the request in a query: `url`, and perhaps `method`, `from` and several `header`.
///
/// # Errors
/// Status and reason.
pub(super) async fn explain(
    query: &str,
    queries: &mpsc::Sender<Query>,
) -> Result<Value, (StatusCode, String)> {
    let request = parsed(query).map_err(|reason| (StatusCode::BAD_REQUEST, reason))?;
    let (sender, explained) = oneshot::channel();
    let asked: Query = Box::new(move |view: &View<'_>| {
        let request = ExplainRequest {
            loopback: view.options.endpoints.loopback,
            ..request
        };
        let state = json::State {
            snapshot: view.snapshot,
            compiled: view.compiled,
            options: view.options,
        };
        // The client may be gone.
        let _ = sender.send(json::explained(&state, &request));
    });
    let stopping = |_| (StatusCode::SERVICE_UNAVAILABLE, "stopping".to_owned());
    queries.send(asked).await.map_err(|_| stopping(()))?;
    explained.await.map_err(|_| stopping(()))
}

fn parsed(query: &str) -> Result<ExplainRequest, String> {
    let mut request = ExplainRequest {
        method: Method::GET,
        url: http::Uri::default(),
        headers: HeaderMap::new(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        loopback: false,
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
