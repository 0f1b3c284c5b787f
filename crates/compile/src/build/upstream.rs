//! One upstream: a Service port with its endpoints, and how one is chosen (ingress-nginx reference 2.7, 1.4, 1.5).

mod endpoints;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    Affinity, AffinityMode, Balance, Endpoints, NoEndpoints, Slot, Template, Upstream, UpstreamId,
};

use crate::finding::{Finding, Severity, Subject};
use crate::ingress::annotations::{Algorithm, StickyMode};
use crate::ingress::parsed::{FIRST_PORT, ParsedIngress};
use crate::ingress::settings::Settings;
use crate::objects::{Service, ServicePort};
use crate::{Kind, Name, ObjectRef, Options, Snapshot};

/// What an upstream is compiled with.
pub(crate) struct Surroundings<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) settings: &'a Settings,
    pub(crate) options: &'a Options,
}

/// An upstream to compile: who it is, and the Ingresses that name it, oldest first.
pub(crate) struct Wanted<'a> {
    pub(crate) id: UpstreamId,
    pub(crate) service: Name,
    pub(crate) port: Arc<str>,
    pub(crate) users: Vec<&'a ParsedIngress>,
    /// Cookie affinity of the primaries that the users are canaries of.
    pub(crate) inherited_affinity: Option<Arc<Affinity>>,
}

/// Compiles an upstream. Without usable endpoints there is a finding for each Ingress that names it.
pub(crate) fn compile(
    wanted: &Wanted<'_>,
    around: &Surroundings<'_>,
    slot: Slot,
) -> (Upstream, Vec<Finding>) {
    let service = around.snapshot.services.get(&wanted.service);
    let mut refused = Vec::new();
    let endpoints = match service {
        None => Endpoints::None(NoEndpoints::NoService),
        Some(service) => endpoints::of_service(service, wanted, around, &mut refused),
    };
    let mut findings = Vec::new();
    if let Endpoints::None(why) = &endpoints {
        let fact = problem(*why, wanted, service.map(|service| &**service));
        findings.extend(wanted.users.iter().map(|user| {
            let message = format!("{fact}; {}", consequence(user, wanted));
            user.finding(Severity::Warning, "spec.rules", message)
        }));
        findings.extend(default_backend_finding(&fact, wanted, around.options));
    }
    for address in refused {
        let message = format!(
            "endpoint {address} of Service {} is not an address that requests may go to; left out",
            wanted.service
        );
        findings.extend(
            wanted
                .users
                .iter()
                .map(|user| user.finding(Severity::Error, "spec.rules", message.clone())),
        );
    }
    let upstream = Upstream {
        log_name: log_name(wanted, around.options).into(),
        endpoints,
        balance: balance(wanted, around.settings, &mut findings),
        affinity: affinity(&wanted.users).or_else(|| wanted.inherited_affinity.clone()),
        client_ip_affinity: service
            .and_then(|service| service.client_ip_affinity)
            .map(|seconds| Duration::from_secs(u64::from(seconds.max(1)))),
        id: wanted.id.clone(),
        slot,
    };
    (upstream, findings)
}

/// `<namespace>-<service>-<port>`, or the names that ingress-nginx logs for default backends.
fn log_name(wanted: &Wanted<'_>, options: &Options) -> String {
    let Name { namespace, name } = &wanted.service;
    if &*wanted.port != FIRST_PORT {
        return format!("{namespace}-{name}-{}", wanted.port);
    }
    if options.default_backend.as_ref() == Some(&wanted.service) {
        return "upstream-default-backend".into();
    }
    format!("custom-default-backend-{namespace}-{name}")
}

fn problem(why: NoEndpoints, wanted: &Wanted<'_>, service: Option<&Service>) -> String {
    let name = &wanted.service;
    match why {
        NoEndpoints::NoService => {
            format!("there is no Service {name}")
        }
        NoEndpoints::NoPort => {
            let ports = service.iter().flat_map(|service| service.ports.iter());
            let known: Vec<String> = ports.map(describe).collect();
            match (&*wanted.port, known.is_empty()) {
                (FIRST_PORT, _) => format!("Service {name} has no port"),
                (port, true) => format!("Service {name} has no port {port}"),
                (port, false) => {
                    format!(
                        "Service {name} has no port {port}, only {}",
                        known.join(", ")
                    )
                }
            }
        }
        NoEndpoints::NoneReady if &*wanted.port == FIRST_PORT => {
            format!("Service {name} has no ready endpoint for its first port")
        }
        NoEndpoints::NoneReady => format!(
            "Service {name} has no ready endpoint for port {}",
            wanted.port
        ),
        NoEndpoints::RefusedName => {
            let external = service.and_then(|service| service.external_name.as_deref());
            let external = external.unwrap_or_default();
            format!(
                "externalName \"{}\" of Service {name} is refused: it has to be a DNS name outside this machine, and external names have to be enabled",
                external.escape_debug()
            )
        }
    }
}

/// What becomes of an Ingress's requests to an upstream without endpoints.
fn consequence(user: &ParsedIngress, wanted: &Wanted<'_>) -> String {
    if user.is_canary() {
        return "its share stays with the primary".into();
    }
    match user.fallback() {
        Some(fallback) if fallback.upstream.clone() == wanted.id => {
            "it stands in for no other Service".into()
        }
        Some(fallback) => format!(
            "requests go to Service {} of the default-backend annotation",
            fallback.service
        ),
        None => "requests are answered 503".into(),
    }
}

/// The default backend of `--default-backend-service` is named by no Ingress, so the Service itself is told about.
fn default_backend_finding(fact: &str, wanted: &Wanted<'_>, options: &Options) -> Option<Finding> {
    let is_default =
        options.default_backend.as_ref() == Some(&wanted.service) && &*wanted.port == FIRST_PORT;
    is_default.then(|| Finding {
        severity: Severity::Warning,
        subject: Subject::Object(ObjectRef {
            kind: Kind::Service,
            name: wanted.service.clone(),
        }),
        field: "".into(),
        message: format!("{fact}; as the default backend it is replaced by the built-in 404")
            .into(),
    })
}

fn describe(port: &ServicePort) -> String {
    match &port.name {
        Some(name) => format!("{} ({name})", port.port),
        None => port.port.to_string(),
    }
}

/// The first Ingress that names the upstream decides.
fn balance(wanted: &Wanted<'_>, settings: &Settings, findings: &mut Vec<Finding>) -> Balance {
    let own = wanted.users.first().map(|user| &user.annotations.balance);
    if let (Some(user), Some(hash)) = (
        wanted.users.first(),
        own.and_then(|balance| balance.hash_by.as_ref()),
    ) {
        match Template::parse(&hash.key) {
            Ok(key) => {
                let subset = hash
                    .subset
                    .and_then(|size| NonZeroUsize::new(size.get() as usize));
                return Balance::Hash { key, subset };
            }
            Err(error) => findings.push(user.annotation_finding(
                Severity::Error,
                "upstream-hash-by",
                format!("\"{}\": {error}; endpoints are chosen in turn", hash.key),
            )),
        }
    }
    match own
        .and_then(|balance| balance.algorithm)
        .unwrap_or(settings.upstream.algorithm)
    {
        Algorithm::RoundRobin => Balance::RoundRobin,
        Algorithm::Ewma => Balance::Ewma,
    }
}

/// Cookie affinity: the oldest Ingress that has it sets the mode, the newest the cookie's attributes. What a canary says
/// of affinity does not count; it takes its primary's.
pub(crate) fn affinity(users: &[&ParsedIngress]) -> Option<Arc<Affinity>> {
    let mut with = users
        .iter()
        .filter(|user| !user.is_canary())
        .filter_map(|user| user.annotations.affinity.as_ref());
    let oldest = with.next()?;
    let cookie = &with.next_back().unwrap_or(oldest).cookie;
    Some(Arc::new(Affinity {
        cookie: cookie.name.as_str().into(),
        mode: match oldest.mode {
            StickyMode::Balanced => AffinityMode::Balanced,
            StickyMode::Persistent => AffinityMode::Persistent,
        },
        path: cookie.path.as_deref().map(Arc::from),
        domain: cookie.domain.as_deref().map(Arc::from),
        max_age: cookie.max_age,
        expires: cookie.expires,
        always_secure: cookie.secure,
        same_site: cookie.same_site,
        conditional_same_site_none: cookie.conditional_same_site_none,
        change_on_failure: cookie.change_on_failure,
    }))
}
