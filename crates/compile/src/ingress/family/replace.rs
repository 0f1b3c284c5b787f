//! Replacements in what the backend sends: cookies, `Location` and `Refresh`.

use crate::ingress::annotations::{Annotation, Class, Kind, Risk, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "proxy-cookie-domain",
        Kind::Chars(Class::Tokens),
        "Replaces the Domain of the backend's cookies: from to.",
    )
    .setting("proxy-cookie-domain", "off")
    .risk(Risk::Medium),
    annotation(
        "proxy-cookie-path",
        Kind::Spaced(Class::Url),
        "Replaces the Path of the backend's cookies: from to.",
    )
    .setting("proxy-cookie-path", "off")
    .risk(Risk::Medium),
    annotation(
        "proxy-redirect-from",
        Kind::Spaced(Class::Url),
        "Start of Location and Refresh that is replaced, default or off.",
    )
    .setting("proxy-redirect-from", "off")
    .risk(Risk::Medium),
    annotation(
        "proxy-redirect-to",
        Kind::Spaced(Class::Url),
        "What replaces proxy-redirect-from.",
    )
    .setting("proxy-redirect-to", "off")
    .risk(Risk::Medium),
];
