//! Cross-origin requests.

use http::HeaderValue;

use crate::ingress::annotations::{
    Annotation, Bad, Class, Kind, Origin, Reader, Risk, annotation, find,
};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation("enable-cors", Kind::Bool, "Answers preflight requests and adds the CORS headers.").default("false").ingress(),
    annotation(
        "cors-allow-origin",
        Kind::List,
        "Allowed origins. Invalid members are dropped; with none left there are no CORS headers at all.",
    )
    .default("*")
    .ingress()
    .risk(Risk::Medium),
    annotation("cors-allow-methods", Kind::Chars(Class::Methods), "Access-Control-Allow-Methods.")
        .default("GET, PUT, POST, DELETE, PATCH, OPTIONS")
        .ingress()
        .risk(Risk::Medium),
    annotation("cors-allow-headers", Kind::Chars(Class::HeaderList), "Access-Control-Allow-Headers.")
        .default(
            "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
        )
        .ingress()
        .risk(Risk::Medium),
    annotation("cors-expose-headers", Kind::Chars(Class::ExposedHeaders), "Access-Control-Expose-Headers.")
        .ingress()
        .risk(Risk::Medium),
    annotation("cors-allow-credentials", Kind::Bool, "Access-Control-Allow-Credentials; false leaves it out.")
        .default("true")
        .ingress(),
    annotation("cors-max-age", Kind::Int, "Access-Control-Max-Age in seconds.").default("1728000").ingress(),
];

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
        if !reader.on("enable-cors") {
            return None;
        }
        Some(Self {
            origins: origins(reader)?,
            methods: header(reader, "cors-allow-methods")?,
            headers: header(reader, "cors-allow-headers")?,
            expose: header(reader, "cors-expose-headers"),
            credentials: reader.bool("cors-allow-credentials").unwrap_or(true),
            max_age: reader.int("cors-max-age").unwrap_or(MAX_AGE),
        })
    }
}

/// The allowed origins. `None` when some were written and none is valid: then no origin is allowed, rather than all.
fn origins(reader: &mut Reader) -> Option<Vec<Origin>> {
    const NAME: &str = "cors-allow-origin";
    if !reader.present(NAME) {
        return Some(vec![Origin::Any]);
    }
    let origins = reader.each(NAME, Origin::parse).unwrap_or_default();
    if origins.is_empty() {
        reader.reject(
            NAME,
            Bad::Ignore,
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
fn header(reader: &mut Reader, name: &str) -> Option<HeaderValue> {
    reader.parsed(name, HeaderValue::from_str).or_else(|| {
        let default = find(name)?.default;
        (!default.is_empty()).then(|| HeaderValue::from_static(default))
    })
}
