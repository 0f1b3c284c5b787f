//! One upstream: a Service port with its endpoints, and how one is chosen (ingress-nginx reference 2.7, 1.4, 1.5).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use headgate_table as table;
use headgate_table::{
    Affinity, AffinityMode, Balance, Endpoints, NoEndpoints, Slot, Template, Upstream, UpstreamId,
};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::annotations::{self, Algorithm, StickyMode};
use crate::finding::{Finding, Severity, Subject};
use crate::ingress::{FIRST_PORT, ParsedIngress};
use crate::settings::Settings;
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
        Some(service) => endpoints(service, wanted, around, &mut refused),
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
        client_ip_affinity: service.and_then(|service| client_ip_affinity(service)),
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
            let known: Vec<String> = service
                .map(ports)
                .unwrap_or_default()
                .iter()
                .map(describe)
                .collect();
            match (&*wanted.port, known.is_empty()) {
                (FIRST_PORT, _) => format!("Service {name} has no port"),
                (port, true) => format!("Service {name} has no port {port}"),
                (port, false) => {
                    format!("Service {name} has no port {port}, only {}", known.join(", "))
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
            let external = service.and_then(external_name).unwrap_or_default();
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
        Some(fallback) if user.upstream(&fallback) == wanted.id => {
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
fn default_backend_finding(
    fact: &str,
    wanted: &Wanted<'_>,
    options: &Options,
) -> Option<Finding> {
    let is_default = options.default_backend.as_ref() == Some(&wanted.service)
        && &*wanted.port == FIRST_PORT;
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

fn ports(service: &Service) -> Vec<ServicePort> {
    service
        .spec
        .as_ref()
        .and_then(|spec| spec.ports.clone())
        .unwrap_or_default()
}

fn external_name(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        spec.external_name.as_deref()
    } else {
        None
    }
}

fn endpoints(
    service: &Service,
    wanted: &Wanted<'_>,
    around: &Surroundings<'_>,
    refused: &mut Vec<IpAddr>,
) -> Endpoints {
    let ports = ports(service);
    let port = find_port(&ports, &wanted.port);
    if service
        .spec
        .as_ref()
        .is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName"))
    {
        return external(service, port, wanted, around.options);
    }
    let Some(port) = port else {
        return Endpoints::None(NoEndpoints::NoPort);
    };
    let guard = Guard {
        loopback: around.options.loopback_endpoints,
    };
    let mut found = match cluster_address(service, port, wanted, around.settings) {
        Some(address) => BTreeSet::from([address]),
        None => addresses(wanted, port, around.snapshot),
    };
    found.retain(|address| {
        let fine = guard.allows(address.ip());
        if !fine {
            refused.push(address.ip());
        }
        fine
    });
    if found.is_empty() {
        return Endpoints::None(NoEndpoints::NoneReady);
    }
    Endpoints::Addresses(found.into_iter().collect())
}

/// The first port whose number, then `targetPort`, then name is the wanted one.
fn find_port<'p>(ports: &'p [ServicePort], wanted: &str) -> Option<&'p ServicePort> {
    if wanted == FIRST_PORT {
        return ports.first();
    }
    ports.iter().find(|port| {
        let target = match &port.target_port {
            Some(IntOrString::Int(number)) => number.to_string() == wanted,
            Some(IntOrString::String(name)) => name == wanted,
            None => false,
        };
        port.port.to_string() == wanted || target || port.name.as_deref() == Some(wanted)
    })
}

/// The name is resolved while serving. Names of this machine, addresses and what is no DNS name are refused.
fn external(
    service: &Service,
    port: Option<&ServicePort>,
    wanted: &Wanted<'_>,
    options: &Options,
) -> Endpoints {
    let name = external_name(service).unwrap_or_default();
    let bare = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let local =
        bare == "localhost" || bare.ends_with(".localhost") || bare == "localhost.localdomain";
    let fine = options.external_names
        && !local
        && bare.parse::<IpAddr>().is_err()
        && bare.split('.').all(label);
    if !fine {
        return Endpoints::None(NoEndpoints::RefusedName);
    }
    let number = match port.map(|port| (&port.target_port, port.port)) {
        Some((Some(IntOrString::Int(target)), _)) => u16::try_from(*target).ok(),
        Some((_, port)) => u16::try_from(port).ok(),
        None => wanted.port.parse().ok(),
    };
    match number.filter(|port| *port > 0) {
        Some(port) => Endpoints::Name {
            host: name.into(),
            port,
        },
        None => Endpoints::None(NoEndpoints::NoPort),
    }
}

/// The Service's own address, where the first Ingress that names the upstream asks for it and the Service has one.
fn cluster_address(
    service: &Service,
    port: &ServicePort,
    wanted: &Wanted<'_>,
    settings: &Settings,
) -> Option<SocketAddr> {
    let first = wanted.users.first()?;
    if !first
        .annotations
        .routing
        .service_upstream
        .unwrap_or(settings.upstream.service_upstream)
    {
        return None;
    }
    let address = service.spec.as_ref()?.cluster_ip.as_deref()?.parse().ok()?;
    Some(SocketAddr::new(address, u16::try_from(port.port).ok()?))
}

/// Ready addresses from the Service's slices, or from its Endpoints object where it has no slices. While no endpoint is
/// ready, those that still serve although they terminate are used.
fn addresses(wanted: &Wanted<'_>, port: &ServicePort, snapshot: &Snapshot) -> BTreeSet<SocketAddr> {
    let mut ready = BTreeSet::new();
    let mut terminating = BTreeSet::new();
    let mut any = false;
    for slice in snapshot.slices_of(&wanted.service) {
        any = true;
        let Some(number) = slice_port(slice.ports.as_deref(), port) else {
            continue;
        };
        for endpoint in slice.endpoints.iter().flatten() {
            let conditions = endpoint.conditions.as_ref();
            let is_ready = conditions.and_then(|conditions| conditions.ready) != Some(false);
            let still_serves =
                conditions.is_some_and(|c| c.terminating == Some(true) && c.serving == Some(true));
            let parsed = endpoint
                .addresses
                .iter()
                .filter_map(|address| address.parse::<IpAddr>().ok());
            let parsed = parsed.map(|address| SocketAddr::new(address, number));
            if is_ready {
                ready.extend(parsed);
            } else if still_serves {
                terminating.extend(parsed);
            }
        }
    }
    if !any {
        return legacy_addresses(wanted, port, snapshot);
    }
    if ready.is_empty() { terminating } else { ready }
}

/// The slice's port of the same name, or its first one when the Service's has no name, being the only one then. A slice
/// without ports takes a numeric `targetPort`.
fn slice_port(
    ports: Option<&[k8s_openapi::api::discovery::v1::EndpointPort]>,
    wanted: &ServicePort,
) -> Option<u16> {
    let ports = ports.unwrap_or_default();
    if ports.is_empty() {
        let Some(IntOrString::Int(number)) = &wanted.target_port else {
            return None;
        };
        return u16::try_from(*number).ok();
    }
    let name = wanted.name.as_deref().unwrap_or_default();
    let tcp = |protocol: Option<&str>| protocol.is_none_or(|protocol| protocol == "TCP");
    let same = |port: Option<&str>| name.is_empty() || port == Some(name);
    let port = ports
        .iter()
        .find(|port| same(port.name.as_deref()) && tcp(port.protocol.as_deref()))?;
    u16::try_from(port.port?).ok()
}

fn legacy_addresses(
    wanted: &Wanted<'_>,
    port: &ServicePort,
    snapshot: &Snapshot,
) -> BTreeSet<SocketAddr> {
    let Some(endpoints) = snapshot.endpoints.get(&wanted.service) else {
        return BTreeSet::new();
    };
    let name = port.name.as_deref().unwrap_or_default();
    let mut found = BTreeSet::new();
    for subset in endpoints.subsets.iter().flatten() {
        let number = subset
            .ports
            .iter()
            .flatten()
            .find(|port| name.is_empty() || port.name.as_deref() == Some(name))
            .and_then(|port| u16::try_from(port.port).ok());
        let Some(number) = number else { continue };
        let addresses = subset
            .addresses
            .iter()
            .flatten()
            .filter_map(|address| address.ip.parse::<IpAddr>().ok());
        found.extend(addresses.map(|address| SocketAddr::new(address, number)));
    }
    found
}

/// Keeps requests away from the machine itself and from cloud metadata, whatever a slice says.
struct Guard {
    loopback: bool,
}

impl Guard {
    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        !address.is_unspecified()
            && !link_local
            && !address.is_multicast()
            && (self.loopback || !address.is_loopback())
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
        same_site: cookie.same_site.map(|same_site| match same_site {
            annotations::SameSite::None => table::SameSite::None,
            annotations::SameSite::Lax => table::SameSite::Lax,
            annotations::SameSite::Strict => table::SameSite::Strict,
        }),
        conditional_same_site_none: cookie.conditional_same_site_none,
        change_on_failure: cookie.change_on_failure,
    }))
}

/// The Service's own `sessionAffinity`; its default timeout is three hours.
fn client_ip_affinity(service: &Service) -> Option<Duration> {
    const DEFAULT: i32 = 10_800;
    let spec = service.spec.as_ref()?;
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let client_ip = spec
        .session_affinity_config
        .as_ref()
        .and_then(|config| config.client_ip.as_ref());
    let seconds = client_ip
        .and_then(|client_ip| client_ip.timeout_seconds)
        .unwrap_or(DEFAULT);
    Some(Duration::from_secs(
        u64::try_from(seconds).unwrap_or(0).max(1),
    ))
}
