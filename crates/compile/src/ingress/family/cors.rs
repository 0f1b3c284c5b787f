//! Cross-origin requests.

use http::HeaderValue;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Key, OnInvalid, Origin, Reader, keys, types};

keys! { Annotation {
    ENABLE_CORS: bool =
        annotation("enable-cors", types::BOOL, "Answers preflight requests and adds the CORS headers.")
            .default("false").ingress();
    CORS_ALLOW_ORIGIN: Vec<String> =
        annotation("cors-allow-origin", types::LIST,
            "Allowed origins. Invalid members are dropped; with none left there are no CORS headers at all.")
            .default("*").ingress().risk(Risk::Medium);
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

/// CORS headers and preflight answers. At least one origin is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Allowed origins; a single [`Origin::Any`] when any member is `*`.
    pub origins: Vec<Origin>,
    /// `Access-Control-Allow-Methods`.
    pub methods: HeaderValue,
    /// `Access-Control-Allow-Headers`.
    pub headers: HeaderValue,
    /// `Access-Control-Expose-Headers`.
    pub expose: Option<HeaderValue>,
    /// Whether `Access-Control-Allow-Credentials: true` is written. On by default.
    pub credentials: bool,
    /// `Access-Control-Max-Age` in seconds; 1728000 by default.
    pub max_age: i64,
}

const MAX_AGE: i64 = 1_728_000;

impl Cors {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        if !reader.on(&ENABLE_CORS) {
            return None;
        }
        Some(Self {
            origins: origins(reader)?,
            methods: header(reader, &CORS_ALLOW_METHODS)?,
            headers: header(reader, &CORS_ALLOW_HEADERS)?,
            expose: header(reader, &CORS_EXPOSE_HEADERS),
            credentials: reader.get(&CORS_ALLOW_CREDENTIALS).unwrap_or(true),
            max_age: reader.get(&CORS_MAX_AGE).unwrap_or(MAX_AGE),
        })
    }
}

/// The allowed origins. `None` when some were written and none is valid: then no origin is allowed, rather than all.
fn origins(reader: &mut Reader) -> Option<Vec<Origin>> {
    if !reader.present(&CORS_ALLOW_ORIGIN) {
        return Some(vec![Origin::Any]);
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
    if origins.contains(&Origin::Any) {
        return Some(vec![Origin::Any]);
    }
    Some(origins)
}

/// A header's value as written, else the registry's default.
fn header(reader: &mut Reader, key: &'static Key<String>) -> Option<HeaderValue> {
    reader.parsed(key, HeaderValue::from_str).or_else(|| {
        let default = key.entry().default;
        (!default.is_empty()).then(|| HeaderValue::from_static(default))
    })
}
