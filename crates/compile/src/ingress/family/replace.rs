//! Replacements in what the backend sends: cookies, `Location` and `Refresh`.

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, keys, types};
use crate::ingress::settings;

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
