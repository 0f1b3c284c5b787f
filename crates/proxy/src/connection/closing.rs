//! The end of a connection: a response outside hyper, discarding what the client still sends, and closing.

use std::time::{Duration, SystemTime};

use http::Response;
use http_body_util::BodyExt;
use hyper::ext::ReasonPhrase;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::body::Body;

/// Bound on writing a last response and closing.
const CLOSE: Duration = Duration::from_secs(5);
/// Bound on discarding what the client still sends: the default of `lingering_time` in nginx.
const LINGER: Duration = Duration::from_secs(30);
/// Bound on the client's silence meanwhile: the default of `lingering_timeout` in nginx.
const LINGER_SILENCE: Duration = Duration::from_secs(5);
/// Bound on what is discarded, bytes.
const LINGER_BYTES: usize = 4 << 20;
/// Most connections linger for the client's close alone, so the first buffer is small.
const SINKS: [usize; 2] = [256, 16 << 10];

/// Discards what the client still sends, until it closes or a bound is reached. A socket closed with unread input is reset,
/// as is one at which input arrives later, and the reset overtakes the response (RFC 9112 section 9.6). The sending side must
/// be shut down before.
pub(super) async fn linger<S: AsyncRead + Unpin>(stream: &mut S) {
    let discard = async {
        let mut sink = vec![0; SINKS[0]];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match timeout(LINGER_SILENCE, stream.read(&mut sink)).await {
                Ok(Ok(n @ 1..)) => left = left.saturating_sub(n),
                _ => return,
            }
            sink.resize(SINKS[1], 0);
        }
    };
    // At the bound the connection is closed all the same.
    let _ = timeout(LINGER, discard).await;
}

/// Shuts the sending side down; with TLS this tells the client that nothing was truncated.
pub(super) async fn shut<S: AsyncWrite + Unpin>(stream: &mut S) {
    // The connection is dropped next, whether this worked or not.
    let _ = timeout(CLOSE, stream.shutdown()).await;
}

/// Writes `response` as the last of an HTTP/1.1 connection, shuts it down and lingers.
pub(super) async fn respond<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    response: Response<Body>,
) {
    let (head, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return;
    };
    let body = body.to_bytes();
    let bytes = [&rendered(&head, body.len())[..], &body].concat();
    let write = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    };
    if let Ok(Ok(())) = timeout(CLOSE, write).await {
        linger(stream).await;
    }
}

/// A head as hyper would write it.
fn rendered(head: &http::response::Parts, length: usize) -> Vec<u8> {
    let reason = head.extensions.get::<ReasonPhrase>().map_or_else(
        || {
            head.status
                .canonical_reason()
                .unwrap_or_default()
                .as_bytes()
        },
        ReasonPhrase::as_bytes,
    );
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut bytes = format!("HTTP/1.1 {} ", head.status.as_str()).into_bytes();
    bytes.extend(reason);
    bytes.extend(b"\r\n");
    for (name, value) in &head.headers {
        bytes.extend(title_case(name.as_str()));
        bytes.extend(b": ");
        bytes.extend(value.as_bytes());
        bytes.extend(b"\r\n");
    }
    bytes.extend(format!("Content-Length: {length}\r\nDate: {date}\r\n\r\n").into_bytes());
    bytes
}

fn title_case(name: &str) -> impl Iterator<Item = u8> {
    let mut start = true;
    name.bytes().map(move |byte| {
        let byte = if start {
            byte.to_ascii_uppercase()
        } else {
            byte
        };
        start = byte == b'-';
        byte
    })
}
