//! The explanation of the data plane as JSON, with the objects and annotations that it comes from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use headgate_compile::gateway::ServingListener;
use headgate_compile::{
    AnnotationJudge, Compiled, ConfigMap, Finding, Kind, Name, ObjectRef, Options, Protocol,
    Severity, Snapshot, StreamEntry, Subject,
};
use headgate_proxy::{ExplainRequest, Explanation, Loser, Outcome, PossibleBackend, Step};
use headgate_table::{PathKind, Route};
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use super::provenance::Provenance;
use crate::output::finding;

/// Changes when a field is removed or gets another meaning.
const VERSION: u32 = 1;
/// Fields whose values are not shown: output ends up in tickets.
const SECRET: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

/// The objects that an explanation is about. They are cheap to clone.
pub(crate) struct Objects {
    /// The Ingress of the route.
    pub(super) owner: Option<Name>,
    /// The listener of a Gateway.
    gateway: Option<ServingListener>,
    /// The route of a Gateway.
    route: Option<ObjectRef>,
    /// The Gateways of other listeners.
    other_gateways: BTreeMap<SocketAddr, ObjectRef>,
    /// The Ingresses of the host, oldest first.
    pub(super) ingresses: Vec<Arc<Ingress>>,
    /// The ConfigMap with the settings.
    pub(super) settings: Option<(Name, Arc<ConfigMap>)>,
    /// The port of a TCP or UDP service that the request is for.
    pub(super) port: Option<Port>,
    /// Prefix of annotations.
    pub(super) prefix: String,
    /// Says which annotations have an effect.
    pub(super) judge: AnnotationJudge,
}

/// A port of a TCP or UDP service.
pub(super) struct Port {
    number: u16,
    /// The ConfigMap of the flag.
    map: Option<Name>,
    /// The entry that is served, or would be if its Service had endpoints.
    pub(super) entry: Option<StreamEntry>,
}

impl Objects {
    /// Those of `explanation`.
    pub(crate) fn of(
        (snapshot, compiled, options): (&Snapshot, &Compiled, &Options),
        (request, explanation): (&ExplainRequest, &Explanation),
    ) -> Self {
        let owner = explanation.route.as_deref().and_then(owner);
        let gateway = gateway(compiled, request, explanation);
        let host = explanation.host.as_ref().filter(|_| gateway.is_none());
        let of_host = host.map(|host| compiled.ingresses_of(&host.name));
        let mut names: Vec<&Name> = of_host.into_iter().flatten().collect();
        // Without a rule, an Ingress with only a default backend has routes all the same.
        if let Some(owner) = owner.as_ref().filter(|owner| !names.contains(owner)) {
            names.push(owner);
        }
        let ingresses = names.into_iter();
        let ingresses = ingresses.filter_map(|name| snapshot.get::<Ingress>(name).cloned());
        let settings = options.settings.clone();
        Self {
            ingresses: ingresses.collect(),
            owner,
            route: gateway
                .as_ref()
                .and_then(|_| route_of_gateway(explanation.route.as_deref()?)),
            gateway,
            other_gateways: other_gateways(compiled, explanation),
            settings: settings.and_then(|name| {
                let map = snapshot.get::<ConfigMap>(&name)?.clone();
                Some((name, map))
            }),
            port: port(compiled, options, request),
            prefix: options.annotations_prefix.to_string(),
            judge: compiled.annotation_judge(options),
        }
    }

    /// Whether a finding is about the port, or about one of the Ingresses.
    fn concerns(&self, finding: &Finding) -> bool {
        let Subject::Object(ObjectRef { kind, name }) = &finding.subject else {
            return false;
        };
        match (kind, &self.port) {
            (Kind::Ingress, _) => {
                let mut ingresses = self.ingresses.iter();
                finding.severity != Severity::Info
                    && ingresses.any(|ingress| Name::of(&ingress.metadata) == *name)
            }
            (Kind::ConfigMap, Some(port)) if Some(name) == port.map.as_ref() => {
                let key = finding.field.strip_prefix("data.");
                let number = key.map(|key| key.parse::<u16>().ok());
                // Without a field it is about the whole ConfigMap.
                finding.field.is_empty() || number == Some(Some(port.number))
            }
            _ => {
                let subject = (*kind, name);
                let parent = self.gateway.as_ref().map(|gateway| &gateway.parent);
                let mut objects = parent.into_iter().chain(&self.route);
                objects.any(|object| (object.kind, &object.name) == subject)
            }
        }
    }
}

/// The listener of a Gateway that the request is for.
fn gateway(
    compiled: &Compiled,
    request: &ExplainRequest,
    explanation: &Explanation,
) -> Option<ServingListener> {
    let address = explanation.listener.as_ref()?.address;
    let protocol = match request.url.scheme_str() {
        Some("udp") => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    // Of TLS, the server name of the handshake decides; clients take it from the URL.
    let requested = match request.url.scheme_str() {
        Some("http") => explanation
            .host
            .as_ref()
            .map(|host| host.requested.as_str()),
        _ => request.url.host(),
    };
    compiled.gateway_listener((address, protocol), requested)
}

/// The Gateways or ListenerSets of the listeners that lost.
fn other_gateways(
    compiled: &Compiled,
    explanation: &Explanation,
) -> BTreeMap<SocketAddr, ObjectRef> {
    let addresses = explanation.losers.iter().filter_map(|loser| loser.address);
    let gateways = addresses.filter_map(|address| {
        // A listener for UDP is shown by its address alone.
        let listener = compiled.gateway_listener((address, Protocol::Tcp), None)?;
        Some((address, listener.parent))
    });
    gateways.collect()
}

/// The object of the Gateway API that declares a route.
fn route_of_gateway(route: &Route) -> Option<ObjectRef> {
    let origin = &route.origin;
    let kinds = [Kind::HttpRoute, Kind::GrpcRoute];
    let kind = kinds
        .into_iter()
        .find(|kind| kind.as_str() == origin.kind)?;
    Some(ObjectRef {
        kind,
        name: Name::new(&origin.namespace, &origin.name),
    })
}

fn port(compiled: &Compiled, options: &Options, request: &ExplainRequest) -> Option<Port> {
    let (protocol, map) = match request.url.scheme_str()? {
        "tcp" => (Protocol::Tcp, &options.tcp_services),
        "udp" => (Protocol::Udp, &options.udp_services),
        _ => return None,
    };
    let number = request.url.port_u16()?;
    Some(Port {
        number,
        map: map.clone(),
        entry: compiled.stream_entry(protocol, number, options),
    })
}

/// An explanation as JSON, with those of `findings` that are about its objects.
pub(crate) fn explained<'f>(
    (request, explanation): (&ExplainRequest, &Explanation),
    generation: u64,
    objects: &Objects,
    findings: impl Iterator<Item = &'f Finding>,
) -> Value {
    let provenance = Provenance::new(objects);
    let steps = explanation.steps.iter();
    let steps: Vec<Value> = steps.map(|step| step_json(step, &provenance)).collect();
    let backends = explanation.backends.iter();
    let backends: Vec<Value> = backends.map(|one| backend(one, &provenance)).collect();
    let findings = findings.filter(|one| objects.concerns(one));
    let entry = objects.port.as_ref().and_then(|port| port.entry.as_ref());
    json!({
        "version": VERSION,
        "generation": generation,
        "request": request_json(request, explanation),
        "listener": explanation.listener.as_ref().map(|listener| json!({
            "address": listener.address.to_string(),
            "scheme": listener.scheme,
            "name": objects.gateway.as_ref().map(|gateway| &*gateway.name),
            "object": objects.gateway.as_ref().map(|gateway| gateway.parent.to_string()),
        })),
        "host": explanation.host.as_ref().map(|host| json!({
            "name": &*host.name,
            "requested": host.requested,
            "because": host.because,
            "regex": host.is_regex,
            "certificate": host.certificate.as_deref(),
        })),
        "entry": entry.map(|entry| json!({
            "key": &*entry.key,
            "object": format!("ConfigMap {}", entry.map),
            "service": format!("{}:{}", entry.service, entry.port),
        })),
        "route": explanation.route.as_ref().map(route),
        "steps": steps,
        "outcome": outcome(&explanation.outcome, request),
        "backends": backends,
        "losers": explanation.losers.iter().map(|one| loser(one, objects)).collect::<Vec<_>>(),
        "findings": findings.map(finding).collect::<Vec<_>>(),
    })
}

fn request_json(request: &ExplainRequest, explanation: &Explanation) -> Value {
    let headers = request.headers.iter();
    let headers = headers.map(|(name, value)| match SECRET.contains(name) {
        true => format!("{name}: (hidden)"),
        false => format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())),
    });
    let is_stream = matches!(request.url.scheme_str(), Some("tcp" | "udp"));
    let url = request.url.to_string();
    json!({
        "method": (!is_stream).then(|| request.method.as_str()),
        "url": if is_stream { url.trim_end_matches('/') } else { &url },
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

fn route(route: &Arc<Route>) -> Value {
    let origin = &route.origin;
    let rule = route.rule.as_deref();
    let namespace = rule.and_then(|rule| rule.namespace.as_ref());
    let namespace = namespace.unwrap_or(&origin.namespace);
    json!({
        "path": &*route.path,
        "type": match route.kind {
            PathKind::Exact => "Exact",
            PathKind::Prefix => "Prefix",
            PathKind::Expression => "RegularExpression",
        },
        "object": match origin.kind {
            "" => "built-in".to_owned(),
            kind => format!("{kind} {}/{}", origin.namespace, origin.name),
        },
        "rule": rule.map(|rule| json!({ "index": rule.index, "name": rule.name })),
        "service": match &*origin.service {
            "" => Value::Null,
            service => format!("{namespace}/{service}:{}", origin.port).into(),
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

fn outcome(outcome: &Outcome, request: &ExplainRequest) -> Value {
    match outcome {
        Outcome::NotReceived => {
            let scheme = request.url.scheme_str().unwrap_or_default();
            let because = match request.url.port_u16() {
                Some(port) => format!("nothing listens for {scheme} on port {port}"),
                None => format!("nothing listens for {scheme}"),
            };
            json!({ "kind": "notReceived", "because": because })
        }
        Outcome::Forwarded { target } => json!({ "kind": "forwarded", "target": target }),
        Outcome::Response {
            status,
            location,
            grpc_status,
        } => json!({
            "kind": "response", "status": status, "location": location, "grpcStatus": grpc_status,
        }),
        Outcome::Closed => json!({ "kind": "closed" }),
        Outcome::PassedThrough => json!({ "kind": "passedThrough" }),
        Outcome::Streamed => json!({ "kind": "streamed" }),
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
        "troubles": backend.troubles,
    })
}

fn loser(loser: &Loser, objects: &Objects) -> Value {
    let gateway = loser
        .address
        .and_then(|address| objects.other_gateways.get(&address));
    let object = gateway.map_or_else(|| loser.object.clone(), ToString::to_string);
    json!({
        "kind": loser.kind,
        "name": loser.name,
        "object": object,
        "rule": loser.rule,
        "because": loser.because,
    })
}
