//! From batches of changed objects to published tables: the one writer.

use std::sync::Arc;
use std::time::Instant;

use headgate_compile::settings::Settings;
use headgate_compile::{Batch, Compiled, Finding, Options, Origin, Severity, Snapshot, compile};
use headgate_proxy::Telemetry;
use headgate_table::{Certificate, Publisher, RoutingTable, TableReader, publisher};
use prometheus::Registry;

use crate::admin::{Served, State};

/// What comes from outside.
pub(crate) enum Input {
    /// Changes.
    Batch(Batch),
    /// A question about the state as it is.
    Question(Question),
}

/// Looks at the state, and changes nothing.
pub(crate) type Question = Box<dyn FnOnce(&View<'_>) + Send>;

/// The state after a batch.
pub(crate) struct View<'a> {
    /// The objects.
    pub(crate) snapshot: &'a Snapshot,
    /// What they were compiled to.
    pub(crate) compiled: &'a Compiled,
    /// What the flags say about compiling.
    pub(crate) options: &'a Options,
}

/// Where batches come from, and who wants to know what became of them: files, a cluster, or nowhere.
pub(crate) trait Feed {
    /// Adds metrics of its own.
    ///
    /// # Errors
    /// When a name is taken.
    fn register(&self, _registry: &Registry) -> Result<(), prometheus::Error> {
        Ok(())
    }

    /// What comes next; never resolves when nothing will. Cancelling it loses nothing.
    fn next(&mut self) -> impl Future<Output = Input>;

    /// The objects, as of the last batch.
    fn snapshot(&self) -> &Snapshot;

    /// A table was published; `appeared` are findings that were not there before, `gone` those that are no more.
    fn published(&mut self, _compiled: &Compiled, _appeared: &[Finding], _gone: &[Finding]) {}

    /// The stop has begun, and what is served still is for the grace.
    fn leaving(&mut self) {}

    /// No request is served any more: the last chance to notify others.
    fn stop(&mut self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// The first state, compiled and not published yet: what it says decides how the data plane is set up.
pub(crate) struct First {
    options: Options,
    fallback: Arc<Certificate>,
    compiled: Compiled,
    unreadable: Vec<Finding>,
    arrived: Instant,
    origin: Origin,
}

/// Compiles what a feed has, batch by batch, and publishes the table.
pub(crate) struct Reconciler {
    options: Options,
    fallback: Arc<Certificate>,
    compiled: Compiled,
    /// What is wrong with objects and documents that cannot be read.
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
        state.show(Served {
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
        reconciler.report(true);
        feed.published(&reconciler.compiled, &appeared, &[]);
        (reconciler, reader)
    }
}

impl Reconciler {
    /// The table being served.
    pub(crate) fn table(&self) -> &Arc<RoutingTable> {
        self.compiled.table()
    }

    /// Takes a batch in or answers a question.
    pub(crate) fn take(self, input: Input, feed: &mut impl Feed) -> Self {
        match input {
            Input::Batch(batch) => self.apply(batch, feed),
            Input::Question(question) => {
                question(&View {
                    snapshot: feed.snapshot(),
                    compiled: &self.compiled,
                    options: &self.options,
                });
                self
            }
        }
    }

    /// Takes a batch in, compiles what it touches and publishes the result.
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
            // The former table goes with its last request; dropping ours here keeps that work off the requests.
            drop(self.publisher.publish(table));
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
        let other_findings = !appeared.is_empty() || !gone.is_empty();
        if other_findings || is_changed {
            feed.published(&self.compiled, &appeared, &gone);
            self.report(other_findings);
        }
        self
    }

    /// Shows the state to the admin port and the metrics. Findings are gathered anew only when there are others.
    fn report(&self, other_findings: bool) {
        let table = self.compiled.table();
        self.telemetry.published(table.generation);
        if !other_findings {
            return;
        }
        let mut findings = self.compiled.findings();
        findings.extend(self.unreadable.iter().cloned());
        let count = |severity: Severity| {
            let same = findings
                .iter()
                .filter(|finding| finding.severity == severity);
            (severity.as_str(), same.count() as u64)
        };
        let severities = [Severity::Error, Severity::Warning, Severity::Info];
        self.telemetry.set_findings(severities.map(count).into());
        self.state.set_findings(findings);
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
