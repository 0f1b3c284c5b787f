//! Connections to backends: the defaults of annotations, the connection pool, and TCP and UDP.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Balance, Forwarding, HttpVersion, PoolSettings, Resilience, Retry};

use super::client::{self, CLIENT_BODY_BUFFER_SIZE};
use super::read::Source;
use super::registry::{Setting, inert, setting};
use super::resilience;
use crate::ingress::family::balance::by_word;
use crate::ingress::family::limits::RateNumbers;
use crate::ingress::family::proxy::{body_limit, memory};
use crate::ingress::family::replace::location;
use crate::ingress::family::retry::unless_zero;
use crate::ingress::registry::{
    Class, NextUpstream, When, differences, keys, parse_replacement, types,
};

const DEFAULT_OF: &str = "Default of the annotation.";

keys! { Setting {
    PROXY_CONNECT_TIMEOUT: i64 = setting("proxy-connect-timeout", types::INT, "5", DEFAULT_OF)
            .differs(differences![
                When::Below(1) =>
                    "The default applies; in ingress-nginx every request gets 504.",
            ]);
    PROXY_SEND_TIMEOUT: i64 = setting("proxy-send-timeout", types::INT, "60", DEFAULT_OF);
    PROXY_READ_TIMEOUT: i64 = setting("proxy-read-timeout", types::INT, "60", DEFAULT_OF)
            .differs(differences![
                When::Below(1) =>
                    "The default applies; in ingress-nginx every request gets 504.",
            ]);
    PROXY_BODY_SIZE: u64 = setting("proxy-body-size", types::SIZE, "1m", DEFAULT_OF);
    PROXY_BUFFERING: bool = setting("proxy-buffering", types::ON_OFF, "off", DEFAULT_OF);
    PROXY_BUFFER_SIZE: u64 = setting("proxy-buffer-size", types::SIZE, "4k", DEFAULT_OF);
    PROXY_BUFFERS_NUMBER: String = inert("proxy-buffers-number", "4", "Responses are streamed; there are no such buffers.");
    PROXY_BUSY_BUFFERS_SIZE: String =
        inert("proxy-busy-buffers-size", "", "Responses are streamed; there are no such buffers.");
    PROXY_MAX_TEMP_FILE_SIZE: u64 = setting("proxy-max-temp-file-size", types::SIZE, "1024m", DEFAULT_OF);
    PROXY_REQUEST_BUFFERING: bool = setting("proxy-request-buffering", types::ON_OFF, "on", DEFAULT_OF);
    PROXY_HTTP_VERSION: HttpVersion = setting("proxy-http-version", types::one_of(), "1.1", DEFAULT_OF);
    PROXY_NEXT_UPSTREAM: NextUpstream =
        setting("proxy-next-upstream", types::NEXT_UPSTREAM, "error timeout", DEFAULT_OF);
    PROXY_NEXT_UPSTREAM_TIMEOUT: i64 = setting("proxy-next-upstream-timeout", types::INT, "0", DEFAULT_OF);
    PROXY_NEXT_UPSTREAM_TRIES: i64 = setting("proxy-next-upstream-tries", types::INT, "3", DEFAULT_OF);
    RETRY_NON_IDEMPOTENT: bool =
        setting("retry-non-idempotent", types::BOOL, "false", "Also retries POST, LOCK and PATCH.");
    PROXY_COOKIE_DOMAIN: String = setting("proxy-cookie-domain", types::chars(Class::Tokens), "off", DEFAULT_OF)
            .differs(differences![
                When::Starts(&["~"]) =>
                    "Literal text; in ingress-nginx a regular expression.",
            ]);
    PROXY_COOKIE_PATH: String = setting("proxy-cookie-path", types::spaced(Class::Url), "off", DEFAULT_OF);
    PROXY_REDIRECT_FROM: String = setting("proxy-redirect-from", types::spaced(Class::Url), "off", DEFAULT_OF);
    PROXY_REDIRECT_TO: String = setting("proxy-redirect-to", types::spaced(Class::Url), "off", DEFAULT_OF);
    LOAD_BALANCE: String =
        setting("load-balance", types::RAW, "round_robin", "Default of the annotations of this name: round_robin, ewma or least_conn.");
    SERVICE_UPSTREAM: bool = setting("service-upstream", types::BOOL, "false", DEFAULT_OF);
    UPSTREAM_KEEPALIVE_CONNECTIONS: i64 =
        setting("upstream-keepalive-connections", types::INT, "320",
            "Idle connections kept by each worker; 0 keeps none.");
    UPSTREAM_KEEPALIVE_TIME: Duration =
        setting("upstream-keepalive-time", types::DURATION, "1h", "Maximum age of a connection.");
    UPSTREAM_KEEPALIVE_TIMEOUT: i64 =
        setting("upstream-keepalive-timeout", types::INT, "60", "Seconds an idle connection is kept.");
    UPSTREAM_KEEPALIVE_REQUESTS: i64 =
        setting("upstream-keepalive-requests", types::INT, "10000", "Requests on one connection.");
    GRPC_BUFFER_SIZE_KB: String = inert("grpc-buffer-size-kb", "0", "Messages are streamed; proxy-buffer-size limits the head of a response.");
    UPSTREAM_HASH_BY: String = inert("upstream-hash-by", "", "Has no effect in ingress-nginx either.");
    UPSTREAM_HASH_BY_SUBSET: String = inert("upstream-hash-by-subset", "", "Has no effect in ingress-nginx either.");
    UPSTREAM_HASH_BY_SUBSET_SIZE: String =
        inert("upstream-hash-by-subset-size", "", "Has no effect in ingress-nginx either.");
    APP_ROOT: String = inert("app-root", "", "Has no effect in ingress-nginx either.");
    PROXY_STREAM_TIMEOUT: Duration =
        setting("proxy-stream-timeout", types::DURATION, "600s",
            "Time between two reads or writes of a TCP or UDP session.");
    PROXY_STREAM_NEXT_UPSTREAM: bool =
        setting("proxy-stream-next-upstream", types::BOOL, "true", "Tries another endpoint if a connection fails.");
    PROXY_STREAM_NEXT_UPSTREAM_TIMEOUT: Duration =
        setting("proxy-stream-next-upstream-timeout", types::DURATION, "600s", "Time for all attempts.");
    PROXY_STREAM_NEXT_UPSTREAM_TRIES: i64 =
        setting("proxy-stream-next-upstream-tries", types::INT, "3", "Maximum attempts.");
    PROXY_STREAM_RESPONSES: i64 =
        setting("proxy-stream-responses", types::INT, "1", "Datagrams expected for one UDP request.");
} }

/// Defaults of annotations about backends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UpstreamDefaults {
    /// Forwarding without any annotation.
    pub(crate) forwarding: Forwarding,
    /// How fast responses are sent (`limit-rate`).
    pub(crate) response_rate: RateNumbers,
    /// Also retry POST, LOCK and PATCH, under any conditions (`retry-non-idempotent`).
    pub(crate) retry_non_idempotent: bool,
    /// Start of `Location` and `Refresh` that is replaced (`proxy-redirect-from`).
    pub(crate) redirect_from: String,
    /// Its replacement (`proxy-redirect-to`).
    pub(crate) redirect_to: String,
    /// How an endpoint is chosen (`load-balance`).
    pub(crate) balance: Balance,
    /// Bounds on the requests to a Service, and when an endpoint is ejected.
    pub(crate) resilience: Arc<Resilience>,
    /// Use the Service's cluster address (`service-upstream`).
    pub(crate) service_upstream: bool,
}

impl UpstreamDefaults {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        Self {
            forwarding: forwarding(source),
            response_rate: client::response_rate(source),
            retry_non_idempotent: source.get(&RETRY_NON_IDEMPOTENT),
            redirect_from: source.get(&PROXY_REDIRECT_FROM),
            redirect_to: source.get(&PROXY_REDIRECT_TO),
            balance: balance(source),
            resilience: resilience::read(source).into(),
            service_upstream: source.get(&SERVICE_UPSTREAM),
        }
    }
}

fn forwarding(source: &mut Source<'_>) -> Forwarding {
    let off = |rule: Option<_>| rule.unwrap_or_default();
    Forwarding {
        connect_timeout: source.timeout(&PROXY_CONNECT_TIMEOUT),
        send_timeout: source.timeout(&PROXY_SEND_TIMEOUT),
        read_timeout: source.timeout(&PROXY_READ_TIMEOUT),
        retry: retry(source),
        body_limit: body_limit(source.get(&PROXY_BODY_SIZE)),
        buffer_request: source.get(&PROXY_REQUEST_BUFFERING),
        body_memory: memory(source.get(&CLIENT_BODY_BUFFER_SIZE)),
        response_head_limit: memory(source.positive_size(&PROXY_BUFFER_SIZE)),
        buffer_response: source.get(&PROXY_BUFFERING),
        response_file_limit: source.get(&PROXY_MAX_TEMP_FILE_SIZE),
        http_version: source.get(&PROXY_HTTP_VERSION),
        cookie_domain: off(source.parsed(&PROXY_COOKIE_DOMAIN, parse_replacement)),
        cookie_path: off(source.parsed(&PROXY_COOKIE_PATH, parse_replacement)),
        location: location(
            source.text(&PROXY_REDIRECT_FROM),
            source.text(&PROXY_REDIRECT_TO),
        ),
        ..Forwarding::default()
    }
}

fn retry(source: &mut Source<'_>) -> Retry {
    let next = source.get(&PROXY_NEXT_UPSTREAM);
    Retry {
        on: next.on,
        tries: NonZeroU32::new(source.count(&PROXY_NEXT_UPSTREAM_TRIES)),
        timeout: unless_zero(source.seconds(&PROXY_NEXT_UPSTREAM_TIMEOUT)),
        non_idempotent: next.non_idempotent || source.get(&RETRY_NON_IDEMPOTENT),
        backoff: None,
    }
}

fn balance(source: &mut Source<'_>) -> Balance {
    const UNKNOWN: &str = "the value is not round_robin, ewma or least_conn";
    let known = |word: &str| by_word(word.trim()).ok_or(UNKNOWN);
    source.parsed(&LOAD_BALANCE, known).unwrap_or_default()
}

/// Idle connections to backends.
pub(super) fn pool(source: &mut Source<'_>) -> PoolSettings {
    PoolSettings {
        idle: source.count(&UPSTREAM_KEEPALIVE_CONNECTIONS) as usize,
        idle_timeout: source.seconds(&UPSTREAM_KEEPALIVE_TIMEOUT),
        requests: source.positive(&UPSTREAM_KEEPALIVE_REQUESTS).into(),
        age: source.get(&UPSTREAM_KEEPALIVE_TIME),
    }
}
