//! One parsed Ingress: its age, rules, TLS entries and annotations as types.
//!
//! Parsing depends only on one Ingress and the settings; conflicts with other Ingresses are resolved per host.

mod cookie_path;
mod positions;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use headgate_table::{CATCH_ALL, PathKind, Pattern};
use http::StatusCode;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressTLS};

use self::positions::Positions;
use crate::build::service_port::{FIRST_PORT, ServicePort, ServicePortId};
use crate::finding::{Finding, Severity, Subject};
use crate::ingress::age::Age;
use crate::ingress::annotations::{self, Flag, IngressAnnotations, Validation};
use crate::ingress::family::canary::Canary;
use crate::ingress::family::client_certificates::ClientCertificates;
use crate::ingress::inspect::inspect;
use crate::ingress::registry::printable;
use crate::ingress::settings::Settings;
use crate::ingress::subject::Subject as Configured;
use crate::policies::{NO_VALUES, Values};
use crate::{Kind, Name, ObjectRef, Options};

/// An Ingress as the compiler needs it.
#[derive(Debug)]
pub(crate) struct ParsedIngress {
    pub(crate) name: Name,
    pub(crate) uid: String,
    pub(crate) age: Age,
    pub(crate) annotations: Arc<IngressAnnotations>,
    /// Hosts in the order of the rules, each once.
    pub(crate) hosts: Vec<HostRules>,
    positions: Positions,
    pub(crate) tls: Vec<TlsEntry>,
    pub(crate) default_backend: Option<Backend>,
    pub(crate) findings: Vec<Finding>,
    /// Prefix of its annotations.
    prefix: Arc<str>,
    /// What policies say beside its annotations.
    values: Arc<Values>,
    /// As it is written.
    source: Arc<Ingress>,
}

/// What an Ingress is read with.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) options: &'a Options,
    /// What policies say.
    pub(crate) values: &'a Arc<Values>,
    /// How many regular expressions of host names are compiled at most.
    pub(crate) expressions: usize,
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

/// The Service port of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) service: Arc<str>,
    /// Number or name.
    pub(crate) port: Arc<str>,
    pub(crate) id: ServicePortId,
}

impl Backend {
    /// The Service port for the builder; `namespace` is that of the Ingress.
    pub(crate) fn service_port(&self, namespace: &Arc<str>) -> ServicePort {
        let service = Name {
            namespace: namespace.clone(),
            name: self.service.clone(),
        };
        ServicePort::with_id(service, self.port.clone(), self.id.clone())
    }

    fn new(namespace: &str, service: &str, port: &str) -> Self {
        Self {
            service: service.into(),
            port: port.into(),
            id: ServicePortId::new(namespace, service, port),
        }
    }
}

/// An entry of `spec.tls`.
#[derive(Debug)]
pub(crate) struct TlsEntry {
    /// Lower-case.
    pub(crate) hosts: Vec<String>,
    pub(crate) secret: Option<Name>,
}

impl ParsedIngress {
    /// Reads an Ingress. Never fails: what cannot be used is a finding, and `annotations.refused` is set if the whole object is
    /// refused.
    pub(crate) fn read(ingress: &Arc<Ingress>, reading: Reading<'_>) -> Self {
        let Reading {
            settings, options, ..
        } = reading;
        let prefix = &options.annotations_prefix;
        let written = ingress.metadata.annotations.as_ref();
        let values = Values::beside(reading.values, written, prefix);
        let name = Name::of(&ingress.metadata);
        let mut findings = Findings {
            name: name.clone(),
            list: Vec::new(),
        };
        let rules = annotations::Rules {
            expressions: reading.expressions,
            policies: &values,
            ..rules(settings, options)
        };
        let mut annotations = read_annotations(ingress, &rules, &mut findings);
        if options.deep_inspect
            && let Err(forbidden) = inspect(ingress)
        {
            let message = format!("{}; {REFUSED}", forbidden.message);
            findings.add(Severity::Error, &forbidden.field, message);
            annotations
                .refused
                .get_or_insert_with(|| forbidden.to_string());
        }
        let spec = ingress.spec.as_ref();
        let mut hosts: Vec<HostRules> = Vec::new();
        let mut positions = Positions::default();
        let mut last = None;
        let rules = spec.and_then(|spec| spec.rules.as_deref());
        for (index, rule) in rules.unwrap_or_default().iter().enumerate() {
            let name = rule.host.as_deref().unwrap_or_default();
            let field = format_args!("spec.rules[{index}]");
            let Some(host) = host(name, &field, &mut findings) else {
                continue;
            };
            let paths = rule.http.as_ref().map_or(&[][..], |http| &http.paths);
            let paths = paths.iter().enumerate().filter_map(|(n, path)| {
                let field = format_args!("{field}.http.paths[{n}]");
                path_rule(path, &field, &mut last, &mut findings)
            });
            let mut paths: Vec<_> = paths.collect();
            paths.shrink_to_fit();
            match positions.of(&host, &hosts).and_then(|at| hosts.get_mut(at)) {
                Some(known) => known.paths.extend(paths),
                None => {
                    hosts.push(HostRules { host, paths });
                    positions.added(&hosts);
                }
            }
        }
        hosts.shrink_to_fit();
        let default_backend = spec.and_then(|spec| spec.default_backend.as_ref());
        let default_backend = default_backend.and_then(|backend| {
            let (service, port) = service_backend(backend, &"spec.defaultBackend", &mut findings)?;
            Some(Backend::new(&name.namespace, service, &port))
        });
        let tls = spec.and_then(|spec| spec.tls.as_deref());
        let mut parsed = Self {
            uid: ingress.metadata.uid.clone().unwrap_or_default(),
            age: age(ingress, &name),
            tls: tls
                .unwrap_or_default()
                .iter()
                .map(|entry| tls_entry(entry, &name))
                .collect(),
            annotations: Arc::new(annotations),
            hosts,
            positions,
            default_backend,
            findings: findings.list,
            prefix: options.annotations_prefix.clone(),
            values,
            source: ingress.clone(),
            name,
        };
        let cookie = cookie_path::finding(parsed.subject());
        parsed.findings.extend(cookie);
        parsed
    }

    /// As [`Self::read`] with what policies say now, unless that is the same, or the Ingress would be refused.
    pub(crate) fn with_values(&self, reading: Reading<'_>) -> Option<Self> {
        let written = self.source.metadata.annotations.as_ref();
        let values = Values::beside(reading.values, written, &self.prefix);
        if values == self.values {
            return None;
        }
        Some(Self::read(&self.source, reading)).filter(|read| read.annotations.refused.is_none())
    }

    /// Its annotations as they are written.
    pub(crate) fn written(&self) -> Option<&BTreeMap<String, String>> {
        self.source.metadata.annotations.as_ref()
    }

    /// It with its annotations, for what does not depend on its kind.
    pub(crate) fn subject(&self) -> Configured<'_> {
        Configured {
            kind: Kind::Ingress,
            name: &self.name,
            uid: &self.uid,
            annotations: &self.annotations,
            values: &self.values,
            prefix: &self.prefix,
            hosts: &self.hosts,
            closed: StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A canary defines no host.
    pub(crate) fn is_canary(&self) -> bool {
        self.annotations.canary.is_some()
    }

    /// Has only a default backend, for the root of the catch-all host.
    pub(crate) fn is_catch_all(&self) -> bool {
        self.hosts.is_empty() && self.default_backend.is_some()
    }

    /// The rules for `host`.
    pub(crate) fn rules(&self, host: &str) -> Option<&HostRules> {
        self.hosts.get(self.positions.of(host, &self.hosts)?)
    }

    /// The hosts that are compiled from this Ingress.
    pub(crate) fn touched_hosts(&self) -> impl Iterator<Item = Arc<str>> {
        let catch_all = self.is_catch_all().then(|| Arc::from(CATCH_ALL));
        self.hosts
            .iter()
            .map(|rules| rules.host.clone())
            .chain(catch_all)
    }

    /// All Service ports that this Ingress refers to.
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

    /// The Services of [`Self::backends`]. One may occur several times.
    pub(crate) fn services(&self) -> impl Iterator<Item = Name> {
        let namespace = &self.name.namespace;
        self.backends().map(|backend| Name {
            namespace: namespace.clone(),
            name: backend.service,
        })
    }

    /// The Service of the `default-backend` annotation, at its first port.
    pub(crate) fn fallback(&self) -> Option<Backend> {
        let service = self.annotations.routing.default_backend.as_deref()?;
        Some(Backend::new(&self.name.namespace, service, FIRST_PORT))
    }

    /// What its regular expressions take beyond their text, bytes. Snippets do not count: only whom the operator trusts may write
    /// them.
    pub(crate) fn expression_weight(&self) -> usize {
        let paths = self.hosts.iter().flat_map(|rules| &rules.paths);
        let paths = paths.map(|rule| &*rule.path);
        let paths = paths.filter(|path| !is_literal(path));
        let annotations = &self.annotations;
        let aliases = annotations.routing.server_aliases.iter();
        let aliases = aliases.flat_map(|aliases| &aliases.expressions);
        let clients = annotations.client_certificates.as_deref();
        let subject = clients.and_then(ClientCertificates::expression);
        let header = annotations.canary.as_deref().and_then(Canary::expression);
        let patterns = aliases.chain(subject).chain(header).map(Pattern::source);
        let weights = paths.chain(patterns).map(Pattern::weight_of);
        weights.fold(0, usize::saturating_add)
    }

    /// A finding about this Ingress.
    pub(crate) fn finding(&self, severity: Severity, field: &str, message: String) -> Finding {
        Finding {
            severity,
            subject: reference(&self.name),
            field: field.into(),
            message: printable(message).into(),
        }
    }

    /// A finding about one of its annotations, named without prefix.
    pub(crate) fn annotation_finding(
        &self,
        severity: Severity,
        annotation: &str,
        message: String,
    ) -> Finding {
        self.subject()
            .annotation_finding(severity, annotation, message)
    }
}

/// Whether a path is the root of its host, which serves what no other path matches.
pub(crate) fn is_root(rule: &PathRule) -> bool {
    &*rule.path == "/" && rule.kind == PathKind::Prefix
}

/// Whether `path` matches only itself. It is a valid expression as well, in which a dot means any character.
pub(crate) fn is_literal(path: &str) -> bool {
    let literal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    path.starts_with('/') && path.bytes().all(literal)
}

/// The consequence for an object that is refused as a whole.
const REFUSED: &str = "the object is refused; its last good version stays in service, and without one it is not served";

/// The operator's rules for annotations.
pub(crate) fn rules<'a>(settings: &'a Settings, options: &'a Options) -> annotations::Rules<'a> {
    annotations::Rules {
        prefix: &options.annotations_prefix,
        validation: if options.validate_annotations {
            Validation::Full
        } else {
            Validation::TypesOnly
        },
        max_risk: settings.annotations.max_risk,
        blocklist: &settings.annotations.blocklist,
        snippets: settings.annotations.snippets,
        knows_location: settings.data_plane.location,
        flags: match options.ssl_passthrough {
            true => &[Flag::SslPassthrough],
            false => &[],
        },
        expressions: usize::MAX,
        policies: &NO_VALUES,
        closed: StatusCode::SERVICE_UNAVAILABLE,
    }
}

struct Findings {
    name: Name,
    list: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, severity: Severity, field: &dyn Display, message: String) {
        self.list.push(Finding {
            severity,
            subject: reference(&self.name),
            field: field.to_string().into(),
            message: printable(message).into(),
        });
    }
}

fn reference(name: &Name) -> Subject {
    Subject::Object(ObjectRef {
        kind: Kind::Ingress,
        name: name.clone(),
    })
}

fn age(ingress: &Ingress, name: &Name) -> Age {
    let created = ingress.metadata.creation_timestamp.as_ref();
    Age {
        created: created.map(|time| time.0),
        name: name.clone(),
    }
}

fn read_annotations(
    ingress: &Ingress,
    rules: &annotations::Rules<'_>,
    findings: &mut Findings,
) -> IngressAnnotations {
    let none = BTreeMap::new();
    let parsed = IngressAnnotations::parse(
        rules,
        ingress.metadata.annotations.as_ref().unwrap_or(&none),
    );
    let subject = Configured {
        kind: Kind::Ingress,
        name: &findings.name,
        uid: "",
        annotations: &parsed,
        values: rules.policies,
        prefix: rules.prefix,
        hosts: &[],
        closed: rules.closed,
    };
    let problems = parsed.problems.iter();
    let problems: Vec<Finding> = problems.map(|problem| subject.problem(problem)).collect();
    findings.list.extend(problems);
    parsed
}

/// A host in lower case. A name that is not valid in a request is a finding and not served.
fn host(host: &str, field: &dyn Display, findings: &mut Findings) -> Option<Arc<str>> {
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
        findings.add(Severity::Error, &format_args!("{field}.host"), message);
        return None;
    }
    Some(host.into())
}

/// `last` is the backend of the previous path, which paths of one Service share.
fn path_rule(
    path: &HTTPIngressPath,
    field: &dyn Display,
    last: &mut Option<Backend>,
    findings: &mut Findings,
) -> Option<PathRule> {
    let text = match path.path.as_deref() {
        None | Some("") => "/",
        Some(text) => text,
    };
    if text.bytes().any(|b| b.is_ascii_control()) || !text.starts_with('/') {
        let message = format!(
            "\"{}\" does not begin with \"/\" or holds a control character; the path is not served",
            text.escape_debug()
        );
        findings.add(Severity::Error, &format_args!("{field}.path"), message);
        return None;
    }
    let kind = match path.path_type.as_str() {
        "Exact" => PathKind::Exact,
        "Prefix" | "ImplementationSpecific" => PathKind::Prefix,
        "" => {
            let message = "is missing, and an API server refuses the object without it; taken as Prefix: write Exact, \
                           Prefix or ImplementationSpecific";
            findings.add(
                Severity::Warning,
                &format_args!("{field}.pathType"),
                message.to_owned(),
            );
            PathKind::Prefix
        }
        other => {
            let message = format!(
                "\"{}\" is not Exact, Prefix or ImplementationSpecific; taken as Prefix",
                other.escape_debug()
            );
            findings.add(
                Severity::Warning,
                &format_args!("{field}.pathType"),
                message,
            );
            PathKind::Prefix
        }
    };
    let (service, port) =
        service_backend(&path.backend, &format_args!("{field}.backend"), findings)?;
    let same = |last: &&Backend| *last.service == *service && *last.port == *port;
    let backend = match last.as_ref().filter(same) {
        Some(last) => last.clone(),
        None => last
            .insert(Backend::new(&findings.name.namespace, service, &port))
            .clone(),
    };
    Some(PathRule {
        path: text.into(),
        kind,
        backend,
    })
}

/// The Service of a backend. A `resource` backend is skipped, as in ingress-nginx.
fn service_backend<'b>(
    backend: &'b IngressBackend,
    field: &dyn Display,
    findings: &mut Findings,
) -> Option<(&'b str, Cow<'b, str>)> {
    let Some(service) = &backend.service else {
        let (severity, message) = match &backend.resource {
            Some(_) => (
                Severity::Warning,
                "resource backends are not supported; skipped: name a Service in service.name",
            ),
            None => (
                Severity::Error,
                "names no Service; skipped: write service.name and service.port.number or .name (serviceName and \
                 servicePort are fields of v1beta1)",
            ),
        };
        findings.add(severity, field, message.into());
        return None;
    };
    let port = service.port.as_ref();
    let number = port
        .and_then(|port| port.number)
        .filter(|number| *number > 0);
    let port = match (number, port.and_then(|port| port.name.as_deref())) {
        (Some(number), _) => number.to_string().into(),
        (None, Some(name)) => name.into(),
        (None, None) => {
            findings.add(
                Severity::Error,
                field,
                format!(
                    "Service {} is named without a port; set service.port.number or .name",
                    service.name
                ),
            );
            "0".into()
        }
    };
    Some((&service.name, port))
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
        secret: secret.map(|secret| Name {
            namespace: ingress.namespace.clone(),
            name: secret.into(),
        }),
    }
}
