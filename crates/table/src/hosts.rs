//! A universe of host names: selects the host that serves a request.
//!
//! Each source of objects has universes of its own, and a listener uses one of them, so that two sources can both serve every
//! host.

use std::sync::Arc;

use crate::by_name::parents;
use crate::host::CATCH_ALL;
use crate::{Certificate, Host, HostBehaviour, HostTls, RegexName, SharedMap, Slot};

/// The hosts of one universe by name. A copy shares everything that does not change.
#[derive(Clone)]
pub struct VirtualHosts {
    /// Hosts by exact name.
    exact: SharedMap<Arc<Host>>,
    /// Hosts by exact alias.
    aliases: SharedMap<Arc<Host>>,
    /// Hosts with an alias `*.x` of any depth, by `x`.
    suffix_aliases: SharedMap<Arc<Host>>,
    /// Hosts `*.x`, by `x`.
    wildcards: SharedMap<Arc<Host>>,
    /// Hosts with a regex alias, in the order of the hosts' names.
    regex_names: Arc<[RegexName]>,
    /// The host for all unknown names.
    catch_all: Arc<Host>,
    /// See [`VirtualHosts::layered`].
    layered: bool,
    /// See [`VirtualHosts::over`].
    beneath: Option<Arc<Self>>,
    /// A copy is a later version of the same universe.
    slot: Slot,
}

impl VirtualHosts {
    /// A universe in which `catch_all` serves every name.
    pub fn new(catch_all: Arc<Host>) -> Self {
        Self {
            exact: SharedMap::new(),
            aliases: SharedMap::new(),
            suffix_aliases: SharedMap::new(),
            wildcards: SharedMap::new(),
            regex_names: Arc::default(),
            catch_all,
            layered: false,
            beneath: None,
            slot: Slot::default(),
        }
    }

    /// A universe in which wildcards cover any number of labels, and a request that no route of its host serves goes to the
    /// next wider host (gateway-api.md 2.5 and 3.3). Such a universe has no built-in paths.
    pub fn layered(catch_all: Arc<Host>) -> Self {
        Self {
            layered: true,
            ..Self::new(catch_all)
        }
    }

    /// This layered universe over the hosts of `beneath`, which serve the requests that no route of this one serves: one socket
    /// for two sources of objects. Handshakes have the rules of the hosts beneath.
    pub fn over(self, beneath: Arc<Self>) -> Self {
        Self {
            beneath: Some(beneath),
            ..self
        }
    }

    /// The universe that this one is [over](VirtualHosts::over).
    pub fn beneath(&self) -> Option<&Arc<Self>> {
        self.beneath.as_ref()
    }

    /// Whether this is a [layered](VirtualHosts::layered) universe.
    pub fn is_layered(&self) -> bool {
        self.layered
    }

    /// In a layered universe: the host for the requests for `name` that no route of `host` serves. `None`: there is no wider
    /// one.
    pub fn wider(&self, host: &Host, name: &str) -> Option<&Arc<Host>> {
        if !self.layered || *host.name == *CATCH_ALL {
            return None;
        }
        let above = host.name.strip_prefix("*.").unwrap_or(name);
        let mut wildcards = parents(above).filter_map(|parent| self.wildcards.get(parent));
        Some(wildcards.next().unwrap_or(&self.catch_all))
    }

    /// Run-time state of the universe, shared with its copies but not with other universes: its TLS sessions.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// The host that serves `name` (canonical: lower-case, without port and final dot). Exact name or alias, suffix alias,
    /// one-label wildcard or regex alias in the order of host names, catch-all (behaviour.md 2.2).
    pub fn find(&self, name: &str) -> &Arc<Host> {
        self.find_known(name).unwrap_or(&self.catch_all)
    }

    /// As [`VirtualHosts::find`], but `None` for names that only the catch-all serves.
    pub fn find_known(&self, name: &str) -> Option<&Arc<Host>> {
        if name == CATCH_ALL {
            return None;
        }
        self.exact
            .get(name)
            .or_else(|| self.aliases.get(name))
            .or_else(|| self.suffix_host(name))
            .or_else(|| self.pattern_host(name))
    }

    /// The host whose rules for clients apply to a handshake with server name `name` (canonical), and whether the name is known:
    /// of unknown names and handshakes without a name, those of the catch-all.
    pub fn of_handshake(&self, name: Option<&str>) -> (&Arc<Host>, bool) {
        let hosts = self.beneath.as_deref().unwrap_or(self);
        match name.and_then(|name| hosts.find_known(name)) {
            Some(host) => (host, true),
            None => (&hosts.catch_all, false),
        }
    }

    /// Whether a route of this universe, not of the one beneath, may serve requests for `name`; `None` is no name.
    pub(crate) fn has_routes_for(&self, name: Option<&str>) -> bool {
        let HostBehaviour::Routes { paths, .. } = &self.catch_all.behaviour else {
            return true;
        };
        let of_all = || paths.routes().any(|route| !route.is_built_in());
        name.is_some_and(|name| self.find_known(name).is_some()) || of_all()
    }

    /// Whether `ssl-redirect` applies to requests for `name`: its host has a certificate entry (which names it, if it is an
    /// alias), or the wildcard host above it has one (behaviour.md 4.6). `default` returns the certificate of hosts without their
    /// own.
    pub fn has_tls<'t>(
        &'t self,
        name: &str,
        default: impl Fn() -> Option<&'t Arc<Certificate>>,
    ) -> bool {
        self.entry(name, default).is_some()
    }

    /// The certificate entry of `name`: of the host or alias of exactly this name, else of the wildcard above it.
    fn entry<'t>(
        &'t self,
        name: &str,
        default: impl Fn() -> Option<&'t Arc<Certificate>>,
    ) -> Option<Entry<'t>> {
        let named = |host: &'t Arc<Host>, alias: &str| {
            Entry::of(host).filter(|entry| {
                let certificate = match entry {
                    Entry::Own(own) => Some(*own),
                    Entry::Default => default(),
                };
                certificate.is_some_and(|certificate| certificate.covers(alias))
            })
        };
        let exact = self.exact.get(name).and_then(Entry::of);
        let alias = || named(self.aliases.get(name)?, name);
        let wildcard = || self.wildcard(name).and_then(Entry::of);
        let suffix = || {
            let (_, parent) = name.split_once('.')?;
            named(self.suffix_aliases.get(parent)?, &format!("*.{parent}"))
        };
        exact.or_else(alias).or_else(wildcard).or_else(suffix)
    }

    /// The certificate for the known name `name`: that of its entry, or of its host if it covers the name; else the
    /// catch-all's, or `default`. `None` for a name that only the catch-all serves.
    pub(crate) fn certificate<'t>(
        &'t self,
        name: &str,
        default: &'t Arc<Certificate>,
    ) -> Option<&'t Arc<Certificate>> {
        self.find_known(name)?;
        let own = self.own_certificate(name, default);
        Some(own.unwrap_or_else(|| self.catch_all_certificate(default)))
    }

    /// The certificate for `name`, if TLS is configured for its host.
    pub(crate) fn own_certificate<'t>(
        &'t self,
        name: &str,
        default: &'t Arc<Certificate>,
    ) -> Option<&'t Arc<Certificate>> {
        let host = self.find_known(name)?;
        match (self.entry(name, || Some(default)), &host.tls) {
            (Some(Entry::Own(own)), _) => Some(own),
            (None, HostTls::Own(own)) if own.covers(name) => Some(own),
            (None, HostTls::None) => None,
            (Some(Entry::Default), _) | (None, HostTls::Own(_) | HostTls::Default) => Some(default),
        }
    }

    /// The certificate for names that only the catch-all serves.
    pub(crate) fn catch_all_certificate<'t>(
        &'t self,
        default: &'t Arc<Certificate>,
    ) -> &'t Arc<Certificate> {
        match &self.catch_all.tls {
            HostTls::Own(own) => own,
            HostTls::None | HostTls::Default => default,
        }
    }

    fn suffix_host(&self, name: &str) -> Option<&Arc<Host>> {
        if self.suffix_aliases.is_empty() {
            return None;
        }
        parents(name).find_map(|parent| self.suffix_aliases.get(parent))
    }

    /// The host `*.x` for a name of exactly one label before `x`; in a layered universe of any number.
    fn wildcard(&self, name: &str) -> Option<&Arc<Host>> {
        if self.layered {
            return parents(name).find_map(|parent| self.wildcards.get(parent));
        }
        let (label, parent) = name.split_once('.')?;
        let plain = !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if plain {
            self.wildcards.get(parent)
        } else {
            None
        }
    }

    fn pattern_host(&self, name: &str) -> Option<&Arc<Host>> {
        let wildcard = self.wildcard(name);
        let alias = self
            .regex_names
            .iter()
            .find(|alias| alias.pattern.is_match(name.as_bytes()));
        match (wildcard, alias) {
            (Some(wildcard), Some(alias)) if alias.host.name < wildcard.name => Some(&alias.host),
            (None, Some(alias)) => Some(&alias.host),
            (wildcard, _) => wildcard,
        }
    }
}

/// A host's certificate, as far as it has an entry for one.
enum Entry<'t> {
    Own(&'t Arc<Certificate>),
    Default,
}

impl<'t> Entry<'t> {
    fn of(host: &'t Arc<Host>) -> Option<Self> {
        match &host.tls {
            HostTls::None => None,
            HostTls::Default => Some(Self::Default),
            HostTls::Own(own) => Some(Self::Own(own)),
        }
    }
}

// === hosts by their configured names ===

impl VirtualHosts {
    /// The host that is configured under `name`: `shop.example`, `*.shop.example` or `_`.
    pub fn get(&self, name: &str) -> Option<&Arc<Host>> {
        if name == CATCH_ALL {
            return Some(&self.catch_all);
        }
        match name.strip_prefix("*.") {
            Some(parent) => self.wildcards.get(parent),
            None => self.exact.get(name),
        }
    }

    /// The host for all unknown names.
    pub fn catch_all(&self) -> &Arc<Host> {
        &self.catch_all
    }

    /// All hosts, each once, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Host>> {
        let exact = self.exact.iter().map(|(_, host)| host);
        let wildcards = self.wildcards.iter().map(|(_, host)| host);
        exact.chain(wildcards).chain([&self.catch_all])
    }

    /// Every host name and alias (a regex alias with `~` before it) with its host, in no order.
    pub fn names(&self) -> impl Iterator<Item = (String, &Arc<Host>)> {
        let own = self.iter().map(|host| (host.name.to_string(), host));
        let aliases = self.aliases.iter();
        let suffixes = self.suffix_aliases.iter();
        let patterns = self.regex_names.iter();
        own.chain(aliases.map(|(name, host)| (name.to_string(), host)))
            .chain(suffixes.map(|(parent, host)| (format!("*.{parent}"), host)))
            .chain(patterns.map(|name| (format!("~{}", name.pattern.source()), &name.host)))
    }

    /// Inserts `host` under its name, or replaces the host of that name. Its aliases are set with [`VirtualHosts::set_alias`].
    pub fn insert(&mut self, host: Arc<Host>) {
        let name = host.name.clone();
        match name.strip_prefix("*.") {
            _ if &*name == CATCH_ALL => self.catch_all = host,
            Some(parent) => drop(self.wildcards.insert(parent.into(), host)),
            None => drop(self.exact.insert(name, host)),
        }
    }

    /// Removes the host `name`. The catch-all cannot be removed.
    pub fn remove(&mut self, name: &str) {
        match name.strip_prefix("*.") {
            Some(parent) => drop(self.wildcards.remove(parent)),
            None => drop(self.exact.remove(name)),
        }
    }

    /// Makes `host` also serve `alias` (an exact name, or `*.x` for any depth below `x`); `None` removes the alias.
    pub fn set_alias(&mut self, alias: &str, host: Option<Arc<Host>>) {
        let (map, key) = match alias.strip_prefix("*.") {
            Some(parent) => (&mut self.suffix_aliases, parent),
            None => (&mut self.aliases, alias),
        };
        match host {
            Some(host) => drop(map.insert(key.into(), host)),
            None => drop(map.remove(key)),
        }
    }

    /// Replaces the aliases that are regular expressions; they are in the order of their hosts' names.
    pub fn set_regex_names(&mut self, names: Arc<[RegexName]>) {
        self.regex_names = names;
    }
}
