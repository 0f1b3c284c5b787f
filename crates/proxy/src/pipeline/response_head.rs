//! The head of an upstream's response as clients get it (behaviour.md 3.5).

use headgate_table::{Forwarding, Script, Settings};
use http::header::SERVER;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};

use super::spoofable_headers::remove_those;
use super::{hop_by_hop, replace};

const X_PAD: HeaderName = HeaderName::from_static("x-pad");

/// Removes fields that are for the upstream's connection or for the proxy, and applies the replacements of the route. A
/// 101 keeps its hop-by-hop fields. `origin` is what a replaced `Location` begins with if it is only a path.
pub(super) fn filter<B>(
    response: &mut Response<B>,
    settings: &Settings,
    (forwarding, script): (&Forwarding, Option<&Script>),
    origin: Option<&str>,
) {
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    // The version of the upstream; hyper sends that of the client's connection.
    *response.version_mut() = Version::HTTP_11;
    let headers = response.headers_mut();
    if !switches {
        hop_by_hop::remove(headers);
    }
    let own = script.and_then(|script| script.hidden_fields.as_deref());
    let passed = script.map_or(&[][..], |script| &script.passed_fields);
    remove_those(headers, |name| {
        let is_internal = name.as_str().starts_with("x-accel-") || *name == X_PAD;
        is_internal && !passed.contains(name)
    });
    for name in own.unwrap_or(&settings.hidden_headers) {
        headers.remove(name);
    }
    server(headers, settings, passed.contains(&SERVER));
    replace::cookies(
        headers,
        forwarding.cookie_domain.as_ref(),
        forwarding.cookie_path.as_ref(),
    );
    replace::locations(headers, forwarding.location.as_ref(), origin);
}

fn server(headers: &mut HeaderMap, settings: &Settings, passes: bool) {
    if !settings.server_tokens {
        headers.remove(SERVER);
    } else if !settings.backend_server_header && !passes {
        headers.insert(SERVER, HeaderValue::from_static("nginx"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn show(headers: &HeaderMap) -> String {
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines.join("|")
    }

    fn filtered(
        lines: &[(&'static str, &'static str)],
        status: u16,
        settings: &Settings,
    ) -> String {
        let mut response = Response::new(());
        *response.headers_mut() = headers(lines);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        filter(
            &mut response,
            settings,
            (&Forwarding::default(), None),
            None,
        );
        show(response.headers())
    }

    #[test]
    fn removed_fields() {
        let settings = Settings {
            hidden_headers: [HeaderName::from_static("x-powered-by")].into(),
            ..Settings::default()
        };
        let lines = [
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("x-accel-redirect", "/x"),
            ("x-accel-buffering", "no"),
            ("x-pad", "1"),
            ("server", "apache"),
            ("x-powered-by", "php"),
            ("date", "d"),
            ("content-length", "3"),
            ("trailer", "grpc-status"),
        ];
        assert_eq!(
            filtered(&lines, 200, &settings),
            "content-length=3|date=d|trailer=grpc-status"
        );
    }

    #[test]
    fn a_switch_of_protocols_keeps_its_fields() {
        let lines = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(
            filtered(&lines, 101, &Settings::default()),
            "connection=upgrade|upgrade=websocket"
        );
        assert_eq!(filtered(&lines, 200, &Settings::default()), "");
    }

    #[test]
    fn the_server_field() {
        for (tokens, backend, expected) in [
            (false, false, ""),
            (false, true, ""),
            (true, false, "server=nginx"),
            (true, true, "server=apache"),
        ] {
            let settings = Settings {
                server_tokens: tokens,
                backend_server_header: backend,
                ..Settings::default()
            };
            assert_eq!(filtered(&[("server", "apache")], 200, &settings), expected);
        }
    }
}
