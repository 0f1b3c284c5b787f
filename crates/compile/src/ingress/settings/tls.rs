//! TLS towards clients.

use std::time::Duration;

use base64::Engine as _;
use headgate_table::{DEFAULT_CIPHERS, Hsts, KeyExchange, PrivateBytes, TlsSettings};
use http::HeaderValue;

use super::read::Source;
use super::registry::{Setting, inert, setting};
use crate::Kind as ObjectKind;
use crate::ingress::ciphers::Ciphers;
use crate::ingress::registry::{Class, TlsVersions, When, differences, excerpt, keys, types};

keys! { Setting {
    SSL_PROTOCOLS: String =
        setting("ssl-protocols", types::RAW, "TLSv1.2 TLSv1.3", "TLS versions offered; older ones are not supported.")
            .differs(differences![
                When::Has(&["TLSv1 ", "TLSv1.1", "SSLv"]) =>
                    "TLS 1.2 and 1.3 only.",
            ]);
    SSL_CIPHERS: String =
        setting("ssl-ciphers", types::chars(Class::Ciphers), DEFAULT_CIPHERS,
            "Cipher suites for TLS 1.2; DHE is not supported. Empty: all, in the client's order.")
            .differs(differences![
                When::Set =>
                    "Only suites of TLS 1.2 with ECDHE and AEAD; other members are skipped, with a finding.",
            ]);
    HSTS: bool = setting("hsts", types::BOOL, "true", "Adds Strict-Transport-Security to responses over https.");
    HSTS_INCLUDE_SUBDOMAINS: bool =
        setting("hsts-include-subdomains", types::BOOL, "true", "Adds includeSubDomains to Strict-Transport-Security.");
    HSTS_MAX_AGE: i64 = setting("hsts-max-age", types::INT, "31536000", "max-age of Strict-Transport-Security in seconds.")
            .differs(differences![
                When::Invalid =>
                    "The default applies; ingress-nginx writes the text as it is.",
            ]);
    HSTS_PRELOAD: bool = setting("hsts-preload", types::BOOL, "false", "Adds preload to Strict-Transport-Security.");
    SSL_DH_PARAM: String =
        inert("ssl-dh-param", "", "Cipher suites with DHE are not supported.")
            .names(ObjectKind::Secret);
    SSL_ECDH_CURVE: String = setting("ssl-ecdh-curve", types::chars(Class::Ciphers), "auto", "Key exchange groups.")
            .differs(differences![
                When::Set =>
                    "X25519MLKEM768, X25519, P-256 and P-384; other members are skipped, with a finding.",
            ]);
    SSL_EARLY_DATA: String = inert("ssl-early-data", "false", "0-RTT data is never accepted, because it can be replayed.");
    SSL_SESSION_CACHE: bool = setting("ssl-session-cache", types::BOOL, "true", "Sessions are resumed from memory.");
    SSL_SESSION_CACHE_SIZE: u64 = setting("ssl-session-cache-size", types::SIZE, "10m", "Memory for sessions; each counts 1 KiB.");
    SSL_SESSION_TIMEOUT: Duration =
        setting("ssl-session-timeout", types::DURATION, "10m", "How long a session can be resumed.");
    SSL_SESSION_TICKETS: bool =
        setting("ssl-session-tickets", types::BOOL, "false", "Sessions are resumed from tickets.");
    SSL_SESSION_TICKET_KEY: String =
        setting("ssl-session-ticket-key", types::RAW, "",
            "Key of the tickets, shared by replicas: base64 of 48 or 80 random bytes.");
    SSL_BUFFER_SIZE: String = inert("ssl-buffer-size", "4k", "Records are as large as what is written.");
    ENABLE_OCSP: bool =
        setting("enable-ocsp", types::BOOL, "false",
            "Staples OCSP responses of certificates that name a responder; tls.crt must hold the issuer, too.")
            .differs(differences![
                When::Set =>
                    "Responses are fetched when the certificate is configured and used until their nextUpdate; ingress-nginx fetches at the first handshake, and uses them for 3 days.",
            ]);
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
        client_order: source.blank(&SSL_CIPHERS),
        groups: groups(source).into(),
        session_cache: source.get(&SSL_SESSION_CACHE),
        session_cache_size: source.positive_size(&SSL_SESSION_CACHE_SIZE),
        session_timeout: source.get(&SSL_SESSION_TIMEOUT),
        session_tickets: source.get(&SSL_SESSION_TICKETS),
        ticket_key: source.parsed(&SSL_SESSION_TICKET_KEY, ticket_key),
        reject_unknown: source.get(&SSL_REJECT_HANDSHAKE),
    }
}

/// Whether OCSP responses are stapled.
pub(super) fn ocsp(source: &Source<'_>) -> bool {
    source.get(&ENABLE_OCSP)
}

/// OpenSSL names of the TLS 1.2 suites; an empty value means all suites.
fn ciphers(source: &mut Source<'_>) -> Vec<String> {
    if source.blank(&SSL_CIPHERS) {
        return Vec::new();
    }
    let list = Ciphers::parse(source.text(&SSL_CIPHERS));
    let is_default = source.text(&SSL_CIPHERS) == DEFAULT_CIPHERS;
    if let Some(problem) = list.problem().filter(|_| !is_default) {
        source.warn(&SSL_CIPHERS, &problem);
    }
    list.names
}

/// Key exchange groups by their names in OpenSSL; `auto` is the library's choice.
fn groups(source: &mut Source<'_>) -> Vec<KeyExchange> {
    let text = source.text(&SSL_ECDH_CURVE).to_owned();
    if text == "auto" {
        return Vec::new();
    }
    let mut groups = Vec::new();
    let mut unknown = Vec::new();
    for name in text.split(':').filter(|name| !name.is_empty()) {
        match name.to_ascii_lowercase().as_str() {
            "x25519mlkem768" => groups.push(KeyExchange::X25519MlKem768),
            "x25519" => groups.push(KeyExchange::X25519),
            "prime256v1" | "p-256" | "secp256r1" => groups.push(KeyExchange::P256),
            "secp384r1" | "p-384" => groups.push(KeyExchange::P384),
            _ => unknown.push(name),
        }
    }
    if !unknown.is_empty() || groups.is_empty() {
        let problem = format!(
            "{}: not offered; the groups are X25519MLKEM768, X25519, prime256v1 and secp384r1, and auto is all of them",
            excerpt(&unknown.join(", "))
        );
        source.warn(&SSL_ECDH_CURVE, &problem);
    }
    groups
}

/// # Errors
/// The text is not base64 of 48 or 80 bytes. The message does not contain it.
fn ticket_key(text: &str) -> Result<PrivateBytes, &'static str> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
    match bytes {
        Ok(bytes) if matches!(bytes.len(), 48 | 80) => Ok(PrivateBytes(bytes)),
        Ok(_) | Err(_) => Err("not base64 of 48 or 80 bytes; each process has a key of its own"),
    }
}

fn versions(source: &mut Source<'_>) -> TlsVersions {
    let text = source.text(&SSL_PROTOCOLS).to_owned();
    let (versions, unknown) = TlsVersions::parse(&text);
    if !unknown.is_empty() {
        let message = versions.unwrap_or(TlsVersions::BOTH).not_offered(&unknown);
        source.warn(&SSL_PROTOCOLS, &message);
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
