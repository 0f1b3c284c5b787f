//! HTTP with backends: the defaults of annotations, and the connection pool.

use std::time::Duration;

use super::read::Source;
use super::registry::{Setting, inert, not_yet, setting};
use crate::ingress::annotations::{Algorithm, HttpVersion, RedirectRewrite, Rewrite};
use crate::ingress::registry::{Class, NextUpstream, keys, types};

const DEFAULT_OF: &str = "Default of the annotation.";

const GZIP_TYPES_DEFAULT: &str = "application/atom+xml application/javascript application/x-javascript application/json \
application/rss+xml application/vnd.ms-fontobject application/x-font-ttf application/x-web-app-manifest+json \
application/xhtml+xml application/xml font/opentype image/svg+xml image/x-icon text/css text/javascript text/plain \
text/x-component";

const BROTLI_TYPES_DEFAULT: &str = "application/xml+rss application/atom+xml application/javascript application/x-javascript \
application/json application/rss+xml application/vnd.ms-fontobject application/x-font-ttf \
application/x-web-app-manifest+json application/xhtml+xml application/xml font/opentype image/svg+xml image/x-icon \
text/css text/javascript text/plain text/x-component";

keys! { Setting {
    PROXY_CONNECT_TIMEOUT: i64 = setting("proxy-connect-timeout", types::INT, "5", DEFAULT_OF);
    PROXY_SEND_TIMEOUT: i64 = setting("proxy-send-timeout", types::INT, "60", DEFAULT_OF);
    PROXY_READ_TIMEOUT: i64 = setting("proxy-read-timeout", types::INT, "60", DEFAULT_OF);
    PROXY_BODY_SIZE: u64 = setting("proxy-body-size", types::SIZE, "1m", DEFAULT_OF);
    PROXY_BUFFERING: bool = setting("proxy-buffering", types::ON_OFF, "off", DEFAULT_OF);
    PROXY_BUFFER_SIZE: u64 = setting("proxy-buffer-size", types::SIZE, "4k", DEFAULT_OF);
    PROXY_BUFFERS_NUMBER: String = inert("proxy-buffers-number", "4", "Answers stream; there are no such buffers.");
    PROXY_BUSY_BUFFERS_SIZE: String =
        inert("proxy-busy-buffers-size", "", "Answers stream; there are no such buffers.");
    PROXY_MAX_TEMP_FILE_SIZE: String = inert("proxy-max-temp-file-size", "1024m", "Answers are never written to disk.");
    PROXY_REQUEST_BUFFERING: bool = setting("proxy-request-buffering", types::ON_OFF, "on", DEFAULT_OF);
    PROXY_HTTP_VERSION: HttpVersion = setting("proxy-http-version", types::one_of(), "1.1", DEFAULT_OF);
    PROXY_NEXT_UPSTREAM: NextUpstream =
        setting("proxy-next-upstream", types::NEXT_UPSTREAM, "error timeout", DEFAULT_OF);
    PROXY_NEXT_UPSTREAM_TIMEOUT: i64 = setting("proxy-next-upstream-timeout", types::INT, "0", DEFAULT_OF);
    PROXY_NEXT_UPSTREAM_TRIES: i64 = setting("proxy-next-upstream-tries", types::INT, "3", DEFAULT_OF);
    RETRY_NON_IDEMPOTENT: bool =
        setting("retry-non-idempotent", types::BOOL, "false", "Also tries POST, LOCK and PATCH again.");
    PROXY_COOKIE_DOMAIN: String = setting("proxy-cookie-domain", types::chars(Class::Tokens), "off", DEFAULT_OF);
    PROXY_COOKIE_PATH: String = setting("proxy-cookie-path", types::spaced(Class::Url), "off", DEFAULT_OF);
    PROXY_REDIRECT_FROM: String = setting("proxy-redirect-from", types::spaced(Class::Url), "off", DEFAULT_OF);
    PROXY_REDIRECT_TO: String = setting("proxy-redirect-to", types::spaced(Class::Url), "off", DEFAULT_OF);
    LOAD_BALANCE: String = setting("load-balance", types::RAW, "round_robin", DEFAULT_OF);
    SERVICE_UPSTREAM: bool = setting("service-upstream", types::BOOL, "false", DEFAULT_OF);
    UPSTREAM_KEEPALIVE_CONNECTIONS: i64 =
        setting("upstream-keepalive-connections", types::INT, "320",
            "Idle connections kept by each worker; 0 keeps none.");
    UPSTREAM_KEEPALIVE_TIME: Duration =
        setting("upstream-keepalive-time", types::DURATION, "1h", "Longest life of a connection.");
    UPSTREAM_KEEPALIVE_TIMEOUT: i64 =
        setting("upstream-keepalive-timeout", types::INT, "60", "Seconds an idle connection is kept.");
    UPSTREAM_KEEPALIVE_REQUESTS: i64 =
        setting("upstream-keepalive-requests", types::INT, "10000", "Requests on one connection.");
    GRPC_BUFFER_SIZE_KB: String = inert("grpc-buffer-size-kb", "0", "gRPC streams; there is no such buffer.");
    UPSTREAM_HASH_BY: String = inert("upstream-hash-by", "", "Read by nothing in ingress-nginx either.");
    UPSTREAM_HASH_BY_SUBSET: String = inert("upstream-hash-by-subset", "", "Read by nothing in ingress-nginx either.");
    UPSTREAM_HASH_BY_SUBSET_SIZE: String =
        inert("upstream-hash-by-subset-size", "", "Read by nothing in ingress-nginx either.");
    APP_ROOT: String = inert("app-root", "", "Read by nothing in ingress-nginx either.");
    PROXY_STREAM_TIMEOUT: Duration =
        not_yet("proxy-stream-timeout", types::DURATION, "600s",
            "Time between two reads or writes of a TCP or UDP session.");
    PROXY_STREAM_NEXT_UPSTREAM: bool =
        not_yet("proxy-stream-next-upstream", types::BOOL, "true", "Tries another endpoint.");
    PROXY_STREAM_NEXT_UPSTREAM_TIMEOUT: Duration =
        not_yet("proxy-stream-next-upstream-timeout", types::DURATION, "600s", "Time for all tries.");
    PROXY_STREAM_NEXT_UPSTREAM_TRIES: i64 =
        not_yet("proxy-stream-next-upstream-tries", types::INT, "3", "Tries in all.");
    PROXY_STREAM_RESPONSES: i64 =
        not_yet("proxy-stream-responses", types::INT, "1", "Datagrams expected for one UDP request.");
    USE_GZIP: bool = not_yet("use-gzip", types::BOOL, "false", "Compresses answers.");
    GZIP_LEVEL: i64 = not_yet("gzip-level", types::INT, "1", "How hard.");
    GZIP_MIN_LENGTH: i64 = not_yet("gzip-min-length", types::INT, "256", "From this length on.");
    GZIP_DISABLE: String = not_yet("gzip-disable", types::RAW, "", "Not for these user agents.");
    GZIP_TYPES: String = not_yet("gzip-types", types::RAW, GZIP_TYPES_DEFAULT, "These types.");
    ENABLE_BROTLI: bool = not_yet("enable-brotli", types::BOOL, "false", "Compresses answers with brotli.");
    BROTLI_LEVEL: i64 = not_yet("brotli-level", types::INT, "4", "How hard.");
    BROTLI_MIN_LENGTH: i64 = not_yet("brotli-min-length", types::INT, "20", "From this length on.");
    BROTLI_TYPES: String = not_yet("brotli-types", types::RAW, BROTLI_TYPES_DEFAULT, "These types.");
} }

/// HTTP with backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamDefaults {
    /// Time to connect (`proxy-connect-timeout`, 5 s).
    pub connect_timeout: Duration,
    /// Time between two writes (`proxy-send-timeout`, 60 s).
    pub send_timeout: Duration,
    /// Time between two reads (`proxy-read-timeout`, 60 s).
    pub read_timeout: Duration,
    /// Longest request body in bytes; zero is unlimited (`proxy-body-size`, 1 MiB).
    pub body_size: u64,
    /// Read answers ahead of a slow client (`proxy-buffering`, off).
    pub buffering: bool,
    /// Longest head of an answer in bytes (`proxy-buffer-size`, 4 KiB).
    pub buffer_size: u64,
    /// Read the whole request body before the backend gets it (`proxy-request-buffering`, on).
    pub request_buffering: bool,
    /// HTTP version (`proxy-http-version`, 1.1).
    pub http_version: HttpVersion,
    /// On what another endpoint is tried (`proxy-next-upstream`, error and timeout).
    pub next_upstream: NextUpstream,
    /// Time for all tries; zero is unlimited (`proxy-next-upstream-timeout`, 0).
    pub next_upstream_timeout: Duration,
    /// Tries in all; zero is unlimited (`proxy-next-upstream-tries`, 3).
    pub next_upstream_tries: u32,
    /// Also try POST, LOCK and PATCH again (`retry-non-idempotent`, off).
    pub retry_non_idempotent: bool,
    /// Replaces the Domain of cookies (`proxy-cookie-domain`, off).
    pub cookie_domain: Rewrite,
    /// Replaces the Path of cookies (`proxy-cookie-path`, off).
    pub cookie_path: Rewrite,
    /// Start of `Location` and `Refresh` to replace; see [`RedirectRewrite::new`] (`proxy-redirect-from`, off).
    pub redirect_from: String,
    /// What replaces it (`proxy-redirect-to`, off).
    pub redirect_to: String,
    /// How endpoints take turns (`load-balance`, round robin).
    pub algorithm: Algorithm,
    /// Use the Service's cluster address (`service-upstream`, off).
    pub service_upstream: bool,
    /// Idle connections kept by each worker (`upstream-keepalive-connections`, 320).
    pub keepalive_connections: u32,
    /// Longest life of a connection (`upstream-keepalive-time`, 1 hour).
    pub keepalive_time: Duration,
    /// How long an idle connection is kept (`upstream-keepalive-timeout`, 60 s).
    pub keepalive_timeout: Duration,
    /// Requests on one connection (`upstream-keepalive-requests`, 10000).
    pub keepalive_requests: u32,
}

impl UpstreamDefaults {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        Self {
            connect_timeout: source.timeout(&PROXY_CONNECT_TIMEOUT),
            send_timeout: source.timeout(&PROXY_SEND_TIMEOUT),
            read_timeout: source.timeout(&PROXY_READ_TIMEOUT),
            body_size: source.get(&PROXY_BODY_SIZE),
            buffering: source.get(&PROXY_BUFFERING),
            buffer_size: source.positive_size(&PROXY_BUFFER_SIZE),
            request_buffering: source.get(&PROXY_REQUEST_BUFFERING),
            http_version: source.get(&PROXY_HTTP_VERSION),
            next_upstream: source.get(&PROXY_NEXT_UPSTREAM),
            next_upstream_timeout: source.seconds(&PROXY_NEXT_UPSTREAM_TIMEOUT),
            next_upstream_tries: source.count(&PROXY_NEXT_UPSTREAM_TRIES),
            retry_non_idempotent: source.get(&RETRY_NON_IDEMPOTENT),
            cookie_domain: source
                .parsed(&PROXY_COOKIE_DOMAIN, Rewrite::parse)
                .unwrap_or(Rewrite::Off),
            cookie_path: source
                .parsed(&PROXY_COOKIE_PATH, Rewrite::parse)
                .unwrap_or(Rewrite::Off),
            redirect_from: source.text(&PROXY_REDIRECT_FROM).to_owned(),
            redirect_to: source.text(&PROXY_REDIRECT_TO).to_owned(),
            algorithm: algorithm(source),
            service_upstream: source.get(&SERVICE_UPSTREAM),
            keepalive_connections: source.count(&UPSTREAM_KEEPALIVE_CONNECTIONS),
            keepalive_time: source.get(&UPSTREAM_KEEPALIVE_TIME),
            keepalive_timeout: source.seconds(&UPSTREAM_KEEPALIVE_TIMEOUT),
            keepalive_requests: source.positive(&UPSTREAM_KEEPALIVE_REQUESTS),
        }
    }

    /// The rewriting of redirects where no annotation says otherwise.
    pub fn redirect_rewrite(&self) -> RedirectRewrite {
        RedirectRewrite::new(&self.redirect_from, &self.redirect_to)
    }
}

fn algorithm(source: &mut Source<'_>) -> Algorithm {
    let known = |word: &str| {
        Algorithm::from_word(word.trim()).ok_or("the value is neither round_robin nor ewma")
    };
    source.parsed(&LOAD_BALANCE, known).unwrap_or_default()
}
