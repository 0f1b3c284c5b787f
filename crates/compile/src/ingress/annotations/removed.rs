//! Annotations of old releases of ingress-nginx.

/// An annotation that ingress-nginx removed and that manifests still contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The name, or the start of a family of names.
    pub name: &'static str,
    /// Whether `name` is only the start.
    pub family: bool,
    /// The replacement.
    pub hint: &'static str,
}

const fn gone(name: &'static str, hint: &'static str) -> Removed {
    Removed {
        name,
        family: false,
        hint,
    }
}

const fn gone_family(name: &'static str, hint: &'static str) -> Removed {
    Removed {
        name,
        family: true,
        hint,
    }
}

static REMOVED: [Removed; 13] = [
    gone("secure-backends", "write backend-protocol: HTTPS"),
    gone("grpc-backend", "write backend-protocol: GRPC"),
    gone(
        "secure-verify-ca-secret",
        "write proxy-ssl-secret and proxy-ssl-verify: \"on\"",
    ),
    gone("add-base-url", "let the application write relative links"),
    gone(
        "base-url-scheme",
        "let the application write relative links",
    ),
    gone("session-cookie-hash", "delete it; the hash is fixed"),
    gone("mirror-uri", "write mirror-target"),
    gone("enable-opentracing", "write enable-opentelemetry"),
    gone_family("opentracing-", "write the opentelemetry annotations"),
    gone_family(
        "global-rate-limit",
        "write limit-rps or limit-rpm, which count per replica",
    ),
    gone_family("lua-resty-waf", "put a web application firewall in front"),
    gone("enable-influxdb", "scrape the metrics port"),
    gone_family("influxdb-", "scrape the metrics port"),
];

/// The removed annotation of this name, or the family it belongs to.
pub fn removed(name: &str) -> Option<&'static Removed> {
    REMOVED.iter().find(|gone| {
        if gone.family {
            name.starts_with(gone.name)
        } else {
            name == gone.name
        }
    })
}
