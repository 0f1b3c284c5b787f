//! Redirects.

use http::StatusCode;

use super::read::Source;
use super::registry::{Setting, setting};
use crate::ingress::registry::{keys, types};

keys! { Setting {
    SSL_REDIRECT: bool = setting("ssl-redirect", types::BOOL, "true", "Default of the annotation.");
    FORCE_SSL_REDIRECT: bool = setting("force-ssl-redirect", types::BOOL, "false", "Default of the annotation.");
    HTTP_REDIRECT_CODE: i64 =
        setting("http-redirect-code", types::INT, "308", "Status of redirects to https: 301, 302, 307 or 308.");
    PRESERVE_TRAILING_SLASH: bool =
        setting("preserve-trailing-slash", types::BOOL, "false", "Default of the annotation.");
    USE_PORT_IN_REDIRECTS: bool = setting("use-port-in-redirects", types::BOOL, "false", "Default of the annotation.");
    RELATIVE_REDIRECTS: bool =
        setting("relative-redirects", types::BOOL, "false", "Redirects of the proxy itself have only a path in Location.");
    NO_TLS_REDIRECT_LOCATIONS: Vec<String> =
        setting("no-tls-redirect-locations", types::LIST, "/.well-known/acme-challenge",
            "Ingress paths that are not redirected to https.");
} }

/// Defaults of the redirect annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedirectDefaults {
    /// http to https if the host has a certificate (`ssl-redirect`).
    pub(crate) ssl: bool,
    /// http to https in any case (`force-ssl-redirect`).
    pub(crate) force_ssl: bool,
    /// Keep the final slash (`preserve-trailing-slash`).
    pub(crate) preserve_trailing_slash: bool,
    /// Add the https port (`use-port-in-redirects`).
    pub(crate) use_port: bool,
    /// Redirects of the proxy itself have only a path in `Location`: for all routes, not a default (`relative-redirects`).
    pub(crate) relative: bool,
    /// Prefixes of Ingress paths that are not redirected to https (`no-tls-redirect-locations`).
    pub(crate) no_tls_locations: Vec<String>,
}

impl RedirectDefaults {
    pub(super) fn read(source: &Source<'_>) -> Self {
        Self {
            ssl: source.get(&SSL_REDIRECT),
            force_ssl: source.get(&FORCE_SSL_REDIRECT),
            preserve_trailing_slash: source.get(&PRESERVE_TRAILING_SLASH),
            use_port: source.get(&USE_PORT_IN_REDIRECTS),
            relative: source.get(&RELATIVE_REDIRECTS),
            no_tls_locations: source.unless_blank(&NO_TLS_REDIRECT_LOCATIONS),
        }
    }
}

/// Status of redirects to https and between www and bare host.
pub(super) fn status(source: &mut Source<'_>) -> StatusCode {
    source.status(
        &HTTP_REDIRECT_CODE,
        |code| matches!(code, 301 | 302 | 307 | 308),
        "301, 302, 307 or 308",
    )
}
