//! The explanation of the data plane as JSON, with the objects and annotations that it comes from.

use std::sync::Arc;

use headgate_compile::{
    Compiled, Finding, Kind, Name, ObjectRef, Options, Severity, Snapshot, Subject,
};
use headgate_proxy::{ExplainRequest, Explanation, Loser, Outcome, PossibleBackend, Step, explain};
use headgate_table::{PathKind, Route};
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use super::provenance::Provenance;

/// Changes when a field is removed or gets another meaning.
const VERSION: u32 = 1;

/// The state that a request is explained with.
pub(crate) struct State<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) compiled: &'a Compiled,
    pub(crate) options: &'a Options,
}

/// The explanation of a request as JSON.
pub(crate) fn explained(state: &State<'_>, request: &ExplainRequest) -> Value {
    let explanation = explain(state.compiled.table(), request);
    let owner = explanation.route.as_deref().and_then(owner);
    let host = explanation.host.as_ref().map(|host| host.name.clone());
    let ingresses = host.map_or_else(Vec::new, |host| of_host(state.snapshot, &host));
    let provenance = Provenance::new(state, owner.as_ref(), &ingresses);
    let steps = explanation.steps.iter();
    let steps: Vec<Value> = steps.map(|step| step_json(step, &provenance)).collect();
    let backends = explanation.backends.iter();
    let backends: Vec<Value> = backends.map(|one| backend(one, &provenance)).collect();
    let names: Vec<Name> = ingresses
        .iter()
        .map(|ingress| Name::of(&ingress.metadata))
        .collect();
    let findings = state.compiled.findings();
    let findings = findings.iter().filter(|finding| is_about(finding, &names));
    json!({
        "version": VERSION,
        "generation": state.compiled.table().generation,
        "request": request_json(request, &explanation),
        "listener": explanation.listener.as_ref().map(|listener| json!({
            "address": listener.address.to_string(),
            "scheme": listener.scheme,
        })),
        "host": explanation.host.as_ref().map(|host| json!({
            "name": &*host.name,
            "requested": host.requested,
            "because": host.because,
            "regex": host.is_regex,
            "certificate": host.certificate.as_deref(),
        })),
        "route": explanation.route.as_ref().map(route),
        "steps": steps,
        "outcome": outcome(&explanation.outcome),
        "backends": backends,
        "losers": explanation.losers.iter().map(loser).collect::<Vec<_>>(),
        "findings": findings.map(finding).collect::<Vec<_>>(),
    })
}

fn request_json(request: &ExplainRequest, explanation: &Explanation) -> Value {
    let headers = request.headers.iter();
    let headers = headers
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    json!({
        "method": request.method.as_str(),
        "url": request.url.to_string(),
        "headers": headers.collect::<Vec<_>>(),
        "client": request.client.to_string(),
        "path": explanation.path,
    })
}

/// The Ingress that declares a route.
fn owner(route: &Route) -> Option<Name> {
    let origin = &route.origin;
    (origin.kind == Kind::Ingress.as_str()).then(|| Name::new(&origin.namespace, &origin.name))
}

/// The Ingresses with a rule for a host, in the order of their names.
fn of_host<'s>(snapshot: &'s Snapshot, host: &str) -> Vec<&'s Arc<Ingress>> {
    let has = |ingress: &&Arc<Ingress>| {
        let spec = ingress.spec.as_ref();
        let rules = spec.and_then(|spec| spec.rules.as_ref());
        let mut hosts = rules
            .into_iter()
            .flatten()
            .map(|rule| rule.host.as_deref().unwrap_or("_"));
        hosts.any(|name| name.eq_ignore_ascii_case(host))
    };
    let mut found: Vec<_> = snapshot.all::<Ingress>().filter(has).collect();
    found.sort_by_key(|ingress| Name::of(&ingress.metadata));
    found
}

fn is_about(finding: &Finding, names: &[Name]) -> bool {
    let Subject::Object(ObjectRef {
        kind: Kind::Ingress,
        name,
    }) = &finding.subject
    else {
        return false;
    };
    names.contains(name) && finding.severity != Severity::Info
}

fn route(route: &Arc<Route>) -> Value {
    let origin = &route.origin;
    json!({
        "path": &*route.path,
        "type": match route.kind {
            PathKind::Exact => "Exact",
            PathKind::Prefix => "Prefix",
        },
        "object": match origin.kind {
            "" => "built-in".to_owned(),
            kind => format!("{kind} {}/{}", origin.namespace, origin.name),
        },
        "service": match &*origin.service {
            "" => Value::Null,
            service => format!("{}/{service}:{}", origin.namespace, origin.port).into(),
        },
    })
}

fn step_json(step: &Step, provenance: &Provenance<'_>) -> Value {
    json!({
        "name": step.name,
        "result": step.result.as_str(),
        "detail": step.detail,
        "from": provenance.of(step.name),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::NotReceived => json!({ "kind": "notReceived" }),
        Outcome::Forwarded { target } => json!({ "kind": "forwarded", "target": target }),
        Outcome::Response { status, location } => {
            json!({ "kind": "response", "status": status, "location": location })
        }
        Outcome::PassedThrough => json!({ "kind": "passedThrough" }),
    }
}

fn backend(backend: &PossibleBackend, provenance: &Provenance<'_>) -> Value {
    let from = match backend.role {
        "canary" => provenance.of_canary(&backend.name),
        _ => Vec::new(),
    };
    json!({
        "from": from,
        "name": &*backend.name,
        "role": backend.role,
        "because": backend.because,
        "endpoints": backend.endpoints,
        "balance": backend.balance,
    })
}

fn loser(loser: &Loser) -> Value {
    json!({
        "kind": loser.kind,
        "name": loser.name,
        "object": loser.object,
        "because": loser.because,
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "severity": finding.severity.as_str(),
        "object": finding.subject.to_string(),
        "field": &*finding.field,
        "message": &*finding.message,
    })
}
