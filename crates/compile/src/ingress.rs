//! One Ingress, read: its place in the order of age, its rules, TLS entries and annotations as types.
//!
//! Reading looks at one Ingress and the settings only; what it means beside other Ingresses is decided per host.

use std::cmp::Reverse;
use std::sync::Arc;

use headgate_table::{CATCH_ALL, PathKind, UpstreamId};
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressTLS};

use crate::annotations::{self, IngressAnnotations, Validation};
use crate::finding::{Finding, Severity, Subject};
use crate::settings::Settings;
use crate::{Kind, Name, ObjectRef, Options};

/// Older objects win conflicts; of the same age, the greater `namespace/name` does (ingress-nginx reference 2.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age {
    created: Option<Timestamp>,
    name: Reverse<String>,
}

/// An Ingress as the compiler needs it.
#[derive(Debug)]
pub(crate) struct ParsedIngress {
    pub(crate) name: Name,
    pub(crate) uid: String,
    pub(crate) age: Age,
    pub(crate) annotations: IngressAnnotations,
    /// Hosts in the order of the rules, each once.
    pub(crate) hosts: Vec<HostRules>,
    pub(crate) tls: Vec<TlsEntry>,
    pub(crate) default_backend: Option<Backend>,
    /// Why no route of its hosts may be served, whoever declares it: a protection that holds for whole hosts (client
    /// certificates) and cannot be given.
    pub(crate) closes_hosts: Option<Arc<str>>,
    pub(crate) findings: Vec<Finding>,
    /// Prefix of its annotations.
    prefix: Arc<str>,
}

/// The rules of an Ingress for one host.
#[derive(Debug)]
pub(crate) struct HostRules {
    /// Lower-case; `_` for rules without host.
    pub(crate) host: Arc<str>,
    pub(crate) paths: Vec<PathRule>,
}

/// One path of a rule.
#[derive(Debug)]
pub(crate) struct PathRule {
    pub(crate) path: Arc<str>,
    pub(crate) kind: PathKind,
    pub(crate) backend: Backend,
}

/// A Service port that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) service: Arc<str>,
    /// Number or name.
    pub(crate) port: Arc<str>,
}

/// An entry of `spec.tls`.
#[derive(Debug)]
pub(crate) struct TlsEntry {
    /// Lower-case.
    pub(crate) hosts: Vec<String>,
    pub(crate) secret: Option<Name>,
}

impl ParsedIngress {
    /// Reads an Ingress. Never fails: what cannot be used is a finding, and `annotations.refused` says when the whole
    /// object is not to be used.
    pub(crate) fn read(ingress: &Ingress, settings: &Settings, options: &Options) -> Self {
        let name = Name::of(&ingress.metadata);
        let mut findings = Findings {
            subject: reference(&name),
            list: Vec::new(),
        };
        let annotations = read_annotations(ingress, settings, options, &mut findings);
        let spec = ingress.spec.clone().unwrap_or_default();
        let mut hosts: Vec<HostRules> = Vec::new();
        for (index, rule) in spec.rules.unwrap_or_default().into_iter().enumerate() {
            let field = format!("spec.rules[{index}]");
            let Some(host) = host(
                rule.host.as_deref().unwrap_or_default(),
                &field,
                &mut findings,
            ) else {
                continue;
            };
            let paths = rule.http.map(|http| http.paths).unwrap_or_default();
            let paths = paths.iter().enumerate().filter_map(|(n, path)| {
                path_rule(path, &format!("{field}.http.paths[{n}]"), &mut findings)
            });
            let paths: Vec<_> = paths.collect();
            match hosts.iter_mut().find(|known| known.host == host) {
                Some(known) => known.paths.extend(paths),
                None => hosts.push(HostRules { host, paths }),
            }
        }
        let default_backend = spec
            .default_backend
            .as_ref()
            .and_then(|backend| service_backend(backend, "spec.defaultBackend", &mut findings));
        Self {
            uid: ingress.metadata.uid.clone().unwrap_or_default(),
            age: age(ingress, &name),
            tls: spec
                .tls
                .unwrap_or_default()
                .iter()
                .map(|entry| tls_entry(entry, &name))
                .collect(),
            closes_hosts: closes_hosts(&annotations, &options.annotations_prefix),
            annotations,
            hosts,
            default_backend,
            findings: findings.list,
            prefix: options.annotations_prefix.clone(),
            name,
        }
    }

    /// A canary serves no host of its own.
    pub(crate) fn is_canary(&self) -> bool {
        self.annotations.canary.is_some()
    }

    /// Only a default backend: takes over the root of the catch-all host.
    pub(crate) fn is_catch_all(&self) -> bool {
        self.hosts.is_empty() && self.default_backend.is_some()
    }

    /// The rules for `host`.
    pub(crate) fn rules(&self, host: &str) -> Option<&HostRules> {
        self.hosts.iter().find(|rules| &*rules.host == host)
    }

    /// The hosts whose compiled form this Ingress takes part in.
    pub(crate) fn touched_hosts(&self) -> impl Iterator<Item = Arc<str>> {
        let catch_all = self.is_catch_all().then(|| Arc::from(CATCH_ALL));
        self.hosts
            .iter()
            .map(|rules| rules.host.clone())
            .chain(catch_all)
    }

    /// All Service ports that this Ingress sends requests to.
    pub(crate) fn backends(&self) -> impl Iterator<Item = Backend> {
        let paths = self
            .hosts
            .iter()
            .flat_map(|rules| &rules.paths)
            .map(|path| path.backend.clone());
        paths
            .chain(self.default_backend.clone())
            .chain(self.fallback())
    }

    /// The Service of the `default-backend` annotation, at its first port.
    pub(crate) fn fallback(&self) -> Option<Backend> {
        let service = self.annotations.routing.default_backend.as_deref()?;
        Some(Backend {
            service: service.into(),
            port: FIRST_PORT.into(),
        })
    }

    /// Identity of a backend's upstream.
    pub(crate) fn upstream(&self, backend: &Backend) -> UpstreamId {
        UpstreamId::new(&self.name.namespace, &backend.service, &backend.port)
    }

    /// A finding about this Ingress.
    pub(crate) fn finding(&self, severity: Severity, field: &str, message: String) -> Finding {
        Finding {
            severity,
            subject: reference(&self.name),
            field: field.into(),
            message: message.into(),
        }
    }

    /// A finding about one of its annotations, named without prefix.
    pub(crate) fn annotation_finding(
        &self,
        severity: Severity,
        annotation: &str,
        message: String,
    ) -> Finding {
        let field = format!("metadata.annotations[{}/{annotation}]", self.prefix);
        self.finding(severity, &field, message)
    }
}

/// Port of an upstream that stands for the first port of its Service.
pub(crate) const FIRST_PORT: &str = "";

struct Findings {
    subject: Subject,
    list: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, severity: Severity, field: &str, message: String) {
        let subject = self.subject.clone();
        self.list.push(Finding {
            severity,
            subject,
            field: field.into(),
            message: message.into(),
        });
    }
}

/// Annotations that protect every path of a host, not only those of their own Ingress (ingress-nginx reference 1.8).
const HOST_WIDE_PROTECTION: [&str; 2] = ["auth-tls-secret", "auth-tls-match-cn"];

fn closes_hosts(annotations: &IngressAnnotations, prefix: &str) -> Option<Arc<str>> {
    let broken = annotations
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .filter_map(|problem| problem.field.strip_prefix(prefix)?.strip_prefix('/'))
        .find(|name| HOST_WIDE_PROTECTION.contains(name))?;
    Some(broken.into())
}

fn reference(name: &Name) -> Subject {
    Subject::Object(ObjectRef {
        kind: Kind::Ingress,
        name: name.clone(),
    })
}

fn age(ingress: &Ingress, name: &Name) -> Age {
    let created = ingress
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0);
    Age {
        created,
        name: Reverse(name.to_string()),
    }
}

fn read_annotations(
    ingress: &Ingress,
    settings: &Settings,
    options: &Options,
    findings: &mut Findings,
) -> IngressAnnotations {
    let policy = annotations::Policy {
        prefix: &options.annotations_prefix,
        validation: if options.validate_annotations {
            Validation::Full
        } else {
            Validation::TypesOnly
        },
        max_risk: settings.annotations.max_risk,
        blocklist: &settings.annotations.blocklist,
        ssl_passthrough: false,
    };
    let none = std::collections::BTreeMap::new();
    let parsed = IngressAnnotations::parse(
        &policy,
        ingress.metadata.annotations.as_ref().unwrap_or(&none),
    );
    for problem in &parsed.problems {
        let field = format!("metadata.annotations[{}]", problem.field);
        findings.add(problem.severity, &field, problem.message.clone());
    }
    parsed
}

/// A host as routing compares it: lower-case. A name that no request could have is a finding and serves nothing.
fn host(host: &str, field: &str, findings: &mut Findings) -> Option<Arc<str>> {
    if host.is_empty() {
        return Some(CATCH_ALL.into());
    }
    let host = host.to_ascii_lowercase();
    let name = host.strip_prefix("*.").unwrap_or(&host);
    let valid = name.split('.').all(|label| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(inner)
    });
    if !valid || host.len() > 253 {
        let message = format!(
            "\"{}\" is not a DNS name or \"*.\" before one; the rule is not served",
            host.escape_debug()
        );
        findings.add(Severity::Error, &format!("{field}.host"), message);
        return None;
    }
    Some(host.into())
}

fn path_rule(path: &HTTPIngressPath, field: &str, findings: &mut Findings) -> Option<PathRule> {
    let text = match path.path.as_deref() {
        None | Some("") => "/",
        Some(text) => text,
    };
    if text.bytes().any(|b| b.is_ascii_control()) || !text.starts_with('/') {
        let message = format!(
            "\"{}\" does not begin with \"/\" or holds a control character; the path is not served",
            text.escape_debug()
        );
        findings.add(Severity::Error, &format!("{field}.path"), message);
        return None;
    }
    let kind = match path.path_type.as_str() {
        "Exact" => PathKind::Exact,
        "Prefix" | "ImplementationSpecific" | "" => PathKind::Prefix,
        other => {
            let message = format!(
                "\"{}\" is not Exact, Prefix or ImplementationSpecific; taken as Prefix",
                other.escape_debug()
            );
            findings.add(Severity::Warning, &format!("{field}.pathType"), message);
            PathKind::Prefix
        }
    };
    let backend = service_backend(&path.backend, &format!("{field}.backend"), findings)?;
    Some(PathRule {
        path: text.into(),
        kind,
        backend,
    })
}

/// The Service of a backend. A `resource` backend serves nothing, as in ingress-nginx.
fn service_backend(
    backend: &IngressBackend,
    field: &str,
    findings: &mut Findings,
) -> Option<Backend> {
    let Some(service) = &backend.service else {
        findings.add(
            Severity::Warning,
            field,
            "names no Service (resource backends are not supported); skipped".into(),
        );
        return None;
    };
    let port = service.port.as_ref();
    let number = port
        .and_then(|port| port.number)
        .filter(|number| *number > 0);
    let port = match (number, port.and_then(|port| port.name.as_deref())) {
        (Some(number), _) => number.to_string(),
        (None, Some(name)) => name.to_owned(),
        (None, None) => {
            findings.add(
                Severity::Error,
                field,
                format!(
                    "Service {} is named without a port; set service.port.number or .name",
                    service.name
                ),
            );
            "0".to_owned()
        }
    };
    Some(Backend {
        service: service.name.as_str().into(),
        port: port.into(),
    })
}

fn tls_entry(entry: &IngressTLS, ingress: &Name) -> TlsEntry {
    let secret = entry.secret_name.as_deref().filter(|name| !name.is_empty());
    TlsEntry {
        hosts: entry
            .hosts
            .iter()
            .flatten()
            .map(|host| host.to_ascii_lowercase())
            .collect(),
        secret: secret.map(|secret| Name::new(&ingress.namespace, secret)),
    }
}
