//! TLS towards clients, and redirects to it.

use std::time::Duration;

use http::StatusCode;

use super::read::Source;
use super::registry::{Setting, inert, not_yet, setting};
use crate::Kind as ObjectKind;
use crate::ingress::annotations::TlsVersions;
use crate::ingress::registry::{Class, Key, keys, types};

const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256";

keys! { Setting {
    SSL_PROTOCOLS: String =
        setting("ssl-protocols", types::RAW, "TLSv1.2 TLSv1.3", "TLS versions offered; older ones do not exist here.");
    SSL_CIPHERS: String =
        setting("ssl-ciphers", types::chars(Class::Ciphers), CIPHERS,
            "Cipher suites for TLS 1.2; DHE does not exist here.");
    SSL_REDIRECT: bool = setting("ssl-redirect", types::BOOL, "true", "Default of the annotation.");
    FORCE_SSL_REDIRECT: bool = setting("force-ssl-redirect", types::BOOL, "false", "Default of the annotation.");
    HTTP_REDIRECT_CODE: i64 =
        setting("http-redirect-code", types::INT, "308", "Status of redirects to https: 301, 302, 307 or 308.");
    PRESERVE_TRAILING_SLASH: bool =
        setting("preserve-trailing-slash", types::BOOL, "false", "Default of the annotation.");
    HSTS: bool = setting("hsts", types::BOOL, "true", "Adds Strict-Transport-Security to answers over https.");
    HSTS_INCLUDE_SUBDOMAINS: bool =
        setting("hsts-include-subdomains", types::BOOL, "true", "Adds includeSubDomains to it.");
    HSTS_MAX_AGE: i64 = setting("hsts-max-age", types::INT, "31536000", "Its max-age in seconds.");
    HSTS_PRELOAD: bool = setting("hsts-preload", types::BOOL, "false", "Adds preload to it.");
    SSL_DH_PARAM: String =
        inert("ssl-dh-param", "", "Cipher suites with DHE do not exist here.")
            .names(ObjectKind::Secret);
    SSL_ECDH_CURVE: String = not_yet("ssl-ecdh-curve", types::RAW, "auto", "Key exchange groups.");
    SSL_EARLY_DATA: bool = not_yet("ssl-early-data", types::BOOL, "false", "0-RTT, which is open to replays.");
    SSL_SESSION_CACHE: bool = setting("ssl-session-cache", types::BOOL, "true", "Sessions are resumed from memory.");
    SSL_SESSION_CACHE_SIZE: u64 = setting("ssl-session-cache-size", types::SIZE, "10m", "Memory for sessions.");
    SSL_SESSION_TIMEOUT: Duration =
        setting("ssl-session-timeout", types::DURATION, "10m", "How long a session can be resumed.");
    SSL_SESSION_TICKETS: bool =
        setting("ssl-session-tickets", types::BOOL, "false", "Sessions are resumed from tickets.");
    SSL_SESSION_TICKET_KEY: String =
        not_yet("ssl-session-ticket-key", types::RAW, "", "Key of the tickets, shared by replicas.");
    SSL_BUFFER_SIZE: String = inert("ssl-buffer-size", "4k", "Records are as large as what is written.");
    ENABLE_OCSP: bool = not_yet("enable-ocsp", types::BOOL, "false", "Staples OCSP answers.");
    PROXY_SSL_LOCATION_ONLY: bool =
        setting("proxy-ssl-location-only", types::BOOL, "false",
            "proxy-ssl annotations apply to their own paths, not the host.");
} }

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
        let ciphers = if source.blank(&SSL_CIPHERS) {
            ""
        } else {
            source.text(&SSL_CIPHERS)
        };
        Self {
            ciphers: ciphers
                .split(':')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            versions: versions(source),
            reject_unknown_names: source.get(&super::security::SSL_REJECT_HANDSHAKE),
            session_cache: source.get(&SSL_SESSION_CACHE),
            session_cache_size: source.get(&SSL_SESSION_CACHE_SIZE),
            session_timeout: source.get(&SSL_SESSION_TIMEOUT),
            session_tickets: source.get(&SSL_SESSION_TICKETS),
            proxy_ssl_location_only: source.get(&PROXY_SSL_LOCATION_ONLY),
        }
    }
}

fn versions(source: &mut Source<'_>) -> TlsVersions {
    let text = source.text(&SSL_PROTOCOLS).to_owned();
    let (versions, unknown) = TlsVersions::parse(&text);
    if !unknown.is_empty() {
        source.reject(
            &SSL_PROTOCOLS,
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
            &HTTP_REDIRECT_CODE,
            |code| matches!(code, 301 | 302 | 307 | 308),
            "301, 302, 307 or 308",
        );
        Self {
            ssl: source.get(&SSL_REDIRECT),
            force_ssl: source.get(&FORCE_SSL_REDIRECT),
            code: status(code).unwrap_or(StatusCode::PERMANENT_REDIRECT),
            preserve_trailing_slash: source.get(&PRESERVE_TRAILING_SLASH),
            use_port: source.get(&super::client::USE_PORT_IN_REDIRECTS),
            relative: source.get(&super::client::RELATIVE_REDIRECTS),
            no_tls_locations: locations(source, &super::security::NO_TLS_REDIRECT_LOCATIONS),
            no_auth_locations: locations(source, &super::security::NO_AUTH_LOCATIONS),
        }
    }
}

/// A list of paths that can be emptied by writing nothing into it.
fn locations(source: &Source<'_>, key: &Key<Vec<String>, Setting>) -> Vec<String> {
    if source.blank(key) {
        Vec::new()
    } else {
        source.get(key)
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
        let max_age = source.count(&HSTS_MAX_AGE);
        source.get(&HSTS).then(|| Self {
            max_age,
            include_subdomains: source.get(&HSTS_INCLUDE_SUBDOMAINS),
            preload: source.get(&HSTS_PRELOAD),
        })
    }
}
