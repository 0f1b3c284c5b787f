//! All annotations of one Ingress as types. Defaults of the ConfigMap are not merged in: `None` is "not set".

use std::collections::BTreeMap;

use headgate_table::{Affinity, Balance, Cors, HostCiphers};
use http::StatusCode;

use super::{DEFAULT_PREFIX, Flag, Risk, load};
use crate::ingress::closed::Denial;
use crate::ingress::family::access::Access;
use crate::ingress::family::canary::Canary;
use crate::ingress::family::client_certificates::ClientCertificates;
use crate::ingress::family::credentials::PasswordAuth;
use crate::ingress::family::errors::OwnErrors;
use crate::ingress::family::external_auth::ExternalAuth;
use crate::ingress::family::fastcgi::Params;
use crate::ingress::family::headers::Headers;
use crate::ingress::family::limits::{Limits, RateNumbers};
use crate::ingress::family::mirror::Mirror;
use crate::ingress::family::proxy::Proxy;
use crate::ingress::family::redirects::Redirects;
use crate::ingress::family::replace::Replacements;
use crate::ingress::family::resilience::Overrides;
use crate::ingress::family::retry::Retry;
use crate::ingress::family::routing::Routing;
use crate::ingress::family::snippets::Snippets;
use crate::ingress::family::tracing::Tracing;
use crate::ingress::family::upstream_tls::UpstreamTls;
use crate::ingress::family::{affinity, auth, balance, cors, firewall, log, tls};
use crate::ingress::registry::{Problem, Validation};
use crate::policies::{NO_VALUES, Values};

/// The operator's rules for annotations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// The prefix without its slash (`--annotations-prefix`).
    pub(crate) prefix: &'a str,
    /// Whether texts are checked (`--enable-annotation-validation`).
    pub(crate) validation: Validation,
    /// The highest risk allowed (ConfigMap `annotations-risk-level`).
    pub(crate) max_risk: Risk,
    /// Words that no value may contain (ConfigMap `annotation-value-word-blocklist`).
    pub(crate) blocklist: &'a [String],
    /// Whether snippets are honoured (ConfigMap `allow-snippet-annotations`), if the risk allows them too.
    pub(crate) snippets: bool,
    /// Settings look up the location of clients.
    pub(crate) knows_location: bool,
    /// The flags that are set, of those on which annotations depend.
    pub(crate) flags: &'a [Flag],
    /// How many regular expressions of host names are compiled; the others are skipped with a warning.
    pub(crate) expressions: usize,
    /// What policies say beside the annotations. An invalid value of theirs closes routes; it never refuses the object.
    pub(crate) policies: &'a Values,
    /// The status of routes that are closed.
    pub(crate) closed: StatusCode,
}

impl Default for Rules<'_> {
    fn default() -> Self {
        Self {
            prefix: DEFAULT_PREFIX,
            validation: Validation::Full,
            max_risk: Risk::High,
            blocklist: &[],
            snippets: false,
            knows_location: false,
            flags: &[],
            expressions: usize::MAX,
            policies: &NO_VALUES,
            closed: StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Rules<'_> {
    /// Both keys must allow snippets (behaviour.md 0.4).
    pub(crate) fn allow_snippets(&self) -> bool {
        self.snippets && self.max_risk >= Risk::Critical
    }
}

/// All annotations of one Ingress.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct IngressAnnotations {
    pub(crate) routing: Routing,
    pub(crate) redirects: Redirects,
    /// `Some` when the Ingress is a canary.
    pub(crate) canary: Option<Box<Canary>>,
    /// `Some` when any limit is set.
    pub(crate) limits: Option<Box<Limits>>,
    /// How fast responses are sent.
    pub(crate) rate: RateNumbers,
    /// `Some` when session affinity is configured.
    pub(crate) affinity: Option<Box<Affinity>>,
    /// `Some` when it overrides the ConfigMap.
    pub(crate) balance: Option<Box<Balance>>,
    pub(crate) proxy: Proxy,
    pub(crate) retry: Retry,
    /// `Some` when anything about bounds or ejection is set.
    pub(crate) resilience: Option<Box<Overrides>>,
    pub(crate) replace: Replacements,
    /// `Some` when TLS to the backend is configured (`proxy-ssl-secret`).
    pub(crate) upstream_tls: Option<Box<UpstreamTls>>,
    /// `Some` when client certificates are configured.
    pub(crate) client_certificates: Option<Box<ClientCertificates>>,
    /// Cipher suites of the hosts.
    pub(crate) ciphers: HostCiphers,
    /// TLS connections of the hosts are passed through (`ssl-passthrough`).
    pub(crate) passthrough: bool,
    /// Annotations that are there to protect the routes, by name without prefix.
    pub(crate) protecting: Box<[&'static str]>,
    /// `Some` when CORS is on and an origin is allowed.
    pub(crate) cors: Option<Cors>,
    pub(crate) access: Access,
    /// `Some` when `custom-http-errors` is set; they replace those of the settings.
    pub(crate) errors: Option<Box<OwnErrors>>,
    /// `Some` when a user name and password are required (`auth-type`).
    pub(crate) passwords: Option<Box<PasswordAuth>>,
    /// `Some` when `auth-url` is set; it replaces that of the settings.
    pub(crate) external_auth: Option<Box<ExternalAuth>>,
    /// `Some` when a second service gets copies of requests (`mirror-target`).
    pub(crate) mirror: Option<Box<Mirror>>,
    pub(crate) tracing: Tracing,
    pub(crate) headers: Headers,
    /// `Some` when parameters of FastCGI backends are configured.
    pub(crate) fastcgi: Option<Box<Params>>,
    /// `Some` when nginx directives are written that are allowed and understood.
    pub(crate) snippets: Option<Box<Snippets>>,
    /// `enable-access-log`; on when not set.
    pub(crate) access_log: Option<bool>,
    /// `false` exempts the Ingress from `global-auth-url` (`enable-global-auth`).
    pub(crate) global_auth: Option<bool>,
    /// `false` exempts the Ingress from the firewall of the settings (`enable-modsecurity`).
    pub(crate) firewall: Option<bool>,
    /// Problems for the author of the object, in the order of the registry.
    pub(crate) problems: Vec<Problem>,
    /// Why all routes of the Ingress respond with 503.
    pub(crate) denied: Option<Denial>,
    /// Why this version of the Ingress is refused: the last good version stays, without one the Ingress is not served.
    pub(crate) refused: Option<String>,
}

impl IngressAnnotations {
    /// Parses the annotations of one Ingress. Never fails: what cannot be used is a problem, a denial or a refusal.
    pub(crate) fn parse(rules: &Rules<'_>, annotations: &BTreeMap<String, String>) -> Self {
        let mut reader = load::load(rules, annotations);
        let parsed = Self {
            routing: Routing::read(&mut reader, rules.expressions),
            redirects: Redirects::read(&mut reader),
            canary: Canary::read(&mut reader).map(Box::new),
            limits: Limits::read(&mut reader).map(Box::new),
            rate: RateNumbers::read(&reader),
            affinity: affinity::read(&reader).map(Box::new),
            balance: balance::read(&mut reader).map(Box::new),
            proxy: Proxy::read(&mut reader),
            retry: Retry::read(&mut reader),
            resilience: Overrides::read(&mut reader).map(Box::new),
            replace: Replacements::read(&mut reader),
            upstream_tls: UpstreamTls::read(&mut reader).map(Box::new),
            client_certificates: ClientCertificates::read(&mut reader).map(Box::new),
            ciphers: tls::ciphers(&mut reader),
            passthrough: tls::passthrough(&reader, rules),
            protecting: load::protecting(&reader, rules),
            cors: cors::read(&mut reader),
            access: Access::read(&reader),
            errors: OwnErrors::read(&mut reader).map(Box::new),
            passwords: PasswordAuth::read(&mut reader).map(Box::new),
            external_auth: ExternalAuth::read(&mut reader, rules).map(Box::new),
            mirror: Mirror::read(&mut reader).map(Box::new),
            tracing: Tracing::read(&reader),
            headers: Headers::read(&mut reader),
            fastcgi: Params::read(&mut reader).map(Box::new),
            snippets: Snippets::read(&mut reader, rules.allow_snippets()).map(Box::new),
            access_log: reader.get(&log::ENABLE_ACCESS_LOG),
            global_auth: reader.get(&auth::ENABLE_GLOBAL_AUTH),
            firewall: reader.get(&firewall::ENABLE_MODSECURITY),
            ..Self::default()
        };
        let outcome = reader.finish();
        Self {
            problems: outcome.problems,
            denied: outcome.denied,
            refused: outcome.refused,
            ..parsed
        }
    }
}
