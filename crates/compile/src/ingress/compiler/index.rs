//! References from Ingresses to objects, to find what a change affects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::Pattern;
use smallvec::SmallVec;

use crate::build::service_port::ServicePortId;
use crate::build::sorted::Sorted;
use crate::ingress::age::{self, ByAge};
use crate::ingress::host::AttachedIngress;
use crate::ingress::parsed::ParsedIngress;
use crate::{Kind, Name, ObjectRef};

/// Ingresses of a host that a review looks through. Only with more are they indexed by path.
const FEW: usize = 16;

/// Ingresses by their hosts, paths, Service ports, Secrets and ConfigMaps, and hosts by their claimed aliases.
#[derive(Default)]
pub(super) struct Index {
    /// Ingresses by host, oldest first.
    hosts: HashMap<Arc<str>, ByAge, RandomState>,
    /// Ingresses by host and path, where many share a host: thousands may, and a review needs only those with the same path.
    paths: Paths,
    /// Ingresses by Service port, oldest first.
    ports: HashMap<ServicePortId, ByAge, RandomState>,
    /// Ingresses whose policy or certificates use a Secret or ConfigMap.
    users: HashMap<ObjectRef, Sorted<Name>, RandomState>,
    /// The objects that an Ingress uses, for its removal.
    uses: HashMap<Name, Vec<ObjectRef>, RandomState>,
    /// Hosts that claim an alias, by that alias.
    claimants: HashMap<Arc<str>, BTreeSet<Arc<str>>, RandomState>,
    /// The aliases that a host claims.
    claims: HashMap<Arc<str>, Vec<Arc<str>>, RandomState>,
    /// Regex aliases by host, in the order of hosts.
    regex_names: BTreeMap<Arc<str>, Vec<Pattern>>,
}

impl Index {
    /// Adds an Ingress whose policy uses `uses`, besides the Secrets of its `tls` entries. Returns the hosts that many share from
    /// now on: the caller must [index](Self::index_paths) the paths of all their Ingresses.
    pub(super) fn insert(
        &mut self,
        attached: &AttachedIngress,
        mut uses: Vec<ObjectRef>,
    ) -> Vec<Arc<str>> {
        let ingress = &attached.ingress;
        let mut crowded = Vec::new();
        for host in ingress.touched_hosts() {
            let attached = self.hosts.entry(host.clone()).or_default();
            attached.insert(ingress.age.clone());
            if attached.len() > FEW && self.paths.crowded.insert(host.clone()) {
                crowded.push(host);
            }
        }
        self.index_paths(ingress);
        for backend in ingress.backends() {
            let users = self.ports.entry(backend.id).or_default();
            users.insert(ingress.age.clone());
        }
        let secrets = ingress.tls.iter().filter_map(|entry| entry.secret.clone());
        uses.extend(secrets.map(|name| ObjectRef {
            kind: Kind::Secret,
            name,
        }));
        for object in &uses {
            let users = self.users.entry(object.clone()).or_default();
            users.insert(ingress.name.clone());
        }
        uses.shrink_to_fit();
        self.uses.insert(ingress.name.clone(), uses);
        crowded
    }

    /// Indexes the paths of an Ingress, as far as many share their hosts.
    pub(super) fn index_paths(&mut self, ingress: &ParsedIngress) {
        self.paths.insert(ingress);
    }

    /// Removes an Ingress. Returns the objects that no Ingress uses any more.
    pub(super) fn remove(&mut self, attached: &AttachedIngress) -> Vec<ObjectRef> {
        let ingress = &attached.ingress;
        self.paths.remove(ingress);
        for host in ingress.touched_hosts() {
            if remove_from(&mut self.hosts, &host, &ingress.age) {
                self.paths.crowded.remove(&host);
            }
        }
        for backend in ingress.backends() {
            remove_from(&mut self.ports, &backend.id, &ingress.age);
        }
        let uses = self.uses.remove(&ingress.name).unwrap_or_default();
        let mut unused = Vec::new();
        for object in uses {
            if remove_from(&mut self.users, &object, &ingress.name) {
                unused.push(object);
            }
        }
        unused
    }

    /// The Ingresses that use a Secret or ConfigMap.
    pub(super) fn affected_by(&self, object: &ObjectRef) -> impl Iterator<Item = &Name> {
        self.users.get(object).into_iter().flatten()
    }

    /// Whether some Ingress uses a Secret or ConfigMap.
    pub(super) fn is_used(&self, object: &ObjectRef) -> bool {
        self.users.contains_key(object)
    }

    /// Whether an Ingress has this host.
    pub(super) fn has_host(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    /// All hosts with each of their Ingresses, in no order.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&Arc<str>, &Name)> {
        let hosts = self.hosts.iter();
        hosts.flat_map(|(host, ages)| age::names(ages).map(move |name| (host, name)))
    }

    /// The Ingresses of a host, oldest first.
    pub(super) fn of_host(&self, host: &str) -> impl Iterator<Item = &Name> {
        self.hosts.get(host).into_iter().flat_map(age::names)
    }

    /// The Ingresses that use a Service port, oldest first.
    pub(super) fn of_port(&self, port: &ServicePortId) -> impl Iterator<Item = &Name> {
        self.ports.get(port).into_iter().flat_map(age::names)
    }

    /// Ingresses that may have one of these paths of this host, in no order; one may occur several times.
    pub(super) fn of_paths<'p>(
        &self,
        host: &str,
        paths: impl Iterator<Item = &'p str>,
    ) -> impl Iterator<Item = &Name> {
        let few = !self.paths.crowded.contains(host);
        let all = few.then(|| self.of_host(host)).into_iter().flatten();
        all.chain(paths.flat_map(move |path| self.paths.of(host, path)))
    }

    /// Replaces the aliases that `host` claims.
    pub(super) fn set_claims(&mut self, host: &Arc<str>, claims: Vec<Arc<str>>) {
        for alias in self.claims.remove(host).into_iter().flatten() {
            if let Some(hosts) = self.claimants.get_mut(&alias) {
                hosts.remove(host);
                if hosts.is_empty() {
                    self.claimants.remove(&alias);
                }
            }
        }
        for alias in &claims {
            let hosts = self.claimants.entry(alias.clone()).or_default();
            hosts.insert(host.clone());
        }
        if !claims.is_empty() {
            self.claims.insert(host.clone(), claims);
        }
    }

    /// The hosts that claim an alias, in order.
    pub(super) fn claimants(&self, alias: &str) -> impl Iterator<Item = &Arc<str>> {
        self.claimants.get(alias).into_iter().flatten()
    }

    /// Replaces the regex aliases of `host`.
    pub(super) fn set_regex_names(&mut self, host: &Arc<str>, patterns: Vec<Pattern>) {
        if patterns.is_empty() {
            self.regex_names.remove(host);
        } else {
            self.regex_names.insert(host.clone(), patterns);
        }
    }

    /// All regex aliases with their hosts, in the order of hosts.
    pub(super) fn regex_names(&self) -> impl Iterator<Item = (&Arc<str>, &Pattern)> {
        let names = self.regex_names.iter();
        names.flat_map(|(host, patterns)| patterns.iter().map(move |pattern| (host, pattern)))
    }
}

/// Removes one value of a key, and the key with its last value; returns whether the key was removed.
fn remove_from<K: std::hash::Hash + Eq, V: Ord>(
    map: &mut HashMap<K, Sorted<V>, RandomState>,
    key: &K,
    value: &V,
) -> bool {
    let Some(values) = map.get_mut(key) else {
        return false;
    };
    values.remove(value);
    let is_last = values.is_empty();
    if is_last {
        map.remove(key);
    }
    is_last
}

/// Names of Ingresses by host and path. The key is a hash of both to save memory, as nearly every path occurs once; so callers
/// must compare the path of the Ingress.
#[derive(Default)]
struct Paths {
    /// The hosts whose paths are in it: those that more than [`FEW`] Ingresses have shared, until the last one is gone.
    crowded: HashSet<Arc<str>, RandomState>,
    hasher: RandomState,
    names: HashMap<u64, SmallVec<[Name; 1]>, RandomState>,
}

impl Paths {
    fn of(&self, host: &str, path: &str) -> &[Name] {
        let names = self.names.get(&self.hasher.hash_one((host, path)));
        names.map_or(&[], |names| names)
    }

    fn insert(&mut self, ingress: &ParsedIngress) {
        for (host, path) in pairs(ingress, &self.crowded) {
            let names = self
                .names
                .entry(self.hasher.hash_one((host, path)))
                .or_default();
            if !names.contains(&ingress.name) {
                names.push(ingress.name.clone());
            }
        }
    }

    fn remove(&mut self, ingress: &ParsedIngress) {
        for (host, path) in pairs(ingress, &self.crowded) {
            let hash = self.hasher.hash_one((host, path));
            if let Some(names) = self.names.get_mut(&hash) {
                names.retain(|name| *name != ingress.name);
                if names.is_empty() {
                    self.names.remove(&hash);
                }
            }
        }
    }
}

/// The paths of an Ingress with their hosts, of these hosts.
fn pairs<'i>(
    ingress: &'i ParsedIngress,
    hosts: &HashSet<Arc<str>, RandomState>,
) -> impl Iterator<Item = (&'i str, &'i str)> {
    let rules = ingress.hosts.iter();
    let rules = rules.filter(|rules| hosts.contains(&rules.host));
    rules.flat_map(|rules| rules.paths.iter().map(|rule| (&*rules.host, &*rule.path)))
}
