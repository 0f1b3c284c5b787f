//! HTTP/1.1 upgrades: echoes the messages of WebSocket (RFC 6455) and the bytes of any other protocol.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Stop;
use super::body::{Body, empty, full};

/// The only version of the WebSocket protocol (RFC 6455 section 4.1).
const WEBSOCKET_VERSION: &str = "13";

/// The protocol in the Upgrade field of a request. `h2c` is ignored: clients offer it with ordinary requests, which get an
/// HTTP/1.1 response (RFC 9113 section 3.1 makes it obsolete).
pub(super) fn requested<B>(request: &Request<B>) -> Option<HeaderValue> {
    if request.version() != Version::HTTP_11 || !names_upgrade(request.headers()) {
        return None;
    }
    let protocol = request.headers().get(UPGRADE)?;
    (!protocol.as_bytes().eq_ignore_ascii_case(b"h2c")).then(|| protocol.clone())
}

/// Whether the Connection field has the option `upgrade` (RFC 9110 section 7.8).
fn names_upgrade(headers: &HeaderMap) -> bool {
    let is_upgrade = |option: &str| option.trim().eq_ignore_ascii_case("upgrade");
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(is_upgrade))
}

/// Responds 101 and then echoes on the connection until the client or the server stops. An invalid WebSocket handshake gets
/// 400 or 426.
pub(super) fn accept(
    protocol: HeaderValue,
    mut request: Request<Incoming>,
    mut stop: Stop,
) -> Response<Body> {
    let is_websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    if is_websocket {
        match websocket_fields(&request) {
            Ok(fields) => response.headers_mut().extend(fields),
            Err(status) => return refusal(status),
        }
    }
    let connection = HeaderValue::from_static("upgrade");
    response.headers_mut().insert(CONNECTION, connection);
    response.headers_mut().insert(UPGRADE, protocol);

    let upgraded = hyper::upgrade::on(&mut request);
    let tunnel = async move {
        let stream = TokioIo::new(upgraded.await?);
        if is_websocket {
            echo_messages(stream).await?;
        } else {
            echo_bytes(stream).await?;
        }
        anyhow::Ok(())
    };
    tokio::spawn(async move {
        tokio::select! {
            result = tunnel => if let Err(error) = result {
                tracing::debug!(%error, "upgraded connection failed");
            },
            () = stop.stopped() => {}
        }
    });
    response
}

/// The fields of the server's handshake (RFC 6455 section 4.2.2): the accept key, and the first offered protocol.
///
/// # Errors
/// The status for an invalid handshake.
fn websocket_fields<B>(request: &Request<B>) -> Result<HeaderMap, StatusCode> {
    let headers = request.headers();
    let version = headers.get(SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != WEBSOCKET_VERSION) {
        return Err(StatusCode::UPGRADE_REQUIRED);
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .filter(|_| request.method() == Method::GET)
        .ok_or(StatusCode::BAD_REQUEST)?;
    let mut fields = HeaderMap::new();
    let mut insert = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            fields.insert(name, value);
        }
    };
    insert(SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key.as_bytes()));
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL).map(HeaderValue::to_str);
    if let Some(Ok(offered)) = offered {
        let first = offered.split(',').next().unwrap_or(offered);
        insert(SEC_WEBSOCKET_PROTOCOL, first.trim());
    }
    Ok(fields)
}

/// Response to an invalid handshake, with the supported version (RFC 6455 section 4.4).
fn refusal(status: StatusCode) -> Response<Body> {
    let text = Bytes::from_static(b"not a WebSocket handshake of version 13\n");
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let version = HeaderValue::from_static(WEBSOCKET_VERSION);
    response
        .headers_mut()
        .insert(SEC_WEBSOCKET_VERSION, version);
    response
}

async fn echo_messages(stream: TokioIo<Upgraded>) -> tungstenite::Result<()> {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    // The library responds to pings and to the closing handshake.
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn echo_bytes(stream: TokioIo<Upgraded>) -> std::io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}
