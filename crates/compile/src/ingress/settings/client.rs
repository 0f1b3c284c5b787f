//! HTTP with clients: addresses, forwarded headers, bounds and timeouts, limits.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use ipnet::IpNet;

use super::read::Source;
use super::registry::{Setting, inert, not_yet, setting};
use super::tls::status;
use crate::Kind as ObjectKind;
use crate::ingress::annotations::parse_cidr;
use crate::ingress::registry::{Buffers, Class, Key, keys, types};

keys! { Setting {
    USE_FORWARDED_HEADERS: bool =
        setting("use-forwarded-headers", types::BOOL, "false", "Believes X-Forwarded-Proto, -Port, -Host and -For.");
    COMPUTE_FULL_FORWARDED_FOR: bool =
        setting("compute-full-forwarded-for", types::BOOL, "false",
            "With it: appends to X-Forwarded-For instead of replacing it.");
    ENABLE_REAL_IP: bool =
        setting("enable-real-ip", types::BOOL, "false", "Takes the client address from forwarded-for-header.");
    PROXY_REAL_IP_CIDR: Vec<String> =
        setting("proxy-real-ip-cidr", types::LIST, "0.0.0.0/0", "Proxies whose headers are believed.");
    FORWARDED_FOR_HEADER: String =
        setting("forwarded-for-header", types::chars(Class::Word), "X-Forwarded-For",
            "Header with the client address.");
    FORWARDED_FOR_PROXY_PROTOCOL_HEADER: String =
        inert("forwarded-for-proxy-protocol-header", "X-Forwarded-For-Proxy-Protocol",
            "A scratch header inside nginx.");
    FORWARDED_HOST_HEADER: String =
        setting("forwarded-host-header", types::chars(Class::Word), "X-Forwarded-Host",
            "Source of X-Original-Forwarded-Host.");
    USE_PROXY_PROTOCOL: bool =
        setting("use-proxy-protocol", types::BOOL, "false", "Connections begin with a PROXY header, version 1 or 2.");
    PROXY_PROTOCOL_HEADER_TIMEOUT: Duration =
        setting("proxy-protocol-header-timeout", types::DURATION, "5s", "How long to wait for it.");
    PROXY_ADD_ORIGINAL_URI_HEADER: bool =
        setting("proxy-add-original-uri-header", types::BOOL, "false", "Adds X-Original-URI for the backend.");
    GENERATE_REQUEST_ID: bool =
        setting("generate-request-id", types::BOOL, "true", "Makes an X-Request-ID where the client sent none.");
    PROXY_SET_HEADERS: String =
        setting("proxy-set-headers", types::chars(Class::Basic), "",
            "ConfigMap namespace/name of headers for the backends.")
            .names(ObjectKind::ConfigMap);
    ADD_HEADERS: String =
        setting("add-headers", types::chars(Class::Basic), "", "ConfigMap namespace/name of headers for the clients.")
            .names(ObjectKind::ConfigMap);
    USE_PORT_IN_REDIRECTS: bool = setting("use-port-in-redirects", types::BOOL, "false", "Default of the annotation.");
    RELATIVE_REDIRECTS: bool =
        setting("relative-redirects", types::BOOL, "false", "Redirects that the proxy itself makes carry a path only.");
    USE_HTTP2: bool = setting("use-http2", types::BOOL, "true", "Offers HTTP/2.");
    HTTP2_MAX_CONCURRENT_STREAMS: i64 =
        setting("http2-max-concurrent-streams", types::INT, "128", "Requests in progress on one HTTP/2 connection.");
    HTTP2_MAX_FIELD_SIZE: String = inert("http2-max-field-size", "", "large-client-header-buffers bounds HTTP/2 too.");
    HTTP2_MAX_HEADER_SIZE: String =
        inert("http2-max-header-size", "", "large-client-header-buffers bounds HTTP/2 too.");
    HTTP2_MAX_REQUESTS: String = inert("http2-max-requests", "0", "keep-alive-requests bounds HTTP/2 too.");
    KEEP_ALIVE: i64 =
        setting("keep-alive", types::INT, "75", "Seconds an idle connection is kept; 0 closes after each answer.");
    KEEP_ALIVE_REQUESTS: i64 = setting("keep-alive-requests", types::INT, "1000", "Requests on one connection.");
    CLIENT_HEADER_BUFFER_SIZE: u64 =
        setting("client-header-buffer-size", types::SIZE, "1k",
            "First buffer for a head; adds to the bound of the next key.");
    LARGE_CLIENT_HEADER_BUFFERS: Buffers =
        setting("large-client-header-buffers", types::BUFFERS, "4 8k",
            "Number and size; longest head and longest field.");
    CLIENT_HEADER_TIMEOUT: i64 =
        setting("client-header-timeout", types::INT, "30",
            "Seconds for the head of a request, then 408 (60 in ingress-nginx).");
    CLIENT_BODY_TIMEOUT: i64 =
        setting("client-body-timeout", types::INT, "60", "Seconds between two reads of a body, then 408.");
    CLIENT_BODY_BUFFER_SIZE: u64 = setting("client-body-buffer-size", types::SIZE, "8k", "Default of the annotation.");
    ENABLE_UNDERSCORES_IN_HEADERS: bool =
        setting("enable-underscores-in-headers", types::BOOL, "false",
            "Passes header names with underscores; else they are dropped.");
    IGNORE_INVALID_HEADERS: bool =
        setting("ignore-invalid-headers", types::BOOL, "true",
            "Drops headers with other odd names instead of passing them.");
    DEFAULT_TYPE: String = inert("default-type", "text/html", "No files are served.");
    BIND_ADDRESS: String =
        not_yet("bind-address", types::RAW, "", "Addresses to listen on; the flag --bind-address does it.");
    BIND_ADDRESS_IPV4: String = inert("bind-address-ipv4", "", "Computed from bind-address inside ingress-nginx.");
    BIND_ADDRESS_IPV6: String = inert("bind-address-ipv6", "", "Computed from bind-address inside ingress-nginx.");
    DISABLE_IPV6: bool =
        not_yet("disable-ipv6", types::BOOL, "false", "Listens on IPv4 only; the flag --bind-address does it.");
    DISABLE_IPV6_DNS: bool = not_yet("disable-ipv6-dns", types::BOOL, "false", "Asks DNS for IPv4 addresses only.");
    REUSE_PORT: String = inert("reuse-port", "true", "Every worker has listeners of its own.");
    ENABLE_MULTI_ACCEPT: String = inert("enable-multi-accept", "true", "Workers accept what is waiting.");
    LIMIT_RATE: i64 = not_yet("limit-rate", types::INT, "0", "Default of the annotation.");
    LIMIT_RATE_AFTER: i64 = not_yet("limit-rate-after", types::INT, "0", "Default of the annotation.");
    LIMIT_REQ_STATUS_CODE: i64 =
        setting("limit-req-status-code", types::INT, "503", "Status of requests beyond limit-rps and limit-rpm.");
    LIMIT_CONN_STATUS_CODE: i64 =
        setting("limit-conn-status-code", types::INT, "503", "Status of requests beyond limit-connections.");
    LIMIT_CONN_ZONE_VARIABLE: String =
        setting("limit-conn-zone-variable", types::chars(Class::Variables), "$binary_remote_addr",
            "What the limits count by; requests for which it is empty are not counted.");
} }

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
        let timeout = source.get(&PROXY_PROTOCOL_HEADER_TIMEOUT);
        Self {
            use_forwarded: source.get(&USE_FORWARDED_HEADERS),
            compute_full: source.get(&COMPUTE_FULL_FORWARDED_FOR),
            real_ip: source.get(&ENABLE_REAL_IP),
            trusted: trusted(source),
            for_header: source
                .parsed(&FORWARDED_FOR_HEADER, name)
                .unwrap_or_else(|| HeaderName::from_static("x-forwarded-for")),
            host_header: source
                .parsed(&FORWARDED_HOST_HEADER, name)
                .unwrap_or_else(|| HeaderName::from_static("x-forwarded-host")),
            proxy_protocol: source.get(&USE_PROXY_PROTOCOL),
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
    if source.blank(&PROXY_REAL_IP_CIDR) {
        return Vec::new();
    }
    source
        .each(&PROXY_REAL_IP_CIDR, parse_cidr)
        .unwrap_or_else(|| {
            source
                .get(&PROXY_REAL_IP_CIDR)
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
        let large = source.get(&LARGE_CLIENT_HEADER_BUFFERS);
        Self {
            http2: source.get(&USE_HTTP2),
            http2_max_streams: source.positive(&HTTP2_MAX_CONCURRENT_STREAMS),
            keep_alive: source.seconds(&KEEP_ALIVE),
            keep_alive_requests: source.positive(&KEEP_ALIVE_REQUESTS),
            header_buffer_size: source.get(&CLIENT_HEADER_BUFFER_SIZE),
            large_header_buffers: large.number,
            large_header_buffer_size: large.size,
            header_timeout: source.timeout(&CLIENT_HEADER_TIMEOUT),
            body_timeout: source.timeout(&CLIENT_BODY_TIMEOUT),
            body_buffer_size: source.get(&CLIENT_BODY_BUFFER_SIZE),
            underscores: source.get(&ENABLE_UNDERSCORES_IN_HEADERS),
            ignore_invalid_headers: source.get(&IGNORE_INVALID_HEADERS),
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
            request_status: reject_status(source, &LIMIT_REQ_STATUS_CODE),
            connection_status: reject_status(source, &LIMIT_CONN_STATUS_CODE),
            key: source.text(&LIMIT_CONN_ZONE_VARIABLE).to_owned(),
        }
    }
}

fn reject_status(source: &mut Source<'_>, key: &Key<i64, Setting>) -> StatusCode {
    let code = source.int_where(key, |code| (400..=599).contains(&code), "from 400 to 599");
    status(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}
