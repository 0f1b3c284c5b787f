//! How Ingresses configure the Service ports that they name, and findings about these (behaviour.md 1.4, 1.5, 2.7).

use std::net::IpAddr;
use std::sync::Arc;

use headgate_table::Affinity;

use crate::build::service_port::FIRST_PORT;
use crate::build::{ServicePort, UpstreamPolicy, UpstreamProblem};
use crate::finding::{Finding, Severity, Subject};
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::settings::Settings;
use crate::{Kind, Name, ObjectRef, Options};

/// A Service port, and the Ingresses that name it, oldest first.
pub(crate) struct Named<'a> {
    pub(crate) port: &'a ServicePort,
    pub(crate) users: Vec<&'a ParsedIngress>,
    /// Cookie affinity of the primaries that the users are canaries of.
    pub(crate) inherited_affinity: Option<Arc<Affinity>>,
}

/// The policy of the upstreams of a Service port that Ingresses name.
pub(crate) fn policy(named: &Named<'_>, settings: &Settings, options: &Options) -> UpstreamPolicy {
    // The first Ingress that names the port decides.
    let first = named.users.first();
    let own = first.and_then(|first| first.annotations.routing.service_upstream);
    let balance = first.and_then(|first| first.annotations.balance.as_deref());
    UpstreamPolicy {
        log_name: log_name(named.port, options).into(),
        balance: balance.unwrap_or(&settings.upstream.balance).clone(),
        affinity: affinity(&named.users).or_else(|| named.inherited_affinity.clone()),
        cluster_address: first.is_some() && own.unwrap_or(settings.upstream.service_upstream),
    }
}

/// What is wrong with an upstream, as a finding for each Ingress that names it.
pub(crate) fn findings(
    named: &Named<'_>,
    problem: &UpstreamProblem,
    options: &Options,
    findings: &mut Vec<Finding>,
) {
    if let Some(fact) = &problem.no_endpoints {
        findings.extend(named.users.iter().map(|user| {
            let message = format!("{fact}; {}", consequence(user, named.port));
            user.finding(Severity::Warning, "spec.rules", message)
        }));
        findings.extend(default_backend_finding(fact, named.port, options));
    }
    for address in &problem.refused {
        let message = refused(*address, &named.port.service);
        let users = named.users.iter();
        findings
            .extend(users.map(|user| user.finding(Severity::Error, "spec.rules", message.clone())));
    }
}

fn refused(address: IpAddr, service: &Name) -> String {
    format!("refused endpoint address {address} of Service {service}; left out")
}

/// `<namespace>-<service>-<port>`, or the names that ingress-nginx logs for default backends.
fn log_name(named: &ServicePort, options: &Options) -> String {
    let Name { namespace, name } = &named.service;
    if &*named.port != FIRST_PORT {
        return format!("{namespace}-{name}-{}", named.port);
    }
    if options.default_backend.as_ref() == Some(&named.service) {
        return "upstream-default-backend".into();
    }
    format!("custom-default-backend-{namespace}-{name}")
}

/// What becomes of an Ingress's requests to an upstream without endpoints.
fn consequence(user: &ParsedIngress, named: &ServicePort) -> String {
    if user.is_canary() {
        return "its share stays with the primary".into();
    }
    match user.fallback() {
        Some(fallback) if fallback.id == *named.id() => {
            "it is the fallback of no other Service".into()
        }
        Some(fallback) => format!(
            "requests go to Service {} of the default-backend annotation",
            fallback.service
        ),
        None => "requests get 503".into(),
    }
}

/// The default backend of `--default-backend-service` is named by no Ingress, so the finding is about the Service itself.
fn default_backend_finding(fact: &str, named: &ServicePort, options: &Options) -> Option<Finding> {
    let is_default =
        options.default_backend.as_ref() == Some(&named.service) && &*named.port == FIRST_PORT;
    is_default.then(|| Finding {
        severity: Severity::Warning,
        subject: Subject::Object(ObjectRef {
            kind: Kind::Service,
            name: named.service.clone(),
        }),
        field: "".into(),
        message: format!("{fact}; as the default backend it is replaced by the built-in 404")
            .into(),
    })
}

/// Cookie affinity: the oldest Ingress that has it sets the mode, the newest the cookie's attributes. What a canary says
/// of affinity does not count; it takes its primary's.
pub(crate) fn affinity(users: &[&ParsedIngress]) -> Option<Arc<Affinity>> {
    let mut with = users
        .iter()
        .filter(|user| !user.is_canary())
        .filter_map(|user| user.annotations.affinity.as_ref());
    let oldest = with.next()?;
    let newest = with.next_back().unwrap_or(oldest);
    Some(Arc::new(Affinity {
        mode: oldest.mode,
        ..Affinity::clone(newest)
    }))
}
