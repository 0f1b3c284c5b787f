//! Compiles Ingresses: from a snapshot and its changes to the next table, at a cost proportional to the changes.
//!
//! The phases are: settings, changed Ingresses, affected hosts, and upstreams that hosts or changed Services affect. The rest is
//! shared with the former state. Full compilation runs the same phases with everything changed, so tests compare incremental
//! compilation with it.

mod attach;
mod hosts;
mod index;
mod settings;
mod streams;
mod upstreams;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::{
    Affinity, CATCH_ALL, Certificate, Certificates as ListenerCertificates, Forwarding, Host,
    Listener, Pattern, Policy, RegexName, RoutingTable, UpstreamKey,
};

use self::index::Index;
use self::settings::SettingsRead;
use super::class::{self, is_selected};
use super::expressions::{self, Expressions};
use super::host::{self, AttachedIngress, IngressHost, ServedHost, www_counterpart};
use super::parsed::ParsedIngress;
use super::policy;
use super::serving::{config_map_name, serving, settings_finding};
use super::settings::Settings;
use super::streams::Streams;
use super::upstream::{self, ReferencedPort};
use crate::build::certificates::Certificates;
use crate::build::interned::Interned;
use crate::build::service_port::FIRST_PORT;
use crate::build::{self, Builder, ServicePort, Transport, Universe, UpstreamDraft};
use crate::finding::{Finding, Severity, Subject};
use crate::findings::{Findings, Source};
use crate::snapshot::{Changes, Snapshot};
use crate::{Kind, Name, ObjectRef, Options};

/// A compiled state: the table to serve from, and the state for the next incremental compilation.
pub struct Compiled {
    table: Arc<RoutingTable>,
    builder: Builder,
    state: State,
    findings: Findings,
    adopted: Vec<Name>,
    released: Vec<Name>,
}

/// The Ingresses in service, and the inputs of their hosts.
struct State {
    settings: Settings,
    plain_forwarding: Arc<Forwarding>,
    plain_policy: Arc<Policy>,
    attached: HashMap<Name, Arc<AttachedIngress>, RandomState>,
    statuses: BTreeMap<Name, IngressStatus>,
    index: Index,
    certificates: Certificates,
    patterns: Interned<Pattern>,
    universe: Universe,
    rules_field: Arc<str>,
    streams: Streams,
    expressions: Expressions,
}

/// Whether an Ingress that this controller selects is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressStatus {
    /// Its current version is served.
    Served,
    /// Its current version is refused; the last good one is served.
    LastGood,
    /// It is refused and not served.
    Refused,
}

/// Compiles `snapshot`. With a `previous` state only what `changes` affects is compiled; without one, everything is.
/// Never fails: what cannot be served is a finding. `fallback` is the generated default certificate.
pub fn compile(
    snapshot: &Snapshot,
    changes: &Changes,
    previous: Option<Compiled>,
    options: &Options,
    fallback: &Arc<Certificate>,
) -> Compiled {
    let classes = |object: &ObjectRef| matches!(object.kind, Kind::IngressClass | Kind::Namespace);
    let fresh = previous.is_none();
    let mut pass = Pass::new(previous, snapshot, options);
    let settings = pass.settings(changes, fresh);
    let all = fresh
        || changes.everything
        || settings == SettingsRead::Changed
        || changes.objects.iter().any(classes);
    let mut touched = pass.ingresses(changes, all);
    if settings != SettingsRead::Skipped {
        touched.hosts.insert(CATCH_ALL.into());
    }
    pass.hosts(std::mem::take(&mut touched.hosts));
    pass.streams(changes, all);
    pass.upstreams(changes, all);
    let default_certificate = pass.default_certificate(fallback);
    pass.finish(touched.adopted, touched.released, default_certificate)
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

    /// Findings that appeared and findings that were resolved with the last compilation.
    pub fn difference(&self) -> (Vec<Finding>, Vec<Finding>) {
        self.findings.difference()
    }

    /// The status of each Ingress that this controller selects.
    pub fn statuses(&self) -> &BTreeMap<Name, IngressStatus> {
        &self.state.statuses
    }

    /// Ingresses that became selected in the last compilation.
    pub fn adopted(&self) -> &[Name] {
        &self.adopted
    }

    /// Ingresses that were deleted or stopped being selected in the last compilation.
    pub fn released(&self) -> &[Name] {
        &self.released
    }

    /// The Ingresses in service that have to do with a host, such as `shop.example`, `*.shop.example` or `_`, oldest first.
    pub fn ingresses_of(&self, host: &str) -> impl Iterator<Item = &Name> {
        self.state.index.of_host(host)
    }

    /// The settings as last read.
    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// The policy of built-in routes.
    pub(crate) fn plain_policy(&self) -> &Arc<Policy> {
        &self.state.plain_policy
    }

    /// Whether a served route uses this regular expression.
    pub(crate) fn uses_pattern(&self, source: &str) -> bool {
        self.state.patterns.contains(source)
    }

    /// Why an Ingress that has this version would not be served for the memory of its expressions.
    pub(crate) fn expressions_beyond(&self, ingress: &ParsedIngress) -> Option<String> {
        let bound = self.state.settings.annotations.regex_memory;
        let weight = ingress.expression_weight();
        let expressions = &self.state.expressions;
        let beyond = expressions.would_be_beyond(&ingress.age, weight, bound);
        beyond.then(|| expressions::message(&ingress.name, bound))
    }

    /// An attached Ingress.
    pub(crate) fn attached(&self, name: &Name) -> Option<&AttachedIngress> {
        self.state.attached.get(name).map(|attached| &**attached)
    }

    /// Attached Ingresses that have one of these paths of a host, oldest first.
    pub(crate) fn attached_at<'a>(
        &self,
        host: &str,
        paths: impl Iterator<Item = &'a str>,
    ) -> Vec<&AttachedIngress> {
        let names = paths.flat_map(|path| self.state.index.of_path(host, path));
        let mut attached: Vec<&AttachedIngress> =
            names.filter_map(|name| self.attached(name)).collect();
        attached.sort_by(|one, other| one.ingress.age.cmp(&other.ingress.age));
        attached.dedup_by(|one, other| std::ptr::eq(*one, *other));
        attached
    }

    /// Attached Ingresses of a host, oldest first.
    pub(crate) fn attached_to(&self, host: &str) -> Vec<&AttachedIngress> {
        self.state.attached_to(host)
    }
}

impl State {
    fn new(settings: Settings) -> Self {
        let (plain_forwarding, plain_policy) = plain(&settings);
        Self {
            settings,
            plain_forwarding,
            plain_policy,
            attached: HashMap::default(),
            statuses: BTreeMap::new(),
            index: Index::default(),
            certificates: Certificates::default(),
            patterns: Interned::default(),
            universe: Universe::new("Ingress"),
            rules_field: "spec.rules".into(),
            streams: Streams::default(),
            expressions: Expressions::default(),
        }
    }

    fn set_settings(&mut self, settings: Settings) {
        (self.plain_forwarding, self.plain_policy) = plain(&settings);
        self.settings = settings;
    }

    /// The attached Ingresses of these names.
    fn parsed<'a>(&'a self, names: impl Iterator<Item = &'a Name>) -> Vec<&'a ParsedIngress> {
        names
            .filter_map(|name| Some(&*self.attached.get(name)?.ingress))
            .collect()
    }

    /// Attached Ingresses of a host, oldest first.
    fn attached_to(&self, host: &str) -> Vec<&AttachedIngress> {
        let names = self.index.of_host(host);
        names
            .filter_map(|name| self.attached.get(name).map(|attached| &**attached))
            .collect()
    }
}

/// Forwarding without any annotation, and the policy of built-in routes.
fn plain(settings: &Settings) -> (Arc<Forwarding>, Arc<Policy>) {
    let forwarding = Arc::new(settings.upstream.forwarding.clone());
    let policy = policy::plain(settings, &forwarding);
    (forwarding, policy)
}

/// One compilation in progress.
struct Pass<'a> {
    table: RoutingTable,
    builder: Builder,
    state: State,
    findings: Findings,
    snapshot: &'a Snapshot,
    options: &'a Options,
}

impl<'a> Pass<'a> {
    fn new(previous: Option<Compiled>, snapshot: &'a Snapshot, options: &'a Options) -> Self {
        let mut pass = match previous {
            Some(previous) => Self {
                table: RoutingTable::clone(&previous.table),
                builder: previous.builder,
                state: previous.state,
                findings: previous.findings,
                snapshot,
                options,
            },
            None => Self {
                table: RoutingTable::new(Arc::default()),
                builder: with_default_backend(options),
                state: State::new(Settings::default()),
                findings: Findings::default(),
                snapshot,
                options,
            },
        };
        pass.findings.begin();
        pass
    }

    fn finish(
        mut self,
        adopted: Vec<Name>,
        released: Vec<Name>,
        default_certificate: Arc<Certificate>,
    ) -> Compiled {
        let certificates = ListenerCertificates::OfHosts {
            default: default_certificate,
            reject_unknown: self.table.settings.tls.reject_unknown,
        };
        if let Some(hosts) = self.builder.hosts(&self.state.universe) {
            let addresses = self.state.settings.listen.apply(&self.options.listeners);
            let passthrough = self.builder.passthrough(&self.state.universe);
            let mut listeners = build::http_listeners(&addresses, hosts, certificates, passthrough);
            let mut ips: Vec<IpAddr> = addresses.http.iter().map(SocketAddr::ip).collect();
            ips.dedup();
            self.open_ports(&ips, &mut listeners);
            self.table.set_listeners(listeners);
        }
        self.table.generation += 1;
        Compiled {
            table: Arc::new(self.table),
            builder: self.builder,
            state: self.state,
            findings: self.findings,
            adopted,
            released,
        }
    }
}

/// References the default backend even if no route does, because its problems are findings.
fn with_default_backend(options: &Options) -> Builder {
    let mut builder = Builder::default();
    if let Some(service) = options.default_backend.clone() {
        builder.acquire(UpstreamDraft {
            port: ServicePort::new(service, FIRST_PORT.into()),
            transport: Transport::default(),
        });
    }
    builder
}
