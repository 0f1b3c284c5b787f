//! The head of the response to the client: what is taken out of an upstream's, and what every response gets
//! (ingress-nginx reference 3.5).

use headgate_table::{Forwarding, Policy, Settings};
use http::header::{SERVER, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::{cors, hop_by_hop, replace};

const X_PAD: HeaderName = HeaderName::from_static("x-pad");

/// What a response gets that depends on its route and connection.
#[derive(Debug, Default)]
pub(super) struct Additions<'r> {
    /// Policy of the route; `None`: answered before there was one.
    pub(super) policy: Option<&'r Policy>,
    /// Value of `Access-Control-Allow-Origin`, when the origin is allowed.
    pub(super) allowed_origin: Option<HeaderValue>,
    /// The listener speaks TLS.
    pub(super) https: bool,
}

/// Takes out of an upstream's response what concerns the upstream's connection or the proxy alone, and applies the route's
/// replacements. The answer to an upgrade keeps the fields that make it one.
pub(super) fn filter(
    headers: &mut HeaderMap,
    status: StatusCode,
    settings: &Settings,
    forwarding: &Forwarding,
) {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        hop_by_hop::remove(headers);
    }
    let internal: SmallVec<[HeaderName; 2]> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-accel-") || **name == X_PAD)
        .cloned()
        .collect();
    for name in internal.iter().chain(&*settings.hidden_headers) {
        headers.remove(name);
    }
    server(headers, settings);
    replace::cookies(
        headers,
        forwarding.cookie_domain.as_ref(),
        forwarding.cookie_path.as_ref(),
    );
    replace::locations(headers, forwarding.location.as_ref());
}

/// What every response gets, made here or not; the route's own fields go last.
pub(super) fn finish(headers: &mut HeaderMap, settings: &Settings, additions: Additions<'_>) {
    if let Some(cors) = additions.policy.and_then(|policy| policy.cors.as_deref())
        && let Some(origin) = additions.allowed_origin
    {
        cors::apply(headers, cors, origin);
    }
    if let Some(hsts) = &settings.hsts
        && additions.https
        && additions.policy.is_some()
    {
        headers.insert(STRICT_TRANSPORT_SECURITY, hsts.value.clone());
    }
    let of_route = additions
        .policy
        .map(|policy| &*policy.response_headers)
        .unwrap_or_default();
    for (name, value) in settings.response_headers.iter().chain(of_route) {
        headers.insert(name, value.clone());
    }
}

fn server(headers: &mut HeaderMap, settings: &Settings) {
    if !settings.server_tokens {
        headers.remove(SERVER);
    } else if !settings.backend_server_header {
        headers.insert(SERVER, HeaderValue::from_static("nginx"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;
    use headgate_table::{Cors, Origins};
    use std::sync::Arc;

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
        let mut headers = headers(lines);
        let sample = Sample::new("GET", "/");
        let forwarding = sample.route.policy.forwarding.clone();
        filter(
            &mut headers,
            StatusCode::from_u16(status).unwrap(),
            settings,
            &forwarding,
        );
        show(&headers)
    }

    #[test]
    fn what_is_taken_out() {
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

    #[test]
    fn what_is_added() {
        let cors = Cors {
            origins: Origins::Any,
            methods: HeaderValue::from_static("GET"),
            headers: HeaderValue::from_static("X"),
            expose: None,
            credentials: false,
            max_age: HeaderValue::from_static("5"),
        };
        let field = |name: &'static str, value: &'static str| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        let settings = Settings {
            response_headers: [field("x-all", "1"), field("x-both", "all")].into(),
            ..Settings::default()
        };
        let sample = Sample::new("GET", "/").policy(|policy| {
            policy.cors = Some(Arc::new(cors));
            policy.response_headers = [field("x-both", "route")].into();
        });
        let policy = &sample.route.policy;
        let finished = |additions: Additions<'_>| {
            let mut headers = headers(&[
                ("strict-transport-security", "upstream"),
                ("x-both", "upstream"),
            ]);
            finish(&mut headers, &settings, additions);
            show(&headers)
        };
        assert_eq!(
            finished(Additions::default()),
            "strict-transport-security=upstream|x-all=1|x-both=all"
        );
        assert_eq!(
            finished(Additions {
                policy: Some(policy),
                allowed_origin: None,
                https: true
            }),
            "strict-transport-security=max-age=31536000; includeSubDomains|x-all=1|x-both=route"
        );
        assert_eq!(
            finished(Additions {
                policy: Some(policy),
                allowed_origin: Some(HeaderValue::from_static("*")),
                https: false
            }),
            "access-control-allow-headers=X|access-control-allow-methods=GET|access-control-allow-origin=*|\
             access-control-max-age=5|strict-transport-security=upstream|x-all=1|x-both=route"
        );
    }
}
