//! An HTTP/2 client, by prior knowledge over plain TCP or over TLS.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::tls::Tls;
use crate::listening::runtime;
use crate::wait::PATIENCE;

/// An HTTP/2 connection and its runtime.
#[derive(Debug)]
pub struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
}

/// A response read to its end.
#[derive(Debug)]
pub struct Http2Response {
    /// Status and fields.
    pub head: Response<()>,
    /// The body.
    pub body: Bytes,
    /// Fields after the body.
    pub trailers: HeaderMap,
}

impl Http2 {
    /// Connects over plain TCP.
    ///
    /// # Panics
    /// When it cannot.
    pub fn clear(address: SocketAddr) -> Self {
        let runtime = runtime();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await;
            start(stream.unwrap_or_else(|error| panic!("connecting to {address}: {error}"))).await
        });
        Self { runtime, sender }
    }

    /// Connects over TLS and offers `h2`.
    ///
    /// # Panics
    /// When it cannot, or when the server chooses another protocol.
    pub fn tls(address: SocketAddr, tls: &Tls) -> Self {
        let runtime = runtime();
        let tls = tls.clone().alpn(&["h2"]);
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address)
                .await
                .unwrap_or_else(|error| panic!("connecting to {address}: {error}"));
            let stream = tokio_rustls::TlsConnector::from(tls.config())
                .connect(tls.rustls_name(), stream)
                .await
                .unwrap_or_else(|error| panic!("TLS with {address}: {error}"));
            let chosen = stream.get_ref().1.alpn_protocol();
            assert_eq!(chosen, Some(&b"h2"[..]), "the server did not choose h2");
            start(stream).await
        });
        Self { runtime, sender }
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    /// When there is none.
    pub fn send(&mut self, request: Request<Full<Bytes>>) -> Http2Response {
        let sent = format!("{request:?}");
        self.try_send(request)
            .unwrap_or_else(|error| panic!("sent: {sent}\nno response: {error}"))
    }

    /// Sends a request and reads its response, which may fail.
    pub fn try_send(&mut self, request: Request<Full<Bytes>>) -> Result<Http2Response, String> {
        let sender = &mut self.sender;
        let exchange = async {
            sender.ready().await.map_err(|error| format!("{error:?}"))?;
            let response = sender.send_request(request).await;
            let (head, body) = response.map_err(|error| format!("{error:?}"))?.into_parts();
            let body = body.collect().await.map_err(|error| format!("{error:?}"))?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            Ok(Http2Response {
                head: Response::from_parts(head, ()),
                body: body.to_bytes(),
                trailers,
            })
        };
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, exchange)
                .await
                .unwrap_or_else(|_| Err(format!("no response within {PATIENCE:?}")))
        })
    }
}

impl Http2Response {
    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name)?.to_str().ok()
    }

    /// The first trailer of that name.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.get(name)?.to_str().ok()
    }
}

async fn start<S>(stream: S) -> SendRequest<Full<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap_or_else(|error| panic!("the HTTP/2 handshake failed: {error}"));
    // An error of the connection fails its requests.
    tokio::spawn(async move { connection.await.ok() });
    sender
}
