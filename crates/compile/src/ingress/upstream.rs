//! How Ingresses configure the Service ports that they refer to, and findings about these (behaviour.md 1.4, 1.5, 2.7).

use std::net::IpAddr;
use std::sync::Arc;

use headgate_table::Affinity;

use crate::build::service_port::FIRST_PORT;
use crate::build::{ServicePort, UpstreamPolicy, UpstreamProblem};
use crate::finding::{Finding, Severity, Subject};
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::settings::Settings;
use crate::{Kind, Name, ObjectRef, Options};

/// A Service port, and the Ingresses that refer to it, oldest first.
pub(crate) struct ReferencedPort<'a> {
    pub(crate) port: &'a ServicePort,
    pub(crate) users: Vec<&'a ParsedIngress>,
    /// Cookie affinity of the primaries of those users that are canaries.
    pub(crate) inherited_affinity: Option<Arc<Affinity>>,
}

/// The policy of the upstreams of a Service port.
pub(crate) fn policy(
    referenced: &ReferencedPort<'_>,
    settings: &Settings,
    options: &Options,
) -> UpstreamPolicy {
    // The oldest Ingress that refers to the port decides.
    let first = referenced.users.first();
    let own = first.and_then(|first| first.annotations.routing.service_upstream);
    let balance = first.and_then(|first| first.annotations.balance.as_deref());
    let resilience = first.and_then(|first| first.annotations.resilience.as_deref());
    let defaults = &settings.upstream.resilience;
    UpstreamPolicy {
        log_name: log_name(referenced.port, options).into(),
        balance: balance.unwrap_or(&settings.upstream.balance).clone(),
        affinity: affinity(&referenced.users).or_else(|| referenced.inherited_affinity.clone()),
        resilience: resilience.map_or_else(|| defaults.clone(), |own| own.over(defaults)),
        cluster_address: first.is_some() && own.unwrap_or(settings.upstream.service_upstream),
    }
}

/// The problems of an upstream, as findings of each Ingress that refers to it.
pub(crate) fn findings(
    referenced: &ReferencedPort<'_>,
    problem: &UpstreamProblem,
    options: &Options,
    findings: &mut Vec<Finding>,
) {
    if let Some(fact) = &problem.no_endpoints {
        findings.extend(referenced.users.iter().map(|user| {
            let message = format!("{fact}; {}", consequence(user, referenced.port));
            user.finding(Severity::Warning, "spec.rules", message)
        }));
        findings.extend(default_backend_finding(fact, referenced.port, options));
    }
    for address in &problem.refused {
        let message = refused(*address, &referenced.port.service);
        let users = referenced.users.iter();
        findings
            .extend(users.map(|user| user.finding(Severity::Error, "spec.rules", message.clone())));
    }
}

fn refused(address: IpAddr, service: &Name) -> String {
    format!("refused endpoint address {address} of Service {service}; left out")
}

/// `<namespace>-<service>-<port>`, or the names that ingress-nginx logs for default backends.
fn log_name(port: &ServicePort, options: &Options) -> String {
    let Name { namespace, name } = &port.service;
    if &*port.port != FIRST_PORT {
        return format!("{namespace}-{name}-{}", port.port);
    }
    if options.default_backend.as_ref() == Some(&port.service) {
        return "upstream-default-backend".into();
    }
    format!("custom-default-backend-{namespace}-{name}")
}

/// The consequence for an Ingress's requests to an upstream without endpoints.
fn consequence(user: &ParsedIngress, port: &ServicePort) -> String {
    if user.is_canary() {
        return "its share stays with the primary".into();
    }
    match user.fallback() {
        Some(fallback) if fallback.id == *port.id() => {
            let pages = match &user.annotations.errors {
                Some(_) => ", and error pages come from the default backend",
                None => "",
            };
            format!("requests that fall back to it get 503{pages}")
        }
        Some(fallback) => format!(
            "requests go to Service {} of the default-backend annotation",
            fallback.service
        ),
        None => "requests get 503".into(),
    }
}

/// No Ingress refers to the default backend of `--default-backend-service`, so the finding is about the Service itself.
fn default_backend_finding(fact: &str, port: &ServicePort, options: &Options) -> Option<Finding> {
    let is_default =
        options.default_backend.as_ref() == Some(&port.service) && &*port.port == FIRST_PORT;
    is_default.then(|| Finding {
        severity: Severity::Warning,
        subject: Subject::Object(ObjectRef {
            kind: Kind::Service,
            name: port.service.clone(),
        }),
        field: "".into(),
        message: format!("{fact}; as the default backend it is replaced by the built-in 404")
            .into(),
    })
}

/// Cookie affinity: the oldest Ingress with affinity sets the mode, the newest the attributes of the cookie. Affinity
/// annotations of a canary are ignored; it inherits its primary's.
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
