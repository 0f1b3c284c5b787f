//! Names to addresses: `/etc/hosts`, then DNS by `/etc/resolv.conf`.
//!
//! Not by `getaddrinfo`: glibc reads `/etc/nsswitch.conf` and loads the modules that it names, which a static program in an
//! image without libraries cannot. Everything in Headgate that resolves a name does so here; `tests/image` checks that the
//! program does not contain `getaddrinfo`.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, TokioResolver};

/// How long a failed lookup is remembered by a [`Dns`].
const LONGEST_FAILURE: Duration = Duration::from_secs(1);

/// The addresses of `host`: those of its lines in `/etc/hosts`, else those that DNS has, IPv4 before IPv6. An address is its
/// own. Both files are read at each call and nothing is remembered, so it is for names that are rarely resolved, such as at
/// each new connection. Needs a tokio runtime.
///
/// # Errors
/// When the name does not resolve. Waits for the `timeout` and `attempts` of `resolv.conf`, with each search domain.
pub async fn lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    Files::default().lookup(host).await
}

/// As [`lookup`], for threads without a runtime.
///
/// # Errors
/// As [`lookup`].
pub fn lookup_blocking(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(lookup(host))
}

/// Which address families a name is resolved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4.
    Ipv4,
    /// IPv6 only for names without IPv4 addresses.
    Ipv4ThenIpv6,
    /// Both, IPv4 first.
    Both,
}

/// A client of the name servers in `/etc/resolv.conf`, with its search domains and `ndots`. It remembers responses for their
/// TTL, and reads no hosts file.
#[derive(Clone)]
pub struct Dns(TokioResolver);

/// What DNS has for a name.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The addresses; never empty.
    pub addresses: Vec<IpAddr>,
    /// How long they are valid.
    pub ttl: Duration,
}

impl Dns {
    /// Reads `/etc/resolv.conf`.
    ///
    /// # Errors
    /// When it cannot be read or names no server.
    pub fn new(families: Families) -> io::Result<Self> {
        Files::default().dns(families)
    }

    /// Resolves `host`. A final dot makes it absolute. Needs a tokio runtime.
    ///
    /// # Errors
    /// When no server responds, or the name has no address.
    pub async fn lookup(&self, host: &str) -> io::Result<Resolution> {
        let found = self.0.lookup_ip(host).await.map_err(io::Error::other)?;
        Ok(Resolution {
            addresses: found.iter().collect(),
            ttl: found
                .valid_until()
                .saturating_duration_since(Instant::now()),
        })
    }

    fn with(
        config: ResolverConfig,
        mut options: ResolverOpts,
        families: Families,
    ) -> io::Result<Self> {
        options.ip_strategy = match families {
            Families::Ipv4 => LookupIpStrategy::Ipv4Only,
            Families::Ipv4ThenIpv6 => LookupIpStrategy::Ipv4thenIpv6,
            Families::Both => LookupIpStrategy::Ipv4AndIpv6,
        };
        options.use_hosts_file = ResolveHosts::Never;
        options.negative_max_ttl = Some(LONGEST_FAILURE);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        *builder.options_mut() = options;
        builder.build().map(Self).map_err(io::Error::other)
    }
}

/// The configuration of the system.
struct Files {
    hosts: PathBuf,
    resolv_conf: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
        }
    }
}

impl Files {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        // To DNS it would be the root.
        if host.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "empty name"));
        }
        let listed = self.listed(host);
        if !listed.is_empty() {
            return Ok(listed);
        }
        let dns = self.dns(Families::Both)?;
        Ok(dns.lookup(host).await?.addresses)
    }

    /// The addresses in the hosts file, which a container may lack. The name is looked up as it is: with search domains,
    /// each of them would first be asked of DNS.
    fn listed(&self, host: &str) -> Vec<IpAddr> {
        let mut hosts = Hosts::default();
        let read = fs::File::open(&self.hosts).and_then(|file| hosts.read_hosts_conf(file));
        let (Ok(()), Ok(name)) = (read, Name::from_str_relaxed(host.to_ascii_lowercase())) else {
            return Vec::new();
        };
        let of = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of);
        let addresses = |lookup: hickory_resolver::lookup::Lookup| {
            let answers = lookup.answers().iter();
            answers
                .filter_map(|record| record.data.ip_addr())
                .collect::<Vec<_>>()
        };
        found.flat_map(addresses).collect()
    }

    fn dns(&self, families: Families) -> io::Result<Dns> {
        let named = |path: &Path, error: &dyn std::fmt::Display| {
            io::Error::other(format!("{}: {error}", path.display()))
        };
        let path = &self.resolv_conf;
        let text = fs::read(path).map_err(|error| named(path, &error))?;
        let (config, options) = parse_resolv_conf(text).map_err(|error| named(path, &error))?;
        Dns::with(config, options, families)
    }
}

#[cfg(test)]
mod tests;
