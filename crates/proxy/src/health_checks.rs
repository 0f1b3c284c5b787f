//! Active health checks: requests of the process itself to the endpoints of upstreams that configure them. One worker makes
//! them for all; the others see the result with the next request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    BackendProtocol, Balance, Endpoints, Forwarding, HealthCheck, PoolSettings, Retry, RetryOn,
    RoutingTable, Slot, Upstream, UpstreamKey,
};
use http::Request;
use http::header::{HOST, USER_AGENT};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::current;
use crate::upstream::{Attempts, Call, CallOptions, NoClient, Payload};
use crate::worker::Worker;

/// How long a new table waits for the next one.
const SETTLING: Duration = Duration::from_millis(100);
/// Checks in flight.
const IN_FLIGHT: usize = 64;
/// Part of the interval by which it varies, so that checks do not come in bursts.
const JITTER: f64 = 0.1;
/// `User-Agent` of a check.
const AGENT: &str = concat!("headgate/", env!("CARGO_PKG_VERSION"));

/// Follows the tables of `worker` for ever.
pub(crate) async fn run(worker: Rc<Worker>) {
    let mut checks = Checks {
        worker: worker.clone(),
        permits: Rc::new(Semaphore::new(IN_FLIGHT)),
        running: HashMap::new(),
    };
    loop {
        let table = Arc::clone(&worker.table());
        checks.follow(&table);
        current::changed(&worker.shared.reader, &table, SETTLING).await;
    }
}

/// One task for each endpoint of each upstream with a check.
struct Checks {
    worker: Rc<Worker>,
    permits: Rc<Semaphore>,
    running: HashMap<(UpstreamKey, SocketAddr), Running>,
}

struct Running {
    upstream: Arc<Upstream>,
    task: AbortHandle,
}

impl Checks {
    /// Starts the tasks of new endpoints, and ends those of endpoints and checks that are gone.
    fn follow(&mut self, table: &RoutingTable) {
        let mut former = std::mem::take(&mut self.running);
        for upstream in table.checked_upstreams() {
            let Some((check, endpoints)) = checked(upstream) else {
                continue;
            };
            for endpoint in endpoints {
                let key = (upstream.key.clone(), *endpoint);
                let same = |running: &Running| {
                    checked(&running.upstream).is_some_and(|(own, _)| own == check)
                };
                let running = match former.remove(&key) {
                    Some(running) if same(&running) => running,
                    replaced => {
                        replaced.inspect(|running| running.task.abort());
                        self.start(upstream, check, *endpoint)
                    }
                };
                self.running.insert(key, running);
            }
        }
        for ((_, endpoint), running) in former {
            running.task.abort();
            let upstreams = &self.worker.upstreams;
            upstreams.set_healthy(&running.upstream, endpoint, true);
        }
    }

    fn start(
        &self,
        upstream: &Arc<Upstream>,
        check: &HealthCheck,
        endpoint: SocketAddr,
    ) -> Running {
        let job = Job {
            worker: self.worker.clone(),
            permits: self.permits.clone(),
            upstream: upstream.clone(),
            only: only(upstream, endpoint).into(),
            check: check.clone(),
            endpoint,
        };
        Running {
            upstream: upstream.clone(),
            task: tokio::task::spawn_local(job.run()).abort_handle(),
        }
    }
}

/// The check of `upstream`, and the endpoints that it is for.
fn checked(upstream: &Upstream) -> Option<(&HealthCheck, &[SocketAddr])> {
    let check = upstream.resilience.check.as_ref()?;
    match &upstream.endpoints {
        // FastCGI has no request that every application answers.
        _ if upstream.protocol == BackendProtocol::FastCgi => None,
        Endpoints::Addresses(addresses) => Some((check, addresses)),
        Endpoints::Name { .. } | Endpoints::None(_) => None,
    }
}

/// `upstream` with this endpoint alone, and without a memory.
fn only(upstream: &Upstream, endpoint: SocketAddr) -> Upstream {
    Upstream {
        endpoints: Endpoints::Addresses([endpoint].into()),
        balance: Balance::RoundRobin,
        affinity: None,
        client_ip_affinity: None,
        resilience: Arc::default(),
        slot: Slot::default(),
        ..upstream.clone()
    }
}

/// The checks of one endpoint.
struct Job {
    worker: Rc<Worker>,
    permits: Rc<Semaphore>,
    upstream: Arc<Upstream>,
    only: Arc<Upstream>,
    check: HealthCheck,
    endpoint: SocketAddr,
}

impl Job {
    async fn run(self) {
        let mut verdict = Verdict::default();
        tokio::time::sleep(self.check.interval.mul_f64(fastrand::f64() * JITTER)).await;
        loop {
            let Ok(permit) = self.permits.acquire().await else {
                return;
            };
            let result = tokio::time::timeout(self.check.timeout, self.request()).await;
            drop(permit);
            let result = result.unwrap_or_else(|_| Err("timed out".to_owned()));
            if verdict.add(result.is_ok(), &self.check) {
                self.log(&verdict, result.err());
            }
            let upstreams = &self.worker.upstreams;
            upstreams.set_healthy(&self.upstream, self.endpoint, verdict.healthy);
            let vary = 1.0 + (fastrand::f64() - 0.5) * 2.0 * JITTER;
            tokio::time::sleep(self.check.interval.mul_f64(vary)).await;
        }
    }

    fn log(&self, verdict: &Verdict, error: Option<String>) {
        let (upstream, endpoint) = (&self.upstream.key, self.endpoint);
        if verdict.healthy {
            tracing::info!(%upstream, %endpoint, "endpoint is healthy again");
        } else {
            let error = error.unwrap_or_default();
            tracing::warn!(%upstream, %endpoint, error, "endpoint is unhealthy: health checks failed");
        }
    }

    /// One check; why it failed.
    async fn request(&self) -> Result<(), String> {
        let timeout = self.check.timeout;
        let forwarding = Forwarding {
            connect_timeout: timeout,
            send_timeout: timeout,
            read_timeout: timeout,
            retry: Retry {
                on: RetryOn::default(),
                ..Retry::default()
            },
            ..Forwarding::default()
        };
        let request = Request::get(self.check.path.as_str())
            .header(HOST, self.endpoint.to_string())
            .header(USER_AGENT, AGENT)
            .body(());
        let request = request.map_err(|error| error.to_string())?;
        let upstreams = &self.worker.upstreams;
        let failed = |error: crate::upstream::CallError| error.to_string();
        let call = Call {
            target: upstreams
                .target(&self.only, timeout)
                .await
                .map_err(failed)?,
            head: request.into_parts().0,
            body: Payload::empty(),
            options: CallOptions::of(&forwarding, &self.only, false),
            // Each check opens a connection, as a new client would.
            pool: &PoolSettings {
                idle: 0,
                ..PoolSettings::default()
            },
            input: &NoClient,
        };
        let reply = upstreams.call(call, &mut Attempts::default()).await;
        let status = reply.map_err(failed)?.response.status();
        match self.check.accepts(status) {
            true => Ok(()),
            false => Err(format!("status {status}")),
        }
    }
}

/// The health of an endpoint, by the results of its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    healthy: bool,
    /// Results in a row that contradict it.
    contrary: u32,
}

impl Default for Verdict {
    /// An endpoint is healthy until its checks have failed.
    fn default() -> Self {
        Self {
            healthy: true,
            contrary: 0,
        }
    }
}

impl Verdict {
    /// Adds a result. Whether it changes the verdict.
    fn add(&mut self, passed: bool, check: &HealthCheck) -> bool {
        if passed == self.healthy {
            self.contrary = 0;
            return false;
        }
        self.contrary += 1;
        let needed = match self.healthy {
            true => check.unhealthy_after,
            false => check.healthy_after,
        };
        let changes = self.contrary >= needed.get();
        if changes {
            *self = Self {
                healthy: passed,
                contrary: 0,
            };
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::uri::PathAndQuery;

    #[test]
    fn a_verdict_changes_after_its_number_of_results_in_a_row() {
        let check = HealthCheck::new(PathAndQuery::from_static("/"));
        let mut verdict = Verdict::default();
        let mut healthy = |results: &[bool]| {
            results.iter().for_each(|passed| {
                verdict.add(*passed, &check);
            });
            verdict.healthy
        };
        assert!(healthy(&[false, false, true, false, false]));
        assert!(!healthy(&[false]));
        assert!(!healthy(&[true, false, true]));
        assert!(healthy(&[true]));
    }
}
