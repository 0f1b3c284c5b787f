//! Resolution of ExternalName Services, repeated when the TTL ends.
//!
//! A thread resolves for all workers; it is started at the first name. Only the first requests for a name wait for its
//! resolution. Names come from objects, so their number is bounded.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::address;

/// Bounds on the TTL.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// How long the last addresses serve when resolution fails.
const LAST_GOOD: Duration = Duration::from_secs(60);

/// A name that was not used for this time is not resolved any longer.
const FORGET: Duration = Duration::from_secs(600);

/// The result of a lookup.
pub(super) struct Resolution {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ttl: Duration,
}

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
}

struct Name {
    host: Arc<str>,
    known: watch::Sender<Known>,
    used: AtomicBool,
}

impl Default for Resolver {
    /// By the system's resolver configuration. Without it, no name resolves.
    fn default() -> Self {
        Self::new(Arc::new(system))
    }
}

impl Resolver {
    /// A resolver with the lookup function of `source`.
    pub(super) fn new(source: Source) -> Self {
        Self {
            names: Arc::default(),
            requests: Mutex::default(),
            source,
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
        let thread = std::thread::Builder::new().name("resolver".to_owned());
        if let Err(error) = thread.spawn(move || run(source, receiver, names)) {
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
fn run(source: Source, mut requests: mpsc::UnboundedReceiver<Arc<Name>>, names: Names) {
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
            tokio::spawn(follow(lookup.clone(), name, names.clone()));
        }
    });
}

/// Resolves `name` again and again while it is used.
async fn follow(lookup: Arc<Lookup>, name: Arc<Name>, names: Names) {
    let mut used = Instant::now();
    let mut good_until = used;
    loop {
        let result = lookup(name.host.clone()).await;
        let now = Instant::now();
        let pause = match result {
            Ok(resolution) => {
                let ttl = resolution.ttl.clamp(SHORTEST, LONGEST);
                good_until = now + ttl + LAST_GOOD;
                publish(&name, allowed(resolution.addresses));
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
fn allowed(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses
        .into_iter()
        .filter(|address| address::is_allowed(*address, false))
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

/// Looks up by the system's configuration: its name servers, search domains and `ndots`.
fn system() -> Arc<Lookup> {
    let resolver = match system_resolver() {
        Ok(resolver) => Some(resolver),
        Err(error) => {
            tracing::warn!(%error, "unusable resolver configuration: external names do not resolve");
            None
        }
    };
    Arc::new(move |host| {
        let resolver = resolver.clone();
        Box::pin(async move {
            let resolver = resolver.ok_or_else(|| io::Error::other("no resolver configuration"))?;
            let found = resolver.lookup_ip(&*host).await.map_err(io::Error::other)?;
            let ttl = found
                .valid_until()
                .saturating_duration_since(std::time::Instant::now());
            Ok(Resolution {
                addresses: found.iter().collect(),
                ttl,
            })
        })
    })
}

fn system_resolver() -> io::Result<TokioResolver> {
    let mut builder = TokioResolver::builder_tokio().map_err(io::Error::other)?;
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    // As in ingress-nginx, only the DNS resolves names.
    options.use_hosts_file = ResolveHosts::Never;
    options.negative_max_ttl = Some(SHORTEST);
    builder.build().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Resolves to the addresses of each lookup in turn, then fails.
    fn scripted(lookup_results: Vec<Vec<&'static str>>, lookups: Arc<AtomicUsize>) -> Arc<Lookup> {
        Arc::new(move |_| {
            let turn = lookups.fetch_add(1, Ordering::SeqCst);
            let addresses = lookup_results
                .get(turn)
                .map(|texts| texts.iter().map(|text| text.parse().unwrap()).collect());
            Box::pin(async move {
                let addresses = addresses.ok_or_else(|| io::Error::other("no addresses"))?;
                Ok(Resolution {
                    addresses,
                    ttl: Duration::from_secs(5),
                })
            })
        })
    }

    fn name() -> Arc<Name> {
        let known = watch::Sender::new(None);
        Arc::new(Name {
            host: "db.example".into(),
            known,
            used: AtomicBool::new(true),
        })
    }

    #[tokio::test]
    async fn only_the_first_request_waits_for_the_resolution() {
        let lookups = Arc::new(AtomicUsize::new(0));
        let resolver = Resolver::new(Arc::new({
            let lookups = lookups.clone();
            move || {
                scripted(
                    vec![vec!["10.0.0.2", "10.0.0.1", "10.0.0.2"]],
                    lookups.clone(),
                )
            }
        }));
        assert_eq!(resolver.known("db.example"), None);
        let addresses = resolver
            .addresses(&"db.example".into(), Duration::from_secs(5))
            .await;
        assert_eq!(
            *addresses,
            [
                "10.0.0.1".parse::<IpAddr>().unwrap(),
                "10.0.0.2".parse().unwrap()
            ]
        );
        assert_eq!(resolver.known("db.example"), Some(addresses));
        assert_eq!(lookups.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn addresses_of_this_machine_are_dropped() {
        let resolver = Resolver::new(Arc::new(|| {
            scripted(
                vec![vec!["127.0.0.1", "169.254.169.254", "::1"]],
                Arc::default(),
            )
        }));
        assert!(
            resolver
                .addresses(&"evil.example".into(), Duration::from_secs(5))
                .await
                .is_empty()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_addresses_serve_for_a_minute() {
        let lookups = Arc::new(AtomicUsize::new(0));
        let name = name();
        let mut known = name.known.subscribe();
        tokio::spawn(follow(
            scripted(vec![vec!["10.0.0.1"], vec!["10.0.0.2"]], lookups),
            name.clone(),
            Names::default(),
        ));
        let start = Instant::now();
        let first = known
            .wait_for(Option::is_some)
            .await
            .unwrap()
            .clone()
            .unwrap();
        assert_eq!(*first, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        known.changed().await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 5);
        known.changed().await.unwrap();
        assert!(known.borrow().as_ref().unwrap().is_empty());
        assert_eq!(start.elapsed().as_secs(), 5 + 5 + 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_not_used_is_forgotten() {
        let name = name();
        let names = Names::default();
        names.write().insert(name.host.clone(), name.clone());
        follow(
            scripted(vec![vec!["10.0.0.1"]], Arc::default()),
            name,
            names.clone(),
        )
        .await;
        assert!(names.read().is_empty());
    }
}
