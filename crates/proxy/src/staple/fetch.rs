//! Small documents from authorities, over plain HTTP: they are signed.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headgate_table::{BackendProtocol, Balance, Endpoints, Slot, Upstream, UpstreamKey};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;

use crate::upstream::{Attempts, Call, CallOptions, NoClient, Payload};
use crate::worker::Worker;

/// Bound on one exchange, the name's resolution included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest document, bytes.
const LONGEST: usize = 64 << 10;

/// Sends requests to authorities.
pub(super) struct Fetcher {
    worker: Rc<Worker>,
}

impl Fetcher {
    pub(super) fn new(worker: Rc<Worker>) -> Self {
        Self { worker }
    }

    /// The document at `url`: by GET, or the response to `posted`, a body with its media type.
    ///
    /// # Errors
    /// Why there is none, as a message that names the URL.
    pub(super) async fn fetch(
        &self,
        url: &str,
        posted: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Bytes, String> {
        let fetched = tokio::time::timeout(TIMEOUT, self.exchange(url, posted)).await;
        let fetched = fetched.unwrap_or_else(|_| Err("timed out".to_owned()));
        fetched.map_err(|error| format!("{url:.200}: {error}"))
    }

    async fn exchange(
        &self,
        url: &str,
        posted: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Bytes, String> {
        let (upstream, host, uri) = destination(url)?;
        let mut request = Request::builder().method(match posted {
            Some(_) => Method::POST,
            None => Method::GET,
        });
        request = request.uri(uri).header(HOST, host);
        let mut body = Payload::empty();
        if let Some((media_type, text)) = posted {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static(media_type));
            body = Payload::bytes(text.into());
        }
        let request = request.body(()).map_err(|error| error.to_string())?;
        let upstreams = &self.worker.upstreams;
        let options = CallOptions::default();
        let failed = |error: crate::upstream::CallError| error.to_string();
        let call = Call {
            target: upstreams
                .target(&upstream, options.connect_timeout)
                .await
                .map_err(failed)?,
            head: request.into_parts().0,
            body,
            options,
            pool: &self.worker.table().settings.pool.clone(),
            input: &NoClient,
        };
        let reply = upstreams.call(call, &mut Attempts::default()).await;
        let response = reply.map_err(failed)?.response;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status()));
        }
        let mut body = response.into_body();
        let mut document = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| "the response broke off".to_owned())?;
            document.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
            if document.len() > LONGEST {
                return Err(format!("longer than {LONGEST} bytes"));
            }
        }
        Ok(document.freeze())
    }
}

/// Where to connect, `Host`, and the target of the request.
fn destination(url: &str) -> Result<(Arc<Upstream>, String, Uri), String> {
    let url: Uri = url.parse().map_err(|_| "not a URL".to_owned())?;
    let authority = url.authority().filter(|authority| {
        url.scheme_str() == Some("http")
            && !authority.as_str().contains('@')
            && !authority.host().is_empty()
    });
    let authority = authority.ok_or("not a URL of plain HTTP")?;
    let port = authority.port_u16().unwrap_or(80);
    let host: Arc<str> = authority.host().trim_matches(['[', ']']).into();
    let name: Arc<str> = format!("authority http://{host}:{port}").into();
    let upstream = Upstream {
        key: UpstreamKey::new(name.clone()),
        name: name.clone(),
        log_name: name,
        protocol: BackendProtocol::Http,
        tls: None,
        endpoints: match host.parse::<IpAddr>() {
            Ok(address) => Endpoints::Addresses([SocketAddr::new(address, port)].into()),
            Err(_) => Endpoints::Name { host, port },
        },
        balance: Balance::RoundRobin,
        affinity: None,
        client_ip_affinity: None,
        resilience: Arc::default(),
        slot: Slot::default(),
    };
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse().map_err(|_| "not a URL".to_owned())?;
    Ok((Arc::new(upstream), authority.to_string(), path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn only_plain_http_is_fetched() {
        for (url, key, host, path) in [
            (
                "http://o.example/a?b",
                "authority http://o.example:80",
                "o.example",
                "/a?b",
            ),
            (
                "http://127.0.0.1:81",
                "authority http://127.0.0.1:81",
                "127.0.0.1:81",
                "/",
            ),
            ("http://[::1]/", "authority http://::1:80", "[::1]", "/"),
        ] {
            let (upstream, sent, uri) = destination(url).unwrap();
            assert_eq!(upstream.key.as_str(), key);
            assert_eq!((&*sent, uri.to_string().as_str()), (host, path));
        }
        for url in [
            "",
            "o.example",
            "https://o.example/",
            "ldap://o/x",
            "http://u@o/",
            "http://a b/",
        ] {
            assert!(destination(url).is_err(), "{url}");
        }
    }
}
