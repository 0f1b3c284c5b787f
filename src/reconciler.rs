//! The reconciler: compiles batches of changed objects and publishes the table. It is the only writer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use headgate_compile::settings::Settings;
use headgate_compile::{Batch, Compiled, Finding, Options, Origin, Severity, Snapshot, compile};
use headgate_proxy::{ResolvedNames, Telemetry};
use headgate_table::{Certificate, Publisher, RoutingTable, TableReader, publisher};
use prometheus::Registry;

use crate::admin::{Served, State};

/// Input of the reconciler.
pub(crate) enum Input {
    Batch(Batch),
    Query(Query),
}

/// A read-only call on the current state.
pub(crate) type Query = Box<dyn FnOnce(&View<'_>) + Send>;

/// Says how the API server and the leader are now.
pub(crate) type ClusterState = Box<dyn Fn() -> headgate_console::model::Cluster + Send + Sync>;

/// The state after the last batch.
pub(crate) struct View<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) compiled: &'a Compiled,
    pub(crate) options: &'a Options,
    /// Findings about objects and documents that cannot be read.
    pub(crate) unreadable: &'a [Finding],
}

/// A source of batches, notified of the tables published from them: files or a cluster.
pub(crate) trait Feed {
    /// Registers the metrics of the source.
    ///
    /// # Errors
    /// When a name is taken.
    fn register(&self, _registry: &Registry) -> Result<(), prometheus::Error> {
        Ok(())
    }

    /// The address on which the source itself listens, to which no Service may lead.
    fn listening(&self) -> Option<SocketAddr> {
        None
    }

    /// How the cluster is, if there is one: a function that may be called on any thread.
    fn cluster(&self) -> Option<ClusterState> {
        None
    }

    /// The next input; pending forever if there is none. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Input>;

    /// The objects, as of the last batch.
    fn snapshot(&self) -> &Snapshot;

    /// Called after a table was published, with the findings that are new and those that are gone.
    fn published(&mut self, _compiled: &Compiled, _appeared: &[Finding], _gone: &[Finding]) {}

    /// Called when requests are served from now on, with the external names that they need.
    fn serving(&mut self, _names: ResolvedNames) {}

    /// Called when a stop begins; requests are still served for the grace period.
    fn draining(&mut self) {}

    /// Called after the last request, to release what other replicas and the API server see.
    fn stop(&mut self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// The first state, compiled and not yet published: its settings configure the data plane.
pub(crate) struct First {
    options: Options,
    fallback: Arc<Certificate>,
    compiled: Compiled,
    unreadable: Vec<Finding>,
    arrived: Instant,
    origin: Origin,
}

/// Compiles the objects of a feed, batch by batch, and publishes the table.
pub(crate) struct Reconciler {
    options: Options,
    fallback: Arc<Certificate>,
    compiled: Compiled,
    /// Findings about objects and documents that cannot be read.
    unreadable: Vec<Finding>,
    publisher: Publisher,
    telemetry: Arc<Telemetry>,
    state: Arc<State>,
}

impl First {
    /// Compiles the first batch.
    pub(crate) fn compile(
        first: Batch,
        feed: &impl Feed,
        options: Options,
        fallback: Arc<Certificate>,
    ) -> Self {
        let compiled = compile(feed.snapshot(), &first.changes, None, &options, &fallback);
        Self {
            options,
            fallback,
            compiled,
            unreadable: first.findings,
            arrived: first.arrived,
            origin: first.origin,
        }
    }

    /// The settings of the ConfigMap.
    pub(crate) fn settings(&self) -> &Settings {
        self.compiled.settings()
    }

    /// Publishes the first table.
    pub(crate) fn publish(
        self,
        telemetry: Arc<Telemetry>,
        state: Arc<State>,
        feed: &mut impl Feed,
    ) -> (Reconciler, TableReader) {
        let (publisher, reader) = publisher(self.compiled.table().clone());
        let (mut appeared, _) = self.compiled.difference();
        appeared.extend(self.unreadable.iter().cloned());
        log(&appeared, &[]);
        telemetry.publish_latency(self.arrived.elapsed());
        state.set_served(Served {
            reader: reader.clone(),
            telemetry: telemetry.clone(),
        });
        state.set_stale(self.origin == Origin::Cached);
        let reconciler = Reconciler {
            options: self.options,
            fallback: self.fallback,
            compiled: self.compiled,
            unreadable: self.unreadable,
            publisher,
            telemetry,
            state,
        };
        reconciler.report(&appeared, &[]);
        feed.published(&reconciler.compiled, &appeared, &[]);
        (reconciler, reader)
    }
}

impl Reconciler {
    /// The table being served.
    pub(crate) fn table(&self) -> &Arc<RoutingTable> {
        self.compiled.table()
    }

    /// Applies a batch or runs a query.
    pub(crate) fn handle(self, input: Input, feed: &mut impl Feed) -> Self {
        match input {
            Input::Batch(batch) => self.apply(batch, feed),
            Input::Query(query) => {
                query(&View {
                    snapshot: feed.snapshot(),
                    compiled: &self.compiled,
                    options: &self.options,
                    unreadable: &self.unreadable,
                });
                self
            }
        }
    }

    /// Compiles what a batch changes and publishes the result.
    fn apply(mut self, batch: Batch, feed: &mut impl Feed) -> Self {
        self.state.set_stale(batch.origin == Origin::Cached);
        let (mut appeared, mut gone) = (Vec::new(), Vec::new());
        let is_changed = !batch.changes.is_empty();
        if is_changed {
            self.compiled = compile(
                feed.snapshot(),
                &batch.changes,
                Some(self.compiled),
                &self.options,
                &self.fallback,
            );
            let table = self.compiled.table().clone();
            // The last reference frees the previous table; dropping the publisher's here keeps that work off the requests.
            drop(self.publisher.publish(table));
            let log = &self.compiled.settings().access_log;
            self.telemetry.move_logs(
                crate::app::destination(&log.target),
                crate::app::destination(&log.stream_target),
            );
            crate::log::follow(&self.compiled.settings().error_log);
            self.telemetry.publish_latency(batch.arrived.elapsed());
            (appeared, gone) = self.compiled.difference();
        }
        if batch.findings != self.unreadable {
            let only = |these: &[Finding], those: &[Finding]| -> Vec<Finding> {
                let new = these.iter().filter(|finding| !those.contains(finding));
                new.cloned().collect()
            };
            appeared.extend(only(&batch.findings, &self.unreadable));
            gone.extend(only(&self.unreadable, &batch.findings));
            self.unreadable = batch.findings;
        }
        log(&appeared, &gone);
        if is_changed || !appeared.is_empty() || !gone.is_empty() {
            feed.published(&self.compiled, &appeared, &gone);
            self.report(&appeared, &gone);
        }
        self
    }

    /// Updates the admin port and the metrics.
    fn report(&self, appeared: &[Finding], gone: &[Finding]) {
        self.telemetry.published(self.table().generation);
        let findings = self.state.change_findings(appeared, gone);
        let count = |severity: Severity| (severity.as_str(), findings.count(severity));
        let severities = [Severity::Error, Severity::Warning, Severity::Info];
        self.telemetry.set_findings(severities.map(count).into());
    }
}

/// Logs findings when they appear and when they go.
fn log(appeared: &[Finding], gone: &[Finding]) {
    for finding in gone {
        tracing::info!(object = %finding.subject, field = %finding.field, "no longer: {}", finding.message);
    }
    for finding in appeared {
        let (object, field, message) = (&finding.subject, &finding.field, &finding.message);
        match finding.severity {
            Severity::Error => tracing::error!(%object, %field, "{message}"),
            Severity::Warning => tracing::warn!(%object, %field, "{message}"),
            Severity::Info => tracing::info!(%object, %field, "{message}"),
        }
    }
}
