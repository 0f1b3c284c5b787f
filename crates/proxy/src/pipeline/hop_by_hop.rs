//! Hop-by-hop fields (RFC 9110 section 7.6.1), which are never forwarded.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use smallvec::SmallVec;

const SEC_WEBSOCKET_VERSION: HeaderName = HeaderName::from_static("sec-websocket-version");

/// Removes the fields that `Connection` lists and the standard ones, `Connection` included.
///
/// It must run before fields are added: otherwise a client could list a field that the proxy sets. Fields that framing
/// and routing depend on stay even if they are listed.
pub(super) fn remove(headers: &mut HeaderMap) {
    // A look at each name costs less than a search for each of these, of which most heads have one.
    let standard: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| is_hop_by_hop(name))
        .cloned()
        .collect();
    if standard.is_empty() {
        return;
    }
    for name in listed(headers).iter().chain(&standard) {
        headers.remove(name);
    }
}

/// Whether it is a standard one.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            // Of the obsolete upgrade to HTTP/2 (RFC 9113 section 3.1).
            | "http2-settings"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The value of `Upgrade` in a request for an upgrade; `None` if there is none, or if it is not forwarded: to HTTP/2,
/// which is obsolete (RFC 9113 section 3.1), or to WebSocket by anything but a GET with version 13 (RFC 6455 section 4.1).
/// The caller checks that the request is HTTP/1.1.
pub(super) fn upgrade(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    let upgrade = headers.get(UPGRADE).filter(|value| !value.is_empty())?;
    let requested = headers
        .get_all(CONNECTION)
        .iter()
        .any(|line| tokens(line).any(|token| token.eq_ignore_ascii_case(b"upgrade")));
    let protocols = || tokens(upgrade);
    let http2 = protocols().any(|protocol| {
        protocol.eq_ignore_ascii_case(b"h2c") || protocol.eq_ignore_ascii_case(b"h2")
    });
    let websocket = protocols().any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    let handshake = || {
        method == Method::GET
            && headers
                .get(SEC_WEBSOCKET_VERSION)
                .is_some_and(|version| version == "13")
    };
    (requested && !http2 && (!websocket || handshake())).then(|| upgrade.clone())
}

/// Whether the list in the field `name` contains `token`.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .any(|line| tokens(line).any(|element| element.eq_ignore_ascii_case(token.as_bytes())))
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

fn listed(headers: &HeaderMap) -> SmallVec<[HeaderName; 4]> {
    let lines = headers.get_all(CONNECTION).iter();
    let names = lines
        .flat_map(tokens)
        .filter(|token| !is_standard(token))
        .filter_map(|token| HeaderName::from_bytes(token).ok());
    names
        .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
        .collect()
}

/// The usual elements of `Connection`, which name no field or one that is removed anyway.
fn is_standard(token: &[u8]) -> bool {
    [&b"keep-alive"[..], b"close", b"upgrade", b"te", b""]
        .iter()
        .any(|standard| token.eq_ignore_ascii_case(standard))
}

#[cfg(test)]
mod tests {
    use http::header::{TE, TRANSFER_ENCODING};

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    #[test]
    fn listed_and_standard_fields_are_removed() {
        let mut map = headers(&[
            ("connection", "X-Drop, keep-alive"),
            ("connection", "x-forwarded-for"),
            ("connection", "host, content-length, \u{22}"),
            ("x-drop", "1"),
            ("x-forwarded-for", "1"),
            ("host", "a"),
            ("content-length", "3"),
            ("keep-alive", "1"),
            ("proxy-connection", "1"),
            ("http2-settings", "AAMAAABk"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "x"),
            ("x-keep", "1"),
        ]);
        remove(&mut map);
        let mut left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "x-keep"]);
    }

    #[test]
    fn upgrades_that_are_passed_on() {
        let websocket = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
        ];
        let spdy = [("connection", "upgrade"), ("upgrade", "SPDY/3.1")];
        assert!(
            upgrade(&Method::GET, &headers(&websocket)).is_some_and(|value| value == "websocket")
        );
        assert!(upgrade(&Method::POST, &headers(&spdy)).is_some());
        assert!(
            upgrade(&Method::POST, &headers(&websocket)).is_none(),
            "a handshake is a GET"
        );
        for half in [
            &[("upgrade", "websocket"), ("sec-websocket-version", "13")][..],
            &[("connection", "upgrade")],
            &[("connection", "upgrade"), ("upgrade", "")],
            &[("connection", "upgrade"), ("upgrade", "h2c")],
            &[
                ("connection", "upgrade"),
                ("upgrade", "websocket, h2c"),
                ("sec-websocket-version", "13"),
            ],
            &[
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "12"),
            ],
            &[("connection", "upgrade"), ("upgrade", "websocket")],
            &[("connection", "upgraded"), ("upgrade", "x")],
        ] {
            assert!(upgrade(&Method::GET, &headers(half)).is_none(), "{half:?}");
        }
    }

    #[test]
    fn tokens_are_elements() {
        let map = headers(&[("te", "gzip;q=1, Trailers")]);
        assert!(has_token(&map, &TE, "trailers"));
        assert!(!has_token(&map, &TE, "gzip"));
    }

    /// Whatever `Connection` lists, nothing about the connection is left, and what framing and routing need stays. Each line
    /// of the input is a field.
    fn is_without_connection(bytes: &[u8]) {
        let mut headers = HeaderMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.unwrap_or(line.len()));
            let name = HeaderName::from_bytes(name);
            let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        let before = headers.clone();
        let _ = upgrade(&Method::GET, &headers);
        remove(&mut headers);
        for name in [
            CONNECTION,
            TE,
            TRANSFER_ENCODING,
            UPGRADE,
            HeaderName::from_static("keep-alive"),
        ] {
            assert!(!headers.contains_key(name));
        }
        for name in listed(&before) {
            assert!(!headers.contains_key(name));
        }
        for name in [HOST, CONTENT_LENGTH] {
            let values = |map: &HeaderMap| map.get_all(&name).iter().cloned().collect::<Vec<_>>();
            assert_eq!(values(&headers), values(&before));
        }
    }

    #[test]
    fn fuzz_hop_by_hop() {
        headgate_fuzz::check("hop-by-hop", is_without_connection);
    }
}
