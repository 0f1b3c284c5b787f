//! Session affinity.

pub use headgate_table::SameSite;

use crate::ingress::annotations::{Annotation, Class, Kind, Reader, Risk, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation("affinity", Kind::OneOf(&["cookie"]), "Keeps a client on one endpoint by a cookie.").ingress(),
    annotation(
        "affinity-mode",
        Kind::OneOf(&["balanced", "persistent"]),
        "balanced moves some sessions when endpoints change, persistent none while the endpoint lives.",
    )
    .default("balanced")
    .ingress()
    .risk(Risk::Medium),
    annotation(
        "affinity-canary-behavior",
        Kind::OneOf(&["sticky", "legacy"]),
        "On a canary: whether its choice follows the session (sticky) or is made for each request (legacy).",
    )
    .default("sticky")
    .ingress(),
    annotation("session-cookie-name", Kind::Chars(Class::Basic), "Name of the cookie.")
        .default("INGRESSCOOKIE")
        .ingress()
        .risk(Risk::Medium),
    annotation("session-cookie-path", Kind::Chars(Class::Url), "Path of the cookie; the Ingress path when not set.")
        .ingress()
        .risk(Risk::Medium),
    annotation("session-cookie-domain", Kind::Chars(Class::Basic), "Domain of the cookie.").ingress().risk(Risk::Medium),
    annotation("session-cookie-max-age", Kind::Int, "Max-Age of the cookie in seconds; a session cookie when not set.")
        .ingress()
        .risk(Risk::Medium),
    annotation("session-cookie-expires", Kind::Int, "Expires of the cookie, in seconds from now.")
        .ingress()
        .risk(Risk::Medium),
    annotation("session-cookie-secure", Kind::Bool, "true always marks the cookie Secure; else it is Secure over https only.")
        .ingress(),
    annotation(
        "session-cookie-samesite",
        Kind::OneOf(&["None", "Lax", "Strict"]),
        "SameSite of the cookie; written only when spelled exactly like this.",
    )
    .ingress(),
    annotation(
        "session-cookie-conditional-samesite-none",
        Kind::Bool,
        "Leaves SameSite=None out for browsers that misunderstand it.",
    )
    .default("false")
    .ingress(),
    annotation(
        "session-cookie-change-on-failure",
        Kind::Bool,
        "After a failed try another endpoint answers and the cookie changes.",
    )
    .default("false")
    .ingress(),
];

/// Clients stay on one endpoint by a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affinity {
    /// How the cookie names an endpoint.
    pub mode: StickyMode,
    /// The cookie's attributes.
    pub cookie: SessionCookie,
}

/// How the cookie names an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StickyMode {
    /// By a place on a consistent ring: scaling moves some sessions.
    #[default]
    Balanced,
    /// By the endpoint itself: a session moves only when its endpoint goes.
    Persistent,
}

/// The attributes of the affinity cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCookie {
    /// `INGRESSCOOKIE` by default.
    pub name: String,
    /// The Ingress path when not set.
    pub path: Option<String>,
    /// None by default.
    pub domain: Option<String>,
    /// Seconds.
    pub max_age: Option<i64>,
    /// Seconds from the moment it is set.
    pub expires: Option<i64>,
    /// Always Secure; else Secure when the request came over https.
    pub secure: bool,
    /// Not written when `None`.
    pub same_site: Option<SameSite>,
    /// Leave `SameSite=None` out for browsers that misunderstand it.
    pub conditional_same_site_none: bool,
    /// After a failed try another endpoint answers and the cookie changes.
    pub change_on_failure: bool,
}

impl Affinity {
    pub(crate) fn read(reader: &Reader) -> Option<Self> {
        reader.text("affinity")?;
        let mode = match reader.text("affinity-mode") {
            Some("persistent") => StickyMode::Persistent,
            _ => StickyMode::Balanced,
        };
        Some(Self {
            mode,
            cookie: SessionCookie::read(reader),
        })
    }
}

impl SessionCookie {
    fn read(reader: &Reader) -> Self {
        Self {
            name: reader
                .string("session-cookie-name")
                .unwrap_or_else(|| "INGRESSCOOKIE".to_owned()),
            path: reader.string("session-cookie-path"),
            domain: reader.string("session-cookie-domain"),
            max_age: reader.int("session-cookie-max-age"),
            expires: reader.int("session-cookie-expires"),
            secure: reader.on("session-cookie-secure"),
            same_site: same_site(reader),
            conditional_same_site_none: reader.on("session-cookie-conditional-samesite-none"),
            change_on_failure: reader.on("session-cookie-change-on-failure"),
        }
    }
}

/// Other spellings are refused by the registry's validator: ingress-nginx accepts them and writes nothing.
fn same_site(reader: &Reader) -> Option<SameSite> {
    match reader.text("session-cookie-samesite")? {
        "None" => Some(SameSite::None),
        "Lax" => Some(SameSite::Lax),
        "Strict" => Some(SameSite::Strict),
        _ => None,
    }
}
