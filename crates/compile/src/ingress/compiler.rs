//! Compiles Ingresses: their part of the next table, at a cost proportional to the changes.
//!
//! The phases are: settings, changed Ingresses, affected hosts, and upstreams that hosts or changed Services affect. The rest is
//! shared with the former state.

mod attach;
mod hosts;
mod index;
mod settings;
mod streams;
mod upstreams;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::{
    Affinity, CATCH_ALL, Certificate, Certificates as ListenerCertificates, Forwarding, Host,
    Listener, Pattern, Policy, RegexName, Resilience, RoutingTable, UdpListener, UpstreamKey,
    VirtualHosts,
};

use self::index::Index;
use self::settings::SettingsRead;
use super::annotations::IngressAnnotations;
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
use crate::build::{self, Builder, ServicePort, Universe, UpstreamDraft};
use crate::finding::{Finding, Severity, Subject};
use crate::findings::{Findings, Source};
use crate::policies::{self, Policies};
use crate::snapshot::{Changes, Snapshot};
use crate::{Compiled, Kind, Name, Namespaces, ObjectRef, Options};

/// The Ingresses in service, and the inputs of their hosts.
pub(crate) struct State {
    settings: Settings,
    plain_forwarding: Arc<Forwarding>,
    plain_policy: Arc<Policy>,
    attached: HashMap<Name, Arc<AttachedIngress>, RandomState>,
    statuses: BTreeMap<Name, IngressStatus>,
    index: Index,
    patterns: Interned<Pattern>,
    repeated: Repeated,
    universe: Universe,
    rules_field: Arc<str>,
    streams: Streams,
    expressions: Expressions,
    /// While there are policies: the Ingresses that the last compilation read.
    recompiled: Vec<ObjectRef>,
    /// Ingresses that became selected in the last compilation.
    adopted: Vec<Name>,
    /// Ingresses that were deleted or stopped being selected in the last compilation.
    released: Vec<Name>,
    /// Ingresses were compiled in the last compilation.
    pub(crate) hosts_changed: bool,
}

/// What many Ingresses have alike, since their annotations are copies, by a hash of these.
#[derive(Default)]
struct Repeated {
    hasher: RandomState,
    annotations: Interned<IngressAnnotations, u64>,
    forwarding: Interned<Forwarding, u64>,
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

impl Compiled {
    /// The status of each Ingress that this controller selects.
    pub fn statuses(&self) -> &BTreeMap<Name, IngressStatus> {
        &self.ingress.statuses
    }

    /// Ingresses that became selected in the last compilation.
    pub fn adopted(&self) -> &[Name] {
        &self.ingress.adopted
    }

    /// Ingresses that were deleted or stopped being selected in the last compilation.
    pub fn released(&self) -> &[Name] {
        &self.ingress.released
    }

    /// The Ingresses in service that have to do with a host, such as `shop.example`, `*.shop.example` or `_`, oldest first.
    pub fn ingresses_of(&self, host: &str) -> impl Iterator<Item = &Name> {
        self.ingress.index.of_host(host)
    }

    /// The hosts of Ingresses, as compiled.
    pub(crate) fn hosts_of_ingresses(&self) -> Option<&VirtualHosts> {
        self.builder
            .hosts(&self.ingress.universe)
            .map(|hosts| &**hosts)
    }

    /// The settings as last read.
    pub fn settings(&self) -> &Settings {
        &self.ingress.settings
    }

    /// The policy of built-in routes.
    pub(crate) fn plain_policy(&self) -> &Arc<Policy> {
        &self.ingress.plain_policy
    }

    /// Whether a served route uses this regular expression.
    pub(crate) fn uses_pattern(&self, source: &str) -> bool {
        self.ingress.patterns.contains(source)
    }

    /// Why an Ingress that has this version would not be served for the memory of its expressions.
    pub(crate) fn expressions_beyond(&self, ingress: &ParsedIngress) -> Option<String> {
        let bound = self.ingress.settings.annotations.regex_memory;
        let weight = ingress.expression_weight();
        let expressions = &self.ingress.expressions;
        let beyond = expressions.would_be_beyond(&ingress.age, weight, bound);
        beyond.then(|| expressions::message(&ingress.name, bound))
    }

    /// An attached Ingress.
    pub(crate) fn attached(&self, name: &Name) -> Option<&AttachedIngress> {
        self.ingress.attached.get(name).map(|attached| &**attached)
    }

    /// Attached Ingresses that have one of these paths of a host, oldest first.
    pub(crate) fn attached_at<'a>(
        &self,
        host: &str,
        paths: impl Iterator<Item = &'a str>,
    ) -> Vec<&AttachedIngress> {
        let paths: HashSet<&str, RandomState> = paths.collect();
        let names = self.ingress.index.of_paths(host, paths.iter().copied());
        let has_one = |attached: &&AttachedIngress| {
            let mut rules = attached.ingress.rules(host).into_iter();
            rules.any(|rules| rules.paths.iter().any(|rule| paths.contains(&*rule.path)))
        };
        let attached = names.filter_map(|name| self.attached(name));
        let mut attached: Vec<&AttachedIngress> = attached.filter(has_one).collect();
        attached.sort_by(|one, other| one.ingress.age.cmp(&other.ingress.age));
        attached.dedup_by(|one, other| std::ptr::eq(*one, *other));
        attached
    }

    /// Attached Ingresses of a host, oldest first.
    pub(crate) fn attached_to(&self, host: &str) -> Vec<&AttachedIngress> {
        self.ingress.attached_to(host)
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new(Settings::default())
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
            patterns: Interned::default(),
            repeated: Repeated::default(),
            universe: Universe::new("Ingress"),
            rules_field: "spec.rules".into(),
            streams: Streams::default(),
            expressions: Expressions::default(),
            recompiled: Vec::new(),
            adopted: Vec::new(),
            released: Vec::new(),
            hosts_changed: false,
        }
    }

    /// The settings as last read.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// While there are policies: the Ingresses that the last compilation read.
    pub(crate) fn recompiled(&self) -> impl Iterator<Item = ObjectRef> {
        self.recompiled.iter().cloned()
    }

    /// Whether this controller selects an Ingress.
    pub(crate) fn selects(&self, name: &Name) -> bool {
        self.statuses.contains_key(name)
    }

    /// All hosts with each of their Ingresses, in no order.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&Arc<str>, &Name)> {
        self.index.hosts()
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

    /// Indexes the paths of a host that many Ingresses share from now on.
    fn index_paths(&mut self, host: &str) {
        let names: Vec<Name> = self.index.of_host(host).cloned().collect();
        for attached in names.iter().filter_map(|name| self.attached.get(name)) {
            self.index.index_paths(&attached.ingress);
        }
    }

    /// Attached Ingresses of a host, oldest first.
    fn attached_to(&self, host: &str) -> Vec<&AttachedIngress> {
        let names = self.index.of_host(host);
        names
            .filter_map(|name| self.attached.get(name).map(|attached| &**attached))
            .collect()
    }
}

impl Repeated {
    /// Shares the annotations of an Ingress.
    fn parsed(&mut self, ingress: &mut ParsedIngress) {
        let written = self.hasher.hash_one(ingress.written());
        let own = ingress.annotations.clone();
        ingress.annotations = self.annotations.share(written, own);
    }

    /// Shares how requests of an Ingress with this policy are forwarded.
    fn policy(&mut self, policy: &mut Arc<Policy>, ingress: &ParsedIngress) {
        // A policy that others have too is that of the settings.
        if let Some(policy) = Arc::get_mut(policy) {
            let written = self.hasher.hash_one(ingress.written());
            let own = policy.forwarding.clone();
            policy.forwarding = self.forwarding.share(written, own);
        }
    }
}

/// Forwarding without any annotation, and the policy of built-in routes.
fn plain(settings: &Settings) -> (Arc<Forwarding>, Arc<Policy>) {
    let forwarding = Arc::new(settings.upstream.forwarding.clone());
    let policy = policy::plain(settings, &forwarding);
    (forwarding, policy)
}

/// One compilation of Ingresses in progress.
pub(crate) struct Pass<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) table: &'a mut RoutingTable,
    pub(crate) builder: &'a mut Builder,
    pub(crate) findings: &'a mut Findings,
    pub(crate) certificates: &'a mut Certificates,
    pub(crate) policies: &'a Policies,
    /// What changed policies affect.
    pub(crate) touched: &'a policies::Touched,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) options: &'a Options,
}

impl Pass<'_> {
    /// Compiles settings, Ingresses, hosts and ports that changed, or all. Returns whether everything was compiled.
    pub(crate) fn run(&mut self, changes: &Changes, fresh: bool) -> bool {
        let by_labels = matches!(self.options.namespaces, Namespaces::Selected(_));
        let classes = |object: &ObjectRef| match object.kind {
            Kind::IngressClass => true,
            Kind::Namespace => by_labels,
            _ => false,
        };
        let settings = self.settings(changes, fresh);
        let all = fresh
            || changes.everything
            || settings == SettingsRead::Changed
            || changes.objects.iter().any(classes);
        let mut touched = self.ingresses(changes, all);
        self.state.hosts_changed = all || !touched.hosts.is_empty();
        if settings != SettingsRead::Skipped {
            touched.hosts.insert(CATCH_ALL.into());
        }
        self.hosts(std::mem::take(&mut touched.hosts));
        self.streams(changes, all);
        self.state.adopted = touched.adopted;
        self.state.released = touched.released;
        all
    }

    /// Bounds on the requests of an upstream that nothing configures.
    pub(crate) fn settings_resilience(&self) -> Arc<Resilience> {
        self.state.settings.upstream.resilience.clone()
    }

    /// The listeners of all Ingresses and of the ConfigMaps of TCP and UDP services. `fallback` is the generated default
    /// certificate.
    pub(crate) fn listeners(
        &mut self,
        fallback: &Arc<Certificate>,
    ) -> (Vec<Listener>, Vec<UdpListener>) {
        let certificates = ListenerCertificates::OfHosts {
            default: self.default_certificate(fallback),
            reject_unknown: self.table.settings.tls.reject_unknown,
        };
        let Some(hosts) = self.builder.hosts(&self.state.universe) else {
            return (Vec::new(), Vec::new());
        };
        let addresses = self.state.settings.listen.apply(&self.options.listeners);
        let passthrough = self.builder.passthrough(&self.state.universe);
        let mut listeners = build::http_listeners(&addresses, hosts, certificates, passthrough);
        let mut ips: Vec<IpAddr> = addresses.http.iter().map(SocketAddr::ip).collect();
        ips.dedup();
        let udp = self.open_ports(&ips, &mut listeners);
        (listeners, udp)
    }
}
