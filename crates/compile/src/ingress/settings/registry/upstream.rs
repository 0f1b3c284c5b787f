//! The backends' side, TCP and UDP, and compression.

use super::{Kind, Setting, inert, not_yet, setting};
use crate::ingress::annotations::Class;

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
