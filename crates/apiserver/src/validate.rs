//! Validation: names of all kinds, and the fields of an Ingress.

use serde_json::Value;

use super::failure::{Cause, Failure};
use super::kinds::Kind;
use super::prepare::{self, Object};

/// Maximum length of names.
const NAME: usize = 253;
/// Maximum length of names that are DNS labels.
const LABEL: usize = 63;
const NOT_A_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const NOT_A_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];

/// Refuses an object that kube-apiserver refuses.
pub(crate) fn check(kind: &Kind, object: &Object, before: Option<&Object>) -> Result<(), Failure> {
    let mut causes = Vec::new();
    if before.is_none() {
        name(kind, object, &mut causes);
    }
    maps(object, &mut causes);
    match kind.kind {
        "Ingress" => {
            if before.is_none() {
                one_class(object, &mut causes);
            }
            ingress(object, &mut causes);
        }
        "Secret" => secret(object, before, &mut causes),
        "IngressClass" => class(object, before, &mut causes),
        _ => {}
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(
        kind,
        prepare::metadata_text(object, "name"),
        &causes,
    ))
}

fn name(kind: &Kind, object: &Object, causes: &mut Vec<Cause>) {
    let name = prepare::metadata_text(object, "name");
    let field = "metadata.name";
    if name.is_empty() {
        causes.push(Cause::required(field, "name or generateName is required"));
        return;
    }
    let roles = kind.group == "rbac.authorization.k8s.io";
    if roles {
        if name.contains(['/', '%']) || name == "." || name == ".." {
            causes.push(Cause::invalid(
                field,
                &name.into(),
                "may not contain '/' or '%'",
            ));
        }
        return;
    }
    if ["Namespace", "Service"].contains(&kind.kind) {
        if name.len() > LABEL || !is_label(name) {
            causes.push(Cause::invalid(field, &name.into(), NOT_A_LABEL));
        }
    } else if name.len() > NAME || !name.split('.').all(is_label) {
        causes.push(Cause::invalid(field, &name.into(), NOT_A_SUBDOMAIN));
    }
}

/// Whether a text is lower-case letters, digits and inner dashes.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Labels and annotations map text to text.
fn maps(object: &Object, causes: &mut Vec<Cause>) {
    for map in ["labels", "annotations"] {
        let entries = object
            .get("metadata")
            .and_then(|metadata| metadata[map].as_object());
        for (name, value) in entries.into_iter().flatten() {
            if !value.is_string() {
                let field = format!("metadata.{map}.{name}");
                causes.push(Cause::invalid(field, value, "must be a string"));
            }
        }
    }
}

fn secret(object: &Object, before: Option<&Object>, causes: &mut Vec<Cause>) {
    let kind = object.get("type").cloned().unwrap_or_default();
    let old = before.and_then(|before| before.get("type"));
    if old.is_some_and(|old| *old != kind) {
        causes.push(Cause::invalid("type", &kind, "field is immutable"));
    }
    if kind == "kubernetes.io/tls" {
        for file in ["tls.crt", "tls.key"] {
            let is_present = object
                .get("data")
                .is_some_and(|data| data.get(file).is_some());
            if !is_present {
                causes.push(Cause::required(format!("data[{file}]"), ""));
            }
        }
    }
}

fn class(object: &Object, before: Option<&Object>, causes: &mut Vec<Cause>) {
    let controller = |object: &Object| object.get("spec").map(|spec| spec["controller"].clone());
    let new = controller(object).unwrap_or_default();
    if before.is_some_and(|before| controller(before).unwrap_or_default() != new) {
        causes.push(Cause::invalid(
            "spec.controller",
            &new,
            "field is immutable",
        ));
    }
    let parameters = object.get("spec").map(|spec| &spec["parameters"]);
    let group = parameters.and_then(|parameters| parameters.get("apiGroup"));
    if let Some(group) = group.filter(|group| *group == "") {
        causes.push(Cause::invalid(
            "spec.parameters.apiGroup",
            group,
            NOT_A_SUBDOMAIN,
        ));
    }
}

/// A new Ingress must not have two classes.
fn one_class(object: &Object, causes: &mut Vec<Cause>) {
    const ANNOTATION: &str = "kubernetes.io/ingress.class";
    let named = object.get("spec").map(|spec| &spec["ingressClassName"]);
    let metadata = object.get("metadata");
    let annotated = metadata.map(|metadata| &metadata["annotations"][ANNOTATION]);
    if let (Some(Value::String(named)), Some(Value::String(annotated))) = (named, annotated)
        && named != annotated
    {
        causes.push(Cause::invalid(
            format!("annotations.{ANNOTATION}"),
            &annotated.as_str().into(),
            "must match `ingressClassName` when both are specified",
        ));
    }
}

fn ingress(object: &Object, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let rules = spec["rules"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if rules.is_empty() && spec["defaultBackend"].is_null() {
        let why = "either `defaultBackend` or `rules` must be specified";
        causes.push(Cause::invalid("spec", &Value::Array(Vec::new()), why));
    }
    if !spec["defaultBackend"].is_null() {
        backend(&spec["defaultBackend"], "spec.defaultBackend", causes);
    }
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("spec.rules[{index}]");
        host(&rule["host"], &format!("{field}.host"), causes);
        let paths = rule["http"]["paths"].as_array();
        if rule.get("http").is_some() && paths.is_none_or(Vec::is_empty) {
            causes.push(Cause::required(format!("{field}.http.paths"), ""));
        }
        for (index, path) in paths.into_iter().flatten().enumerate() {
            self::path(path, &format!("{field}.http.paths[{index}]"), causes);
        }
    }
    let tls = spec["tls"].as_array().into_iter().flatten();
    for (index, tls) in tls.enumerate() {
        let hosts = tls["hosts"].as_array().into_iter().flatten();
        for (at, name) in hosts.enumerate() {
            host(name, &format!("spec.tls[{index}].hosts[{at}]"), causes);
        }
    }
}

fn host(value: &Value, field: &str, causes: &mut Vec<Cause>) {
    let Some(host) = value.as_str().filter(|host| !host.is_empty()) else {
        return;
    };
    if host.parse::<std::net::IpAddr>().is_ok() {
        causes.push(Cause::invalid(
            field,
            value,
            "must be a DNS name, not an IP address",
        ));
        return;
    }
    if let Some(rest) = host.strip_prefix("*.") {
        if !rest.split('.').all(is_label) {
            let why = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
            causes.push(Cause::invalid(field, value, why));
        }
    } else if host.len() > NAME || !host.split('.').all(is_label) {
        causes.push(Cause::invalid(field, value, NOT_A_SUBDOMAIN));
    }
}

fn path(path: &Value, field: &str, causes: &mut Vec<Cause>) {
    let text = path["path"].as_str().unwrap_or_default();
    let at = format!("{field}.path");
    match path["pathType"].as_str() {
        None => causes.push(Cause::required(
            format!("{field}.pathType"),
            "pathType must be specified",
        )),
        Some("Exact" | "Prefix") => strict_path(text, &at, causes),
        Some("ImplementationSpecific") => {
            if !text.is_empty() && !text.starts_with('/') {
                causes.push(Cause::invalid(at, &text.into(), "must be an absolute path"));
            }
        }
        Some(_) => causes.push(Cause::unsupported(
            format!("{field}.pathType"),
            &path["pathType"],
            PATH_TYPES,
        )),
    }
    backend(&path["backend"], &format!("{field}.backend"), causes);
}

fn strict_path(text: &str, field: &str, causes: &mut Vec<Cause>) {
    if !text.starts_with('/') {
        causes.push(Cause::invalid(
            field,
            &text.into(),
            "must be an absolute path",
        ));
    }
    for sequence in ["//", "/./", "/../", "%2f", "%2F"] {
        if text.contains(sequence) {
            causes.push(Cause::invalid(
                field,
                &text.into(),
                &format!("must not contain '{sequence}'"),
            ));
        }
    }
    for end in ["/..", "/."] {
        if text.ends_with(end) {
            causes.push(Cause::invalid(
                field,
                &text.into(),
                &format!("cannot end with '{end}'"),
            ));
        }
    }
}

fn backend(backend: &Value, field: &str, causes: &mut Vec<Cause>) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (service.is_null(), resource.is_null()) {
        (true, true) => {
            causes.push(Cause::required(
                field,
                "exactly one of resource or service backend must be set",
            ));
        }
        (false, false) => {
            let why = "cannot set both resource and service backends";
            causes.push(Cause::invalid(field, &"".into(), why));
        }
        (true, false) => {}
        (false, true) => {
            if service["name"].as_str().unwrap_or_default().is_empty() {
                causes.push(Cause::required(format!("{field}.service.name"), ""));
            }
            let port = &service["port"];
            if port["name"].is_null() && port["number"].is_null() {
                let why = "port name or number is required";
                causes.push(Cause::required(format!("{field}.service.port"), why));
            }
        }
    }
}
