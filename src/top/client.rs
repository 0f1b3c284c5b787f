//! Reads the JSON of a console.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use headgate_console::model::RouteSort;
use http::header::{ACCEPT, AUTHORIZATION, HOST};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Reading;

/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer.
const MAX_BODY: usize = 16 << 20;

/// Host and port of a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsoleUrl {
    authority: String,
    host: String,
    port: u16,
}

impl ConsoleUrl {
    /// Parses `http://HOST:PORT`; without a scheme, http.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected a URL such as http://127.0.0.1:10243".to_owned();
        let full = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let url: Uri = full.parse().map_err(|_| expected())?;
        let is_plain = url.scheme_str() == Some("http") && matches!(url.path(), "" | "/");
        let authority = url.authority().filter(|_| is_plain).ok_or_else(expected)?;
        if authority.as_str().contains('@') || url.query().is_some() {
            return Err(expected());
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        Ok(Self {
            authority: authority.to_string(),
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(80),
        })
    }
}

/// A console to read from.
pub(super) struct Client {
    url: ConsoleUrl,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// With the token of the console, if it needs one.
    ///
    /// # Errors
    /// When the token cannot be a field of a request.
    pub(super) fn new(url: ConsoleUrl, token: Option<String>) -> Result<Self> {
        let authorization = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Self {
            url,
            authorization: authorization
                .transpose()
                .context("--token-file: the token has characters that no field can have")?,
        })
    }

    /// Reads the overview and the routes that a filter selects.
    pub(super) async fn read(
        &self,
        sort: RouteSort,
        filter: &str,
        limit: usize,
    ) -> Result<Reading> {
        let words = utf8_percent_encode(filter, NON_ALPHANUMERIC);
        let routes = format!("/routes?sort={}&limit={limit}&q={words}", sort.as_str());
        Ok(Reading {
            overview: self.json("/").await?,
            routes: self.json(&routes).await?,
        })
    }

    async fn json<T: DeserializeOwned>(&self, target: &str) -> Result<T> {
        let at = &self.url.authority;
        let answer = timeout(PATIENCE, self.exchange(target)).await;
        let (status, body) = answer
            .with_context(|| format!("{at} does not respond within {} s", PATIENCE.as_secs()))?
            .with_context(|| format!("reading http://{at}{target}"))?;
        match status {
            StatusCode::OK => serde_json::from_slice(&body)
                .with_context(|| format!("{at} is not the console of this version of headgate")),
            StatusCode::UNAUTHORIZED => bail!("{at} wants its token: set --token-file"),
            status => {
                let body = String::from_utf8_lossy(&body);
                bail!("{at} responds with {}: {}", status.as_u16(), body.trim())
            }
        }
    }

    async fn exchange(&self, target: &str) -> Result<(StatusCode, Bytes)> {
        let ConsoleUrl { host, port, .. } = &self.url;
        let addresses = headgate_resolve::lookup(host).await?;
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, *port));
        let stream = TcpStream::connect(&*addresses.collect::<Vec<_>>()).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::get(target)
            .header(HOST, &self.url.authority)
            .header(ACCEPT, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let response = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
            let body = body.map_err(|error| anyhow!("{error}"))?;
            Ok((status, body.to_bytes()))
        };
        tokio::select! {
            response = response => response,
            ended = connection => {
                ended?;
                bail!("the connection was closed")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn urls_are_hosts_and_ports() {
        let parsed = |text| ConsoleUrl::parse(text).unwrap();
        assert_eq!(parsed("http://127.0.0.1:10243/"), parsed("127.0.0.1:10243"));
        assert_eq!(
            (&*parsed("http://[::1]:1").host, parsed("localhost").port),
            ("::1", 80)
        );
        for wrong in [
            "https://a/",
            "http://a/b",
            "http://u:p@a/",
            "http://a/?b",
            "",
            "http://",
        ] {
            assert!(ConsoleUrl::parse(wrong).is_err(), "{wrong}");
        }
    }
}
