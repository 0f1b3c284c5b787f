//! Connections of clients: addresses, forwarded header fields, PROXY protocol, HTTP, limits.

use std::time::Duration;

use headgate_table::{ClientLimits, ForwardedTrust, IpSet, Template};
use http::{HeaderValue, StatusCode};

use super::read::Source;
use super::registry::{Setting, inert, setting};
use super::{exhaustion, process};
use crate::ingress::family::limits::RateNumbers;
use crate::ingress::family::proxy::memory;
use crate::ingress::registry::{
    Buffers, Class, Key, When, differences, keys, parse_cidr, parse_header_name, types,
};

keys! { Setting {
    USE_FORWARDED_HEADERS: bool =
        setting("use-forwarded-headers", types::BOOL, "false", "Trusts X-Forwarded-Proto, -Port, -Host and -For.")
            .differs(differences![
                When::Sometimes =>
                    "Only https in X-Forwarded-Proto counts as TLS; in ingress-nginx everything but http.",
            ]);
    COMPUTE_FULL_FORWARDED_FOR: bool =
        setting("compute-full-forwarded-for", types::BOOL, "false",
            "With use-forwarded-headers: appends to X-Forwarded-For instead of replacing it.");
    ENABLE_REAL_IP: bool =
        setting("enable-real-ip", types::BOOL, "false", "Takes the client address from forwarded-for-header.");
    PROXY_REAL_IP_CIDR: Vec<String> =
        setting("proxy-real-ip-cidr", types::LIST, "0.0.0.0/0", "Proxies whose headers are trusted.");
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
        setting("use-proxy-protocol", types::BOOL, "false", "Connections begin with a PROXY header, version 1 or 2.")
            .differs(differences![
                When::Sometimes =>
                    "Neither address nor port of a sender outside proxy-real-ip-cidr is used; ingress-nginx uses its port.",
            ]);
    PROXY_PROTOCOL_HEADER_TIMEOUT: Duration =
        setting("proxy-protocol-header-timeout", types::DURATION, "5s", "Timeout for the PROXY header.");
    USE_HTTP2: bool = setting("use-http2", types::BOOL, "true", "Offers HTTP/2.");
    HTTP2_MAX_CONCURRENT_STREAMS: i64 =
        setting("http2-max-concurrent-streams", types::INT, "128", "Concurrent streams on one HTTP/2 connection.");
    HTTP2_MAX_FIELD_SIZE: String = inert("http2-max-field-size", "", "large-client-header-buffers also limits HTTP/2.");
    HTTP2_MAX_HEADER_SIZE: String =
        inert("http2-max-header-size", "", "large-client-header-buffers also limits HTTP/2.");
    HTTP2_MAX_REQUESTS: String = inert("http2-max-requests", "0", "keep-alive-requests also limits HTTP/2.");
    KEEP_ALIVE: i64 =
        setting("keep-alive", types::INT, "75", "Seconds an idle connection is kept; 0 closes after each response.");
    KEEP_ALIVE_REQUESTS: i64 = setting("keep-alive-requests", types::INT, "1000", "Requests on one connection.");
    CLIENT_HEADER_BUFFER_SIZE: u64 =
        setting("client-header-buffer-size", types::SIZE, "1k",
            "Minimum for the size in large-client-header-buffers.");
    LARGE_CLIENT_HEADER_BUFFERS: Buffers =
        setting("large-client-header-buffers", types::BUFFERS, "4 8k",
            "Number and size; the size is the longest field, and their product the largest head.")
            .differs(differences![
                When::Sometimes =>
                    "A longer request target gets 414 and longer fields 431; in ingress-nginx 400.",
            ]);
    CLIENT_HEADER_TIMEOUT: i64 =
        setting("client-header-timeout", types::INT, "30",
            "Seconds for the head of a request, then 408, and for the first byte of a connection.")
            .differs(differences![
                When::Unset =>
                    "Without the key, 30 s; in ingress-nginx 60 s.",
            ]);
    CLIENT_BODY_TIMEOUT: i64 =
        setting("client-body-timeout", types::INT, "60", "Seconds between two reads of a body, then 408.");
    CLIENT_BODY_BUFFER_SIZE: u64 = setting("client-body-buffer-size", types::SIZE, "8k", "Default of the annotation.");
    DEFAULT_TYPE: String =
        setting("default-type", types::RAW, "text/html",
            "Content-Type of the health path; that of a backend's response never changes.");
    REUSE_PORT: String = inert("reuse-port", "true", "Every worker has listeners of its own.");
    ENABLE_MULTI_ACCEPT: String = inert("enable-multi-accept", "true", "Workers always accept all pending connections.");
    LIMIT_RATE: i64 = setting("limit-rate", types::INT, "0", "Default of the annotation.");
    LIMIT_RATE_AFTER: i64 = setting("limit-rate-after", types::INT, "0", "Default of the annotation.");
    LIMIT_REQ_STATUS_CODE: i64 =
        setting("limit-req-status-code", types::INT, "503", "Status of requests over limit-rps or limit-rpm.");
    LIMIT_CONN_STATUS_CODE: i64 =
        setting("limit-conn-status-code", types::INT, "503", "Status of requests over limit-connections.");
    LIMIT_CONN_ZONE_VARIABLE: String =
        setting("limit-conn-zone-variable", types::chars(Class::Variables), "$binary_remote_addr",
            "Key under which limits count clients; requests for which it is empty are not counted.");
} }

/// Which client address and forwarded header fields are trusted.
pub(super) fn forwarded(source: &mut Source<'_>) -> ForwardedTrust {
    let defaults = ForwardedTrust::default();
    let timeout = source.get(&PROXY_PROTOCOL_HEADER_TIMEOUT);
    ForwardedTrust {
        use_forwarded_headers: source.get(&USE_FORWARDED_HEADERS),
        real_ip: source.get(&ENABLE_REAL_IP),
        append: source.get(&COMPUTE_FULL_FORWARDED_FOR),
        for_header: source
            .parsed(&FORWARDED_FOR_HEADER, parse_header_name)
            .unwrap_or(defaults.for_header),
        host_header: source
            .parsed(&FORWARDED_HOST_HEADER, parse_header_name)
            .unwrap_or(defaults.host_header),
        trusted: trusted(source),
        proxy_protocol: source.get(&USE_PROXY_PROTOCOL),
        proxy_protocol_timeout: if timeout.is_zero() {
            defaults.proxy_protocol_timeout
        } else {
            timeout
        },
    }
}

/// An invalid member is dropped. Without valid members no peer is trusted, which is the safe choice.
fn trusted(source: &mut Source<'_>) -> IpSet {
    if source.blank(&PROXY_REAL_IP_CIDR) {
        return IpSet::default();
    }
    match source.each(&PROXY_REAL_IP_CIDR, parse_cidr) {
        Some(nets) => nets.into_iter().collect(),
        None => ForwardedTrust::default().trusted,
    }
}

/// Limits on clients. nginx uses one buffer of `client-header-buffer-size` for a head and then the large ones; no line or field
/// may exceed a large one.
pub(super) fn limits(source: &mut Source<'_>) -> ClientLimits {
    let buffers = source.get(&LARGE_CLIENT_HEADER_BUFFERS);
    let large = memory(buffers.size).max(memory(source.get(&CLIENT_HEADER_BUFFER_SIZE)));
    let limits = ClientLimits {
        head_timeout: source.timeout(&CLIENT_HEADER_TIMEOUT),
        body_timeout: source.timeout(&CLIENT_BODY_TIMEOUT),
        keep_alive: source.seconds(&KEEP_ALIVE),
        keep_alive_requests: source.positive(&KEEP_ALIVE_REQUESTS).into(),
        request_line: large,
        header_field: large,
        head: large.saturating_mul(buffers.number as usize).max(large),
        worker_connections: process::connections(source),
        http2_streams: source.positive(&HTTP2_MAX_CONCURRENT_STREAMS),
        ..ClientLimits::default()
    };
    exhaustion::bound(limits, source)
}

/// The rate of responses of Ingresses without one.
pub(super) fn response_rate(source: &Source<'_>) -> RateNumbers {
    RateNumbers {
        rate: Some(source.get(&LIMIT_RATE)),
        after: Some(source.get(&LIMIT_RATE_AFTER)),
    }
}

/// `Content-Type` of responses without content.
pub(super) fn default_type(source: &mut Source<'_>) -> HeaderValue {
    let parse = |text: &str| HeaderValue::from_str(text.trim());
    let own = source.parsed(&DEFAULT_TYPE, parse);
    own.unwrap_or_else(|| HeaderValue::from_static(DEFAULT_TYPE.row().default))
}

pub(super) fn http2(source: &Source<'_>) -> bool {
    source.get(&USE_HTTP2)
}

/// Status of requests over a rate limit, 400 to 599.
pub(super) fn rate_status(source: &mut Source<'_>) -> StatusCode {
    refusal(source, &LIMIT_REQ_STATUS_CODE)
}

/// Status of requests over a concurrency limit, 400 to 599.
pub(super) fn connection_status(source: &mut Source<'_>) -> StatusCode {
    refusal(source, &LIMIT_CONN_STATUS_CODE)
}

fn refusal(source: &mut Source<'_>, key: &Key<i64, Setting>) -> StatusCode {
    source.status(key, |code| (400..=599).contains(&code), "from 400 to 599")
}

/// The key under which limits count clients.
pub(super) fn limit_key(source: &mut Source<'_>) -> Template {
    match Template::parse(source.text(&LIMIT_CONN_ZONE_VARIABLE)) {
        Ok(key) => key,
        Err(error) => {
            let message = format!("{error}; clients are counted by address");
            source.error(&LIMIT_CONN_ZONE_VARIABLE, message);
            Template::binary_remote_addr()
        }
    }
}
