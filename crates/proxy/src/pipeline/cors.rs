//! Cross-origin resource sharing (behaviour.md 1.11), with origins anchored at both ends.

use headgate_table::{Cors, OriginPattern, Origins};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
};
use http::{HeaderMap, HeaderValue};

/// The value of `Access-Control-Allow-Origin` for a request with this `Origin`; `None`: the origin is not allowed and no
/// field is sent. If any origin is allowed, requests without one get `*` as well.
pub(super) fn allowed_origin(cors: &Cors, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
    match &cors.origins {
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

/// Sets the fields of `cors` in a response, in place of those of the upstream.
pub(super) fn apply(headers: &mut HeaderMap, cors: &Cors, origin: HeaderValue) {
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
        OriginPattern::OneLabel { scheme, suffix } => {
            let label = strip_start(origin, scheme).and_then(|rest| strip_end(rest, suffix));
            label.is_some_and(|label| {
                !label.is_empty()
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            })
        }
    }
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
            let value = allowed_origin(&list, Some(&origin));
            assert_eq!(value, allowed.then(|| origin.clone()), "{origin:?}");
        }
        assert_eq!(allowed_origin(&list, None), None);
        assert_eq!(
            allowed_origin(
                &cors(Origins::List(Vec::new())),
                Some(&HeaderValue::from_static("https://a.test"))
            ),
            None
        );
    }

    #[test]
    fn any_origin_needs_none() {
        assert_eq!(allowed_origin(&cors(Origins::Any), None).unwrap(), "*");
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
        apply(&mut headers, &cors, HeaderValue::from_static("*"));
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
        apply(
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
}
