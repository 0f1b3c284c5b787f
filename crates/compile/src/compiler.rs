//! Compiling: from a snapshot and what changed in it to the next table, with a cost that follows the change.
//!
//! The steps are: settings, Ingresses that changed, hosts that these touch, upstreams that these or their Services touch.
//! Everything else is shared with the previous state. Compiling from nothing goes through the same steps with everything
//! changed, which makes it the oracle for the incremental way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::{
    Affinity, CATCH_ALL, Certificate, Forwarding, Host, HostBehaviour, Pattern, Policy, RegexName,
    RoutingTable, SharedMap, Slot, Target, UpstreamId,
};

use crate::age::ByAge;
use crate::annotations::IngressAnnotations;
use crate::certificates::Certificates;
use crate::class::is_ours;
use crate::finding::{Finding, Severity, Subject};
use crate::findings::{Findings, Source};
use crate::host::{self, Member, www_counterpart};
use crate::ingress::{FIRST_PORT, ParsedIngress};
use crate::interned::Interned;
use crate::serving::{config_map_name, serving, settings_finding};
use crate::settings::Settings;
use crate::snapshot::{Changes, Kind, Name, ObjectRef, Snapshot};
use crate::{Options, policy, upstream};

/// A compiled state: the table to serve from, and what the next compilation goes on from.
pub struct Compiled {
    table: Arc<RoutingTable>,
    settings: Settings,
    plain_forwarding: Arc<Forwarding>,
    plain_policy: Arc<Policy>,
    members: HashMap<Name, Arc<Member>, RandomState>,
    statuses: BTreeMap<Name, IngressStatus>,
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

/// Who is involved in what.
#[derive(Default)]
struct Index {
    /// Ingresses that name a host, oldest first.
    hosts: HashMap<Arc<str>, ByAge, RandomState>,
    /// Ingresses that name an upstream, oldest first.
    upstreams: HashMap<UpstreamId, UpstreamUse, RandomState>,
    /// Upstreams of a Service.
    of_service: HashMap<Name, BTreeSet<UpstreamId>, RandomState>,
    /// Ingresses whose policy or certificates come from a Secret or ConfigMap.
    users: HashMap<ObjectRef, BTreeSet<Name>, RandomState>,
    /// What an Ingress uses, to take it out again.
    uses: HashMap<Name, Vec<ObjectRef>, RandomState>,
    /// Hosts that ask for a name as their alias, by that name.
    wishes: HashMap<Arc<str>, BTreeSet<Arc<str>>, RandomState>,
    /// What a host asked for.
    wished: HashMap<Arc<str>, Vec<Arc<str>>, RandomState>,
    /// Regex aliases by host, in the order of hosts.
    regex_names: BTreeMap<Arc<str>, Vec<Pattern>>,
}

struct UpstreamUse {
    service: Name,
    port: Arc<str>,
    users: ByAge,
}

/// What has to be compiled again.
#[derive(Default)]
struct Dirty {
    hosts: BTreeSet<Arc<str>>,
    upstreams: BTreeSet<UpstreamId>,
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
    let compiled = previous.unwrap_or_else(|| Compiled::empty(options, fallback));
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

    /// The settings as last read.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn empty(options: &Options, fallback: &Arc<Certificate>) -> Self {
        let settings = Settings::default();
        let plain_forwarding = Arc::new(policy::forwarding(
            &IngressAnnotations::default(),
            &settings,
            None,
        ));
        let plain_policy = policy::plain(&settings, &plain_forwarding);
        let mut certificates = Certificates::default();
        let mut patterns = Interned::default();
        let snapshot = Snapshot::default();
        let mut around = host::Surroundings {
            snapshot: &snapshot,
            settings: &settings,
            options,
            certificates: &mut certificates,
            patterns: &mut patterns,
            plain_policy: &plain_policy,
            defines: &|_| false,
        };
        let catch_all = host::catch_all(&mut around);
        let table = RoutingTable {
            generation: 0,
            settings: Arc::default(),
            hosts: SharedMap::new(),
            aliases: SharedMap::new(),
            suffix_aliases: SharedMap::new(),
            wildcards: SharedMap::new(),
            regex_names: Arc::default(),
            catch_all,
            upstreams: SharedMap::new(),
            default_certificate: fallback.clone(),
        };
        Self {
            table: Arc::new(table),
            settings,
            plain_forwarding,
            plain_policy,
            members: HashMap::default(),
            statuses: BTreeMap::new(),
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

    /// Members of a host, oldest first.
    fn members_of(&self, host: &str) -> Vec<&Member> {
        let names = self
            .index
            .hosts
            .get(host)
            .into_iter()
            .flat_map(ByAge::names);
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

// === the steps ===

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
        let concerned: BTreeSet<Name> = named.chain(own.cloned()).collect();
        let changed =
            |object: &ObjectRef| object.kind == Kind::ConfigMap && concerned.contains(&object.name);
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
        let data = map.map(|map| map.data.clone()).unwrap_or_default();
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
                None,
            ));
            self.compiled.plain_policy = policy::plain(&settings, &self.compiled.plain_forwarding);
            self.compiled.settings = settings;
            self.everything = true;
        }
        self.dirty.hosts.insert(CATCH_ALL.into());
    }

    /// Reads the Ingresses that changed, or whose class, Secrets or ConfigMaps did.
    fn ingresses(&mut self, changes: &Changes) {
        self.everything |= changes
            .objects
            .iter()
            .any(|object| object.kind == Kind::IngressClass);
        let mut names: BTreeSet<Name> = BTreeSet::new();
        for object in &changes.objects {
            match object.kind {
                Kind::Ingress => drop(names.insert(object.name.clone())),
                Kind::Secret | Kind::ConfigMap => names.extend(
                    self.compiled
                        .index
                        .users
                        .get(object)
                        .into_iter()
                        .flatten()
                        .cloned(),
                ),
                _ => {}
            }
        }
        if self.everything {
            names.extend(self.snapshot.ingresses.keys().cloned());
            names.extend(self.compiled.members.keys().cloned());
        }
        for name in &names {
            self.ingress(name);
        }
        for name in std::mem::take(&mut self.released) {
            let secret = ObjectRef {
                kind: Kind::Secret,
                name,
            };
            let default = self.options.default_certificate.as_ref();
            if default != Some(&secret.name) && !self.compiled.index.users.contains_key(&secret) {
                self.compiled.certificates.forget(&secret.name);
            }
        }
    }

    fn ingress(&mut self, name: &Name) {
        let former = self.compiled.members.remove(name);
        if let Some(former) = &former {
            self.take_out(former);
        }
        let ours = self
            .snapshot
            .ingresses
            .get(name)
            .filter(|ingress| is_ours(ingress, self.snapshot, self.options));
        let Some(ingress) = ours else {
            self.compiled.statuses.remove(name);
            self.compiled
                .findings
                .replace(Source::Ingress(name.clone()), Vec::new());
            return;
        };
        let mut parsed = ParsedIngress::read(ingress, &self.compiled.settings, self.options);
        let mut findings = std::mem::take(&mut parsed.findings);
        let refused = parsed.annotations.refused.is_some();
        // What is served instead of a refused version gets a policy anew as well: settings that protect go on applying.
        let (served, status) = match former.as_ref().filter(|_| refused) {
            Some(former) => (Some(former.ingress.clone()), IngressStatus::LastGood),
            None if refused => (None, IngressStatus::Refused),
            None => (Some(Arc::new(parsed)), IngressStatus::Served),
        };
        self.compiled.statuses.insert(name.clone(), status);
        let Some(served) = served else {
            self.compiled
                .findings
                .replace(Source::Ingress(name.clone()), findings);
            return;
        };
        let counters = former
            .as_ref()
            .and_then(|former| Some(former.policy.limits.as_ref()?.slot.clone()));
        let mut around = policy::Surroundings {
            snapshot: self.snapshot,
            settings: &self.compiled.settings,
            certificates: &mut self.compiled.certificates,
            plain_forwarding: &self.compiled.plain_forwarding,
        };
        let built = policy::build(&served, &mut around, counters);
        findings.extend(built.findings);
        self.compiled
            .findings
            .replace(Source::Ingress(name.clone()), findings);
        self.compiled.index.uses.insert(name.clone(), built.uses);
        self.put_in(Arc::new(Member {
            ingress: served,
            policy: built.policy,
            closed: built.closed,
        }));
    }

    /// Upstreams of Services whose ports or endpoints changed.
    fn services(&mut self, changes: &Changes) {
        for object in &changes.objects {
            if matches!(object.kind, Kind::Service | Kind::Endpoints) {
                let upstreams = self.compiled.index.of_service.get(&object.name);
                self.dirty
                    .upstreams
                    .extend(upstreams.into_iter().flatten().cloned());
            }
        }
    }

    /// The default backend is an upstream that no Ingress names.
    fn default_backend(&mut self) {
        let Some(service) = self.options.default_backend.clone() else {
            return;
        };
        let id = UpstreamId::new(&service.namespace, &service.name, FIRST_PORT);
        if !self.compiled.index.upstreams.contains_key(&id) {
            let new = UpstreamUse {
                service: service.clone(),
                port: FIRST_PORT.into(),
                users: ByAge::default(),
            };
            self.compiled.index.upstreams.insert(id.clone(), new);
            self.compiled
                .index
                .of_service
                .entry(service)
                .or_default()
                .insert(id.clone());
            self.dirty.upstreams.insert(id);
        } else if self.everything {
            self.dirty.upstreams.insert(id);
        }
    }

    fn hosts(&mut self) {
        self.spread();
        let hosts = std::mem::take(&mut self.dirty.hosts);
        let mut aliases = BTreeSet::new();
        for host in &hosts {
            self.host(host, &mut aliases);
        }
        for alias in aliases {
            self.alias(&alias);
        }
        let regex_names = self
            .compiled
            .index
            .regex_names
            .iter()
            .flat_map(|(name, patterns)| {
                let host = self
                    .table
                    .hosts
                    .get(name)
                    .or_else(|| self.table.wildcards.get(name.strip_prefix("*.")?));
                let named = move |pattern: &Pattern| {
                    Some(RegexName {
                        pattern: pattern.clone(),
                        host: host?.clone(),
                    })
                };
                patterns.iter().filter_map(named)
            });
        self.table.regex_names = regex_names.collect();
    }

    /// Hosts that depend on whether a dirty host exists: its `www.` counterpart and those that want its name as an alias.
    fn spread(&mut self) {
        let mut more = BTreeSet::new();
        for host in &self.dirty.hosts {
            let counterpart = www_counterpart(host);
            let known = self.compiled.index.hosts.contains_key(&*counterpart)
                || self.table.hosts.get(&counterpart).is_some();
            if known || host::wants_www(&self.compiled.members_of(host)) {
                more.insert(counterpart.into());
            }
            more.extend(
                self.compiled
                    .index
                    .wishes
                    .get(host)
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        self.dirty.hosts.extend(more);
    }

    fn host(&mut self, name: &Arc<str>, aliases: &mut BTreeSet<Arc<str>>) {
        let former = self.in_table(name);
        let mut compiled = self.compile_host(name, former.as_deref());
        aliases.extend(former.iter().flat_map(|host| host.aliases.iter().cloned()));
        let index = &mut self.compiled.index;
        for wish in index.wished.remove(name).into_iter().flatten() {
            if let Some(hosts) = index.wishes.get_mut(&wish) {
                hosts.remove(name);
                if hosts.is_empty() {
                    index.wishes.remove(&wish);
                }
            }
        }
        let findings = std::mem::take(&mut compiled.findings);
        self.compiled
            .findings
            .replace(Source::Host(name.clone()), findings);
        let Some(host) = compiled.host else {
            index.regex_names.remove(name);
            match name.strip_prefix("*.") {
                Some(parent) => drop(self.table.wildcards.remove(parent)),
                None => drop(self.table.hosts.remove(name)),
            }
            return;
        };
        if compiled.regex_names.is_empty() {
            index.regex_names.remove(name);
        } else {
            index.regex_names.insert(name.clone(), compiled.regex_names);
        }
        for wish in &compiled.wished {
            index
                .wishes
                .entry(wish.clone())
                .or_default()
                .insert(name.clone());
        }
        if !compiled.wished.is_empty() {
            index.wished.insert(name.clone(), compiled.wished);
        }
        aliases.extend(host.aliases.iter().cloned());
        match name.strip_prefix("*.") {
            _ if &**name == CATCH_ALL => self.table.catch_all = host,
            Some(parent) => drop(self.table.wildcards.insert(parent.into(), host)),
            None => drop(self.table.hosts.insert(name.clone(), host)),
        }
    }

    fn compile_host(&mut self, name: &Arc<str>, former: Option<&Host>) -> host::CompiledHost {
        let Compiled {
            certificates,
            patterns,
            index,
            members,
            settings,
            plain_policy,
            ..
        } = &mut self.compiled;
        let of = |host: &str| -> Vec<&Member> {
            let names = index.hosts.get(host).into_iter().flat_map(ByAge::names);
            names
                .filter_map(|name| members.get(name).map(|member| &**member))
                .collect()
        };
        let defines = |host: &str| of(host).iter().any(|member| !member.ingress.is_canary());
        let mut around = host::Surroundings {
            snapshot: self.snapshot,
            settings,
            options: self.options,
            certificates,
            patterns,
            plain_policy,
            defines: &defines,
        };
        host::compile(
            name,
            &of(name),
            &of(&www_counterpart(name)),
            &mut around,
            former,
        )
    }

    /// The host of that name as the table has it now.
    fn in_table(&self, name: &str) -> Option<Arc<Host>> {
        if name == CATCH_ALL {
            return Some(self.table.catch_all.clone());
        }
        match name.strip_prefix("*.") {
            Some(parent) => self.table.wildcards.get(parent).cloned(),
            None => self.table.hosts.get(name).cloned(),
        }
    }

    /// Of several hosts that want an alias, the first by name has it.
    fn alias(&mut self, alias: &Arc<str>) {
        let wishing = self.compiled.index.wishes.get(alias).into_iter().flatten();
        let mut claims = wishing
            .filter_map(|host| self.in_table(host))
            .filter(|host| host.aliases.contains(alias));
        let owner = claims.next();
        let findings = claims.filter_map(|late| {
            let members = self.compiled.members_of(&late.name);
            let member = members.into_iter().find(|member| {
                let aliases = &member.ingress.annotations.routing.server_aliases;
                !member.ingress.is_canary() && !aliases.is_empty()
            })?;
            let message = format!(
                "\"{alias}\" is an alias of host {} already; left out",
                owner.as_ref()?.name
            );
            Some(
                member
                    .ingress
                    .annotation_finding(Severity::Warning, "server-alias", message),
            )
        });
        let findings = findings.collect();
        self.compiled
            .findings
            .replace(Source::Alias(alias.clone()), findings);
        let (map, key) = match alias.strip_prefix("*.") {
            Some(parent) => (&mut self.table.suffix_aliases, Arc::from(parent)),
            None => (&mut self.table.aliases, alias.clone()),
        };
        match owner {
            Some(host) => drop(map.insert(key, host)),
            None => drop(map.remove(&key)),
        }
    }

    fn upstreams(&mut self) {
        for id in std::mem::take(&mut self.dirty.upstreams) {
            let Some(used) = self.compiled.index.upstreams.get(&id) else {
                self.table.upstreams.remove(id.as_str());
                self.compiled
                    .findings
                    .replace(Source::Upstream(id.key()), Vec::new());
                continue;
            };
            let users = self.compiled.parsed(used.users.names());
            let wanted = upstream::Wanted {
                inherited_affinity: self.inherited_affinity(&id, &users),
                id: id.clone(),
                service: used.service.clone(),
                port: used.port.clone(),
                users,
            };
            let around = upstream::Surroundings {
                snapshot: self.snapshot,
                settings: &self.compiled.settings,
                options: self.options,
            };
            let slot = self
                .table
                .upstreams
                .get(id.as_str())
                .map_or_else(Slot::default, |former| former.slot.clone());
            let (compiled, findings) = upstream::compile(&wanted, &around, slot);
            self.compiled
                .findings
                .replace(Source::Upstream(id.key()), findings);
            self.table.upstreams.insert(id.key(), Arc::new(compiled));
        }
    }

    /// The affinity of the first primary beside which a canary names this upstream, unless the canary declines it.
    fn inherited_affinity(
        &self,
        id: &UpstreamId,
        users: &[&ParsedIngress],
    ) -> Option<Arc<Affinity>> {
        let canaries = users.iter().filter(|user| {
            let canary = user.annotations.canary.as_ref();
            canary.is_some_and(|canary| canary.sticky)
        });
        canaries
            .flat_map(|canary| canary.touched_hosts())
            .filter_map(|host| self.in_table(&host))
            .find_map(|host| {
                let primaries = primaries_beside(&host, id);
                primaries.iter().find_map(|primary| {
                    let used = self.compiled.index.upstreams.get(primary)?;
                    upstream::affinity(&self.compiled.parsed(used.users.names()))
                })
            })
    }

    fn default_certificate(&mut self, fallback: &Arc<Certificate>) {
        let Some(name) = &self.options.default_certificate else {
            self.table.default_certificate = fallback.clone();
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
        self.table.default_certificate = certificate.unwrap_or_else(|| fallback.clone());
    }

    fn finish(mut self) -> Compiled {
        self.table.generation += 1;
        self.compiled.table = Arc::new(self.table);
        self.compiled
    }
}

// === the index ===

impl Step<'_> {
    fn put_in(&mut self, member: Arc<Member>) {
        let ingress = &member.ingress;
        let index = &mut self.compiled.index;
        for host in ingress.touched_hosts() {
            index
                .hosts
                .entry(host)
                .or_default()
                .insert(ingress.age.clone());
        }
        for backend in ingress.backends() {
            let id = backend.upstream.clone();
            let service = Name {
                namespace: ingress.name.namespace.clone(),
                name: backend.service,
            };
            index
                .of_service
                .entry(service.clone())
                .or_default()
                .insert(id.clone());
            let new = || UpstreamUse {
                service,
                port: backend.port,
                users: ByAge::default(),
            };
            index
                .upstreams
                .entry(id)
                .or_insert_with(new)
                .users
                .insert(ingress.age.clone());
        }
        let secrets = ingress.tls.iter().filter_map(|entry| entry.secret.clone());
        let secrets = secrets.map(|name| ObjectRef {
            kind: Kind::Secret,
            name,
        });
        let uses = index.uses.entry(ingress.name.clone()).or_default();
        uses.extend(secrets);
        for object in uses.iter() {
            index
                .users
                .entry(object.clone())
                .or_default()
                .insert(ingress.name.clone());
        }
        self.touch(ingress);
        self.compiled.members.insert(ingress.name.clone(), member);
    }

    fn take_out(&mut self, member: &Member) {
        let ingress = &member.ingress;
        self.touch(ingress);
        let index = &mut self.compiled.index;
        for host in ingress.touched_hosts() {
            if let Some(members) = index.hosts.get_mut(&host) {
                members.remove(&ingress.age);
                if members.is_empty() {
                    index.hosts.remove(&host);
                }
            }
        }
        for backend in ingress.backends() {
            let id = backend.upstream.clone();
            let Some(used) = index.upstreams.get_mut(&id) else {
                continue;
            };
            used.users.remove(&ingress.age);
            let is_default = self.options.default_backend.as_ref() == Some(&used.service)
                && &*used.port == FIRST_PORT;
            if used.users.is_empty() && !is_default {
                if let Some(ids) = index.of_service.get_mut(&used.service) {
                    ids.remove(&id);
                    if ids.is_empty() {
                        let service = used.service.clone();
                        index.of_service.remove(&service);
                    }
                }
                index.upstreams.remove(&id);
            }
        }
        for object in index.uses.remove(&ingress.name).into_iter().flatten() {
            if let Some(users) = index.users.get_mut(&object) {
                users.remove(&ingress.name);
                if users.is_empty() {
                    index.users.remove(&object);
                    if object.kind == Kind::Secret {
                        self.released.push(object.name);
                    }
                }
            }
        }
    }

    /// The hosts and upstreams of an Ingress, and the upstreams of canaries that may take its affinity: those of its hosts
    /// and, as affinity belongs to upstreams, of the hosts that share one with it.
    fn touch(&mut self, ingress: &ParsedIngress) {
        let own: Vec<UpstreamId> = ingress
            .backends()
            .map(|backend| backend.upstream.clone())
            .collect();
        let mut hosts: BTreeSet<Arc<str>> = ingress.touched_hosts().collect();
        self.dirty.hosts.extend(hosts.iter().cloned());
        if ingress.annotations.affinity.is_some() {
            let index = &self.compiled.index;
            let used = own.iter().filter_map(|id| index.upstreams.get(id));
            let sharing = used.flat_map(|used| self.compiled.parsed(used.users.names()));
            hosts.extend(sharing.flat_map(ParsedIngress::touched_hosts));
        }
        let members = hosts
            .iter()
            .flat_map(|host| self.compiled.members_of(host))
            .map(|member| &*member.ingress);
        let canaries = members.filter(|ingress| ingress.is_canary());
        self.dirty.upstreams.extend(
            canaries.flat_map(|canary| canary.backends().map(|backend| backend.upstream.clone())),
        );
        self.dirty.upstreams.extend(own);
    }
}

/// The upstreams of a host's routes whose canary is `id`.
fn primaries_beside(host: &Host, id: &UpstreamId) -> Vec<UpstreamId> {
    let HostBehaviour::Routes { paths, .. } = &host.behaviour else {
        return Vec::new();
    };
    let splits = paths
        .routes()
        .into_iter()
        .filter_map(|route| match &route.target {
            Target::Forward(split) => Some(split),
            Target::DefaultBackend(_) | Target::Closed(_) => None,
        });
    let beside = splits.filter(|split| {
        let canary = split.canary.as_ref();
        canary.is_some_and(|canary| canary.upstream == *id)
    });
    beside.map(|split| split.primary.clone()).collect()
}
