//! Which requests an Ingress takes, and how their path changes.

use crate::ingress::annotations::{Annotation, Class, Kind, Reader, Risk, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "rewrite-target",
        Kind::Chars(Class::PathCapture),
        "Replaces the request path; $1 to $9 are the capture groups of the Ingress path. Switches the host to regex matching.",
    )
    .ingress()
    .risk(Risk::Medium),
    annotation("use-regex", Kind::Bool, "Paths of this Ingress are regexes. Switches the host to regex matching.")
        .default("false"),
    annotation("app-root", Kind::AppRoot, "Redirects / of the host to this path with 302.").risk(Risk::Medium),
    annotation("server-alias", Kind::ServerNames, "Further names of the host; ~ starts a regex.")
        .ingress()
        .risk(Risk::High)
        .refuses(),
    annotation(
        "default-backend",
        Kind::Service,
        "Service of the same namespace that answers when the backend has no endpoints.",
    )
    .refuses(),
    annotation(
        "x-forwarded-prefix",
        Kind::Spaced(Class::PathCapture),
        "X-Forwarded-Prefix towards the backend, when rewrite-target changes the path.",
    )
    .risk(Risk::Medium)
    .refuses(),
    annotation("service-upstream", Kind::Bool, "Uses the Service's cluster address instead of its endpoints.")
        .setting("service-upstream", "false")
        .ingress(),
];

/// Which requests, and how their path changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// The new path, as written: `$1` and so on are left for whoever knows the path's regex. Switches the host to
    /// regexes unless it equals the path.
    pub rewrite_target: Option<String>,
    /// Paths are regexes. Off when not set.
    pub use_regex: Option<bool>,
    /// `/` of the host goes here; always begins with `/`.
    pub app_root: Option<String>,
    /// Further names of the host, sorted; one starting with `~` is a regex.
    pub server_aliases: Vec<String>,
    /// Service of the same namespace for when the backend has no endpoints.
    pub default_backend: Option<String>,
    /// Use the Service's cluster address. An invalid value is `Some(false)`, whatever the ConfigMap says.
    pub service_upstream: Option<bool>,
}

impl Routing {
    pub(crate) fn read(reader: &Reader) -> Self {
        Self {
            rewrite_target: reader.string("rewrite-target"),
            use_regex: reader.bool("use-regex"),
            app_root: reader.string("app-root"),
            server_aliases: reader
                .list("server-alias")
                .map(<[String]>::to_vec)
                .unwrap_or_default(),
            default_backend: reader.string("default-backend"),
            service_upstream: reader
                .bool("service-upstream")
                .or_else(|| reader.was_invalid("service-upstream").then_some(false)),
        }
    }
}
