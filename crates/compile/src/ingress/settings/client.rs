//! HTTP with clients: addresses, forwarded headers, bounds and timeouts, limits.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use ipnet::IpNet;

use super::read::Source;
use super::registry::{Kind, Setting, inert, not_yet, setting};
use super::tls::status;
use crate::ingress::annotations::Class;
use crate::ingress::annotations::parse_cidr;

pub(super) const ENTRIES: &[Setting] = &[
    setting(
        "use-forwarded-headers",
        Kind::Bool,
        "false",
        "Believes X-Forwarded-Proto, -Port, -Host and -For.",
    ),
    setting(
        "compute-full-forwarded-for",
        Kind::Bool,
        "false",
        "With it: appends to X-Forwarded-For instead of replacing it.",
    ),
    setting(
        "enable-real-ip",
        Kind::Bool,
        "false",
        "Takes the client address from forwarded-for-header.",
    ),
    setting(
        "proxy-real-ip-cidr",
        Kind::List,
        "0.0.0.0/0",
        "Proxies whose headers are believed.",
    ),
    setting(
        "forwarded-for-header",
        Kind::Chars(Class::Word),
        "X-Forwarded-For",
        "Header with the client address.",
    ),
    inert(
        "forwarded-for-proxy-protocol-header",
        "X-Forwarded-For-Proxy-Protocol",
        "A scratch header inside nginx.",
    ),
    setting(
        "forwarded-host-header",
        Kind::Chars(Class::Word),
        "X-Forwarded-Host",
        "Source of X-Original-Forwarded-Host.",
    ),
    setting(
        "use-proxy-protocol",
        Kind::Bool,
        "false",
        "Connections begin with a PROXY header, version 1 or 2.",
    ),
    setting(
        "proxy-protocol-header-timeout",
        Kind::Duration,
        "5s",
        "How long to wait for it.",
    ),
    setting(
        "proxy-add-original-uri-header",
        Kind::Bool,
        "false",
        "Adds X-Original-URI for the backend.",
    ),
    setting(
        "generate-request-id",
        Kind::Bool,
        "true",
        "Makes an X-Request-ID where the client sent none.",
    ),
    setting(
        "proxy-set-headers",
        Kind::Chars(Class::Basic),
        "",
        "ConfigMap namespace/name of headers for the backends.",
    ),
    setting(
        "add-headers",
        Kind::Chars(Class::Basic),
        "",
        "ConfigMap namespace/name of headers for the clients.",
    ),
    setting(
        "use-port-in-redirects",
        Kind::Bool,
        "false",
        "Default of the annotation.",
    ),
    setting(
        "relative-redirects",
        Kind::Bool,
        "false",
        "Redirects that the proxy itself makes carry a path only.",
    ),
    setting("use-http2", Kind::Bool, "true", "Offers HTTP/2."),
    setting(
        "http2-max-concurrent-streams",
        Kind::Int,
        "128",
        "Requests in progress on one HTTP/2 connection.",
    ),
    inert(
        "http2-max-field-size",
        "",
        "large-client-header-buffers bounds HTTP/2 too.",
    ),
    inert(
        "http2-max-header-size",
        "",
        "large-client-header-buffers bounds HTTP/2 too.",
    ),
    inert(
        "http2-max-requests",
        "0",
        "keep-alive-requests bounds HTTP/2 too.",
    ),
    setting(
        "keep-alive",
        Kind::Int,
        "75",
        "Seconds an idle connection is kept; 0 closes after each answer.",
    ),
    setting(
        "keep-alive-requests",
        Kind::Int,
        "1000",
        "Requests on one connection.",
    ),
    setting(
        "client-header-buffer-size",
        Kind::Size,
        "1k",
        "First buffer for a head; adds to the bound of the next key.",
    ),
    setting(
        "large-client-header-buffers",
        Kind::Buffers,
        "4 8k",
        "Number and size; longest head and longest field.",
    ),
    setting(
        "client-header-timeout",
        Kind::Int,
        "30",
        "Seconds for the head of a request, then 408 (60 in ingress-nginx).",
    ),
    setting(
        "client-body-timeout",
        Kind::Int,
        "60",
        "Seconds between two reads of a body, then 408.",
    ),
    setting(
        "client-body-buffer-size",
        Kind::Size,
        "8k",
        "Default of the annotation.",
    ),
    setting(
        "enable-underscores-in-headers",
        Kind::Bool,
        "false",
        "Passes header names with underscores; else they are dropped.",
    ),
    setting(
        "ignore-invalid-headers",
        Kind::Bool,
        "true",
        "Drops headers with other odd names instead of passing them.",
    ),
    inert("default-type", "text/html", "No files are served."),
    not_yet(
        "bind-address",
        Kind::Raw,
        "",
        "Addresses to listen on; the flag --bind-address does it.",
    ),
    inert(
        "bind-address-ipv4",
        "",
        "Computed from bind-address inside ingress-nginx.",
    ),
    inert(
        "bind-address-ipv6",
        "",
        "Computed from bind-address inside ingress-nginx.",
    ),
    not_yet(
        "disable-ipv6",
        Kind::Bool,
        "false",
        "Listens on IPv4 only; the flag --bind-address does it.",
    ),
    not_yet(
        "disable-ipv6-dns",
        Kind::Bool,
        "false",
        "Asks DNS for IPv4 addresses only.",
    ),
    inert(
        "reuse-port",
        "true",
        "Every worker has listeners of its own.",
    ),
    inert(
        "enable-multi-accept",
        "true",
        "Workers accept what is waiting.",
    ),
    not_yet("limit-rate", Kind::Int, "0", "Default of the annotation."),
    not_yet(
        "limit-rate-after",
        Kind::Int,
        "0",
        "Default of the annotation.",
    ),
    setting(
        "limit-req-status-code",
        Kind::Int,
        "503",
        "Status of requests beyond limit-rps and limit-rpm.",
    ),
    setting(
        "limit-conn-status-code",
        Kind::Int,
        "503",
        "Status of requests beyond limit-connections.",
    ),
    setting(
        "limit-conn-zone-variable",
        Kind::Chars(Class::Variables),
        "$binary_remote_addr",
        "What the limits count by; requests for which it is empty are not counted.",
    ),
];

/// Client addresses and forwarded headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedHeaders {
    /// Believe X-Forwarded-Proto, -Port, -Host and -For (`use-forwarded-headers`, off).
    pub use_forwarded: bool,
    /// With it, append to X-Forwarded-For instead of replacing it (`compute-full-forwarded-for`, off).
    pub compute_full: bool,
    /// Take the client address from `for_header` (`enable-real-ip`, off).
    pub real_ip: bool,
    /// Peers whose headers are believed; empty believes nobody (`proxy-real-ip-cidr`, 0.0.0.0/0).
    pub trusted: Vec<IpNet>,
    /// Header with the client address (`forwarded-for-header`, X-Forwarded-For).
    pub for_header: HeaderName,
    /// Source of X-Original-Forwarded-Host (`forwarded-host-header`, X-Forwarded-Host).
    pub host_header: HeaderName,
    /// Connections begin with a PROXY header (`use-proxy-protocol`, off).
    pub proxy_protocol: bool,
    /// How long to wait for it (`proxy-protocol-header-timeout`, 5 s).
    pub proxy_protocol_timeout: Duration,
}

impl ForwardedHeaders {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let name =
            |text: &str| HeaderName::try_from(text).map_err(|_| "the value is not a header name");
        let timeout = source.duration("proxy-protocol-header-timeout");
        Self {
            use_forwarded: source.on("use-forwarded-headers"),
            compute_full: source.on("compute-full-forwarded-for"),
            real_ip: source.on("enable-real-ip"),
            trusted: trusted(source),
            for_header: source
                .parsed("forwarded-for-header", name)
                .unwrap_or_else(|| HeaderName::from_static("x-forwarded-for")),
            host_header: source
                .parsed("forwarded-host-header", name)
                .unwrap_or_else(|| HeaderName::from_static("x-forwarded-host")),
            proxy_protocol: source.on("use-proxy-protocol"),
            proxy_protocol_timeout: if timeout.is_zero() {
                Duration::from_secs(5)
            } else {
                timeout
            },
        }
    }
}

/// A bad member is dropped, and with none left nobody is trusted: believing fewer peers is the safe side.
fn trusted(source: &mut Source<'_>) -> Vec<IpNet> {
    const NAME: &str = "proxy-real-ip-cidr";
    if source.blank(NAME) {
        return Vec::new();
    }
    source.each(NAME, parse_cidr).unwrap_or_else(|| {
        source
            .list(NAME)
            .iter()
            .filter_map(|net| parse_cidr(net).ok())
            .collect()
    })
}

/// Bounds and timeouts of HTTP with clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Offer HTTP/2 (`use-http2`, on).
    pub http2: bool,
    /// Requests in progress on one HTTP/2 connection, at least 1 (`http2-max-concurrent-streams`, 128).
    pub http2_max_streams: u32,
    /// How long an idle connection is kept; zero closes after each answer (`keep-alive`, 75 s).
    pub keep_alive: Duration,
    /// Requests on one connection, at least 1 (`keep-alive-requests`, 1000).
    pub keep_alive_requests: u32,
    /// First buffer for a head in bytes (`client-header-buffer-size`, 1 KiB).
    pub header_buffer_size: u64,
    /// Number of further buffers for a head (`large-client-header-buffers`, 4).
    pub large_header_buffers: u32,
    /// Size of each in bytes: also the longest field and request line (`large-client-header-buffers`, 8 KiB).
    pub large_header_buffer_size: u64,
    /// Time for a head (`client-header-timeout`, 30 s).
    pub header_timeout: Duration,
    /// Time between two reads of a body (`client-body-timeout`, 60 s).
    pub body_timeout: Duration,
    /// Body kept in memory in bytes (`client-body-buffer-size`, 8 KiB).
    pub body_buffer_size: u64,
    /// Pass header names with underscores (`enable-underscores-in-headers`, off).
    pub underscores: bool,
    /// Drop headers with other odd names (`ignore-invalid-headers`, on).
    pub ignore_invalid_headers: bool,
}

impl Client {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let (large_header_buffers, large_header_buffer_size) =
            source.buffers("large-client-header-buffers");
        Self {
            http2: source.on("use-http2"),
            http2_max_streams: source.positive("http2-max-concurrent-streams"),
            keep_alive: source.seconds("keep-alive"),
            keep_alive_requests: source.positive("keep-alive-requests"),
            header_buffer_size: source.size("client-header-buffer-size"),
            large_header_buffers,
            large_header_buffer_size,
            header_timeout: source.timeout("client-header-timeout"),
            body_timeout: source.timeout("client-body-timeout"),
            body_buffer_size: source.size("client-body-buffer-size"),
            underscores: source.on("enable-underscores-in-headers"),
            ignore_invalid_headers: source.on("ignore-invalid-headers"),
        }
    }

    /// The longest head of a request in bytes.
    pub fn head_size(&self) -> u64 {
        self.large_header_buffer_size
            .saturating_mul(self.large_header_buffers.into())
            .max(self.header_buffer_size)
    }
}

/// What limits count by and answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitDefaults {
    /// Status beyond a request rate, 400 to 599 (`limit-req-status-code`, 503).
    pub request_status: StatusCode,
    /// Status beyond the connections, 400 to 599 (`limit-conn-status-code`, 503).
    pub connection_status: StatusCode,
    /// Variable or text that tells clients apart, as written (`limit-conn-zone-variable`, `$binary_remote_addr`).
    pub key: String,
}

impl LimitDefaults {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        Self {
            request_status: reject_status(source, "limit-req-status-code"),
            connection_status: reject_status(source, "limit-conn-status-code"),
            key: source.text("limit-conn-zone-variable").to_owned(),
        }
    }
}

fn reject_status(source: &mut Source<'_>, name: &str) -> StatusCode {
    let code = source.int_where(name, |code| (400..=599).contains(&code), "from 400 to 599");
    status(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}
