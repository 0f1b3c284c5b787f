//! Which Ingresses name what: from a changed object to what has to be compiled again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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

/// Which Ingresses name which hosts, paths, Service ports, Secrets and ConfigMaps, and which hosts claim which aliases.
#[derive(Default)]
pub(super) struct Index {
    /// Ingresses that name a host, oldest first.
    hosts: HashMap<Arc<str>, ByAge, RandomState>,
    /// Ingresses that have a path of a host. Thousands may share a host, and a review is about those in its way alone.
    paths: Paths,
    /// Ingresses that name a Service port, oldest first.
    ports: HashMap<ServicePortId, ByAge, RandomState>,
    /// Ingresses whose policy or certificates come from a Secret or ConfigMap.
    users: HashMap<ObjectRef, Sorted<Name>, RandomState>,
    /// What an Ingress uses, to take it out again.
    uses: HashMap<Name, Vec<ObjectRef>, RandomState>,
    /// Hosts that claim a name as their alias, by that name.
    claimants: HashMap<Arc<str>, BTreeSet<Arc<str>>, RandomState>,
    /// What a host claims.
    claims: HashMap<Arc<str>, Vec<Arc<str>>, RandomState>,
    /// Regex aliases by host, in the order of hosts.
    regex_names: BTreeMap<Arc<str>, Vec<Pattern>>,
}

impl Index {
    /// Takes in an Ingress whose policy comes from `uses`, beside the Secrets that it names.
    pub(super) fn insert(&mut self, attached: &AttachedIngress, mut uses: Vec<ObjectRef>) {
        let ingress = &attached.ingress;
        for host in ingress.touched_hosts() {
            let attached = self.hosts.entry(host).or_default();
            attached.insert(ingress.age.clone());
        }
        self.paths.insert(ingress);
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
        self.uses.insert(ingress.name.clone(), uses);
    }

    /// Takes an Ingress out. Gives the objects that none uses any more.
    pub(super) fn remove(&mut self, attached: &AttachedIngress) -> Vec<ObjectRef> {
        let ingress = &attached.ingress;
        for host in ingress.touched_hosts() {
            remove_from(&mut self.hosts, &host, &ingress.age);
        }
        self.paths.remove(ingress);
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

    /// The Ingresses that a change of a Secret or ConfigMap affects.
    pub(super) fn affected_by(&self, object: &ObjectRef) -> impl Iterator<Item = &Name> {
        self.users.get(object).into_iter().flatten()
    }

    /// Whether some Ingress uses a Secret or ConfigMap.
    pub(super) fn is_used(&self, object: &ObjectRef) -> bool {
        self.users.contains_key(object)
    }

    /// Whether some Ingress names a host.
    pub(super) fn has_host(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    /// The Ingresses that name a host, oldest first.
    pub(super) fn of_host(&self, host: &str) -> impl Iterator<Item = &Name> {
        self.hosts.get(host).into_iter().flat_map(age::names)
    }

    /// The Ingresses that name a Service port, oldest first.
    pub(super) fn of_port(&self, port: &ServicePortId) -> impl Iterator<Item = &Name> {
        self.ports.get(port).into_iter().flat_map(age::names)
    }

    /// Ingresses that may have this path of this host, in no order.
    pub(super) fn of_path(&self, host: &str, path: &str) -> &[Name] {
        self.paths.of(host, path)
    }

    /// `host` claims these aliases and no others.
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

    /// The hosts that claim a name as their alias, in order.
    pub(super) fn claimants(&self, alias: &str) -> impl Iterator<Item = &Arc<str>> {
        self.claimants.get(alias).into_iter().flatten()
    }

    /// `host` has these regex aliases and no others.
    pub(super) fn set_regex_names(&mut self, host: &Arc<str>, patterns: Vec<Pattern>) {
        if patterns.is_empty() {
            self.regex_names.remove(host);
        } else {
            self.regex_names.insert(host.clone(), patterns);
        }
    }

    /// All regex aliases with their hosts, in the order of these.
    pub(super) fn regex_names(&self) -> impl Iterator<Item = (&Arc<str>, &Pattern)> {
        let names = self.regex_names.iter();
        names.flat_map(|(host, patterns)| patterns.iter().map(move |pattern| (host, pattern)))
    }
}

/// Removes one value of a key, and the key with its last value: whether it went.
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

/// Names of Ingresses by host and path. Kept by the hash of both, since nearly every path is there once and its text is in
/// its Ingress: callers compare the path.
#[derive(Default)]
struct Paths {
    hasher: RandomState,
    names: HashMap<u64, SmallVec<[Name; 1]>, RandomState>,
}

impl Paths {
    fn of(&self, host: &str, path: &str) -> &[Name] {
        let names = self.names.get(&self.hash(host, path));
        names.map_or(&[], |names| names)
    }

    fn insert(&mut self, ingress: &ParsedIngress) {
        for (host, path) in pairs(ingress) {
            let names = self.names.entry(self.hash(host, path)).or_default();
            if !names.contains(&ingress.name) {
                names.push(ingress.name.clone());
            }
        }
    }

    fn remove(&mut self, ingress: &ParsedIngress) {
        for (host, path) in pairs(ingress) {
            let hash = self.hash(host, path);
            if let Some(names) = self.names.get_mut(&hash) {
                names.retain(|name| *name != ingress.name);
                if names.is_empty() {
                    self.names.remove(&hash);
                }
            }
        }
    }

    fn hash(&self, host: &str, path: &str) -> u64 {
        self.hasher.hash_one((host, path))
    }
}

fn pairs(ingress: &ParsedIngress) -> impl Iterator<Item = (&str, &str)> {
    let hosts = ingress.hosts.iter();
    hosts.flat_map(|rules| rules.paths.iter().map(|rule| (&*rules.host, &*rule.path)))
}
