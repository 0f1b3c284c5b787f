//! The data of the web console: what the process serves and counts, as the plain values that the pages show.
//!
//! Nothing is kept but the history of the traffic and, while pages are read, an index of the table. All of it is read from what
//! the data plane and the reconciler keep anyway.

mod annotations;
mod canaries;
mod certificates;
mod check;
mod endpoints;
mod explain;
mod findings;
mod hosts;
mod index;
mod overview;
mod route;
mod sampler;
mod search;
mod tap;
#[cfg(test)]
mod tests;
mod watches;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context as _, Result};
use headgate_console::history::History;
use headgate_console::model::{
    AnnotationPage, CanaryRow, CertificatesPage, CheckPage, ExplainForm, Explained, FindingsFilter,
    FindingsPage, HostPage, HostRow, Instance, Overview, Page, RouteFilter, RoutePage, RouteRow,
    Search, TapFilter,
};
use headgate_console::{Access, Failed, Reply, Source, TapReader};
use headgate_proxy::Telemetry;
use headgate_table::RoutingTable;
use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use self::explain::Explanations;
use self::index::Index;
use self::sampler::Rates;
use self::watches::Watches;
use crate::admin::{Failure, State};
use crate::reconciler::ClusterState;

/// Where and for whom the console is served.
#[derive(Clone, Debug)]
pub(crate) struct ConsoleOptions {
    /// `--console-address`
    pub(crate) address: SocketAddr,
    /// The address was not given: without it, the process does without the console.
    pub(crate) is_default: bool,
    /// `--console-token-file`
    pub(crate) token: Option<PathBuf>,
    /// `--console-hosts`
    pub(crate) hosts: Vec<String>,
    /// What the console says about this process.
    pub(crate) instance: Instance,
}

/// The console with its socket, which is bound before anything is read.
pub(crate) struct Bound {
    listener: TcpListener,
    access: Access,
    instance: Instance,
    /// The bound address.
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Binds the socket; `None`: switched off, or another program has the default port.
    ///
    /// # Errors
    /// When the address that was given cannot be bound, or the token cannot be read.
    pub(crate) fn new(options: Option<ConsoleOptions>) -> Result<Option<Self>> {
        let Some(options) = options else {
            return Ok(None);
        };
        let access = access(options.token.as_deref(), options.hosts)?;
        let listener = match TcpListener::bind(options.address) {
            Ok(listener) => listener,
            Err(error) if options.is_default => {
                let address = options.address;
                tracing::warn!(%address, %error, "no console: set --console-address to another address, or to nothing");
                return Ok(None);
            }
            Err(error) => {
                let address = options.address;
                return Err(error).with_context(|| format!("--console-address {address}"));
            }
        };
        Ok(Some(Self {
            address: listener
                .local_addr()
                .context("reading the console's port")?,
            listener,
            access,
            instance: options.instance,
        }))
    }

    /// Serves the console of the process with `state` on a thread of its own, which ends with the process.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(
        self,
        state: Arc<State>,
        memory_limit: Option<u64>,
        cluster: Option<ClusterState>,
    ) -> Result<Arc<Console>> {
        let facts = Facts {
            instance: self.instance,
            memory_limit,
        };
        let console = Console::new(state, facts, cluster);
        headgate_console::start(self.listener, console.clone(), self.access)
            .context("starting the console's thread")?;
        Ok(console)
    }
}

/// Who may read the console.
fn access(token: Option<&Path>, hosts: Vec<String>) -> Result<Access> {
    let access = Access::open(hosts);
    let Some(file) = token else {
        return Ok(access);
    };
    let place = || format!("--console-token-file {}", file.display());
    let token = std::fs::read_to_string(file).with_context(place)?;
    access.with_token(&token).with_context(place)
}

/// The process, for the console.
pub(crate) struct Console {
    state: Arc<State>,
    facts: Facts,
    cluster: Option<ClusterState>,
    /// What exists from the first table on.
    live: OnceLock<Live>,
    /// The index of the table, while pages are read.
    index: Mutex<Option<Used<Arc<Index>>>>,
    /// The overview of this second: many may look at it.
    overview: Mutex<Option<Used<Overview>>>,
    explanations: Explanations,
    watches: Watches,
    /// One report at a time.
    checks: Arc<Semaphore>,
}

/// What does not change.
struct Facts {
    instance: Instance,
    /// Bytes; `None`: no limit.
    memory_limit: Option<u64>,
}

struct Live {
    telemetry: Arc<Telemetry>,
    history: Mutex<History>,
    rates: Mutex<Rates>,
}

/// A value, and when it was made or used last.
struct Used<T> {
    value: T,
    at: Instant,
}

impl Console {
    fn new(state: Arc<State>, facts: Facts, cluster: Option<ClusterState>) -> Arc<Self> {
        Arc::new(Self {
            state,
            facts,
            cluster,
            live: OnceLock::new(),
            index: Mutex::default(),
            overview: Mutex::default(),
            explanations: Explanations::default(),
            watches: Watches::default(),
            checks: Arc::new(Semaphore::new(1)),
        })
    }

    /// The table in service; `None` before the first.
    fn table(&self) -> Option<Arc<RoutingTable>> {
        Some(self.state.served()?.reader.current())
    }

    /// The table in service and its index, which is made if the table is new.
    fn index(&self) -> Option<(Arc<RoutingTable>, Arc<Index>)> {
        let table = self.table()?;
        let at = Instant::now();
        let mut index = self.index.lock();
        if let Some(used) = &mut *index
            && used.value.generation() == table.generation
        {
            used.at = at;
            return Some((table, used.value.clone()));
        }
        let value = Arc::new(Index::of(&table));
        *index = Some(Used {
            value: value.clone(),
            at,
        });
        Some((table, value))
    }
}

impl Source for Console {
    fn overview(&self) -> Overview {
        overview::overview(self)
    }

    fn hosts(&self, search: &Search) -> Page<HostRow> {
        hosts::hosts(self, search)
    }

    fn host(&self, name: &str) -> Option<HostPage> {
        hosts::host(self, name)
    }

    fn routes(&self, filter: &RouteFilter) -> Page<RouteRow> {
        hosts::routes(self, filter)
    }

    fn route<'a>(&'a self, id: &'a str) -> Reply<'a, Option<RoutePage>> {
        Box::pin(route::route(self, id))
    }

    fn canaries(&self, search: &Search) -> Page<CanaryRow> {
        canaries::canaries(self, search)
    }

    fn findings(&self, filter: &FindingsFilter) -> FindingsPage {
        findings::findings(self, filter)
    }

    fn certificates(&self, search: &Search) -> CertificatesPage {
        certificates::certificates(self, search)
    }

    fn explain<'a>(&'a self, form: &'a ExplainForm) -> Reply<'a, Result<Explained, Failed>> {
        Box::pin(explain::explain(self, form))
    }

    fn check<'a>(&'a self, search: &'a Search) -> Reply<'a, Result<CheckPage, Failed>> {
        Box::pin(check::check(self, search))
    }

    fn annotation(&self, name: &str) -> Option<AnnotationPage> {
        annotations::annotation(name)
    }

    fn tap(&self, filter: &TapFilter) -> Result<Box<dyn TapReader>, Failed> {
        tap::tap(self, filter)
    }
}

/// Why the admin port has no answer, for the console.
fn failed((status, reason): Failure) -> Failed {
    match status {
        StatusCode::BAD_REQUEST => Failed::Invalid(reason),
        StatusCode::SERVICE_UNAVAILABLE => Failed::Unavailable(reason),
        _ => Failed::Internal(reason),
    }
}

fn not_yet() -> Failed {
    Failed::Unavailable("waiting for the first table".to_owned())
}
