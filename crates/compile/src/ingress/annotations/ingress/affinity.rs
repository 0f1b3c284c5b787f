//! Session affinity.

pub use headgate_table::SameSite;

use crate::ingress::annotations::Reader;

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
    pub(super) fn read(reader: &Reader) -> Option<Self> {
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
