//! Who is involved in what: from a changed object to what has to be compiled again.

use std::hash::BuildHasher as _;

use smallvec::SmallVec;

use super::*;
use crate::ingress::parsed::Backend;

/// Who is involved in what.
#[derive(Default)]
pub(super) struct Index {
    /// Ingresses that name a host, oldest first.
    pub(super) hosts: HashMap<Arc<str>, ByAge, RandomState>,
    /// Ingresses that have a path of a host. Thousands may share a host, and a review is about those in its way alone.
    pub(super) paths: Paths,
    /// Ingresses that name a Service port, oldest first.
    pub(super) ports: HashMap<ServicePortId, ByAge, RandomState>,
    /// Ingresses whose policy or certificates come from a Secret or ConfigMap.
    pub(super) users: HashMap<ObjectRef, Sorted<Name>, RandomState>,
    /// What an Ingress uses, to take it out again.
    pub(super) uses: HashMap<Name, Vec<ObjectRef>, RandomState>,
    /// Hosts that ask for a name as their alias, by that name.
    pub(super) wishes: HashMap<Arc<str>, BTreeSet<Arc<str>>, RandomState>,
    /// What a host asked for.
    pub(super) wished: HashMap<Arc<str>, Vec<Arc<str>>, RandomState>,
    /// Regex aliases by host, in the order of hosts.
    pub(super) regex_names: BTreeMap<Arc<str>, Vec<Pattern>>,
}

/// Names of Ingresses by host and path. Kept by the hash of both, since nearly every path is there once and its text is in
/// its Ingress: whoever asks looks whether it is really the path.
#[derive(Default)]
pub(super) struct Paths {
    hasher: RandomState,
    names: HashMap<u64, SmallVec<[Name; 1]>, RandomState>,
}

impl Paths {
    /// Ingresses that may have this path of this host, in no order.
    pub(super) fn of(&self, host: &str, path: &str) -> &[Name] {
        let names = self.names.get(&self.hash(host, path));
        names.map_or(&[], |names| names)
    }

    fn put_in(&mut self, ingress: &ParsedIngress) {
        for (host, path) in pairs(ingress) {
            let names = self.names.entry(self.hash(host, path)).or_default();
            if !names.contains(&ingress.name) {
                names.push(ingress.name.clone());
            }
        }
    }

    fn take_out(&mut self, ingress: &ParsedIngress) {
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

impl Step<'_> {
    pub(super) fn put_in(&mut self, member: Arc<Member>) {
        let ingress = &member.ingress;
        let index = &mut self.compiled.index;
        for host in ingress.touched_hosts() {
            index
                .hosts
                .entry(host)
                .or_default()
                .insert(ingress.age.clone());
        }
        index.paths.put_in(ingress);
        for backend in ingress.backends() {
            let key = backend.id.upstream(&member.transport);
            self.compiled.upstreams.acquire(&key, || UpstreamDraft {
                port: backend.service_port(&ingress.name.namespace),
                transport: member.transport.clone(),
            });
            let users = index.ports.entry(backend.id).or_default();
            users.insert(ingress.age.clone());
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

    pub(super) fn take_out(&mut self, member: &Member) {
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
        index.paths.take_out(ingress);
        for backend in ingress.backends() {
            let key = backend.id.upstream(&member.transport);
            self.compiled.upstreams.release(&key);
            if let Some(users) = index.ports.get_mut(&backend.id) {
                users.remove(&ingress.age);
                if users.is_empty() {
                    index.ports.remove(&backend.id);
                }
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
    pub(super) fn touch(&mut self, ingress: &ParsedIngress) {
        let own: Vec<Backend> = ingress.backends().collect();
        let mut hosts: BTreeSet<Arc<str>> = ingress.touched_hosts().collect();
        self.dirty.hosts.extend(hosts.iter().cloned());
        if ingress.annotations.affinity.is_some() {
            let index = &self.compiled.index;
            let users = own
                .iter()
                .filter_map(|backend| index.ports.get(&backend.id));
            let sharing = users.flat_map(|users| self.compiled.parsed(age::names(users)));
            hosts.extend(sharing.flat_map(ParsedIngress::touched_hosts));
        }
        let members = hosts
            .iter()
            .flat_map(|host| self.compiled.members_of(host))
            .map(|member| &*member.ingress);
        let canaries = members.filter(|ingress| ingress.is_canary());
        let mut services: BTreeSet<Name> = canaries.flat_map(ParsedIngress::services).collect();
        services.extend(ingress.services());
        for service in &services {
            self.compiled.upstreams.touch(service);
        }
    }
}
