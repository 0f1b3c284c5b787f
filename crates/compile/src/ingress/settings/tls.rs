//! TLS towards clients, and redirects to it.

use std::time::Duration;

use http::StatusCode;

use super::read::Source;
use super::registry::{Kind, Setting, inert, not_yet, setting};
use crate::ingress::annotations::Class;
use crate::ingress::annotations::TlsVersions;

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

/// TLS towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Versions offered (`ssl-protocols`, TLS 1.2 and 1.3).
    pub versions: TlsVersions,
    /// OpenSSL names of the TLS 1.2 suites, in order; empty means all there are (`ssl-ciphers`).
    pub ciphers: Vec<String>,
    /// Unknown names are refused instead of getting the default certificate (`ssl-reject-handshake`, off).
    pub reject_unknown_names: bool,
    /// Sessions are resumed from memory (`ssl-session-cache`, on).
    pub session_cache: bool,
    /// Memory for them in bytes (`ssl-session-cache-size`, 10 MiB).
    pub session_cache_size: u64,
    /// How long they live (`ssl-session-timeout`, 10 minutes).
    pub session_timeout: Duration,
    /// Sessions are resumed from tickets (`ssl-session-tickets`, off).
    pub session_tickets: bool,
    /// `proxy-ssl-*` annotations apply to their own paths only (`proxy-ssl-location-only`, off).
    pub proxy_ssl_location_only: bool,
}

impl TlsSettings {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let ciphers = if source.blank("ssl-ciphers") {
            ""
        } else {
            source.text("ssl-ciphers")
        };
        Self {
            ciphers: ciphers
                .split(':')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            versions: versions(source),
            reject_unknown_names: source.on("ssl-reject-handshake"),
            session_cache: source.on("ssl-session-cache"),
            session_cache_size: source.size("ssl-session-cache-size"),
            session_timeout: source.duration("ssl-session-timeout"),
            session_tickets: source.on("ssl-session-tickets"),
            proxy_ssl_location_only: source.on("proxy-ssl-location-only"),
        }
    }
}

fn versions(source: &mut Source<'_>) -> TlsVersions {
    const NAME: &str = "ssl-protocols";
    let text = source.text(NAME).to_owned();
    let (versions, unknown) = TlsVersions::parse(&text);
    if !unknown.is_empty() {
        source.reject(
            NAME,
            "only TLSv1.2 and TLSv1.3 are offered; the other members are dropped",
        );
    }
    versions.unwrap_or(TlsVersions::BOTH)
}

/// Defaults of the redirect annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectDefaults {
    /// http to https when the host has a certificate (`ssl-redirect`, on).
    pub ssl: bool,
    /// http to https in any case (`force-ssl-redirect`, off).
    pub force_ssl: bool,
    /// Status of redirects to https and between www and bare host: 301, 302, 307 or 308 (`http-redirect-code`, 308).
    pub code: StatusCode,
    /// Keep the final slash (`preserve-trailing-slash`, off).
    pub preserve_trailing_slash: bool,
    /// Name the https port (`use-port-in-redirects`, off).
    pub use_port: bool,
    /// Redirects that the proxy makes carry a path only: for all routes, not a default (`relative-redirects`, off).
    pub relative: bool,
    /// Starts of Ingress paths that stay on http (`no-tls-redirect-locations`, `/.well-known/acme-challenge`).
    pub no_tls_locations: Vec<String>,
    /// Starts of Ingress paths without authentication (`no-auth-locations`, `/.well-known/acme-challenge`).
    pub no_auth_locations: Vec<String>,
}

impl RedirectDefaults {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let code = source.int_where(
            "http-redirect-code",
            |code| matches!(code, 301 | 302 | 307 | 308),
            "301, 302, 307 or 308",
        );
        Self {
            ssl: source.on("ssl-redirect"),
            force_ssl: source.on("force-ssl-redirect"),
            code: status(code).unwrap_or(StatusCode::PERMANENT_REDIRECT),
            preserve_trailing_slash: source.on("preserve-trailing-slash"),
            use_port: source.on("use-port-in-redirects"),
            relative: source.on("relative-redirects"),
            no_tls_locations: locations(source, "no-tls-redirect-locations"),
            no_auth_locations: locations(source, "no-auth-locations"),
        }
    }
}

/// A list of paths that can be emptied by writing nothing into it.
fn locations(source: &Source<'_>, name: &str) -> Vec<String> {
    if source.blank(name) {
        Vec::new()
    } else {
        source.list(name)
    }
}

/// A checked number as a status.
pub(super) fn status(code: u32) -> Option<StatusCode> {
    u16::try_from(code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
}

/// Strict-Transport-Security.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hsts {
    /// Seconds (`hsts-max-age`, 31536000).
    pub max_age: u32,
    /// `includeSubDomains` (`hsts-include-subdomains`, on).
    pub include_subdomains: bool,
    /// `preload` (`hsts-preload`, off).
    pub preload: bool,
}

impl Hsts {
    pub(super) fn read(source: &mut Source<'_>) -> Option<Self> {
        let max_age = source.count("hsts-max-age");
        source.on("hsts").then(|| Self {
            max_age,
            include_subdomains: source.on("hsts-include-subdomains"),
            preload: source.on("hsts-preload"),
        })
    }
}
