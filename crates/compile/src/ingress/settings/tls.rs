//! TLS towards clients.

use std::time::Duration;

use headgate_table::{Hsts, TlsSettings};
use http::HeaderValue;

use super::read::Source;
use super::registry::{Setting, inert, not_yet, setting};
use crate::Kind as ObjectKind;
use crate::ingress::registry::{Class, TlsVersions, keys, types};

const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256";

keys! { Setting {
    SSL_PROTOCOLS: String =
        setting("ssl-protocols", types::RAW, "TLSv1.2 TLSv1.3", "TLS versions offered; older ones are not supported.");
    SSL_CIPHERS: String =
        setting("ssl-ciphers", types::chars(Class::Ciphers), CIPHERS,
            "Cipher suites for TLS 1.2; DHE is not supported.");
    HSTS: bool = setting("hsts", types::BOOL, "true", "Adds Strict-Transport-Security to responses over https.");
    HSTS_INCLUDE_SUBDOMAINS: bool =
        setting("hsts-include-subdomains", types::BOOL, "true", "Adds includeSubDomains to Strict-Transport-Security.");
    HSTS_MAX_AGE: i64 = setting("hsts-max-age", types::INT, "31536000", "max-age of Strict-Transport-Security in seconds.");
    HSTS_PRELOAD: bool = setting("hsts-preload", types::BOOL, "false", "Adds preload to Strict-Transport-Security.");
    SSL_DH_PARAM: String =
        inert("ssl-dh-param", "", "Cipher suites with DHE are not supported.")
            .names(ObjectKind::Secret);
    SSL_ECDH_CURVE: String = not_yet("ssl-ecdh-curve", types::RAW, "auto", "Key exchange groups.");
    SSL_EARLY_DATA: bool = not_yet("ssl-early-data", types::BOOL, "false", "Accepts 0-RTT data, which allows replays.");
    SSL_SESSION_CACHE: bool = setting("ssl-session-cache", types::BOOL, "true", "Sessions are resumed from memory.");
    SSL_SESSION_CACHE_SIZE: u64 = not_yet("ssl-session-cache-size", types::SIZE, "10m", "Memory for sessions.");
    SSL_SESSION_TIMEOUT: Duration =
        not_yet("ssl-session-timeout", types::DURATION, "10m", "How long a session can be resumed.");
    SSL_SESSION_TICKETS: bool =
        setting("ssl-session-tickets", types::BOOL, "false", "Sessions are resumed from tickets.");
    SSL_SESSION_TICKET_KEY: String =
        not_yet("ssl-session-ticket-key", types::RAW, "", "Key of the tickets, shared by replicas.");
    SSL_BUFFER_SIZE: String = inert("ssl-buffer-size", "4k", "Records are as large as what is written.");
    ENABLE_OCSP: bool = not_yet("enable-ocsp", types::BOOL, "false", "Staples OCSP responses.");
    PROXY_SSL_LOCATION_ONLY: String =
        inert("proxy-ssl-location-only", "false", "proxy-ssl annotations always apply to their own paths alone.");
    SSL_REJECT_HANDSHAKE: bool =
        setting("ssl-reject-handshake", types::BOOL, "false",
            "Refuses TLS for unknown names instead of the default certificate.");
} }

pub(super) fn tls(source: &mut Source<'_>) -> TlsSettings {
    let versions = versions(source);
    TlsSettings {
        tls12: versions.tls12,
        tls13: versions.tls13,
        ciphers: ciphers(source).into(),
        session_cache: source.get(&SSL_SESSION_CACHE),
        session_tickets: source.get(&SSL_SESSION_TICKETS),
        reject_unknown: source.get(&SSL_REJECT_HANDSHAKE),
    }
}

/// OpenSSL names of the TLS 1.2 suites; an empty value means all suites.
fn ciphers(source: &Source<'_>) -> Vec<String> {
    if source.blank(&SSL_CIPHERS) {
        return Vec::new();
    }
    let names = source.text(&SSL_CIPHERS).split(':');
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
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

/// Strict-Transport-Security, if it is on.
pub(super) fn hsts(source: &mut Source<'_>) -> Option<Hsts> {
    let max_age = source.count(&HSTS_MAX_AGE);
    if !source.get(&HSTS) {
        return None;
    }
    let mut value = format!("max-age={max_age}");
    if source.get(&HSTS_INCLUDE_SUBDOMAINS) {
        value.push_str("; includeSubDomains");
    }
    if source.get(&HSTS_PRELOAD) {
        value.push_str("; preload");
    }
    let value = HeaderValue::try_from(value);
    let value = value.unwrap_or_else(|_| HeaderValue::from_static("max-age=0"));
    Some(Hsts { value })
}
