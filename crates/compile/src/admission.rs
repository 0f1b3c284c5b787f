//! Reviews of the admission webhook, of each kind that has them.

use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;

use crate::objects::custom::{Custom, GrpcRouteSpec, HeadgatePolicySpec, HttpRouteSpec};
use crate::{Compiled, Name, Options, Snapshot, gateway, ingress, policies};

/// An object under review, as it would be stored.
#[derive(Clone, Debug)]
pub enum Reviewed {
    /// An Ingress.
    Ingress(Box<Ingress>),
    /// An HTTPRoute.
    HttpRoute(Arc<Custom<HttpRouteSpec>>),
    /// A GRPCRoute.
    GrpcRoute(Arc<Custom<GrpcRouteSpec>>),
    /// A HeadgatePolicy.
    Policy(Arc<Custom<HeadgatePolicySpec>>),
}

/// The result of a review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// Why the object is denied; `None` if it is allowed.
    pub denied: Option<String>,
    /// Warnings for the author of an allowed object: at most 20 lines of at most 256 bytes.
    pub warnings: Vec<String>,
    /// Whether this controller serves it; other objects are not reviewed, and other Ingresses only inspected.
    pub selected: bool,
    /// Number of compared objects, including this one.
    pub tested: usize,
}

impl Reviewed {
    /// Its kind, as in manifests.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ingress(_) => "Ingress",
            Self::HttpRoute(_) => "HTTPRoute",
            Self::GrpcRoute(_) => "GRPCRoute",
            Self::Policy(_) => "HeadgatePolicy",
        }
    }

    /// Its namespace and name.
    pub fn name(&self) -> Name {
        match self {
            Self::Ingress(ingress) => Name::of(&ingress.metadata),
            Self::HttpRoute(route) => route.name.clone(),
            Self::GrpcRoute(route) => route.name.clone(),
            Self::Policy(policy) => policy.name.clone(),
        }
    }
}

/// Reviews an object as it would be stored. `compiled` is what `snapshot` was compiled to under `options`. Never fails.
pub fn review(
    object: &Reviewed,
    compiled: &Compiled,
    snapshot: &Snapshot,
    options: &Options,
) -> Review {
    let denied = match object {
        Reviewed::Ingress(ingress) => return ingress::review(ingress, compiled, snapshot, options),
        _ if options.gateway.is_none() => None,
        Reviewed::HttpRoute(route) => {
            compiled.review_route(gateway::WrittenRoute::Http(route), &route.name, snapshot)
        }
        Reviewed::GrpcRoute(route) => {
            compiled.review_route(gateway::WrittenRoute::Grpc(route), &route.name, snapshot)
        }
        Reviewed::Policy(policy) => Some(policies::review(policy)),
    };
    let Some(reviewed) = denied else {
        return Review::default();
    };
    Review {
        denied: reviewed.err(),
        selected: true,
        tested: 1,
        ..Review::default()
    }
}
