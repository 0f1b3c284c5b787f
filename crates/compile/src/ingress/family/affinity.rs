//! Session affinity.

use headgate_table::{Affinity, AffinityMode, SameSite};

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Reader, When, differences, keys, types, words};

keys! { Annotation {
    AFFINITY: &'static str =
        annotation("affinity", types::words(&["cookie"]), "Sends the requests of a client to one endpoint, by a cookie.")
            .ingress()
            .differs(differences![
                When::Set =>
                    "A session that began at ingress-nginx keeps its cookie and may get another endpoint, once.",
            ]);
    AFFINITY_MODE: AffinityMode =
        annotation("affinity-mode", types::one_of(),
            "balanced moves some sessions when endpoints change, persistent none until their endpoint is gone.")
            .default("balanced").ingress().risk(Risk::Medium);
    AFFINITY_CANARY_BEHAVIOR: CanaryBehavior =
        annotation("affinity-canary-behavior", types::one_of(),
            "On a canary: whether its choice follows the session (sticky) or is made for each request (legacy).")
            .default("sticky").ingress().on_canary()
            .of_no_policy("it is for canary Ingresses; routes have weights and header matches");
    SESSION_COOKIE_NAME: String =
        annotation("session-cookie-name", types::chars(Class::Basic), "Name of the cookie.")
            .default("INGRESSCOOKIE").ingress().risk(Risk::Medium)
            .differs(differences![
                When::Invalid =>
                    "A name with a space is not used; ingress-nginx writes it.",
            ]);
    SESSION_COOKIE_PATH: String =
        annotation("session-cookie-path", types::chars(Class::Url),
            "Path of the cookie; the Ingress path when not set.")
            .ingress().risk(Risk::Medium);
    SESSION_COOKIE_DOMAIN: String =
        annotation("session-cookie-domain", types::chars(Class::Basic), "Domain of the cookie.")
            .ingress().risk(Risk::Medium)
            .differs(differences![
                When::Invalid =>
                    "A domain with a space is left out; ingress-nginx writes it.",
            ]);
    SESSION_COOKIE_MAX_AGE: i64 =
        annotation("session-cookie-max-age", types::INT,
            "Max-Age of the cookie in seconds; a session cookie when not set.")
            .ingress().risk(Risk::Medium)
            .differs(differences![
                When::Invalid =>
                    "Only a whole number counts, else there is no Max-Age; ingress-nginx writes the text as it is.",
            ]);
    SESSION_COOKIE_EXPIRES: i64 =
        annotation("session-cookie-expires", types::INT, "Expires of the cookie, in seconds from now.")
            .ingress().risk(Risk::Medium)
            .differs(differences![
                When::Invalid =>
                    "Only a whole number counts, else there is no Expires; ingress-nginx takes fractions.",
            ]);
    SESSION_COOKIE_SECURE: bool =
        annotation("session-cookie-secure", types::BOOL,
            "true always marks the cookie Secure; else it is Secure over https only.")
            .ingress();
    SESSION_COOKIE_SAMESITE: SameSite =
        annotation("session-cookie-samesite", types::one_of(),
            "SameSite of the cookie; written only when spelled exactly like this.")
            .ingress();
    SESSION_COOKIE_CONDITIONAL_SAMESITE_NONE: bool =
        annotation("session-cookie-conditional-samesite-none", types::BOOL,
            "Leaves SameSite=None out for browsers that misunderstand it.")
            .default("false").ingress();
    SESSION_COOKIE_CHANGE_ON_FAILURE: bool =
        annotation("session-cookie-change-on-failure", types::BOOL,
            "After a failed attempt another endpoint is used and the cookie changes.")
            .default("false").ingress();
} }

words! { AffinityMode {
    "balanced" => Self::Balanced,
    "persistent" => Self::Persistent,
} }

// ingress-nginx accepts other spellings and writes nothing.
words! { SameSite {
    "None" => Self::None,
    "Lax" => Self::Lax,
    "Strict" => Self::Strict,
} }

/// The effect of a primary's affinity on its canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CanaryBehavior {
    /// Sessions decide between primary and canary.
    Sticky,
    /// The canary rules decide for each request.
    Legacy,
}

words! { CanaryBehavior {
    "sticky" => Self::Sticky,
    "legacy" => Self::Legacy,
} }

/// Session affinity by cookie, if it is configured.
pub(crate) fn read(reader: &Reader) -> Option<Affinity> {
    reader.get(&AFFINITY)?;
    Some(Affinity {
        cookie: reader.or_default(&SESSION_COOKIE_NAME).into(),
        mode: reader.get(&AFFINITY_MODE).unwrap_or(AffinityMode::Balanced),
        path: reader.get(&SESSION_COOKIE_PATH).map(Into::into),
        domain: reader.get(&SESSION_COOKIE_DOMAIN).map(Into::into),
        max_age: reader.get(&SESSION_COOKIE_MAX_AGE),
        expires: reader.get(&SESSION_COOKIE_EXPIRES),
        always_secure: reader.on(&SESSION_COOKIE_SECURE),
        same_site: reader.get(&SESSION_COOKIE_SAMESITE),
        conditional_same_site_none: reader.on(&SESSION_COOKIE_CONDITIONAL_SAMESITE_NONE),
        change_on_failure: reader.on(&SESSION_COOKIE_CHANGE_ON_FAILURE),
    })
}
