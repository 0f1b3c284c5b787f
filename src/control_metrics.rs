//! Metrics that are computed from the table at a scrape: its hash, certificates, and Ingresses without a usable Service.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use headgate_proxy::{CertificateFacts, Orphan, OrphanKind, Telemetry};
use headgate_table::{
    CATCH_ALL, Certificate, Endpoints, Host, HostBehaviour, HostTls, NoEndpoints, Route,
    RoutingTable, Socket, Target, TlsRoute,
};

/// The label `secret_name` of the generated default certificate, as in ingress-nginx.
const GENERATED: &str = "default-fake-certificate";

/// The generation of `table`, and the hash of its configuration; `last` is the former pair. Endpoints do not count: each
/// replica sees those near it, and sees changes of them when they reach it.
pub(crate) fn config_hash(table: &RoutingTable, last: Option<(u64, u64)>) -> (u64, u64) {
    let generation = table.generation;
    if let Some(last) = last.filter(|(of, _)| *of == generation) {
        return last;
    }
    let mut hasher = DefaultHasher::new();
    headgate_table::text(&table.without_endpoints()).hash(&mut hasher);
    // Exact as a number of the exposition format, which has 53 bits.
    (generation, hasher.finish() >> 11)
}

/// Updates `telemetry` from `table`. Walks all routes, which would cost too much at every change.
pub(crate) fn refresh(telemetry: &Telemetry, table: &RoutingTable) {
    let universes = table.universes();
    let hosts = || universes.iter().flat_map(|hosts| hosts.iter());
    let shared = shared_certificates(table);
    let of_hosts = hosts().filter_map(|host| match &host.tls {
        HostTls::Own(certificate) => Some(facts(&host.name, certificate)),
        HostTls::Default if &*host.name != CATCH_ALL => shared
            .first()
            .map(|certificate| facts(&host.name, certificate)),
        HostTls::None | HostTls::Default => None,
    });
    let of_catch_all = shared
        .iter()
        .map(|certificate| facts(CATCH_ALL, certificate));
    telemetry.set_certificates(of_hosts.chain(of_catch_all).collect());
    let orphans: BTreeSet<Orphan> = hosts()
        .flat_map(|host| routes(host))
        .filter_map(|route| orphan(table, route))
        .collect();
    telemetry.set_orphans(orphans.into_iter().collect());
}

/// The certificates of listeners, for hosts without one, each once.
fn shared_certificates(table: &RoutingTable) -> Vec<&Arc<Certificate>> {
    let mut shared: Vec<&Arc<Certificate>> = Vec::new();
    let sockets = table.listeners().iter().map(|listener| &listener.socket);
    for socket in sockets {
        let Socket::Tls(tls) = socket else { continue };
        for terminate in tls.routes().filter_map(TlsRoute::terminate) {
            for certificate in terminate.certificates.for_other_names() {
                if !shared.contains(&certificate) {
                    shared.push(certificate);
                }
            }
        }
    }
    shared
}

fn facts(host: &str, certificate: &Certificate) -> CertificateFacts {
    let (namespace, secret) = certificate
        .source
        .split_once('/')
        .unwrap_or(("", GENERATED));
    CertificateFacts {
        host: host.to_owned(),
        namespace: namespace.to_owned(),
        secret_name: secret.to_owned(),
        identifier: format!("-{}", certificate.issue.serial),
        issuer_organization: certificate.issue.organization.clone(),
        issuer_common_name: certificate.issue.common_name.clone(),
        serial_number: certificate.issue.serial.clone(),
        public_key_algorithm: certificate.issue.algorithm.clone(),
        not_after: certificate.not_after,
    }
}

fn routes(host: &Host) -> Vec<&Route> {
    match &host.behaviour {
        HostBehaviour::Routes { paths, .. } => paths.routes().map(|route| &**route).collect(),
        HostBehaviour::Redirect { .. } => Vec::new(),
    }
}

fn orphan(table: &RoutingTable, route: &Route) -> Option<Orphan> {
    let Target::Forward(split) = &route.target else {
        return None;
    };
    let Endpoints::None(why) = table.upstream(split.primary().upstream()?)?.endpoints else {
        return None;
    };
    Some(Orphan {
        namespace: route.origin.namespace.to_string(),
        ingress: route.origin.name.to_string(),
        kind: match why {
            NoEndpoints::NoService => OrphanKind::NoService,
            NoEndpoints::NoPort | NoEndpoints::NoneReady | NoEndpoints::RefusedName => {
                OrphanKind::NoEndpoint
            }
        },
    })
}
