//! From batches of changed objects to published tables: the one writer.

use std::sync::Arc;
use std::time::Instant;

use headgate_compile::settings::Settings;
use headgate_compile::{Change, Compiled, Finding, Options, Severity, Snapshot, compile};
use headgate_proxy::Telemetry;
use headgate_table::{Certificate, Publisher, RoutingTable, TableReader, publisher};
use prometheus::Registry;

use crate::admin::{Served, State};

/// Changes that are taken in together, and when the first of them arrived.
pub(crate) struct Batch {
    /// In the order in which they happened.
    pub(crate) changes: Vec<Change>,
    /// What is wrong with documents that are no usable object: the complete list, as it is now.
    pub(crate) documents: Vec<Finding>,
    /// When the first change was seen.
    pub(crate) arrived: Instant,
    /// Whether these are the objects of an earlier process, because nobody says what they are now.
    pub(crate) is_stale: bool,
}

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

    /// A table was published; `appeared` are findings that were not there before, `gone` those that are no more.
    fn published(&mut self, _view: &View<'_>, _appeared: &[Finding], _gone: &[Finding]) {}

    /// The stop has begun, and what is served still is for the grace.
    fn leaving(&mut self) {}

    /// No request is served any more: the last chance to tell others.
    fn stop(&mut self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// The first state, compiled and not published yet: what it says decides how the data plane is set up.
pub(crate) struct First {
    snapshot: Snapshot,
    options: Options,
    fallback: Arc<Certificate>,
    compiled: Compiled,
    documents: Vec<Finding>,
    arrived: Instant,
    is_stale: bool,
}

/// Holds the snapshot, compiles it and publishes the table.
pub(crate) struct Reconciler {
    snapshot: Snapshot,
    options: Options,
    fallback: Arc<Certificate>,
    compiled: Compiled,
    documents: Vec<Finding>,
    publisher: Publisher,
    telemetry: Arc<Telemetry>,
    state: Arc<State>,
}

impl First {
    /// Compiles the first batch.
    pub(crate) fn compile(first: Batch, options: Options, fallback: Arc<Certificate>) -> Self {
        let mut snapshot = Snapshot::default();
        for change in first.changes {
            snapshot.change(change);
        }
        let changes = snapshot.take_changes();
        let compiled = compile(&snapshot, &changes, None, &options, &fallback);
        Self {
            snapshot,
            options,
            fallback,
            compiled,
            documents: first.documents,
            arrived: first.arrived,
            is_stale: first.is_stale,
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
        appeared.extend(self.documents.iter().cloned());
        tell(&appeared, &[]);
        telemetry.publish_latency(self.arrived.elapsed());
        state.show(Served {
            reader: reader.clone(),
            telemetry: telemetry.clone(),
        });
        state.set_stale(self.is_stale);
        let reconciler = Reconciler {
            snapshot: self.snapshot,
            options: self.options,
            fallback: self.fallback,
            compiled: self.compiled,
            documents: self.documents,
            publisher,
            telemetry,
            state,
        };
        reconciler.report(true);
        feed.published(&reconciler.view(), &appeared, &[]);
        (reconciler, reader)
    }
}

impl Reconciler {
    /// The table being served.
    pub(crate) fn table(&self) -> &Arc<RoutingTable> {
        self.compiled.table()
    }

    /// The state.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            snapshot: &self.snapshot,
            compiled: &self.compiled,
            options: &self.options,
        }
    }

    /// Takes a batch in or answers a question.
    pub(crate) fn take(self, input: Input, feed: &mut impl Feed) -> Self {
        match input {
            Input::Batch(batch) => self.apply(batch, feed),
            Input::Question(question) => {
                question(&self.view());
                self
            }
        }
    }

    /// Takes a batch in, compiles what it touches and publishes the result.
    fn apply(mut self, batch: Batch, feed: &mut impl Feed) -> Self {
        self.state.set_stale(batch.is_stale);
        for change in batch.changes {
            self.snapshot.change(change);
        }
        let changes = self.snapshot.take_changes();
        let (mut appeared, mut gone) = (Vec::new(), Vec::new());
        if !changes.is_empty() {
            self.compiled = compile(
                &self.snapshot,
                &changes,
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
        if batch.documents != self.documents {
            let only = |these: &[Finding], those: &[Finding]| -> Vec<Finding> {
                let new = these.iter().filter(|finding| !those.contains(finding));
                new.cloned().collect()
            };
            appeared.extend(only(&batch.documents, &self.documents));
            gone.extend(only(&self.documents, &batch.documents));
            self.documents = batch.documents;
        }
        tell(&appeared, &gone);
        let other_findings = !appeared.is_empty() || !gone.is_empty();
        if other_findings || !changes.is_empty() {
            feed.published(&self.view(), &appeared, &gone);
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
        findings.extend(self.documents.iter().cloned());
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
fn tell(appeared: &[Finding], gone: &[Finding]) {
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
