//! All annotations of one Ingress as types. Defaults of the ConfigMap are not merged in: `None` is "not set".

use std::collections::BTreeMap;

use super::Flag;
use super::{
    Access, Affinity, Balance, Canary, Cors, DEFAULT_PREFIX, Denial, Headers, Limits, Problem,
    Proxy, Redirects, Risk, Routing, UpstreamTls, Validation, load,
};
use crate::ingress::family::{auth, log};

/// What the operator decided about annotations as such.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// The prefix without its slash (`--annotations-prefix`).
    pub prefix: &'a str,
    /// Whether texts are checked (`--enable-annotation-validation`).
    pub validation: Validation,
    /// The highest risk allowed (ConfigMap `annotations-risk-level`).
    pub max_risk: Risk,
    /// Words no value may contain (ConfigMap `annotation-value-word-blocklist`).
    pub blocklist: &'a [String],
    /// Flags that are set, among those without which an annotation means nothing.
    pub flags: &'a [Flag],
}

impl Default for Policy<'_> {
    fn default() -> Self {
        Self {
            prefix: DEFAULT_PREFIX,
            validation: Validation::Full,
            max_risk: Risk::High,
            blocklist: &[],
            flags: &[],
        }
    }
}

/// All annotations of one Ingress.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngressAnnotations {
    /// Which requests, and how the path changes.
    pub routing: Routing,
    /// Answers that are redirects.
    pub redirects: Redirects,
    /// `Some` when the Ingress is a canary.
    pub canary: Option<Box<Canary>>,
    /// Rate and connection limits.
    pub limits: Limits,
    /// `Some` when clients stay on one endpoint.
    pub affinity: Option<Box<Affinity>>,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// `Some` when TLS to the backend is configured (`proxy-ssl-secret`).
    pub upstream_tls: Option<Box<UpstreamTls>>,
    /// Timeouts, retries, buffers and protocol towards the backend.
    pub proxy: Proxy,
    /// `Some` when CORS is on and an origin is allowed.
    pub cors: Option<Box<Cors>>,
    /// Address lists.
    pub access: Access,
    /// Headers.
    pub headers: Headers,
    /// `enable-access-log`; on when not set.
    pub access_log: Option<bool>,
    /// Everything worth telling the owner, in the order of the names.
    pub problems: Vec<Problem>,
    /// Why every route of the Ingress answers 503.
    pub denied: Option<Denial>,
    /// `false` exempts from authentication that the settings ask of every route (`enable-global-auth`).
    pub global_auth: Option<bool>,
    /// Why this version of the Ingress is not to be used: the last good one stays, without one it is not served.
    pub refused: Option<String>,
}

impl IngressAnnotations {
    /// Parses the annotations of one Ingress. Never fails: what can't be used is a problem, a denial or a refusal.
    pub fn parse(policy: &Policy<'_>, annotations: &BTreeMap<String, String>) -> Self {
        let mut reader = load::load(policy, annotations);
        let mut parsed = Self {
            routing: Routing::read(&reader),
            redirects: Redirects::read(&mut reader),
            canary: Canary::read(&mut reader).map(Box::new),
            limits: Limits::read(&mut reader),
            affinity: Affinity::read(&reader).map(Box::new),
            balance: Balance::read(&mut reader),
            proxy: Proxy::read(&mut reader),
            upstream_tls: UpstreamTls::read(&mut reader).map(Box::new),
            cors: Cors::read(&mut reader).map(Box::new),
            access: Access::read(&reader),
            headers: Headers::read(&mut reader),
            access_log: reader.get(&log::ENABLE_ACCESS_LOG),
            global_auth: reader.get(&auth::ENABLE_GLOBAL_AUTH),
            ..Self::default()
        };
        let outcome = reader.finish();
        parsed.problems = outcome.problems;
        parsed.denied = outcome.denied;
        parsed.refused = outcome.refused;
        parsed
    }
}
