//! Request fields that upstreams trust the proxy for, so that clients must not set them.

use headgate_table::Settings;
use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

/// Removes fields that upstreams trust the proxy for, and other spellings of them (behaviour.md 3.1).
pub(super) fn remove(headers: &mut HeaderMap, settings: &Settings) {
    remove_those(headers, |name| is_spoofable(name, settings));
}

/// Removes the fields whose names are `unwanted`, which is rarely any.
pub(super) fn remove_those(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    if !headers.keys().any(&unwanted) {
        return;
    }
    let names = headers.keys().filter(|name| unwanted(name)).cloned();
    for name in names.collect::<SmallVec<[HeaderName; 4]>>() {
        headers.remove(name);
    }
}

/// Removes other spellings of `name` before the proxy sets or removes it: a client must not replace it for upstreams that do not
/// distinguish them.
pub(super) fn remove_spellings(headers: &mut HeaderMap, name: &HeaderName) {
    while let Some(other) = headers.keys().find(|other| is_spelling(other, name)) {
        let other = other.clone();
        headers.remove(other);
    }
}

/// Whether CGI-style upstreams take `other` for `name`, which is not the same text.
pub(super) fn is_spelling(other: &HeaderName, name: &HeaderName) -> bool {
    let (other, name) = (other.as_str().as_bytes(), name.as_str().as_bytes());
    let same =
        |(a, b): (&u8, &u8)| a == b || !(a.is_ascii_alphanumeric() || b.is_ascii_alphanumeric());
    other != name && other.len() == name.len() && other.iter().zip(name).all(same)
}

fn is_spoofable(name: &HeaderName, settings: &Settings) -> bool {
    let name = name.as_str().as_bytes();
    // CGI-style upstreams do not distinguish `_` and the like from `-`, and no balancer sends these with an underscore.
    let underscored = || {
        name.iter()
            .any(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'-'))
    };
    let trusted = || settings.forwarded.use_forwarded_headers && !underscored();
    match name.first() {
        // `Proxy` sets the proxy of CGI programs (CVE-2016-5385).
        Some(b'p') => name == b"proxy",
        Some(b's') => begins(name, b"ssl-client-"),
        Some(b'f') => name == b"forwarded" && !trusted(),
        Some(b'x') if begins(name, b"x-forwarded-") || begins(name, b"x-original-") => !trusted(),
        Some(b'x') => {
            (begins(name, b"x-real-ip")
                || begins(name, b"x-scheme")
                || begins(name, b"x-request-id"))
                && underscored()
        }
        _ => false,
    }
}

/// Whether `name` begins with `prefix`; an underscore and the like in it equals a hyphen.
fn begins(name: &[u8], prefix: &[u8]) -> bool {
    name.len() >= prefix.len()
        && name
            .iter()
            .zip(prefix)
            .all(|(n, p)| n == p || (*p == b'-' && !n.is_ascii_alphanumeric()))
}
