//! TLSRoutes, TCPRoutes and UDPRoutes: connections and datagrams for backends (gateway-api.md 4.2 to 4.4).

use std::sync::Arc;

use super::backend::{Backends, Idle, Inputs, Referrer, Weighted};
use super::route::{CompiledRoute, Serves};
use super::seniority::Seniority;
use crate::objects::custom::{Custom, StreamRule};
use crate::{Kind, Name};

/// Compiles the rules of a route of `kind`. The API allows one rule.
pub(crate) fn compile<S>(
    route: &Custom<S>,
    kind: Kind,
    rules: &[StreamRule],
    inputs: Inputs<'_>,
) -> CompiledRoute {
    let referrer = Referrer {
        kind,
        namespace: &route.name.namespace,
    };
    let references = || rules.iter().flat_map(|rule| &rule.backend_refs);
    let weighted = references().map(|reference| Weighted {
        reference,
        edits: None,
    });
    let backends = Backends::of(weighted, Idle::LeftOut, referrer, inputs);
    let mut services: Vec<Name> = references()
        .map(|reference| referrer.service(reference))
        .collect();
    services.sort();
    services.dedup();
    CompiledRoute {
        serves: Serves::Streams {
            seniority: Arc::new(Seniority::of(route)),
            split: backends.split.map(Box::new),
        },
        unresolved: backends.problem,
        services,
        ..CompiledRoute::default()
    }
}
