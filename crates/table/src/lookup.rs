//! The table itself: hosts by name, upstreams by identity, certificates by server name.

use std::sync::Arc;

use crate::host::CATCH_ALL;
use crate::{Certificate, Host, HostTls, RegexName, Settings, SharedMap, Upstream, UpstreamId};

/// Everything that the data plane serves from. Immutable once published.
#[derive(Clone)]
pub struct RoutingTable {
    /// Counts publications; shown by the admin port.
    pub generation: u64,
    /// Settings of the whole data plane.
    pub settings: Arc<Settings>,
    /// Hosts by exact name.
    pub hosts: SharedMap<Arc<Host>>,
    /// Hosts by exact alias.
    pub aliases: SharedMap<Arc<Host>>,
    /// Hosts with an alias `*.x` of any depth, by `x`.
    pub suffix_aliases: SharedMap<Arc<Host>>,
    /// Hosts `*.x`, by `x`.
    pub wildcards: SharedMap<Arc<Host>>,
    /// Hosts with a regex alias, in the order of the hosts' names.
    pub regex_names: Arc<[RegexName]>,
    /// The host for all unknown names.
    pub catch_all: Arc<Host>,
    /// Upstreams by [`UpstreamId::as_str`].
    pub upstreams: SharedMap<Arc<Upstream>>,
    /// Serves where no other certificate does.
    pub default_certificate: Arc<Certificate>,
}

impl RoutingTable {
    /// The host that serves `name` (canonical: lower-case, without port and final dot). Exact name or alias, suffix alias,
    /// one-label wildcard or regex alias in the order of host names, catch-all (ingress-nginx reference 2.2).
    pub fn host(&self, name: &str) -> &Arc<Host> {
        self.known_host(name).unwrap_or(&self.catch_all)
    }

    /// As [`RoutingTable::host`], but `None` for names that only the catch-all takes.
    pub fn known_host(&self, name: &str) -> Option<&Arc<Host>> {
        if name == CATCH_ALL {
            return None;
        }
        self.hosts
            .get(name)
            .or_else(|| self.aliases.get(name))
            .or_else(|| self.suffix_host(name))
            .or_else(|| self.pattern_host(name))
    }

    /// The upstream of that identity.
    pub fn upstream(&self, id: &UpstreamId) -> Option<&Arc<Upstream>> {
        self.upstreams.get(id.as_str())
    }

    /// Whether requests for `name`, served by `host`, may be redirected to https by `ssl-redirect`: the host has a
    /// certificate entry, or a wildcard host above it has (ingress-nginx reference 4.6).
    pub fn has_tls(&self, host: &Host, name: &str) -> bool {
        match host.tls {
            HostTls::None if &*host.name != CATCH_ALL => self
                .wildcard(name)
                .is_some_and(|wildcard| wildcard.tls != HostTls::None),
            HostTls::None => false,
            HostTls::Default | HostTls::Own(_) => &*host.name != CATCH_ALL,
        }
    }

    /// The certificate for a handshake with server name `name` (lower-case, no final dot): the host's own, a
    /// wildcard host's, the catch-all's, the default. `None` when unknown names are to be refused.
    pub fn certificate(&self, name: Option<&str>) -> Option<&Arc<Certificate>> {
        let known = name.and_then(|name| Some((name, self.known_host(name)?)));
        let Some((name, host)) = known else {
            return if self.settings.tls.reject_unknown {
                None
            } else {
                Some(self.fallback_certificate())
            };
        };
        Some(match &host.tls {
            HostTls::Own(own)
                if *host.name == *name || host.name.starts_with("*.") || own.covers(name) =>
            {
                own
            }
            HostTls::Own(_) | HostTls::Default => &self.default_certificate,
            HostTls::None => match self.wildcard(name).map(|wildcard| &wildcard.tls) {
                Some(HostTls::Own(own)) => own,
                _ => self.fallback_certificate(),
            },
        })
    }

    fn fallback_certificate(&self) -> &Arc<Certificate> {
        match &self.catch_all.tls {
            HostTls::Own(own) => own,
            _ => &self.default_certificate,
        }
    }

    fn suffix_host(&self, name: &str) -> Option<&Arc<Host>> {
        if self.suffix_aliases.is_empty() {
            return None;
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(host) = self.suffix_aliases.get(parent) {
                return Some(host);
            }
            rest = parent;
        }
        None
    }

    /// The host `*.x` for a name of exactly one label before `x`.
    fn wildcard(&self, name: &str) -> Option<&Arc<Host>> {
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
