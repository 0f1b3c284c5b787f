//! TLS and redirects to it.

use super::{Kind, Setting, inert, not_yet, setting};
use crate::ingress::annotations::Class;

const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256";

pub(super) const ENTRIES: &[Setting] = &[
    setting(
        "ssl-protocols",
        Kind::Raw,
        "TLSv1.2 TLSv1.3",
        "TLS versions offered; older ones do not exist here.",
    ),
    setting(
        "ssl-ciphers",
        Kind::Chars(Class::Ciphers),
        CIPHERS,
        "Cipher suites for TLS 1.2; DHE does not exist here.",
    ),
    setting(
        "ssl-redirect",
        Kind::Bool,
        "true",
        "Default of the annotation.",
    ),
    setting(
        "force-ssl-redirect",
        Kind::Bool,
        "false",
        "Default of the annotation.",
    ),
    setting(
        "http-redirect-code",
        Kind::Int,
        "308",
        "Status of redirects to https: 301, 302, 307 or 308.",
    ),
    setting(
        "preserve-trailing-slash",
        Kind::Bool,
        "false",
        "Default of the annotation.",
    ),
    setting(
        "hsts",
        Kind::Bool,
        "true",
        "Adds Strict-Transport-Security to answers over https.",
    ),
    setting(
        "hsts-include-subdomains",
        Kind::Bool,
        "true",
        "Adds includeSubDomains to it.",
    ),
    setting(
        "hsts-max-age",
        Kind::Int,
        "31536000",
        "Its max-age in seconds.",
    ),
    setting("hsts-preload", Kind::Bool, "false", "Adds preload to it."),
    inert(
        "ssl-dh-param",
        "",
        "Cipher suites with DHE do not exist here.",
    ),
    not_yet("ssl-ecdh-curve", Kind::Raw, "auto", "Key exchange groups."),
    not_yet(
        "ssl-early-data",
        Kind::Bool,
        "false",
        "0-RTT, which is open to replays.",
    ),
    setting(
        "ssl-session-cache",
        Kind::Bool,
        "true",
        "Sessions are resumed from memory.",
    ),
    setting(
        "ssl-session-cache-size",
        Kind::Size,
        "10m",
        "Memory for sessions.",
    ),
    setting(
        "ssl-session-timeout",
        Kind::Duration,
        "10m",
        "How long a session can be resumed.",
    ),
    setting(
        "ssl-session-tickets",
        Kind::Bool,
        "false",
        "Sessions are resumed from tickets.",
    ),
    not_yet(
        "ssl-session-ticket-key",
        Kind::Raw,
        "",
        "Key of the tickets, shared by replicas.",
    ),
    inert(
        "ssl-buffer-size",
        "4k",
        "Records are as large as what is written.",
    ),
    not_yet("enable-ocsp", Kind::Bool, "false", "Staples OCSP answers."),
    setting(
        "proxy-ssl-location-only",
        Kind::Bool,
        "false",
        "proxy-ssl annotations apply to their own paths, not the host.",
    ),
];
