//! Fields of clients that an upstream would take for the proxy's word.

use headgate_table::Settings;
use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

/// Removes what an upstream would take for the proxy's word or for another spelling of it.
pub(super) fn remove(headers: &mut HeaderMap, settings: &Settings) {
    let spoofable: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| is_spoofable(name, settings))
        .cloned()
        .collect();
    for name in spoofable {
        headers.remove(name);
    }
}

fn is_spoofable(name: &HeaderName, settings: &Settings) -> bool {
    let name = name.as_str().as_bytes();
    let underscored = memchr::memchr(b'_', name).is_some();
    if underscored && !settings.underscores_in_headers {
        return true;
    }
    // CGI-style upstreams read `_` and `-` alike, so an underscored alias of these is never the balancer's.
    let believed = settings.forwarded.use_forwarded_headers && !underscored;
    match name.first() {
        // `Proxy` sets the proxy of CGI programs (CVE-2016-5385).
        Some(b'p') => name == b"proxy",
        Some(b's') => begins(name, b"ssl-client-"),
        Some(b'f') => name == b"forwarded" && !believed,
        Some(b'x') if begins(name, b"x-forwarded-") || begins(name, b"x-original-") => !believed,
        Some(b'x') => {
            underscored
                && (begins(name, b"x-real-ip")
                    || begins(name, b"x-scheme")
                    || begins(name, b"x-request-id"))
        }
        _ => false,
    }
}

/// Whether `name` begins with `prefix`, an underscore counting as a hyphen.
fn begins(name: &[u8], prefix: &[u8]) -> bool {
    name.len() >= prefix.len()
        && name
            .iter()
            .zip(prefix)
            .all(|(n, p)| n == p || (*n == b'_' && *p == b'-'))
}
