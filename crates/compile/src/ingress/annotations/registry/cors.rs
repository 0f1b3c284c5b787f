//! Cross-origin requests.

use super::{Annotation, Kind, Risk, annotation};
use crate::ingress::annotations::Class;

pub(super) const ENTRIES: &[Annotation] = &[
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
