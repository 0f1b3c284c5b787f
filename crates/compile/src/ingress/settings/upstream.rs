//! HTTP with backends: the defaults of annotations, and the connection pool.

use std::time::Duration;

use super::read::Source;
use super::registry::{Kind, Setting, inert, not_yet, setting};
use crate::ingress::annotations::Class;
use crate::ingress::annotations::{
    Algorithm, HttpVersion, NextUpstream, RedirectRewrite, Rewrite, http_version,
};

const DEFAULT_OF: &str = "Default of the annotation.";

const GZIP_TYPES: &str = "application/atom+xml application/javascript application/x-javascript application/json \
application/rss+xml application/vnd.ms-fontobject application/x-font-ttf application/x-web-app-manifest+json \
application/xhtml+xml application/xml font/opentype image/svg+xml image/x-icon text/css text/javascript text/plain \
text/x-component";

const BROTLI_TYPES: &str = "application/xml+rss application/atom+xml application/javascript application/x-javascript \
application/json application/rss+xml application/vnd.ms-fontobject application/x-font-ttf \
application/x-web-app-manifest+json application/xhtml+xml application/xml font/opentype image/svg+xml image/x-icon \
text/css text/javascript text/plain text/x-component";

pub(super) const ENTRIES: &[Setting] = &[
    setting("proxy-connect-timeout", Kind::Int, "5", DEFAULT_OF),
    setting("proxy-send-timeout", Kind::Int, "60", DEFAULT_OF),
    setting("proxy-read-timeout", Kind::Int, "60", DEFAULT_OF),
    setting("proxy-body-size", Kind::Size, "1m", DEFAULT_OF),
    setting("proxy-buffering", Kind::OnOff, "off", DEFAULT_OF),
    setting("proxy-buffer-size", Kind::Size, "4k", DEFAULT_OF),
    inert(
        "proxy-buffers-number",
        "4",
        "Answers stream; there are no such buffers.",
    ),
    inert(
        "proxy-busy-buffers-size",
        "",
        "Answers stream; there are no such buffers.",
    ),
    inert(
        "proxy-max-temp-file-size",
        "1024m",
        "Answers are never written to disk.",
    ),
    setting("proxy-request-buffering", Kind::OnOff, "on", DEFAULT_OF),
    setting(
        "proxy-http-version",
        Kind::OneOf(&["1.0", "1.1"]),
        "1.1",
        DEFAULT_OF,
    ),
    setting(
        "proxy-next-upstream",
        Kind::NextUpstream,
        "error timeout",
        DEFAULT_OF,
    ),
    setting("proxy-next-upstream-timeout", Kind::Int, "0", DEFAULT_OF),
    setting("proxy-next-upstream-tries", Kind::Int, "3", DEFAULT_OF),
    setting(
        "retry-non-idempotent",
        Kind::Bool,
        "false",
        "Also tries POST, LOCK and PATCH again.",
    ),
    setting(
        "proxy-cookie-domain",
        Kind::Chars(Class::Tokens),
        "off",
        DEFAULT_OF,
    ),
    setting(
        "proxy-cookie-path",
        Kind::Spaced(Class::Url),
        "off",
        DEFAULT_OF,
    ),
    setting(
        "proxy-redirect-from",
        Kind::Spaced(Class::Url),
        "off",
        DEFAULT_OF,
    ),
    setting(
        "proxy-redirect-to",
        Kind::Spaced(Class::Url),
        "off",
        DEFAULT_OF,
    ),
    setting("load-balance", Kind::Raw, "round_robin", DEFAULT_OF),
    setting("service-upstream", Kind::Bool, "false", DEFAULT_OF),
    setting(
        "upstream-keepalive-connections",
        Kind::Int,
        "320",
        "Idle connections kept by each worker; 0 keeps none.",
    ),
    setting(
        "upstream-keepalive-time",
        Kind::Duration,
        "1h",
        "Longest life of a connection.",
    ),
    setting(
        "upstream-keepalive-timeout",
        Kind::Int,
        "60",
        "Seconds an idle connection is kept.",
    ),
    setting(
        "upstream-keepalive-requests",
        Kind::Int,
        "10000",
        "Requests on one connection.",
    ),
    inert(
        "grpc-buffer-size-kb",
        "0",
        "gRPC streams; there is no such buffer.",
    ),
    inert(
        "upstream-hash-by",
        "",
        "Read by nothing in ingress-nginx either.",
    ),
    inert(
        "upstream-hash-by-subset",
        "",
        "Read by nothing in ingress-nginx either.",
    ),
    inert(
        "upstream-hash-by-subset-size",
        "",
        "Read by nothing in ingress-nginx either.",
    ),
    inert("app-root", "", "Read by nothing in ingress-nginx either."),
    not_yet(
        "proxy-stream-timeout",
        Kind::Duration,
        "600s",
        "Time between two reads or writes of a TCP or UDP session.",
    ),
    not_yet(
        "proxy-stream-next-upstream",
        Kind::Bool,
        "true",
        "Tries another endpoint.",
    ),
    not_yet(
        "proxy-stream-next-upstream-timeout",
        Kind::Duration,
        "600s",
        "Time for all tries.",
    ),
    not_yet(
        "proxy-stream-next-upstream-tries",
        Kind::Int,
        "3",
        "Tries in all.",
    ),
    not_yet(
        "proxy-stream-responses",
        Kind::Int,
        "1",
        "Datagrams expected for one UDP request.",
    ),
    not_yet("use-gzip", Kind::Bool, "false", "Compresses answers."),
    not_yet("gzip-level", Kind::Int, "1", "How hard."),
    not_yet("gzip-min-length", Kind::Int, "256", "From this length on."),
    not_yet("gzip-disable", Kind::Raw, "", "Not for these user agents."),
    not_yet("gzip-types", Kind::Raw, GZIP_TYPES, "These types."),
    not_yet(
        "enable-brotli",
        Kind::Bool,
        "false",
        "Compresses answers with brotli.",
    ),
    not_yet("brotli-level", Kind::Int, "4", "How hard."),
    not_yet("brotli-min-length", Kind::Int, "20", "From this length on."),
    not_yet("brotli-types", Kind::Raw, BROTLI_TYPES, "These types."),
];

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
            connect_timeout: source.timeout("proxy-connect-timeout"),
            send_timeout: source.timeout("proxy-send-timeout"),
            read_timeout: source.timeout("proxy-read-timeout"),
            body_size: source.size("proxy-body-size"),
            buffering: source.on("proxy-buffering"),
            buffer_size: source.positive_size("proxy-buffer-size"),
            request_buffering: source.on("proxy-request-buffering"),
            http_version: http_version(source.text("proxy-http-version")),
            next_upstream: source.next_upstream("proxy-next-upstream"),
            next_upstream_timeout: source.seconds("proxy-next-upstream-timeout"),
            next_upstream_tries: source.count("proxy-next-upstream-tries"),
            retry_non_idempotent: source.on("retry-non-idempotent"),
            cookie_domain: source
                .parsed("proxy-cookie-domain", Rewrite::parse)
                .unwrap_or(Rewrite::Off),
            cookie_path: source
                .parsed("proxy-cookie-path", Rewrite::parse)
                .unwrap_or(Rewrite::Off),
            redirect_from: source.text("proxy-redirect-from").to_owned(),
            redirect_to: source.text("proxy-redirect-to").to_owned(),
            algorithm: algorithm(source),
            service_upstream: source.on("service-upstream"),
            keepalive_connections: source.count("upstream-keepalive-connections"),
            keepalive_time: source.duration("upstream-keepalive-time"),
            keepalive_timeout: source.seconds("upstream-keepalive-timeout"),
            keepalive_requests: source.positive("upstream-keepalive-requests"),
        }
    }

    /// The rewriting of redirects where no annotation says otherwise.
    pub fn redirect_rewrite(&self) -> RedirectRewrite {
        RedirectRewrite::new(&self.redirect_from, &self.redirect_to)
    }
}

fn algorithm(source: &mut Source<'_>) -> Algorithm {
    const NAME: &str = "load-balance";
    let known = |word: &str| {
        Algorithm::from_word(word.trim()).ok_or("the value is neither round_robin nor ewma")
    };
    source.parsed(NAME, known).unwrap_or_default()
}
