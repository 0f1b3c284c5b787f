//! Talking to the backend.

pub use headgate_table::{BackendProtocol, ConnectionHeader, HttpVersion};
use std::time::Duration;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{
    NextUpstream, OnInvalid, Reader, Rewrite, SizeText, keys, types, words,
};
use crate::ingress::settings;

keys! { Annotation {
    BACKEND_PROTOCOL: Protocol =
        annotation("backend-protocol", types::any_case_of(),
            "Protocol of the backend. FCGI is not honoured yet and closes the route.")
            .default("HTTP");
    PROXY_CONNECT_TIMEOUT: i64 =
        annotation("proxy-connect-timeout", types::INT, "Seconds to connect.")
            .setting(&settings::upstream::PROXY_CONNECT_TIMEOUT);
    PROXY_SEND_TIMEOUT: i64 =
        annotation("proxy-send-timeout", types::INT, "Seconds between two writes to the backend.")
            .setting(&settings::upstream::PROXY_SEND_TIMEOUT);
    PROXY_READ_TIMEOUT: i64 =
        annotation("proxy-read-timeout", types::INT, "Seconds between two reads from the backend; then 504.")
            .setting(&settings::upstream::PROXY_READ_TIMEOUT);
    PROXY_BUFFERING: bool =
        annotation("proxy-buffering", types::ON_OFF, "Reads answers ahead of a slow client.")
            .setting(&settings::upstream::PROXY_BUFFERING);
    PROXY_BUFFERS_NUMBER: i64 =
        annotation("proxy-buffers-number", types::INT, "Answers stream; there are no such buffers.")
            .setting(&settings::upstream::PROXY_BUFFERS_NUMBER).inert();
    PROXY_BUFFER_SIZE: u64 =
        annotation("proxy-buffer-size", types::SIZE, "Longest head of an answer; a longer one is 502.")
            .setting(&settings::upstream::PROXY_BUFFER_SIZE);
    PROXY_BUSY_BUFFERS_SIZE: u64 =
        annotation("proxy-busy-buffers-size", types::SIZE, "Answers stream; there are no such buffers.")
            .setting(&settings::upstream::PROXY_BUSY_BUFFERS_SIZE).inert();
    PROXY_MAX_TEMP_FILE_SIZE: u64 =
        annotation("proxy-max-temp-file-size", types::SIZE, "Answers are never written to disk.")
            .setting(&settings::upstream::PROXY_MAX_TEMP_FILE_SIZE).inert();
    PROXY_BODY_SIZE: u64 =
        annotation("proxy-body-size", types::SIZE, "Longest request body, then 413; 0 is unlimited.")
            .setting(&settings::upstream::PROXY_BODY_SIZE).risk(Risk::Medium);
    CLIENT_BODY_BUFFER_SIZE: SizeText =
        annotation("client-body-buffer-size", types::SIZE_TEXT,
            "Request body kept in memory, the rest goes to a file; counts only without a unit or with k or m.")
            .setting(&settings::client::CLIENT_BODY_BUFFER_SIZE).refuses();
    PROXY_REQUEST_BUFFERING: bool =
        annotation("proxy-request-buffering", types::ON_OFF,
            "Reads the whole request body before the backend gets it.")
            .setting(&settings::upstream::PROXY_REQUEST_BUFFERING);
    PROXY_HTTP_VERSION: HttpVersion =
        annotation("proxy-http-version", types::one_of(), "HTTP version towards the backend.")
            .setting(&settings::upstream::PROXY_HTTP_VERSION);
    CONNECTION_PROXY_HEADER: ConnectionHeader =
        annotation("connection-proxy-header", types::one_of(), "Connection header towards the backend.")
            .refuses();
    HTTP2_PUSH_PRELOAD: bool =
        annotation("http2-push-preload", types::BOOL, "Server push no longer exists in browsers.")
            .default("false").refuses().inert();
} }

/// What a word of `backend-protocol` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Known(BackendProtocol),
    FastCgi,
}

words! { Protocol {
    "HTTP" => Self::Known(BackendProtocol::Http),
    "HTTPS" => Self::Known(BackendProtocol::Https),
    "AUTO_HTTP" => Self::Known(BackendProtocol::AutoHttp),
    "GRPC" => Self::Known(BackendProtocol::Grpc),
    "GRPCS" => Self::Known(BackendProtocol::Grpcs),
    "FCGI" => Self::FastCgi,
} }

words! { HttpVersion {
    "1.0" => Self::Http10,
    "1.1" => Self::Http11,
} }

words! { ConnectionHeader {
    "close" => Self::Close,
    "keep-alive" => Self::KeepAlive,
} }

/// Timeouts, retries, buffers and protocol. Everything not set has its default in the ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxy {
    /// HTTP when not set.
    pub protocol: Option<BackendProtocol>,
    /// Time to connect.
    pub connect_timeout: Option<Duration>,
    /// Time between two writes to the backend.
    pub send_timeout: Option<Duration>,
    /// Time between two reads from the backend.
    pub read_timeout: Option<Duration>,
    /// On what another endpoint is tried.
    pub next_upstream: Option<NextUpstream>,
    /// Time for all tries; zero is unlimited.
    pub next_upstream_timeout: Option<Duration>,
    /// Tries in all; zero is unlimited.
    pub next_upstream_tries: Option<u32>,
    /// Longest request body in bytes; zero is unlimited.
    pub body_size: Option<u64>,
    /// Request body kept in memory, in bytes.
    pub client_body_buffer_size: Option<u64>,
    /// Read the whole request body before the backend gets it.
    pub request_buffering: Option<bool>,
    /// Read answers ahead of a slow client.
    pub buffering: Option<bool>,
    /// Longest head of an answer, in bytes.
    pub buffer_size: Option<u64>,
    /// HTTP version towards the backend.
    pub http_version: Option<HttpVersion>,
    /// Replaces the Domain of the backend's cookies.
    pub cookie_domain: Option<Rewrite>,
    /// Replaces the Path of the backend's cookies.
    pub cookie_path: Option<Rewrite>,
    /// Start of `Location` and `Refresh` to replace; see [`crate::ingress::annotations::RedirectRewrite::new`].
    pub redirect_from: Option<String>,
    /// What replaces it.
    pub redirect_to: Option<String>,
    /// The Connection header towards the backend; automatic when not set.
    pub connection: Option<ConnectionHeader>,
}

impl Proxy {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            protocol: protocol(reader),
            connect_timeout: reader.timeout(&PROXY_CONNECT_TIMEOUT),
            send_timeout: reader.timeout(&PROXY_SEND_TIMEOUT),
            read_timeout: reader.timeout(&PROXY_READ_TIMEOUT),
            next_upstream: reader.get(&super::retry::PROXY_NEXT_UPSTREAM),
            next_upstream_timeout: reader
                .count(&super::retry::PROXY_NEXT_UPSTREAM_TIMEOUT)
                .map(|s| Duration::from_secs(s.into())),
            next_upstream_tries: reader.count(&super::retry::PROXY_NEXT_UPSTREAM_TRIES),
            body_size: reader.get(&PROXY_BODY_SIZE),
            client_body_buffer_size: client_body_buffer_size(reader),
            request_buffering: reader.get(&PROXY_REQUEST_BUFFERING),
            buffering: reader.get(&PROXY_BUFFERING),
            buffer_size: reader.get(&PROXY_BUFFER_SIZE).filter(|size| *size > 0),
            http_version: reader.get(&PROXY_HTTP_VERSION),
            cookie_domain: reader.parsed(&super::replace::PROXY_COOKIE_DOMAIN, Rewrite::parse),
            cookie_path: reader.parsed(&super::replace::PROXY_COOKIE_PATH, Rewrite::parse),
            redirect_from: reader.get(&super::replace::PROXY_REDIRECT_FROM),
            redirect_to: reader.get(&super::replace::PROXY_REDIRECT_TO),
            connection: reader.get(&CONNECTION_PROXY_HEADER),
        }
    }
}

/// Nothing that speaks HTTP would get a sensible response from a FastCGI backend.
fn protocol(reader: &mut Reader) -> Option<BackendProtocol> {
    match reader.get(&BACKEND_PROTOCOL)? {
        Protocol::Known(protocol) => Some(protocol),
        Protocol::FastCgi => {
            reader.close(&BACKEND_PROTOCOL, "FCGI is not honoured yet");
            None
        }
    }
}

/// A size with `b` or `g` is valid and does not count, as in ingress-nginx.
fn client_body_buffer_size(reader: &mut Reader) -> Option<u64> {
    let size = reader.get(&CLIENT_BODY_BUFFER_SIZE)?;
    if !size.counts {
        let reason = "only sizes without a unit or with k or m count";
        reader.reject(&CLIENT_BODY_BUFFER_SIZE, OnInvalid::Ignore, reason);
        return None;
    }
    Some(size.bytes)
}
