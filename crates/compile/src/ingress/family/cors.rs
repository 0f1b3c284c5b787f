//! Cross-origin requests.

use headgate_table::{Cors, OriginPattern, Origins};
use http::HeaderValue;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{
    Class, Key, OnInvalid, Origin, Reader, When, differences, keys, parse_header_value, types,
};

keys! { Annotation {
    ENABLE_CORS: bool =
        annotation("enable-cors", types::BOOL, "Responds to preflight requests and adds the CORS headers.")
            .default("false").ingress()
            .differs(differences![
                When::Sometimes =>
                    "The response to a preflight has no Content-Length, which HTTP forbids there.",
            ]);
    CORS_ALLOW_ORIGIN: Vec<String> =
        annotation("cors-allow-origin", types::LIST,
            "Allowed origins. Invalid members are dropped; with none left there are no CORS headers at all.")
            .default("*").ingress().risk(Risk::Medium)
            .differs(differences![
                When::Sometimes =>
                    "Origins must be equal as a whole, and without a valid member there are no CORS fields; ingress-nginx compares the end alone, and takes * without a valid member.",
            ]);
    CORS_ALLOW_METHODS: String =
        annotation("cors-allow-methods", types::chars(Class::Methods), "Access-Control-Allow-Methods.")
            .default("GET, PUT, POST, DELETE, PATCH, OPTIONS").ingress().risk(Risk::Medium);
    CORS_ALLOW_HEADERS: String =
        annotation("cors-allow-headers", types::chars(Class::HeaderList), "Access-Control-Allow-Headers.")

            .default("DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization")
            .ingress().risk(Risk::Medium);
    CORS_EXPOSE_HEADERS: String =
        annotation("cors-expose-headers", types::chars(Class::ExposedHeaders), "Access-Control-Expose-Headers.")
            .ingress().risk(Risk::Medium);
    CORS_ALLOW_CREDENTIALS: bool =
        annotation("cors-allow-credentials", types::BOOL, "Access-Control-Allow-Credentials; false leaves it out.")
            .default("true").ingress();
    CORS_MAX_AGE: i64 =
        annotation("cors-max-age", types::INT, "Access-Control-Max-Age in seconds.")
            .default("1728000").ingress();
} }

/// The CORS policy, if CORS is on and an origin is allowed.
pub(crate) fn read(reader: &mut Reader) -> Option<Cors> {
    if !reader.on(&ENABLE_CORS) {
        return None;
    }
    Some(Cors {
        origins: origins(reader)?,
        methods: header(reader, &CORS_ALLOW_METHODS)?,
        headers: header(reader, &CORS_ALLOW_HEADERS)?,
        expose: header(reader, &CORS_EXPOSE_HEADERS),
        credentials: reader.or_default(&CORS_ALLOW_CREDENTIALS),
        max_age: reader.or_default(&CORS_MAX_AGE).into(),
    })
}

/// The allowed origins. `None` if some are listed and none is valid: then no origin is allowed, rather than all.
fn origins(reader: &mut Reader) -> Option<Origins> {
    if !reader.present(&CORS_ALLOW_ORIGIN) {
        return Some(Origins::Any);
    }
    let origins = reader
        .each(&CORS_ALLOW_ORIGIN, Origin::parse)
        .unwrap_or_default();
    if origins.is_empty() {
        reader.reject(
            &CORS_ALLOW_ORIGIN,
            OnInvalid::Ignore,
            "no valid origin is left, so no CORS header is written",
        );
        return None;
    }
    let patterns: Option<Vec<OriginPattern>> = origins
        .into_iter()
        .map(|origin| match origin {
            Origin::Any => None,
            Origin::Pattern(pattern) => Some(pattern),
        })
        .collect();
    Some(patterns.map_or(Origins::Any, Origins::List))
}

/// The value of a header field as written, else the registry's default.
fn header(reader: &mut Reader, key: &'static Key<String>) -> Option<HeaderValue> {
    reader.parsed(key, parse_header_value).or_else(|| {
        let default = key.entry().default;
        (!default.is_empty()).then(|| HeaderValue::from_static(default))
    })
}
