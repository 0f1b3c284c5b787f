//! What will happen to each object of the Gateway API, for a report.

use std::collections::BTreeSet;

use super::route::WrittenRoute;
use super::state::State;
use super::universe::reference;
use crate::finding::{Finding, Severity, Subject};
use crate::objects::custom::{Custom, GatewayClassSpec, GatewaySpec, HttpRule, ValueMatch};
use crate::{Judgement, Kind, Name, ObjectRef, Snapshot, Verdict};

/// The kinds of objects, in the order in which they refer to each other.
const KINDS: [Kind; 12] = [
    Kind::GatewayClass,
    Kind::HeadgateParameters,
    Kind::Gateway,
    Kind::ListenerSet,
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::TlsRoute,
    Kind::TcpRoute,
    Kind::UdpRoute,
    Kind::ReferenceGrant,
    Kind::BackendTlsPolicy,
    Kind::BackendTrafficPolicy,
];

const EXPRESSIONS: &str = "Regular expressions are those of PCRE and match whole values.";
const RETRY: &str = "A request whose body is longer than 64 KiB is not sent again.";
const SESSION: &str = "A session that began elsewhere gets another endpoint, once.";
const AUTHORIZATION: &str = "Only status 200 of the authorization service allows a request.";

impl State {
    /// One verdict about each object; `findings` are those that count.
    pub(crate) fn verdicts(&self, snapshot: &Snapshot, findings: &[Finding]) -> Vec<Judgement> {
        let parameters = parameters(snapshot);
        let mut verdicts = Vec::new();
        for kind in KINDS {
            let mut names: Vec<&Name> = snapshot.names(kind).collect();
            names.sort();
            for name in names {
                let object = reference(kind, name);
                let errors = findings.iter().filter(|finding| {
                    finding.severity == Severity::Error
                        && finding.subject == Subject::Object(object.clone())
                });
                let (verdict, reason) = match errors.count() {
                    0 => self.without_errors(&object, snapshot, &parameters),
                    1 => (Verdict::NotSupported, "an error is found".to_owned()),
                    count => (Verdict::NotSupported, format!("{count} errors are found")),
                };
                verdicts.push(Judgement::new(object.to_string(), verdict, reason));
            }
        }
        verdicts
    }

    fn without_errors(
        &self,
        object: &ObjectRef,
        snapshot: &Snapshot,
        parameters: &BTreeSet<Name>,
    ) -> (Verdict, String) {
        let unused = match object.kind {
            Kind::ReferenceGrant => None,
            Kind::HeadgateParameters => (!parameters.contains(&object.name))
                .then_some("no GatewayClass or Gateway refers to it"),
            _ if self.statuses.all().contains_key(object) => None,
            Kind::GatewayClass => Some("it is of another controller"),
            Kind::Gateway => Some("its GatewayClass is of another controller, or there is none"),
            Kind::BackendTlsPolicy | Kind::BackendTrafficPolicy => {
                Some("no route of a Gateway reaches its targets")
            }
            _ => Some("no Gateway that is served is its parent"),
        };
        if let Some(unused) = unused {
            return (Verdict::NoEffect, unused.to_owned());
        }
        let differences = WrittenRoute::of(object, snapshot).map(differences);
        let differences = differences.unwrap_or_default();
        match differences.is_empty() {
            true => (Verdict::Honoured, String::new()),
            false => (Verdict::Differs, differences.join(" ")),
        }
    }
}

/// The parameters that classes and Gateways name.
fn parameters(snapshot: &Snapshot) -> BTreeSet<Name> {
    let classes = snapshot.all::<Custom<GatewayClassSpec>>();
    let of_classes = classes.filter_map(|class| {
        let reference = class.spec.parameters_ref.as_ref()?;
        Some(Name::new(reference.namespace.as_deref()?, &reference.name))
    });
    let gateways = snapshot.all::<Custom<GatewaySpec>>();
    let of_gateways = gateways.filter_map(|gateway| {
        let reference = gateway
            .spec
            .infrastructure
            .as_ref()?
            .parameters_ref
            .as_ref()?;
        Some(Name::new(&gateway.name.namespace, &reference.name))
    });
    of_classes.chain(of_gateways).collect()
}

/// What a route asks for that implementations of the API may do in different ways.
fn differences(route: WrittenRoute<'_>) -> Vec<&'static str> {
    let rules = route.http_rules();
    let asks = |test: fn(&HttpRule) -> bool| rules.iter().any(test);
    let all = [
        (asks(has_expression), EXPRESSIONS),
        (asks(|rule| rule.retry.is_some()), RETRY),
        (asks(|rule| rule.session_persistence.is_some()), SESSION),
        (asks(asks_a_service), AUTHORIZATION),
    ];
    let asked = all.into_iter().filter(|(is_asked, _)| *is_asked);
    asked.map(|(_, difference)| difference).collect()
}

fn has_expression(rule: &HttpRule) -> bool {
    let is_expression = |kind: &Option<String>| kind.as_deref() == Some("RegularExpression");
    let of_value = |value: &ValueMatch| is_expression(&value.kind);
    rule.matches.iter().any(|one| {
        let path = one.path.as_ref();
        path.is_some_and(|path| is_expression(&path.kind))
            || one.headers.iter().any(of_value)
            || one.query_params.iter().any(of_value)
    })
}

fn asks_a_service(rule: &HttpRule) -> bool {
    rule.filters
        .iter()
        .any(|filter| filter.kind == "ExternalAuth")
}
