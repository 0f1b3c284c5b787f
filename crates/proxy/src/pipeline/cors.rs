//! Cross-origin resource sharing (behaviour.md 1.11), with origins anchored at both ends.

use headgate_table::{Cors, CorsRules, FetchCors, OriginPattern, Origins};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

/// What a response says of cross-origin resource sharing.
#[derive(Debug)]
pub(super) enum CorsFields<'t> {
    /// All fields of ingress-nginx, for this allowed origin.
    Nginx(&'t Cors, HeaderValue),
    /// Those of the Fetch standard.
    Fetch(&'t FetchCors, Fetch),
}

/// The part of the fields that depends on the request.
#[derive(Debug)]
pub(super) struct Fetch {
    /// `None`: the origin of the request is not allowed.
    origin: Option<HeaderValue>,
    /// The response is to a preflight, which has requested these methods and fields.
    preflight: Option<[Option<HeaderValue>; 2]>,
}

/// What the response to a request says, and whether the request is a preflight, to which the proxy responds. `None`: nothing
/// is said.
pub(super) fn answer<'t>(
    rules: &'t CorsRules,
    method: &Method,
    headers: &HeaderMap,
) -> Option<(CorsFields<'t>, bool)> {
    let origin = headers.get(ORIGIN);
    match rules {
        CorsRules::Nginx(cors) => {
            let allowed = allowed_origin(&cors.origins, origin)?;
            Some((CorsFields::Nginx(cors, allowed), method == Method::OPTIONS))
        }
        CorsRules::Fetch(cors) => {
            let origin = origin?;
            let requested = headers.get(ACCESS_CONTROL_REQUEST_METHOD).cloned();
            let is_preflight = method == Method::OPTIONS && requested.is_some();
            let allowed = allowed_origin(&cors.origins, Some(origin));
            let fetch = Fetch {
                // With credentials a browser accepts no `*`.
                origin: allowed.map(|value| {
                    if cors.credentials {
                        origin.clone()
                    } else {
                        value
                    }
                }),
                preflight: is_preflight.then(|| {
                    [
                        requested,
                        headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
                    ]
                }),
            };
            Some((CorsFields::Fetch(cors, fetch), is_preflight))
        }
    }
}

/// The value of `Access-Control-Allow-Origin` for a request with this `Origin`; `None`: the origin is not allowed and no
/// field is sent. If any origin is allowed, requests without one get `*` as well.
fn allowed_origin(origins: &Origins, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
    match origins {
        Origins::Any => Some(HeaderValue::from_static("*")),
        Origins::List(patterns) => {
            let origin = origin?;
            let text = origin.to_str().ok()?;
            patterns
                .iter()
                .any(|pattern| matches(pattern, text))
                .then(|| origin.clone())
        }
    }
}

/// Sets the fields in a response, in place of those of the upstream.
pub(super) fn apply(headers: &mut HeaderMap, fields: CorsFields<'_>) {
    match fields {
        CorsFields::Nginx(cors, origin) => apply_all(headers, cors, origin),
        CorsFields::Fetch(cors, fetch) => apply_fetch(headers, cors, fetch),
    }
}

fn apply_fetch(headers: &mut HeaderMap, cors: &FetchCors, fetch: Fetch) {
    for name in [
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE,
    ] {
        headers.remove(name);
    }
    if cors.credentials || cors.origins != Origins::Any {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    let Some(origin) = fetch.origin else {
        return;
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if cors.credentials {
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    if let Some(expose) = &cors.expose {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
    }
    let Some([method, requested]) = fetch.preflight else {
        return;
    };
    // With credentials `*` is a name, so what was requested is what is allowed.
    let allowed = |configured: &Option<HeaderValue>, requested: Option<HeaderValue>| {
        let any = || match cors.credentials {
            true => requested,
            false => Some(HeaderValue::from_static("*")),
        };
        configured.clone().or_else(any)
    };
    if let Some(methods) = allowed(&cors.methods, method) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(names) = allowed(&cors.headers, requested) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, cors.max_age.clone());
}

fn apply_all(headers: &mut HeaderMap, cors: &Cors, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if cors.credentials {
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, cors.methods.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, cors.headers.clone());
    if let Some(expose) = &cors.expose {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, cors.max_age.clone());
}

fn matches(pattern: &OriginPattern, origin: &str) -> bool {
    match pattern {
        OriginPattern::Exact(exact) => origin.eq_ignore_ascii_case(exact),
        OriginPattern::Labels { scheme, suffix } => {
            let labels = strip_start(origin, scheme).and_then(|rest| strip_end(rest, suffix));
            labels.is_some_and(|labels| labels.split('.').all(is_label))
        }
        OriginPattern::OneLabel { scheme, suffix } => {
            let label = strip_start(origin, scheme).and_then(|rest| strip_end(rest, suffix));
            label.is_some_and(is_label)
        }
    }
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !text.is_empty() && text.bytes().all(inner)
}

fn strip_start<'o>(origin: &'o str, start: &str) -> Option<&'o str> {
    let (head, rest) = origin.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(rest)
}

fn strip_end<'o>(origin: &'o str, end: &str) -> Option<&'o str> {
    let (rest, tail) = origin.split_at_checked(origin.len().checked_sub(end.len())?)?;
    tail.eq_ignore_ascii_case(end).then_some(rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use http::HeaderName;

    use super::*;

    fn cors(origins: Origins) -> Cors {
        Cors {
            origins,
            methods: HeaderValue::from_static("GET"),
            headers: HeaderValue::from_static("X"),
            expose: None,
            credentials: true,
            max_age: HeaderValue::from_static("5"),
        }
    }

    #[test]
    fn origins_match_as_a_whole() {
        let list = cors(Origins::List(vec![
            OriginPattern::Exact("https://a.test".into()),
            OriginPattern::Exact("null".into()),
            OriginPattern::OneLabel {
                scheme: "https://".into(),
                suffix: ".b.test:8443".into(),
            },
        ]));
        for (origin, allowed) in [
            ("https://a.test", true),
            ("HTTPS://A.test", true),
            ("null", true),
            ("https://x-1.b.test:8443", true),
            ("https://X.B.test:8443", true),
            ("http://a.test", false),
            ("https://a.test:443", false),
            ("https://a.test.evil", false),
            ("evil https://a.test", false),
            ("https://b.test:8443", false),
            ("https://.b.test:8443", false),
            ("https://x.y.b.test:8443", false),
            ("https://x.b.test", false),
            ("https://evil/x.b.test:8443", false),
            ("", false),
        ] {
            let origin = HeaderValue::from_static(origin);
            let value = allowed_origin(&list.origins, Some(&origin));
            assert_eq!(value, allowed.then(|| origin.clone()), "{origin:?}");
        }
        assert_eq!(allowed_origin(&list.origins, None), None);
        assert_eq!(
            allowed_origin(
                &Origins::List(Vec::new()),
                Some(&HeaderValue::from_static("https://a.test"))
            ),
            None
        );
    }

    #[test]
    fn any_origin_needs_none() {
        assert_eq!(allowed_origin(&Origins::Any, None).unwrap(), "*");
    }

    #[test]
    fn the_fields_replace_those_of_the_upstream() {
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("DELETE"),
        );
        let cors = Cors {
            expose: Some(HeaderValue::from_static("E")),
            ..cors(Origins::Any)
        };
        apply_all(&mut headers, &cors, HeaderValue::from_static("*"));
        let values = |headers: &HeaderMap| {
            let mut all: Vec<_> = headers
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            all.sort();
            all
        };
        assert_eq!(
            values(&headers),
            [
                "access-control-allow-credentials=true",
                "access-control-allow-headers=X",
                "access-control-allow-methods=GET",
                "access-control-allow-origin=*",
                "access-control-expose-headers=E",
                "access-control-max-age=5",
            ]
        );
        let mut headers = HeaderMap::new();
        apply_all(
            &mut headers,
            &Cors {
                credentials: false,
                expose: None,
                ..cors
            },
            HeaderValue::from_static("*"),
        );
        assert_eq!(headers.len(), 4);
    }

    #[test]
    fn the_fetch_standard_tells_preflights_what_is_allowed() {
        let value = HeaderValue::from_static;
        let foo = || OriginPattern::Exact("https://foo.test".into());
        let below = || OriginPattern::Labels {
            scheme: "https://".into(),
            suffix: ".bar.test".into(),
        };
        let configured = FetchCors {
            origins: Origins::List(vec![foo(), below()]),
            methods: Some(value("GET, PUT")),
            headers: Some(value("X-A")),
            expose: Some(value("X-E")),
            credentials: true,
            max_age: value("5"),
        };
        let any = FetchCors {
            origins: Origins::Any,
            methods: None,
            headers: None,
            expose: None,
            ..configured.clone()
        };
        let open = FetchCors {
            credentials: false,
            ..any.clone()
        };
        let shown = |cors: &FetchCors, origin: &'static str, preflight: bool| {
            let rules = CorsRules::Fetch(cors.clone());
            let mut headers = HeaderMap::from_iter([(ORIGIN, value(origin))]);
            let mut method = Method::OPTIONS;
            if preflight {
                headers.insert(ACCESS_CONTROL_REQUEST_METHOD, value("PUT"));
                headers.insert(ACCESS_CONTROL_REQUEST_HEADERS, value("x-b"));
            } else {
                method = Method::GET;
            }
            let (fields, is_preflight) = answer(&rules, &method, &headers).unwrap();
            assert_eq!(is_preflight, preflight);
            let own = (ACCESS_CONTROL_ALLOW_ORIGIN, value("own"));
            let mut response = HeaderMap::from_iter([own]);
            apply(&mut response, fields);
            let short = |name: &HeaderName| {
                name.as_str()
                    .trim_start_matches("access-control-")
                    .to_owned()
            };
            let mut all: Vec<String> = response
                .iter()
                .map(|(name, value)| format!("{}={}", short(name), value.to_str().unwrap()))
                .collect();
            all.sort();
            all.join(" ")
        };
        for (cors, origin, preflight, expected) in [
            (
                &configured,
                "https://foo.test",
                true,
                "allow-credentials=true allow-headers=X-A allow-methods=GET, PUT allow-origin=https://foo.test expose-headers=X-E max-age=5 vary=Origin",
            ),
            (
                &configured,
                "https://x.y.bar.test",
                false,
                "allow-credentials=true allow-origin=https://x.y.bar.test expose-headers=X-E vary=Origin",
            ),
            (&configured, "https://bar.test", true, "vary=Origin"),
            (&configured, "https://foobar.test", false, "vary=Origin"),
            (
                &any,
                "https://a.test:8443",
                true,
                "allow-credentials=true allow-headers=x-b allow-methods=PUT allow-origin=https://a.test:8443 max-age=5 vary=Origin",
            ),
            (
                &open,
                "https://a.test",
                true,
                "allow-headers=* allow-methods=* allow-origin=* max-age=5",
            ),
            (&open, "https://a.test", false, "allow-origin=*"),
        ] {
            assert_eq!(
                shown(cors, origin, preflight),
                expected,
                "{origin} {preflight}"
            );
        }
        let rules = CorsRules::Fetch(configured);
        assert!(answer(&rules, &Method::OPTIONS, &HeaderMap::new()).is_none());
    }
}
