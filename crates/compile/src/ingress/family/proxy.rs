//! Connections to the backend: protocol, timeouts, bodies and buffers.

use std::sync::Arc;
use std::time::Duration;

use headgate_table::{BackendProtocol, ConnectionHeader, FastCgi, Forwarding, HttpVersion};

use crate::ingress::annotations::{Annotation, IngressAnnotations, Risk, annotation};
use crate::ingress::registry::{
    OnInvalid, Reader, SizeText, When, differences, keys, types, words,
};
use crate::ingress::settings::{self, Settings};

keys! { Annotation {
    BACKEND_PROTOCOL: BackendProtocol =
        annotation("backend-protocol", types::any_case_of(),
            "Protocol of the backend.")
            .default("HTTP");
    PROXY_CONNECT_TIMEOUT: i64 =
        annotation("proxy-connect-timeout", types::INT, "Seconds to connect.")
            .setting(&settings::upstream::PROXY_CONNECT_TIMEOUT)
            .differs(differences![
                When::Below(1) =>
                    "The default applies; in ingress-nginx every request gets 504.",
            ]);
    PROXY_SEND_TIMEOUT: i64 =
        annotation("proxy-send-timeout", types::INT, "Seconds between two writes to the backend.")
            .setting(&settings::upstream::PROXY_SEND_TIMEOUT);
    PROXY_READ_TIMEOUT: i64 =
        annotation("proxy-read-timeout", types::INT, "Seconds between two reads from the backend; then 504.")
            .setting(&settings::upstream::PROXY_READ_TIMEOUT)
            .differs(differences![
                When::Below(1) =>
                    "The default applies; in ingress-nginx every request gets 504.",
            ]);
    PROXY_BUFFERING: bool =
        annotation("proxy-buffering", types::ON_OFF, "Reads responses ahead of a slow client.")
            .setting(&settings::upstream::PROXY_BUFFERING);
    PROXY_BUFFERS_NUMBER: i64 =
        annotation("proxy-buffers-number", types::INT, "Responses are streamed; there are no such buffers.")
            .setting(&settings::upstream::PROXY_BUFFERS_NUMBER).inert();
    PROXY_BUFFER_SIZE: u64 =
        annotation("proxy-buffer-size", types::SIZE, "Largest response head; a larger one is 502.")
            .setting(&settings::upstream::PROXY_BUFFER_SIZE);
    PROXY_BUSY_BUFFERS_SIZE: u64 =
        annotation("proxy-busy-buffers-size", types::SIZE, "Responses are streamed; there are no such buffers.")
            .setting(&settings::upstream::PROXY_BUSY_BUFFERS_SIZE).inert();
    PROXY_MAX_TEMP_FILE_SIZE: u64 =
        annotation("proxy-max-temp-file-size", types::SIZE,
            "Part of a response read ahead of its client that may be in a file; 0 keeps to memory.")
            .setting(&settings::upstream::PROXY_MAX_TEMP_FILE_SIZE);
    PROXY_BODY_SIZE: u64 =
        annotation("proxy-body-size", types::SIZE, "Longest request body, then 413; 0 is unlimited.")
            .setting(&settings::upstream::PROXY_BODY_SIZE).risk(Risk::Medium);
    CLIENT_BODY_BUFFER_SIZE: SizeText =
        annotation("client-body-buffer-size", types::SIZE_TEXT,
            "Request body kept in memory in any case; a longer one goes to a file while memory is short, or if it exceeds 1 MiB; used only without a unit or with k or m.")
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

words! { BackendProtocol {
    "HTTP" => Self::Http,
    "HTTPS" => Self::Https,
    "AUTO_HTTP" => Self::AutoHttp,
    "GRPC" => Self::Grpc,
    "GRPCS" => Self::Grpcs,
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

/// Protocol, timeouts, bodies and buffers. Everything not set has its default in the ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Proxy {
    /// HTTP when not set.
    pub(crate) protocol: Option<BackendProtocol>,
    pub(crate) connect_timeout: Option<Duration>,
    /// Between two writes to the backend.
    pub(crate) send_timeout: Option<Duration>,
    /// Between two reads from the backend.
    pub(crate) read_timeout: Option<Duration>,
    /// Longest request body in bytes; zero is unlimited.
    pub(crate) body_size: Option<u64>,
    /// Request body kept in memory, in bytes.
    pub(crate) client_body_buffer_size: Option<u64>,
    /// Read the whole request body before the backend gets it.
    pub(crate) request_buffering: Option<bool>,
    /// Read the response ahead of a slow client.
    pub(crate) buffering: Option<bool>,
    /// Part of a response read ahead that may be in a file, in bytes; zero keeps to memory.
    pub(crate) max_temp_file_size: Option<u64>,
    /// Longest head of a response, in bytes.
    pub(crate) buffer_size: Option<u64>,
    pub(crate) http_version: Option<HttpVersion>,
    /// The Connection header towards the backend; automatic when not set.
    pub(crate) connection: Option<ConnectionHeader>,
}

impl Proxy {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            protocol: reader.get(&BACKEND_PROTOCOL),
            connect_timeout: reader.timeout(&PROXY_CONNECT_TIMEOUT),
            send_timeout: reader.timeout(&PROXY_SEND_TIMEOUT),
            read_timeout: reader.timeout(&PROXY_READ_TIMEOUT),
            body_size: reader.get(&PROXY_BODY_SIZE),
            client_body_buffer_size: client_body_buffer_size(reader),
            request_buffering: reader.get(&PROXY_REQUEST_BUFFERING),
            buffering: reader.get(&PROXY_BUFFERING),
            max_temp_file_size: reader.get(&PROXY_MAX_TEMP_FILE_SIZE),
            buffer_size: reader.positive_size(&PROXY_BUFFER_SIZE),
            http_version: reader.get(&PROXY_HTTP_VERSION),
            connection: reader.get(&CONNECTION_PROXY_HEADER),
        }
    }
}

/// Forwarding as in the settings, overridden by the annotations of an Ingress.
pub(crate) fn forwarding(
    annotations: &IngressAnnotations,
    settings: &Settings,
    fastcgi: Option<Arc<FastCgi>>,
) -> Forwarding {
    let proxy = &annotations.proxy;
    let replace = &annotations.replace;
    let defaults = &settings.upstream.forwarding;
    let rule = |own: &Option<_>, default: &Option<_>| own.as_ref().unwrap_or(default).clone();
    Forwarding {
        attempt_timeout: None,
        request_timeout: None,
        replay_memory: 0,
        connect_timeout: proxy.connect_timeout.unwrap_or(defaults.connect_timeout),
        send_timeout: proxy.send_timeout.unwrap_or(defaults.send_timeout),
        read_timeout: proxy.read_timeout.unwrap_or(defaults.read_timeout),
        retry: annotations.retry.policy(&settings.upstream),
        body_limit: proxy.body_size.map_or(defaults.body_limit, body_limit),
        buffer_request: proxy.request_buffering.unwrap_or(defaults.buffer_request),
        body_memory: proxy
            .client_body_buffer_size
            .map_or(defaults.body_memory, memory),
        response_head_limit: proxy
            .buffer_size
            .map_or(defaults.response_head_limit, memory),
        buffer_response: proxy.buffering.unwrap_or(defaults.buffer_response),
        response_file_limit: proxy
            .max_temp_file_size
            .unwrap_or(defaults.response_file_limit),
        response_rate: annotations.rate.policy(settings.upstream.response_rate),
        http_version: proxy.http_version.unwrap_or(defaults.http_version),
        fastcgi,
        host: annotations.headers.upstream_vhost.clone(),
        connection_header: proxy.connection.or(defaults.connection_header),
        cookie_domain: rule(&replace.cookie_domain, &defaults.cookie_domain),
        cookie_path: rule(&replace.cookie_path, &defaults.cookie_path),
        location: replace.location(&settings.upstream),
    }
}

/// Zero is unlimited.
pub(crate) fn body_limit(bytes: u64) -> Option<u64> {
    (bytes > 0).then_some(bytes)
}

/// A number of bytes that are kept in memory.
pub(crate) fn memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A size with `b` or `g` is valid and ignored, as in ingress-nginx.
fn client_body_buffer_size(reader: &mut Reader) -> Option<u64> {
    let size = reader.get(&CLIENT_BODY_BUFFER_SIZE)?;
    if !size.counts {
        let reason = "only sizes without a unit or with k or m count";
        reader.reject(&CLIENT_BODY_BUFFER_SIZE, OnInvalid::Ignore, reason);
        return None;
    }
    Some(size.bytes)
}
