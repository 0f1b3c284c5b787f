//! GatewayClasses: whether they are served, and what this controller supports (gateway-api.md 1.5, 2.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::condition::{Condition, ConditionKind, Problem};
use super::parameters::class_parameters;
use super::status::{Status, StatusBody};
use crate::objects::Definition;
use crate::objects::custom::{Custom, GATEWAY_GROUP, GatewayClassSpec};
use crate::{Kind, Snapshot};

/// Newest minor version of the Gateway API whose CRDs are known, of major version 1.
const NEWEST: u32 = 6;

/// Why no version of the CRDs is supported where nothing is known of them.
pub(super) const UNKNOWN_VERSION: &str = "the version of the installed CRDs is not known";

/// In which channel of the CRDs the fields of a feature are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Standard,
    Experimental,
}

use Channel::{Experimental, Standard};
use Kind::{
    BackendTlsPolicy, Gateway, GrpcRoute, HttpRoute, ListenerSet, ReferenceGrant, TcpRoute,
    TlsRoute, UdpRoute,
};

/// The implemented features, each with the kind that has it.
#[rustfmt::skip] // one line for each feature
const FEATURES: &[(Kind, Channel, &str)] = &[
    (Gateway, Standard, "Gateway"),
    (Gateway, Standard, "GatewayAddressEmpty"),
    (Gateway, Standard, "GatewayBackendClientCertificate"),
    (Gateway, Standard, "GatewayFrontendClientCertificateValidation"),
    (Gateway, Standard, "GatewayFrontendClientCertificateValidationInsecureFallback"),
    (Gateway, Standard, "GatewayHTTPListenerIsolation"),
    (Gateway, Standard, "GatewayHTTPSListenerDetectMisdirectedRequests"),
    (Gateway, Standard, INFRASTRUCTURE),
    (Gateway, Standard, "GatewayPort8080"),
    (Gateway, Standard, "GatewayStaticAddresses"),
    (ListenerSet, Standard, "ListenerSet"),
    (ReferenceGrant, Standard, "ReferenceGrant"),
    (HttpRoute, Standard, "HTTPRoute"),
    (HttpRoute, Standard, "HTTPRoute303RedirectStatusCode"),
    (HttpRoute, Standard, "HTTPRoute307RedirectStatusCode"),
    (HttpRoute, Standard, "HTTPRoute308RedirectStatusCode"),
    (HttpRoute, Standard, "HTTPRouteBackendProtocolH2C"),
    (HttpRoute, Standard, "HTTPRouteBackendProtocolWebSocket"),
    (HttpRoute, Standard, "HTTPRouteBackendRequestHeaderModification"),
    (HttpRoute, Standard, "HTTPRouteBackendTimeout"),
    (HttpRoute, Standard, "HTTPRouteCORS"),
    (HttpRoute, Experimental, "HTTPRouteDestinationPortMatching"),
    (HttpRoute, Standard, "HTTPRouteHostRewrite"),
    (HttpRoute, Standard, "HTTPRouteMethodMatching"),
    (HttpRoute, Standard, "HTTPRouteNamedRouteRule"),
    (HttpRoute, Standard, "HTTPRouteParentRefPort"),
    (HttpRoute, Standard, "HTTPRoutePathRedirect"),
    (HttpRoute, Standard, "HTTPRoutePathRewrite"),
    (HttpRoute, Standard, "HTTPRoutePortRedirect"),
    (HttpRoute, Standard, "HTTPRouteQueryParamMatching"),
    (HttpRoute, Standard, "HTTPRouteRequestMirror"),
    (HttpRoute, Standard, "HTTPRouteRequestMultipleMirrors"),
    (HttpRoute, Standard, "HTTPRouteRequestPercentageMirror"),
    (HttpRoute, Standard, "HTTPRouteRequestTimeout"),
    (HttpRoute, Standard, "HTTPRouteResponseHeaderModification"),
    (HttpRoute, Experimental, "HTTPRouteRetry"),
    (HttpRoute, Standard, "HTTPRouteSchemeRedirect"),
    (GrpcRoute, Standard, "GRPCRoute"),
    (GrpcRoute, Standard, "GRPCRouteNamedRouteRule"),
    (TlsRoute, Standard, "TLSRoute"),
    // Experimental by name, but it needs no field of that channel.
    (TlsRoute, Standard, "TLSRouteModeMixed"),
    (TlsRoute, Standard, "TLSRouteModeTerminate"),
    (TcpRoute, Standard, "TCPRoute"),
    (UdpRoute, Standard, "UDPRoute"),
    (BackendTlsPolicy, Standard, "BackendTLSPolicy"),
    (BackendTlsPolicy, Standard, "BackendTLSPolicySANValidation"),
];

/// Its fields are those of Services.
const INFRASTRUCTURE: &str = "GatewayInfrastructurePropagation";

/// What decides which features there are.
pub(super) struct Definitions {
    /// The installed CRDs of the Gateway API, by kind.
    installed: BTreeMap<Kind, Arc<Definition>>,
    /// Gateways get Services.
    has_services: bool,
}

impl Definitions {
    /// Those of a snapshot.
    pub(super) fn read(snapshot: &Snapshot, has_services: bool) -> Self {
        let all = snapshot.all::<Definition>();
        let all = all.filter_map(|one| Some((one.kind()?, one.clone())));
        // Those of other groups have no bundle.
        let all = all.filter(|(kind, _)| kind.group() == GATEWAY_GROUP);
        Self {
            installed: all.collect(),
            has_services,
        }
    }

    /// The features that objects can use, sorted.
    fn features(&self) -> Vec<&'static str> {
        let usable = FEATURES.iter().filter(|(kind, channel, name)| {
            if *name == INFRASTRUCTURE && !self.has_services {
                return false;
            }
            let experimental =
                |one: &Arc<Definition>| one.channel.as_deref() == Some("experimental");
            match self.installed.get(kind) {
                Some(one) => *channel == Standard || experimental(one),
                // Which are installed is not known.
                None => self.installed.is_empty() && *channel == Standard,
            }
        });
        let mut names: Vec<&str> = usable.map(|(_, _, name)| *name).collect();
        names.sort_unstable();
        names
    }

    /// Why objects may have fields that are not known here.
    fn version_problem(&self) -> Option<Problem> {
        let unsupported = |message| Some(Problem::new("UnsupportedVersion", message));
        if self.installed.is_empty() {
            return unsupported(UNKNOWN_VERSION.to_owned());
        }
        let unknown = self
            .installed
            .values()
            .find(|one| !is_known(one.bundle.as_deref()))?;
        let bundle = unknown.bundle.as_deref().unwrap_or("none");
        unsupported(format!(
            "the bundle version of CRD {} is {bundle}, and known are v1.0 to v1.{NEWEST}",
            unknown.name.name
        ))
    }
}

/// Whether a bundle version, such as `v1.6.1`, is known.
fn is_known(bundle: Option<&str>) -> bool {
    let numbers = bundle.and_then(|text| text.strip_prefix("v1."));
    let minor = numbers.and_then(|rest| rest.split('.').next()?.parse().ok());
    minor.is_some_and(|minor: u32| minor <= NEWEST)
}

/// The status of a class of this controller.
pub(super) fn status(
    class: &Custom<GatewayClassSpec>,
    definitions: &Definitions,
    in_use: bool,
    snapshot: &Snapshot,
) -> Status {
    let parameters = class_parameters(class, snapshot);
    let refused = parameters.err();
    let refused = refused.map(|message| Problem::new("InvalidParameters", message));
    Status {
        generation: class.generation,
        body: StatusBody::GatewayClass {
            conditions: vec![
                Condition::unless(ConditionKind::Accepted, refused.as_ref()),
                Condition::unless(
                    ConditionKind::SupportedVersion,
                    definitions.version_problem().as_ref(),
                ),
            ],
            features: definitions.features(),
            in_use,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_up_to_the_newest_known_one_are_supported() {
        for (bundle, known) in [
            (Some("v1.0.0"), true),
            (Some("v1.6.1"), true),
            (Some("v1.6.0-rc.1"), true),
            (Some("v1.7.0"), false),
            (Some("v0.8.1"), false),
            (Some("v0.0.0-dev"), false),
            (Some("1.6.1"), false),
            (None, false),
        ] {
            assert_eq!(is_known(bundle), known, "{bundle:?}");
        }
    }

    #[test]
    fn features_fit_into_a_status() {
        assert!(FEATURES.len() <= 64);
    }
}
