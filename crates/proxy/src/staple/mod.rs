//! What completes certificates while the process runs: stapled OCSP responses (RFC 6066 section 8) and missing intermediate
//! certificates. Fetched by one worker, off the path of handshakes, from the URLs in the certificates themselves; clients
//! cannot cause a request. Without an answer, or with one that does not verify, certificates are served as they are.

mod chain;
mod fetch;
mod ocsp;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Certificate, RoutingTable, VirtualHosts};
use rustls::sign::CertifiedKey;
use rustls_pki_types::UnixTime;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use self::chain::Issuers;
use self::fetch::Fetcher;
use crate::current;
use crate::tls::Additions;
use crate::worker::Worker;

/// How long a new table waits for the next one.
const SETTLING: Duration = Duration::from_millis(10);
/// Requests in flight.
const IN_FLIGHT: usize = 4;
/// Pause after the first failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Follows the tables of `worker` for ever. Chains are completed if `completes`, and responses stapled while settings say so.
pub(crate) async fn run(worker: Rc<Worker>, completes: bool) {
    let mut jobs = Jobs {
        fetcher: Rc::new(Fetcher::new(worker.clone())),
        issuers: Rc::default(),
        permits: Rc::new(Semaphore::new(IN_FLIGHT)),
        completes,
        running: HashMap::new(),
        staples: false,
        universes: Vec::new(),
        defaults: Vec::new(),
    };
    loop {
        let table = Arc::clone(&worker.table());
        jobs.follow(&table);
        current::changed(&worker.shared.reader, &table, SETTLING).await;
    }
}

/// One task for each certificate.
struct Jobs {
    fetcher: Rc<Fetcher>,
    issuers: Rc<Issuers>,
    permits: Rc<Semaphore>,
    completes: bool,
    /// By the address of their key, which later versions of the same certificate share. A certificate keeps it in place.
    running: HashMap<usize, (Arc<Certificate>, AbortHandle)>,
    /// The settings that they run under.
    staples: bool,
    /// The universes that they are from.
    universes: Vec<Arc<VirtualHosts>>,
    /// The certificates of listeners.
    defaults: Vec<Arc<Certificate>>,
}

impl Jobs {
    /// Starts the tasks of new certificates and ends those of certificates that are gone.
    fn follow(&mut self, table: &RoutingTable) {
        let staples = table.settings.ocsp;
        if !staples && !self.staples && !self.completes {
            return;
        }
        let universes = table.universes();
        let defaults: Vec<_> = table.listener_certificates().cloned().collect();
        let is_same = same(universes.iter().copied(), &self.universes)
            && same(defaults.iter(), &self.defaults);
        if is_same && staples == self.staples {
            return;
        }
        if staples != self.staples {
            self.end_all();
        }
        self.staples = staples;
        self.universes = universes.into_iter().cloned().collect();
        self.defaults = defaults;
        if !staples && !self.completes {
            return;
        }
        let mut former = std::mem::take(&mut self.running);
        for certificate in table.certificates() {
            let identity = Arc::as_ptr(&certificate.key) as usize;
            if !self.running.contains_key(&identity) {
                let job = former.remove(&identity);
                let job = job.unwrap_or_else(|| self.start(certificate));
                self.running.insert(identity, job);
            }
        }
        former.values().for_each(|(_, task)| task.abort());
    }

    fn end_all(&mut self) {
        for (certificate, task) in std::mem::take(&mut self.running).into_values() {
            task.abort();
            if let Some(additions) = certificate.slot.get::<Additions>() {
                additions.remove_staple();
            }
        }
    }

    fn start(&self, certificate: &Arc<Certificate>) -> (Arc<Certificate>, AbortHandle) {
        let job = Job {
            certificate: certificate.clone(),
            fetcher: self.fetcher.clone(),
            issuers: self.issuers.clone(),
            permits: self.permits.clone(),
        };
        let (completes, staples) = (self.completes, self.staples);
        let task = tokio::task::spawn_local(async move {
            // The first response needs the issuer; but a chain that cannot be completed does not prevent stapling for ever.
            let is_complete = !completes || job.complete().await;
            let complete = async {
                if !is_complete {
                    job.complete_later().await;
                }
            };
            let staple = async {
                if staples {
                    job.staple(completes).await;
                }
            };
            tokio::join!(complete, staple);
        });
        (certificate.clone(), task.abort_handle())
    }
}

fn same<'a, T: 'a>(these: impl ExactSizeIterator<Item = &'a Arc<T>>, those: &[Arc<T>]) -> bool {
    these.len() == those.len() && these.zip(those).all(|(one, other)| Arc::ptr_eq(one, other))
}

/// The task of a certificate.
struct Job {
    certificate: Arc<Certificate>,
    fetcher: Rc<Fetcher>,
    issuers: Rc<Issuers>,
    permits: Rc<Semaphore>,
}

impl Job {
    /// Fetches missing intermediates. Returns whether the chain needs no further attempt.
    async fn complete(&self) -> bool {
        let Some(additions) = self.additions() else {
            return true;
        };
        if additions.completed().is_some() {
            return true;
        }
        let permit = self.permits.acquire().await;
        let own = &self.certificate.key;
        let completed = chain::complete(&own.cert, &self.issuers, &self.fetcher).await;
        drop(permit);
        let certificate = &self.certificate.source;
        match completed {
            Ok(None) => true,
            Ok(Some(chain)) => {
                additions.complete(CertifiedKey::new(chain, own.key.clone()));
                tracing::info!(%certificate, "certificate chain completed");
                true
            }
            Err(error) => {
                tracing::warn!(%certificate, %error, "cannot complete certificate chain: it is sent as it is");
                false
            }
        }
    }

    /// Tries again until the chain is complete.
    async fn complete_later(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            if self.complete().await {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Fetches OCSP responses, each before the former one expires. The issuer may still come if the chain is `completing`.
    async fn staple(&self, completing: bool) {
        let Some(additions) = self.additions() else {
            return;
        };
        let mut pause = FIRST_PAUSE;
        loop {
            let key = additions.completed();
            let key = key.unwrap_or_else(|| self.certificate.key.clone());
            let response = match ocsp::Query::new(&key.cert) {
                Ok(None) => return, // the authority has no responder
                Err(error) if !completing => return self.warn(&error),
                Err(error) => Err(error),
                Ok(Some(query)) => {
                    let _permit = self.permits.acquire().await;
                    query.fetch(&self.fetcher).await
                }
            };
            let wait = match response {
                Ok(response) => {
                    pause = FIRST_PAUSE;
                    let wait = response.renewal(UnixTime::now());
                    additions.staple(&self.certificate.key, response.der, response.until);
                    wait
                }
                Err(error) => {
                    self.warn(&error);
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn warn(&self, error: &str) {
        let certificate = &self.certificate.source;
        tracing::warn!(%certificate, %error, "no new OCSP response to staple");
    }

    fn additions(&self) -> Option<&Additions> {
        self.certificate.slot.get_or_init(Arc::default)
    }
}
