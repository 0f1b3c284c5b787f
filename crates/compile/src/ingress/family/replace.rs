//! Replacements in responses of the backend: cookies, `Location` and `Refresh`.

use headgate_table::ReplaceRule;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Reader, keys, parse_replacement, types};
use crate::ingress::settings::{self, UpstreamDefaults};

keys! { Annotation {
    PROXY_COOKIE_DOMAIN: String =
        annotation("proxy-cookie-domain", types::chars(Class::Tokens),
            "Replaces the Domain of the backend's cookies: from to.")
            .setting(&settings::upstream::PROXY_COOKIE_DOMAIN).risk(Risk::Medium);
    PROXY_COOKIE_PATH: String =
        annotation("proxy-cookie-path", types::spaced(Class::Url),
            "Replaces the Path of the backend's cookies: from to.")
            .setting(&settings::upstream::PROXY_COOKIE_PATH).risk(Risk::Medium);
    PROXY_REDIRECT_FROM: String =
        annotation("proxy-redirect-from", types::spaced(Class::Url),
            "Start of Location and Refresh that is replaced, default or off.")
            .setting(&settings::upstream::PROXY_REDIRECT_FROM).risk(Risk::Medium);
    PROXY_REDIRECT_TO: String =
        annotation("proxy-redirect-to", types::spaced(Class::Url), "What replaces proxy-redirect-from.")
            .setting(&settings::upstream::PROXY_REDIRECT_TO).risk(Risk::Medium);
} }

/// Replacements. What is not set (the outer `None`) has its default in the ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Replacements {
    /// In the Domain of cookies.
    pub(crate) cookie_domain: Option<Option<ReplaceRule>>,
    /// In the Path of cookies.
    pub(crate) cookie_path: Option<Option<ReplaceRule>>,
    /// Start of `Location` and `Refresh` that is replaced; see [`location`].
    pub(crate) redirect_from: Option<String>,
    /// Its replacement.
    pub(crate) redirect_to: Option<String>,
}

impl Replacements {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            cookie_domain: reader.parsed(&PROXY_COOKIE_DOMAIN, parse_replacement),
            cookie_path: reader.parsed(&PROXY_COOKIE_PATH, parse_replacement),
            redirect_from: reader.get(&PROXY_REDIRECT_FROM),
            redirect_to: reader.get(&PROXY_REDIRECT_TO),
        }
    }

    /// The replacement in `Location` and `Refresh`.
    pub(crate) fn location(&self, defaults: &UpstreamDefaults) -> Option<ReplaceRule> {
        let from = self.redirect_from.as_ref();
        let to = self.redirect_to.as_ref();
        location(
            from.unwrap_or(&defaults.redirect_from),
            to.unwrap_or(&defaults.redirect_to),
        )
    }
}

/// The rule of `proxy-redirect-from` and `proxy-redirect-to`, unless `from` is `off` or `default`. In nginx the latter is the
/// address in `proxy_pass`, which never matches, as ingress-nginx uses one name for all endpoints.
pub(crate) fn location(from: &str, to: &str) -> Option<ReplaceRule> {
    match (from.trim(), to.trim()) {
        ("" | "off" | "default", _) | (_, "" | "off") => None,
        (from, to) => Some(ReplaceRule {
            from: from.to_owned(),
            to: to.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_needs_both() {
        let replace = ReplaceRule {
            from: "http://a/".to_owned(),
            to: "/b/".to_owned(),
        };
        assert_eq!(location("http://a/", " /b/"), Some(replace));
        for (from, to) in [
            ("default", "/b/"),
            ("off", "/b/"),
            ("", "/b/"),
            ("a", "off"),
        ] {
            assert_eq!(location(from, to), None, "{from} {to}");
        }
    }
}
