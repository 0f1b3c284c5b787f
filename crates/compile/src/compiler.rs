//! Compiling: from a snapshot and what changed in it to the next table, with a cost that follows the change.
//!
//! The steps are: settings, Ingresses that changed, hosts that these touch, upstreams that these or their Services touch.
//! Everything else is shared with the previous state. Compiling from nothing goes through the same steps with everything
//! changed, which makes it the oracle for the incremental way.

mod hosts;
mod index;
mod ingresses;
mod upstreams;

use self::index::Index;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::{
    Affinity, CATCH_ALL, Certificate, Certificates as Served, Forwarding, Host, HostBehaviour,
    Listener, Pattern, Plain, Policy, PublicPorts, RegexName, RoutingTable, Slot, Socket, Split,
    Target, Terminate, TlsRoute, TlsSocket, UpstreamKey, VirtualHosts,
};

use crate::Options;
use crate::build;
use crate::build::certificates::Certificates;
use crate::build::interned::Interned;
use crate::build::service_port::{FIRST_PORT, ServicePort, ServicePortId, Transport};
use crate::build::sorted::Sorted;
use crate::build::upstreams::{UpstreamDraft, Upstreams};
use crate::finding::{Finding, Severity, Subject};
use crate::findings::{Findings, Source};
use crate::ingress::age::{self, ByAge};
use crate::ingress::annotations::IngressAnnotations;
use crate::ingress::class::{self, is_ours};
use crate::ingress::host::{self, Member, www_counterpart};
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::policy;
use crate::ingress::serving::{config_map_name, serving, settings_finding};
use crate::ingress::settings::Settings;
use crate::ingress::upstream;
use crate::snapshot::{Changes, Kind, Name, ObjectRef, Snapshot};

/// A compiled state: the table to serve from, and what the next compilation goes on from.
pub struct Compiled {
    table: Arc<RoutingTable>,
    /// The universe of the hosts of Ingresses.
    hosts: VirtualHosts,
    upstreams: Upstreams,
    default_certificate: Arc<Certificate>,
    settings: Settings,
    plain_forwarding: Arc<Forwarding>,
    plain_policy: Arc<Policy>,
    members: HashMap<Name, Arc<Member>, RandomState>,
    statuses: BTreeMap<Name, IngressStatus>,
    /// Ingresses that the last step found to be ours, or no longer.
    joined: Vec<Name>,
    left: Vec<Name>,
    index: Index,
    certificates: Certificates,
    patterns: Interned<Pattern>,
    findings: Findings,
}

/// What became of an Ingress of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressStatus {
    /// It is served as it is.
    Served,
    /// This version is refused; the last good one is served.
    LastGood,
    /// It is refused and not served.
    Refused,
}

/// What has to be compiled again.
#[derive(Default)]
struct Dirty {
    hosts: BTreeSet<Arc<str>>,
}

/// Compiles `snapshot`. With a `previous` state only what `changes` touches is compiled; without one, everything.
/// Never fails: what cannot be served is a finding. `fallback` is the certificate where no other serves.
pub fn compile(
    snapshot: &Snapshot,
    changes: &Changes,
    previous: Option<Compiled>,
    options: &Options,
    fallback: &Arc<Certificate>,
) -> Compiled {
    let fresh = previous.is_none();
    let mut compiled = previous.unwrap_or_else(|| Compiled::empty(options, fallback));
    compiled.joined.clear();
    compiled.left.clear();
    let mut step = Step {
        table: RoutingTable::clone(&compiled.table),
        compiled,
        snapshot,
        options,
        dirty: Dirty::default(),
        everything: fresh,
        released: Vec::new(),
    };
    step.compiled.findings.begin();
    step.settings(changes);
    step.ingresses(changes);
    step.services(changes);
    step.default_backend();
    step.hosts();
    step.upstreams();
    step.default_certificate(fallback);
    step.finish()
}

impl Compiled {
    /// The table to serve from.
    pub fn table(&self) -> &Arc<RoutingTable> {
        &self.table
    }

    /// All findings, sorted.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.all()
    }

    /// Findings that the last compilation brought, and those that it took away.
    pub fn difference(&self) -> (Vec<Finding>, Vec<Finding>) {
        self.findings.difference()
    }

    /// What became of each Ingress of ours.
    pub fn statuses(&self) -> &BTreeMap<Name, IngressStatus> {
        &self.statuses
    }

    /// Ingresses that became ours in the last compilation.
    pub fn joined(&self) -> &[Name] {
        &self.joined
    }

    /// Ingresses that the last compilation found gone, or of another class or namespace.
    pub fn left(&self) -> &[Name] {
        &self.left
    }

    /// The settings as last read.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn empty(options: &Options, fallback: &Arc<Certificate>) -> Self {
        let settings = Settings::default();
        let plain_forwarding = Arc::new(policy::forwarding(
            &IngressAnnotations::default(),
            &settings,
        ));
        let plain_policy = policy::plain(&settings, &plain_forwarding);
        let mut certificates = Certificates::default();
        let mut patterns = Interned::default();
        let mut upstreams = Upstreams::default();
        let snapshot = Snapshot::default();
        let mut around = host::Surroundings {
            snapshot: &snapshot,
            settings: &settings,
            options,
            certificates: &mut certificates,
            patterns: &mut patterns,
            upstreams: &mut upstreams,
            plain_policy: &plain_policy,
            defines: &|_| false,
        };
        let catch_all = host::catch_all(&mut around);
        Self {
            table: Arc::new(RoutingTable::new(Arc::default())),
            hosts: VirtualHosts::new(catch_all),
            upstreams,
            default_certificate: fallback.clone(),
            settings,
            plain_forwarding,
            plain_policy,
            members: HashMap::default(),
            statuses: BTreeMap::new(),
            joined: Vec::new(),
            left: Vec::new(),
            index: Index::default(),
            certificates,
            patterns,
            findings: Findings::default(),
        }
    }

    /// The Ingresses of these names that are in service.
    fn parsed<'a>(&'a self, names: impl Iterator<Item = &'a Name>) -> Vec<&'a ParsedIngress> {
        names
            .filter_map(|name| Some(&*self.members.get(name)?.ingress))
            .collect()
    }

    /// The policy of routes that no Ingress made.
    pub(crate) fn plain_policy(&self) -> &Arc<Policy> {
        &self.plain_policy
    }

    /// Whether a route in service uses this regular expression.
    pub(crate) fn uses_pattern(&self, source: &str) -> bool {
        self.patterns.contains(source)
    }

    /// An Ingress in service.
    pub(crate) fn member(&self, name: &Name) -> Option<&Member> {
        self.members.get(name).map(|member| &**member)
    }

    /// Members of a host that have one of these paths there, oldest first.
    pub(crate) fn members_at<'a>(
        &self,
        host: &str,
        paths: impl Iterator<Item = &'a str>,
    ) -> Vec<&Member> {
        let names = paths.flat_map(|path| self.index.paths.of(host, path));
        let mut members: Vec<&Member> = names.filter_map(|name| self.member(name)).collect();
        members.sort_by(|one, other| one.ingress.age.cmp(&other.ingress.age));
        members.dedup_by(|one, other| std::ptr::eq(*one, *other));
        members
    }

    /// Members of a host, oldest first.
    pub(crate) fn members_of(&self, host: &str) -> Vec<&Member> {
        let names = self.index.hosts.get(host).into_iter().flat_map(age::names);
        names
            .filter_map(|name| self.members.get(name).map(|member| &**member))
            .collect()
    }
}

/// One compilation under way.
struct Step<'a> {
    compiled: Compiled,
    table: RoutingTable,
    snapshot: &'a Snapshot,
    options: &'a Options,
    dirty: Dirty,
    /// All Ingresses are to be read again, and so all hosts and upstreams compiled.
    everything: bool,
    /// Secrets that an Ingress named and may name no more.
    released: Vec<Name>,
}

impl Step<'_> {
    /// Reads the settings again where their ConfigMap, or one that they name, changed.
    fn settings(&mut self, changes: &Changes) {
        let settings = &self.compiled.settings;
        let own = self.options.settings.as_ref();
        let namespace = own.map_or("", |name| &name.namespace);
        let named = [&settings.headers.proxy_set, &settings.headers.add];
        let named = named
            .into_iter()
            .flatten()
            .map(|reference| config_map_name(reference, namespace));
        let parameters = class::parameters(self.snapshot, &self.options.class);
        let concerned: BTreeSet<Name> = named
            .chain(own.cloned())
            .chain(parameters.iter().map(|(_, map)| map.clone()))
            .collect();
        let changed = |object: &ObjectRef| match object.kind {
            Kind::ConfigMap => concerned.contains(&object.name),
            Kind::IngressClass => true,
            _ => false,
        };
        if !self.everything && !changes.objects.iter().any(changed) {
            return;
        }
        let map = own.and_then(|name| self.snapshot.config_maps.get(name));
        let mut findings = Vec::new();
        if let (Some(name), None) = (own, map) {
            let message = format!("there is no ConfigMap {name}; every setting has its default");
            findings.push(Finding {
                field: "".into(),
                ..settings_finding(self.options, Severity::Warning, "", message)
            });
        }
        let mut data = self.class_settings(&parameters, &mut findings);
        data.extend(map.map(|map| map.data.clone()).unwrap_or_default());
        let (settings, problems) = Settings::parse(&data);
        for problem in problems {
            findings.push(settings_finding(
                self.options,
                problem.severity,
                &problem.field,
                problem.message,
            ));
        }
        let (serving, more) = serving(&settings, self.snapshot, self.options);
        findings.extend(more);
        self.compiled.findings.replace(Source::Settings, findings);
        self.table.settings = Arc::new(serving);
        if settings != self.compiled.settings {
            self.compiled.plain_forwarding = Arc::new(policy::forwarding(
                &IngressAnnotations::default(),
                &settings,
            ));
            self.compiled.plain_policy = policy::plain(&settings, &self.compiled.plain_forwarding);
            self.compiled.settings = settings;
            self.everything = true;
        }
        self.dirty.hosts.insert(CATCH_ALL.into());
    }

    /// The settings that the parameters of our classes bring: of several classes, those of the first by name. What the
    /// ConfigMap of `--configmap` says goes over them.
    fn class_settings(
        &self,
        parameters: &[(Name, Name)],
        findings: &mut Vec<Finding>,
    ) -> BTreeMap<String, String> {
        let mut data = BTreeMap::new();
        let mut first: Option<&Name> = None;
        for (class, name) in parameters {
            let message = match (self.snapshot.config_maps.get(name), first) {
                (None, _) => format!("there is no ConfigMap {name}; the class has no settings"),
                (Some(_), Some(first)) if first != name => format!(
                    "ignored: the settings of another class, in ConfigMap {first}, hold for the whole process"
                ),
                (Some(map), _) => {
                    data.clone_from(&map.data);
                    first = Some(name);
                    continue;
                }
            };
            findings.push(Finding {
                severity: Severity::Warning,
                subject: Subject::Object(ObjectRef {
                    kind: Kind::IngressClass,
                    name: class.clone(),
                }),
                field: "spec.parameters".into(),
                message: message.into(),
            });
        }
        data
    }

    fn default_certificate(&mut self, fallback: &Arc<Certificate>) {
        let Some(name) = &self.options.default_certificate else {
            self.compiled.default_certificate = fallback.clone();
            return;
        };
        let (certificate, problem) = self.compiled.certificates.serving(name, self.snapshot);
        let findings = problem.map(|problem| {
            let consequence = match &certificate {
                Some(_) => "the last valid default certificate serves",
                None => "a generated one is the default certificate",
            };
            Finding {
                severity: Severity::Error,
                subject: Subject::Object(ObjectRef {
                    kind: Kind::Secret,
                    name: name.clone(),
                }),
                field: "".into(),
                message: format!("{problem}; {consequence}").into(),
            }
        });
        self.compiled
            .findings
            .replace(Source::DefaultCertificate, findings.into_iter().collect());
        self.compiled.default_certificate = certificate.unwrap_or_else(|| fallback.clone());
    }

    /// The listeners of both ports, which lead to the same universe.
    fn listeners(&self) -> Vec<Listener> {
        let hosts = Arc::new(self.compiled.hosts.clone());
        let listeners = &self.options.listeners;
        let https = listeners.https.first().map_or(443, SocketAddr::port);
        let listener = |address: &SocketAddr, socket: Socket| Listener {
            address: *address,
            ports: PublicPorts {
                own: address.port(),
                https,
            },
            socket,
        };
        let http = listeners.http.iter();
        let http = http.map(|address| {
            let socket = Socket::Plain(Plain::Http(hosts.clone()));
            listener(address, socket)
        });
        let terminate = TlsRoute::Terminate(Terminate {
            hosts: hosts.clone(),
            certificates: Served::OfHosts {
                default: self.compiled.default_certificate.clone(),
                reject_unknown: self.table.settings.tls.reject_unknown,
            },
        });
        let tls = listeners.https.iter();
        let tls = tls.map(|address| {
            let socket = Socket::Tls(TlsSocket::new(terminate.clone()));
            listener(address, socket)
        });
        http.chain(tls).collect()
    }

    fn finish(mut self) -> Compiled {
        let listeners = self.listeners();
        self.table.set_listeners(listeners);
        self.table.generation += 1;
        self.compiled.table = Arc::new(self.table);
        self.compiled
    }
}
