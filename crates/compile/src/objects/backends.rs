//! The Services that an object leads to.

use k8s_openapi::api::networking::v1::{Ingress, IngressBackend};

use super::Object;
use super::custom::{BackendRef, Custom, StreamRule};
use crate::Name;

impl Object {
    /// The Services that the backends of an Ingress or a route name, one for each backend; none for other kinds.
    pub fn backend_services(&self) -> Vec<Name> {
        match self {
            Self::Ingress(ingress) => of_ingress(ingress),
            Self::HttpRoute(route) => {
                let rules = route.spec.rules.iter().flatten();
                let backends = rules.flat_map(|rule| &rule.backend_refs);
                of_route(route, backends.map(|one| &one.backend))
            }
            Self::GrpcRoute(route) => {
                let rules = route.spec.rules.iter().flatten();
                let backends = rules.flat_map(|rule| &rule.backend_refs);
                of_route(route, backends.map(|one| &one.backend))
            }
            Self::TlsRoute(route) => of_route(route, of_streams(&route.spec.rules)),
            Self::TcpRoute(route) => of_route(route, of_streams(&route.spec.0.rules)),
            Self::UdpRoute(route) => of_route(route, of_streams(&route.spec.0.rules)),
            _ => Vec::new(),
        }
    }
}

/// The names of the Services that the backends of `ingress` have, its default backend first.
pub(crate) fn backend_services(ingress: &Ingress) -> impl Iterator<Item = &str> {
    let spec = ingress.spec.iter();
    let default = spec
        .clone()
        .filter_map(|spec| spec.default_backend.as_ref());
    let rules = spec.flat_map(|spec| spec.rules.iter().flatten());
    let paths = rules
        .filter_map(|rule| rule.http.as_ref())
        .flat_map(|http| &http.paths);
    let backends = default.chain(paths.map(|path| &path.backend));
    backends.filter_map(|backend: &IngressBackend| Some(&*backend.service.as_ref()?.name))
}

fn of_ingress(ingress: &Ingress) -> Vec<Name> {
    let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
    let services = backend_services(ingress);
    services
        .map(|service| Name::new(namespace, service))
        .collect()
}

fn of_streams(rules: &[StreamRule]) -> impl Iterator<Item = &BackendRef> {
    rules.iter().flat_map(|rule| &rule.backend_refs)
}

fn of_route<'r, S>(route: &Custom<S>, backends: impl Iterator<Item = &'r BackendRef>) -> Vec<Name> {
    let services = backends.filter(|backend| backend.is_service());
    let names = services.map(|backend| {
        let namespace = backend.namespace.as_deref();
        Name::new(namespace.unwrap_or(&route.name.namespace), &backend.name)
    });
    names.collect()
}
