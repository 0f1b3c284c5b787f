//! Which requests an Ingress takes, and how their path changes.

use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Reader, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    REWRITE_TARGET: String =
        annotation("rewrite-target", types::chars(Class::PathCapture),
            "Replaces the request path; $1 to $9 are the capture groups of the Ingress path. Switches the host to regex matching.")
            .ingress().risk(Risk::Medium);
    USE_REGEX: bool =
        annotation("use-regex", types::BOOL, "Paths of this Ingress are regexes. Switches the host to regex matching.")
            .default("false");
    APP_ROOT: String =
        annotation("app-root", types::APP_ROOT, "Redirects / of the host to this path with 302.")
            .risk(Risk::Medium);
    SERVER_ALIAS: Vec<String> =
        annotation("server-alias", types::SERVER_NAMES, "Further names of the host; ~ starts a regex.")
            .ingress().risk(Risk::High).refuses();
    DEFAULT_BACKEND: String =
        annotation("default-backend", types::SERVICE,
            "Service of the same namespace that answers when the backend has no endpoints.")
            .refuses().names(ObjectKind::Service);
    X_FORWARDED_PREFIX: String =
        annotation("x-forwarded-prefix", types::spaced(Class::PathCapture),
            "X-Forwarded-Prefix towards the backend, when rewrite-target changes the path.")
            .risk(Risk::Medium).refuses();
    SERVICE_UPSTREAM: bool =
        annotation("service-upstream", types::BOOL, "Uses the Service's cluster address instead of its endpoints.")
            .setting(&settings::upstream::SERVICE_UPSTREAM).ingress();
} }

/// Which requests, and how their path changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Routing {
    /// The new path, as written: `$1` and so on are left for whoever knows the path's regex. Switches the host to
    /// regexes unless it equals the path.
    pub(crate) rewrite_target: Option<String>,
    /// Paths are regexes. Off when not set.
    pub(crate) use_regex: Option<bool>,
    /// `/` of the host goes here; always begins with `/`.
    pub(crate) app_root: Option<String>,
    /// Further names of the host, sorted; one starting with `~` is a regex.
    pub(crate) server_aliases: Vec<String>,
    /// Service of the same namespace for when the backend has no endpoints.
    pub(crate) default_backend: Option<String>,
    /// Use the Service's cluster address. An invalid value is `Some(false)`, whatever the ConfigMap says.
    pub(crate) service_upstream: Option<bool>,
}

impl Routing {
    pub(crate) fn read(reader: &Reader) -> Self {
        Self {
            rewrite_target: reader.get(&REWRITE_TARGET),
            use_regex: reader.get(&USE_REGEX),
            app_root: reader.get(&APP_ROOT),
            server_aliases: reader.get(&SERVER_ALIAS).unwrap_or_default(),
            default_backend: reader.get(&DEFAULT_BACKEND),
            service_upstream: reader
                .get(&SERVICE_UPSTREAM)
                .or_else(|| reader.was_invalid(&SERVICE_UPSTREAM).then_some(false)),
        }
    }
}
