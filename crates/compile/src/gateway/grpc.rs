//! GRPCRoutes as HTTP rules: a call is a POST to `/service/method` (gateway-api.md 4.1).

use crate::objects::custom::{
    GrpcBackendRef, GrpcFilter, GrpcMatch, GrpcMethodMatch, GrpcRouteSpec, GrpcRule,
    HttpBackendRef, HttpFilter, HttpMatch, HttpPathMatch, HttpRule, ValueMatch,
};

/// Any name of a service or method.
const ANY: &str = "[^/]+";

/// The rules of a GRPCRoute. They serve calls only, so that a host may have HTTPRoutes beside it.
pub(crate) fn rules(spec: &GrpcRouteSpec) -> Vec<HttpRule> {
    match &spec.rules {
        Some(rules) => rules.iter().map(rule).collect(),
        None => vec![rule(&GrpcRule::default())],
    }
}

fn rule(rule: &GrpcRule) -> HttpRule {
    let matches = if rule.matches.is_empty() {
        vec![call(&GrpcMatch::default())]
    } else {
        rule.matches.iter().map(call).collect()
    };
    HttpRule {
        name: rule.name.clone(),
        matches,
        filters: rule.filters.iter().map(filter).collect(),
        backend_refs: rule.backend_refs.iter().map(backend).collect(),
        session_persistence: rule.session_persistence.clone(),
        ..HttpRule::default()
    }
}

fn call(spec: &GrpcMatch) -> HttpMatch {
    let content_type = ValueMatch {
        kind: Some("RegularExpression".to_owned()),
        name: "content-type".to_owned(),
        value: "application/grpc([+;].*)?".to_owned(),
    };
    let mut headers = vec![content_type];
    headers.extend(spec.headers.iter().cloned());
    HttpMatch {
        path: Some(path(&spec.method.clone().unwrap_or_default())),
        headers,
        ..HttpMatch::default()
    }
}

fn path(spec: &GrpcMethodMatch) -> HttpPathMatch {
    let named = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (service, method) = (named(&spec.service), named(&spec.method));
    let (kind, value) = match (spec.kind.as_deref().unwrap_or("Exact"), service, method) {
        ("Exact", Some(service), Some(method)) => ("Exact", format!("/{service}/{method}")),
        ("Exact", Some(service), None) => ("PathPrefix", format!("/{service}")),
        ("Exact" | "RegularExpression", None, None) => ("PathPrefix", "/".to_owned()),
        ("Exact", None, Some(method)) => {
            ("RegularExpression", format!("/{ANY}/{}", escaped(&method)))
        }
        ("RegularExpression", service, method) => {
            let part = |text: Option<String>| text.unwrap_or_else(|| ANY.to_owned());
            (
                "RegularExpression",
                format!("/(?:{})/(?:{})", part(service), part(method)),
            )
        }
        (other, ..) => (other, "/".to_owned()),
    };
    HttpPathMatch {
        kind: Some(kind.to_owned()),
        value: Some(value),
    }
}

/// A name as an expression: those of methods have letters, digits and `_`.
fn escaped(name: &str) -> String {
    name.replace('.', "\\.")
}

fn filter(filter: &GrpcFilter) -> HttpFilter {
    HttpFilter {
        kind: filter.kind.clone(),
        request_header_modifier: filter.request_header_modifier.clone(),
        response_header_modifier: filter.response_header_modifier.clone(),
        request_mirror: filter.request_mirror.clone(),
        extension_ref: filter.extension_ref.clone(),
        ..HttpFilter::default()
    }
}

fn backend(reference: &GrpcBackendRef) -> HttpBackendRef {
    HttpBackendRef {
        backend: reference.backend.clone(),
        filters: reference.filters.iter().map(filter).collect(),
    }
}
