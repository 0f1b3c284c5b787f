//! The one table of annotations: every name with its type, default, scope, risk, what an invalid value does, whether it
//! is honoured, and a line of documentation. The parser, the checks and the documentation page are made from it.

use std::sync::LazyLock;

use super::Kind;
use crate::ingress::family;

/// The prefix of annotation names unless `--annotations-prefix` says otherwise.
pub const DEFAULT_PREFIX: &str = "nginx.ingress.kubernetes.io";

/// What an annotation applies to, as the project that named it declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One host and path.
    Location,
    /// A whole host, or an upstream shared by several Ingresses.
    Ingress,
}

/// How much an annotation can do; compared with the ConfigMap's `annotations-risk-level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Risk {
    /// Affects its own routes.
    Low,
    /// May affect clients of its routes.
    Medium,
    /// May affect other routes of the host. Allowed by default, as all below it.
    #[default]
    High,
    /// Raw configuration text.
    Critical,
}

impl Risk {
    /// The level of this name in any case. An unknown name is the lowest level: a typing error must not allow more.
    pub fn from_setting(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "medium" => Self::Medium,
            "high" => Self::High,
            "critical" => Self::Critical,
            _ => Self::Low,
        }
    }

    /// The spelling in the ConfigMap.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

/// What an invalid value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// The whole Ingress is refused (class A): its last good version stays in service; without one it is not served.
    RefuseIngress,
    /// Every route of the Ingress answers 503 (class B).
    Deny,
    /// The value is ignored, the default or the ConfigMap's value applies (class C).
    Ignore,
}

/// Whether a name does here what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Honoured,
    /// It protects and is not honoured yet: once switched on, the routes answer 503 rather than run unprotected.
    Protects,
    /// It is not honoured yet: ignored with a warning.
    NotYet,
    /// Accepted, and there is nothing here for it to change.
    Inert,
}

impl Support {
    /// The word in the documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Protects => "not yet; closes the route",
            Self::NotYet => "not yet; ignored with a warning",
            Self::Inert => "accepted, no effect",
        }
    }
}

/// One annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotation {
    /// The name without its prefix.
    pub name: &'static str,
    /// Other names, read only when the main one is absent or empty.
    pub aliases: &'static [&'static str],
    /// The type of the value and its validator.
    pub kind: Kind,
    /// What applies without it, as documented; empty for "off" or "none".
    pub default: &'static str,
    /// The ConfigMap key that gives the default.
    pub configmap_key: Option<&'static str>,
    /// What it applies to.
    pub scope: Scope,
    /// How much it can do.
    pub risk: Risk,
    /// What an invalid value does.
    pub bad: Bad,
    /// Whether it is honoured.
    pub support: Support,
    /// One line: what it does.
    pub doc: &'static str,
}

/// Shortens the tables: an annotation of location scope, low risk, honoured, ignored when invalid, unless said otherwise.
pub(crate) const fn annotation(name: &'static str, kind: Kind, doc: &'static str) -> Annotation {
    Annotation {
        name,
        aliases: &[],
        kind,
        default: "",
        configmap_key: None,
        scope: Scope::Location,
        risk: Risk::Low,
        bad: Bad::Ignore,
        support: Support::Honoured,
        doc,
    }
}

impl Annotation {
    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// The default is the ConfigMap key of this name, itself `default` when not set.
    pub(crate) const fn setting(mut self, key: &'static str, default: &'static str) -> Self {
        self.configmap_key = Some(key);
        self.default = default;
        self
    }

    pub(crate) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(crate) const fn ingress(mut self) -> Self {
        self.scope = Scope::Ingress;
        self
    }

    pub(crate) const fn risk(mut self, risk: Risk) -> Self {
        self.risk = risk;
        self
    }

    pub(crate) const fn refuses(mut self) -> Self {
        self.bad = Bad::RefuseIngress;
        self
    }

    pub(crate) const fn denies(mut self) -> Self {
        self.bad = Bad::Deny;
        self
    }

    pub(crate) const fn support(mut self, support: Support) -> Self {
        self.support = support;
        self
    }
}

/// The groups, in the order of the documentation.
static GROUPS: [&[Annotation]; 23] = [
    family::routing::ENTRIES,
    family::redirects::ENTRIES,
    family::errors::ENTRIES,
    family::canary::ENTRIES,
    family::limits::ENTRIES,
    family::affinity::ENTRIES,
    family::balance::ENTRIES,
    family::auth::ENTRIES,
    family::client_certificates::ENTRIES,
    family::tls::ENTRIES,
    family::upstream_tls::ENTRIES,
    family::cors::ENTRIES,
    family::proxy::ENTRIES,
    family::retry::ENTRIES,
    family::replace::ENTRIES,
    family::headers::ENTRIES,
    family::fastcgi::ENTRIES,
    family::access::ENTRIES,
    family::mirror::ENTRIES,
    family::firewall::ENTRIES,
    family::tracing::ENTRIES,
    family::log::ENTRIES,
    family::snippets::ENTRIES,
];

/// Every annotation, sorted by name.
static SORTED: LazyLock<Vec<&'static Annotation>> = LazyLock::new(|| {
    let mut sorted: Vec<_> = GROUPS.iter().copied().flatten().collect();
    sorted.sort_by_key(|entry| entry.name);
    sorted
});

/// Every annotation, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Annotation> {
    GROUPS.iter().copied().flatten()
}

/// The annotation of this name (without prefix) or alias.
pub fn find(name: &str) -> Option<&'static Annotation> {
    let sorted = &*SORTED;
    if let Ok(at) = sorted.binary_search_by(|entry| entry.name.cmp(name)) {
        return sorted.get(at).copied();
    }
    let main = match name {
        "whitelist-source-range" => "allowlist-source-range",
        "limit-whitelist" => "limit-allowlist",
        _ => return None,
    };
    find(main)
}

/// An annotation that ingress-nginx removed long ago and that manifests still carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The name, or the start of a family of names.
    pub name: &'static str,
    /// Whether `name` is only the start.
    pub family: bool,
    /// What to write instead.
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

static REMOVED: [Removed; 12] = [
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
    gone_family("influxdb-", "scrape the metrics port"),
];

/// The removed annotation of this name, or the family it belongs to.
pub fn removed(name: &str) -> Option<&'static Removed> {
    if name == "enable-influxdb" {
        return REMOVED.last();
    }
    REMOVED.iter().find(|gone| {
        if gone.family {
            name.starts_with(gone.name)
        } else {
            name == gone.name
        }
    })
}

/// Names that tutorials use and no release ever read, the more explicit one first.
pub(crate) const TUTORIAL_NAMES: [&str; 2] = ["rate-limit-rps", "rate-limit"];

/// The annotation meant by a name that tutorials use but no release ever read.
pub fn tutorial_replacement(name: &str) -> Option<&'static str> {
    TUTORIAL_NAMES.contains(&name).then_some("limit-rps")
}
