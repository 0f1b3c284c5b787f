//! Resolution of ExternalName Services, repeated when the TTL ends.
//!
//! A thread resolves for all workers; it is started at the first name. Only the first requests for a name wait for its
//! resolution. Names come from objects, so their number is bounded.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headgate_resolve::{Dns, Families, Resolution};
use headgate_table::may_be_endpoint;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Bounds on the TTL.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// How long the last addresses serve when resolution fails.
const LAST_GOOD: Duration = Duration::from_secs(60);

/// A name that was not used for this time is not resolved any longer.
const FORGET: Duration = Duration::from_secs(600);

type Lookup =
    dyn Fn(Arc<str>) -> Pin<Box<dyn Future<Output = io::Result<Resolution>> + Send>> + Send + Sync;

/// Makes the lookup function; called on the thread of the resolver.
type Source = Arc<dyn Fn() -> Arc<Lookup> + Send + Sync>;

/// Addresses of a name: `None` before its first resolution, empty if it does not resolve.
type Known = Option<Arc<[IpAddr]>>;

/// Resolves the names of ExternalName Services for all workers.
pub(crate) struct Resolver {
    names: Names,
    requests: Mutex<Option<mpsc::UnboundedSender<Arc<Name>>>>,
    source: Source,
    /// Query for IPv4 addresses only, and use no others.
    ipv4_only: Arc<AtomicBool>,
}

/// The names that a data plane has resolved.
#[derive(Clone)]
pub struct ResolvedNames(pub(crate) Arc<Resolver>);

impl ResolvedNames {
    /// The names that do not resolve at present, among those that requests needed in the last minutes.
    pub fn unresolved(&self) -> BTreeSet<Arc<str>> {
        let names = self.0.names.read();
        let unresolved = names.values().filter(|name| {
            let known = name.known.borrow();
            known.as_ref().is_some_and(|addresses| addresses.is_empty())
        });
        unresolved.map(|name| name.host.clone()).collect()
    }
}

impl fmt::Debug for ResolvedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.names.read().keys()).finish()
    }
}

struct Name {
    host: Arc<str>,
    known: watch::Sender<Known>,
    used: AtomicBool,
}

impl Default for Resolver {
    /// By the system's resolver configuration. Without it, no name resolves.
    fn default() -> Self {
        let ipv4_only = Arc::<AtomicBool>::default();
        let of_source = ipv4_only.clone();
        Self {
            ipv4_only,
            ..Self::new(Arc::new(move || system(of_source.clone())))
        }
    }
}

impl Resolver {
    /// A resolver whose lookups never end.
    #[cfg(test)]
    pub(crate) fn hanging() -> Self {
        Self::new(Arc::new(|| Arc::new(|_| Box::pin(std::future::pending()))))
    }

    /// A resolver with the lookup function of `source`.
    pub(super) fn new(source: Source) -> Self {
        Self {
            names: Arc::default(),
            requests: Mutex::default(),
            source,
            ipv4_only: Arc::default(),
        }
    }

    /// Whether names have IPv4 addresses only. With `false`, others are known after the next lookup.
    pub(super) fn set_ipv4_only(&self, only: bool) {
        let unchanged = self.ipv4_only.load(Ordering::Relaxed) == only;
        if unchanged || self.ipv4_only.swap(only, Ordering::Relaxed) == only || !only {
            return;
        }
        for name in self.names.read().values() {
            let known = name.known.borrow().clone();
            if let Some(known) = known {
                publish(name, allowed(known.to_vec(), true));
            }
        }
    }

    /// The addresses of `host` if it was resolved before; empty if it does not resolve. Never waits.
    pub(super) fn known(&self, host: &str) -> Known {
        let name = self.names.read().get(host).cloned()?;
        name.used.store(true, Ordering::Relaxed);
        name.known.borrow().clone()
    }

    /// The addresses of `host`. Waits for its first resolution, at most for `bound`.
    pub(super) async fn addresses(&self, host: &Arc<str>, bound: Duration) -> Arc<[IpAddr]> {
        if let Some(addresses) = self.known(host) {
            return addresses;
        }
        let mut known = self.name(host).known.subscribe();
        let first = tokio::time::timeout(bound, known.wait_for(Option::is_some)).await;
        match first {
            Ok(Ok(addresses)) => addresses.clone().unwrap_or_default(),
            Ok(Err(_)) | Err(_) => Arc::default(),
        }
    }

    /// Starts resolving `host`.
    fn name(&self, host: &Arc<str>) -> Arc<Name> {
        let mut names = self.names.write();
        if let Some(name) = names.get(host) {
            return name.clone();
        }
        let name = Arc::new(Name {
            host: host.clone(),
            known: watch::Sender::new(None),
            used: AtomicBool::new(true),
        });
        if self.follow(name.clone()) {
            names.insert(host.clone(), name.clone());
        } else {
            name.known.send_replace(Some(Arc::default()));
        }
        name
    }

    /// Hands `name` to the thread, starting it if necessary.
    fn follow(&self, name: Arc<Name>) -> bool {
        let mut requests = self.requests.lock();
        if let Some(sender) = &*requests
            && sender.send(name.clone()).is_ok()
        {
            return true;
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let (source, names) = (self.source.clone(), self.names.clone());
        let ipv4_only = self.ipv4_only.clone();
        let thread = std::thread::Builder::new().name("resolver".to_owned());
        if let Err(error) = thread.spawn(move || run(source, receiver, (names, ipv4_only))) {
            tracing::error!(%error, "cannot start the resolver thread: external names do not resolve");
            return false;
        }
        let sent = sender.send(name).is_ok();
        *requests = Some(sender);
        sent
    }
}

type Names = Arc<RwLock<HashMap<Arc<str>, Arc<Name>>>>;

/// The thread: a task per name. Ends with the [`Resolver`].
fn run(
    source: Source,
    mut requests: mpsc::UnboundedReceiver<Arc<Name>>,
    (names, ipv4_only): (Names, Arc<AtomicBool>),
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the resolver: external names do not resolve");
            return;
        }
    };
    runtime.block_on(async move {
        let lookup = source();
        while let Some(name) = requests.recv().await {
            let state = (names.clone(), ipv4_only.clone());
            tokio::spawn(follow(lookup.clone(), name, state));
        }
    });
}

/// Resolves `name` again and again while it is used.
async fn follow(
    lookup: Arc<Lookup>,
    name: Arc<Name>,
    (names, ipv4_only): (Names, Arc<AtomicBool>),
) {
    let mut used = Instant::now();
    let mut good_until = used;
    loop {
        let result = lookup(name.host.clone()).await;
        let now = Instant::now();
        let pause = match result {
            Ok(resolution) => {
                let ttl = resolution.ttl.clamp(SHORTEST, LONGEST);
                good_until = now + ttl + LAST_GOOD;
                let only = ipv4_only.load(Ordering::Relaxed);
                publish(&name, allowed(resolution.addresses, only));
                ttl
            }
            Err(error) => {
                tracing::debug!(name = %name.host, %error, "external name did not resolve");
                if now >= good_until {
                    publish(&name, Vec::new());
                }
                SHORTEST
            }
        };
        if name.used.swap(false, Ordering::Relaxed) {
            used = now;
        } else if now.duration_since(used) > FORGET {
            names.write().remove(&name.host);
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Names never resolve to this machine, whatever the flags say: the author of a DNS zone is not the operator.
fn allowed(addresses: Vec<IpAddr>, ipv4_only: bool) -> Vec<IpAddr> {
    addresses
        .into_iter()
        .filter(|address| address.is_ipv4() || !ipv4_only)
        .filter(|address| may_be_endpoint(*address, false))
        .collect()
}

fn publish(name: &Name, mut addresses: Vec<IpAddr>) {
    addresses.sort_unstable();
    addresses.dedup();
    name.known.send_if_modified(|known| {
        let changed = known.as_deref() != Some(&addresses);
        if changed {
            *known = Some(addresses.into());
        }
        changed
    });
}

/// Looks up in DNS alone, as ingress-nginx does: `/etc/hosts` is not used.
fn system(ipv4_only: Arc<AtomicBool>) -> Arc<Lookup> {
    let usable = |families| match Dns::new(families) {
        Ok(dns) => Some(dns),
        Err(error) => {
            tracing::warn!(%error, "unusable resolver configuration: external names do not resolve");
            None
        }
    };
    let both = usable(Families::Ipv4ThenIpv6);
    let only = usable(Families::Ipv4);
    Arc::new(move |host| {
        let dns = if ipv4_only.load(Ordering::Relaxed) {
            only.clone()
        } else {
            both.clone()
        };
        Box::pin(async move {
            let dns = dns.ok_or_else(|| io::Error::other("no resolver configuration"))?;
            dns.lookup(&host).await
        })
    })
}

#[cfg(test)]
mod tests;
