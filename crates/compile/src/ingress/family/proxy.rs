//! Talking to the backend.

pub use headgate_table::{BackendProtocol, ConnectionHeader, HttpVersion};
use std::time::Duration;

use crate::ingress::annotations::{
    Annotation, Bad, Kind, NextUpstream, Reader, Rewrite, Risk, Support, annotation, parse_size,
};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "backend-protocol",
        Kind::AnyCaseOf(&["HTTP", "HTTPS", "AUTO_HTTP", "GRPC", "GRPCS", "FCGI"]),
        "Protocol of the backend. FCGI is not honoured yet and closes the route.",
    )
    .default("HTTP"),
    annotation("proxy-connect-timeout", Kind::Int, "Seconds to connect.").setting("proxy-connect-timeout", "5"),
    annotation("proxy-send-timeout", Kind::Int, "Seconds between two writes to the backend.")
        .setting("proxy-send-timeout", "60"),
    annotation("proxy-read-timeout", Kind::Int, "Seconds between two reads from the backend; then 504.")
        .setting("proxy-read-timeout", "60"),
    annotation("proxy-buffering", Kind::OnOff, "Reads answers ahead of a slow client.").setting("proxy-buffering", "off"),
    annotation("proxy-buffers-number", Kind::Int, "Answers stream; there are no such buffers.")
        .setting("proxy-buffers-number", "4")
        .support(Support::Inert),
    annotation("proxy-buffer-size", Kind::Size, "Longest head of an answer; a longer one is 502.")
        .setting("proxy-buffer-size", "4k"),
    annotation("proxy-busy-buffers-size", Kind::Size, "Answers stream; there are no such buffers.")
        .setting("proxy-busy-buffers-size", "")
        .support(Support::Inert),
    annotation("proxy-max-temp-file-size", Kind::Size, "Answers are never written to disk.")
        .setting("proxy-max-temp-file-size", "1024m")
        .support(Support::Inert),
    annotation("proxy-body-size", Kind::Size, "Longest request body, then 413; 0 is unlimited.")
        .setting("proxy-body-size", "1m")
        .risk(Risk::Medium),
    annotation(
        "client-body-buffer-size",
        Kind::SizeText,
        "Request body kept in memory, the rest goes to a file; counts only without a unit or with k or m.",
    )
    .setting("client-body-buffer-size", "8k")
    .refuses(),
    annotation("proxy-request-buffering", Kind::OnOff, "Reads the whole request body before the backend gets it.")
        .setting("proxy-request-buffering", "on"),
    annotation("proxy-http-version", Kind::OneOf(&["1.0", "1.1"]), "HTTP version towards the backend.")
        .setting("proxy-http-version", "1.1"),
    annotation("connection-proxy-header", Kind::OneOf(&["close", "keep-alive"]), "Connection header towards the backend.")
        .refuses(),
    annotation("http2-push-preload", Kind::Bool, "Server push no longer exists in browsers.")
        .default("false")
        .refuses()
        .support(Support::Inert),
];

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

/// The version of a word the registry accepts.
pub(crate) fn http_version(word: &str) -> HttpVersion {
    if word == "1.0" {
        HttpVersion::Http10
    } else {
        HttpVersion::Http11
    }
}

impl Proxy {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            protocol: protocol(reader),
            connect_timeout: reader.timeout("proxy-connect-timeout"),
            send_timeout: reader.timeout("proxy-send-timeout"),
            read_timeout: reader.timeout("proxy-read-timeout"),
            next_upstream: reader.next_upstream("proxy-next-upstream"),
            next_upstream_timeout: reader
                .count("proxy-next-upstream-timeout")
                .map(|s| Duration::from_secs(s.into())),
            next_upstream_tries: reader.count("proxy-next-upstream-tries"),
            body_size: reader.size("proxy-body-size"),
            client_body_buffer_size: client_body_buffer_size(reader),
            request_buffering: reader.bool("proxy-request-buffering"),
            buffering: reader.bool("proxy-buffering"),
            buffer_size: reader.size("proxy-buffer-size").filter(|size| *size > 0),
            http_version: reader.text("proxy-http-version").map(http_version),
            cookie_domain: reader.parsed("proxy-cookie-domain", Rewrite::parse),
            cookie_path: reader.parsed("proxy-cookie-path", Rewrite::parse),
            redirect_from: reader.string("proxy-redirect-from"),
            redirect_to: reader.string("proxy-redirect-to"),
            connection: reader.text("connection-proxy-header").map(connection),
        }
    }
}

fn protocol(reader: &Reader) -> Option<BackendProtocol> {
    Some(match reader.text("backend-protocol")? {
        "HTTPS" => BackendProtocol::Https,
        "AUTO_HTTP" => BackendProtocol::AutoHttp,
        "GRPC" => BackendProtocol::Grpc,
        "GRPCS" => BackendProtocol::Grpcs,
        // FCGI closed the route already.
        _ => BackendProtocol::Http,
    })
}

fn connection(word: &str) -> ConnectionHeader {
    if word == "close" {
        ConnectionHeader::Close
    } else {
        ConnectionHeader::KeepAlive
    }
}

/// A size with `b` or `g` is valid and does not count, as in ingress-nginx.
fn client_body_buffer_size(reader: &mut Reader) -> Option<u64> {
    const NAME: &str = "client-body-buffer-size";
    let text = reader.text(NAME)?;
    if text.ends_with(['b', 'B', 'g', 'G']) {
        reader.reject(
            NAME,
            Bad::Ignore,
            "only sizes without a unit or with k or m count",
        );
        return None;
    }
    parse_size(text).ok()
}
