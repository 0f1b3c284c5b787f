//! Metrics that are read off the table when somebody asks for them: certificates, and Ingresses without a Service.

use std::collections::BTreeSet;

use headgate_proxy::{CertificateFacts, Orphan, OrphanKind, Telemetry};
use headgate_table::{
    CATCH_ALL, Certificate, Endpoints, Host, HostBehaviour, HostTls, NoEndpoints, Route,
    RoutingTable, Target,
};

/// Gives `telemetry` what `table` says now. The cost is that of walking all routes, which is why nobody does it at every
/// change.
pub(crate) fn refresh(telemetry: &Telemetry, table: &RoutingTable) {
    let hosts = || {
        let hosts = table.hosts.iter().chain(table.wildcards.iter());
        hosts.map(|(_, host)| &**host).chain([&*table.catch_all])
    };
    let own = hosts().filter_map(|host| match &host.tls {
        HostTls::Own(certificate) => Some(facts(&host.name, certificate)),
        HostTls::None | HostTls::Default => None,
    });
    let default = facts(CATCH_ALL, &table.default_certificate);
    telemetry.set_certificates(own.chain([default]).collect());
    let orphans: BTreeSet<Orphan> = hosts()
        .flat_map(routes)
        .filter_map(|route| orphan(table, route))
        .collect();
    telemetry.set_orphans(orphans.into_iter().collect());
}

fn facts(host: &str, certificate: &Certificate) -> CertificateFacts {
    let secret = certificate.source.rsplit('/').next().unwrap_or_default();
    CertificateFacts {
        host: host.to_owned(),
        secret_name: secret.to_owned(),
        identifier: certificate.fingerprint.to_string(),
        issuer_organization: certificate.issue.organization.clone(),
        issuer_common_name: certificate.issue.common_name.clone(),
        serial_number: certificate.issue.serial.clone(),
        public_key_algorithm: certificate.issue.algorithm.clone(),
        not_after: certificate.not_after,
    }
}

fn routes(host: &Host) -> Vec<&Route> {
    match &host.behaviour {
        HostBehaviour::Routes { paths, .. } => {
            let routes = paths.routes().into_iter();
            routes.map(|route| &**route).collect()
        }
        HostBehaviour::Redirect { .. } => Vec::new(),
    }
}

fn orphan(table: &RoutingTable, route: &Route) -> Option<Orphan> {
    let Target::Forward(split) = &route.target else {
        return None;
    };
    let Endpoints::None(why) = table.upstream(&split.primary)?.endpoints else {
        return None;
    };
    Some(Orphan {
        namespace: route.origin.namespace.to_string(),
        ingress: route.origin.ingress.to_string(),
        kind: match why {
            NoEndpoints::NoService => OrphanKind::NoService,
            NoEndpoints::NoPort | NoEndpoints::NoneReady | NoEndpoints::RefusedName => {
                OrphanKind::NoEndpoint
            }
        },
    })
}
