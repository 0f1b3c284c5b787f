//! The first bytes of a connection: read to detect the protocol, then replayed to its driver.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::timeout;

use super::NotServed;
use super::activity::Activity;
use super::io::Transport;
use crate::body::Body;
use crate::limit::Limit;
use crate::telemetry::stream_session;
use crate::values::Proxied;
use crate::{proxy_protocol, tls};

/// The connection preface of an HTTP/2 client (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes per read: a common request head fits, so that it needs no second read.
const READ: usize = 4 << 10;

/// Bound on the PROXY header of a TCP service: the default of nginx, which ingress-nginx does not change there.
const STREAM_PROXY_HEADER: Duration = Duration::from_secs(30);

/// Longest ClientHello, bytes.
const CLIENT_HELLO: usize = 64 << 10;

/// A connection whose first bytes are being read.
pub(super) struct Opening<S> {
    stream: S,
    read: BytesMut,
}

/// The protocol of a cleartext connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

impl<S: AsyncRead + Unpin> Opening<S> {
    /// `stream`, from which nothing has been read.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
        }
    }

    /// Reads the PROXY header; what follows stays.
    pub(super) async fn proxy_header(&mut self) -> io::Result<Option<Proxied>> {
        loop {
            let header = proxy_protocol::parse(&self.read)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            if let Some(header) = header {
                let _ = self.read.split_to(header.length);
                return Ok(header.proxied);
            }
            if self.read.len() >= proxy_protocol::MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.more().await?;
        }
    }

    /// The first byte.
    pub(super) async fn first_byte(&mut self) -> io::Result<u8> {
        loop {
            if let Some(first) = self.read.first() {
                return Ok(*first);
            }
            self.more().await?;
        }
    }

    /// The protocol by the connection preface; HTTP/2 with prior knowledge only if `http2` enables it.
    pub(super) async fn protocol(&mut self, http2: bool) -> io::Result<Protocol> {
        self.first_byte().await?;
        while http2 && PREFACE.starts_with(&self.read) && self.read.len() < PREFACE.len() {
            self.more().await?;
        }
        Ok(if http2 && self.read.starts_with(PREFACE) {
            Protocol::Http2
        } else {
            Protocol::Http1
        })
    }

    /// The server name of the ClientHello that the connection begins with (RFC 6066 section 3), in the form of hosts. What is no
    /// ClientHello has none: the handshake refuses it, with an alert.
    pub(super) async fn server_name(&mut self) -> io::Result<Option<String>> {
        let mut acceptor = Acceptor::default();
        let mut fed = 0;
        loop {
            while let Some(mut unread) = self.read.get(fed..).filter(|bytes| !bytes.is_empty()) {
                match acceptor.read_tls(&mut unread)? {
                    0 => return Ok(None),
                    taken => fed += taken,
                }
                match acceptor.accept() {
                    Ok(Some(hello)) => {
                        return Ok(hello.client_hello().server_name().map(tls::canonical));
                    }
                    Ok(None) => {}
                    Err(_) => return Ok(None),
                }
            }
            if self.read.len() >= CLIENT_HELLO {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.more().await?;
        }
    }

    /// The stream, which returns the bytes that were read once more.
    pub(super) fn transport(self) -> (Transport<S>, Rc<Activity>) {
        let activity = Rc::new(Activity::new());
        (
            Transport::new(self.stream, self.read.freeze(), activity.clone()),
            activity,
        )
    }

    /// The stream and the bytes that were read.
    pub(super) fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.read.freeze())
    }

    async fn more(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_more(cx)).await
    }

    /// Reads on the stack, lest every client that sends nothing have a buffer.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = [MaybeUninit::uninit(); READ];
        let mut buf = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        self.read.extend_from_slice(buf.filled());
        Poll::Ready(match buf.filled() {
            [] => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        })
    }
}

/// The addresses of the PROXY header that a connection to a TCP service begins with, of any sender. The session failed if
/// there is none; it did not if the client sends nothing in time or breaks the connection, as in nginx.
pub(super) async fn stream_proxy_header<S: AsyncRead + Unpin>(
    opening: &mut Opening<S>,
    session: &stream_session::Session,
) -> Result<Option<Proxied>, NotServed> {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    let read = timeout(STREAM_PROXY_HEADER, opening.proxy_header()).await;
    if let Ok(Ok(proxied)) = read {
        return Ok(proxied);
    }
    if let Ok(Err(error)) = read
        && matches!(error.kind(), InvalidData | UnexpectedEof)
    {
        session.status.set(stream_session::BAD_REQUEST);
    }
    Err(NotServed::Refused(Limit::ProxyProtocol))
}

/// The response to plain HTTP on the https port, in the words of nginx.
pub(super) fn plain_http_page() -> Response<Body> {
    const PAGE: &str = "<html>\r\n\
        <head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n\
        <body>\r\n\
        <center><h1>400 Bad Request</h1></center>\r\n\
        <center>The plain HTTP request was sent to HTTPS port</center>\r\n\
        <hr><center>nginx</center>\r\n\
        </body>\r\n\
        </html>\r\n";
    let mut response = Response::new(Body::full(PAGE));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    super::session::set_close(&mut response);
    response
}
