//! The thread that exports spans.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use headgate_table::{TableReader, TracingSettings};
use tokio::task::LocalSet;

use super::Spans;
use super::backoff::Backoff;
use super::collector::{Collector, ExportError};
use super::span::Span;
use crate::current::{self, CurrentTable};
use crate::upstream::{DiskSpace, Environment, LocalAddresses, RequestBuffers, Upstreams};

/// How long a new table waits for the next one.
const SETTLING: Duration = Duration::from_millis(10);

/// Starts the thread. Without it, spans are dropped when the queue is full.
pub(super) fn start(spans: Arc<Spans>) {
    let Some(reader) = spans.reader.get().cloned() else {
        return;
    };
    let thread = thread::Builder::new().name("spans".to_owned());
    if let Err(error) = thread.spawn(move || run(&spans, &reader)) {
        tracing::error!(%error, "cannot start the thread that exports spans");
    }
}

fn run(spans: &Arc<Spans>, reader: &TableReader) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let exporter = Exporter::new(spans.clone(), reader);
            LocalSet::new().block_on(&runtime, exporter.run());
            runtime.shutdown_background();
        }
        Err(error) => tracing::error!(%error, "cannot export spans"),
    }
    spans.ended.send_replace(true);
}

struct Exporter {
    spans: Arc<Spans>,
    reader: TableReader,
    table: CurrentTable,
    collector: Collector,
    backoff: Backoff,
}

impl Exporter {
    fn new(spans: Arc<Spans>, reader: &TableReader) -> Self {
        let environment = Environment {
            resolver: Arc::default(),
            // The operator names the collector, which may be beside this process.
            local: LocalAddresses::default(),
            loopback: true,
            workers: 1,
            buffers: Arc::new(crate::buffers::ResponseBuffers::new(
                crate::config::Config::RESPONSE_BUFFERS,
            )),
            bodies: Arc::new(RequestBuffers::new(0)),
            disk: DiskSpace::new(),
        };
        let table = CurrentTable::new(reader);
        let upstreams = Upstreams::new(Arc::new(environment), 0, table.clone());
        Self {
            collector: Collector::new(Rc::new(upstreams), spans.environment.clone()),
            spans,
            reader: reader.clone(),
            table,
            backoff: Backoff::default(),
        }
    }

    async fn run(mut self) {
        loop {
            self.wait().await;
            // What comes after the queue was empty is for the next round, unless there is none.
            let is_last = self.spans.is_stopping();
            loop {
                let most = self.settings().batch;
                let batch = self.spans.take(most);
                let is_full = batch.len() >= most;
                if !batch.is_empty() {
                    self.export(batch).await;
                }
                if !is_full {
                    break;
                }
            }
            if is_last {
                return;
            }
        }
    }

    /// Waits until spans are due, or settings change.
    async fn wait(&self) {
        if self.spans.is_stopping() {
            return;
        }
        let settings = self.settings();
        let mut due = pin!(tokio::time::sleep(settings.delay));
        while Arc::ptr_eq(&settings, &self.settings()) {
            let table = Arc::clone(&self.table.get());
            tokio::select! {
                () = self.spans.wake.notified() => return,
                () = &mut due => return,
                () = current::changed(&self.reader, &table, SETTLING) => {}
            }
        }
    }

    fn settings(&self) -> Arc<TracingSettings> {
        self.table.get().settings.tracing.clone()
    }

    async fn export(&mut self, batch: Vec<Span>) {
        let number = batch.len() as u64;
        let message = Bytes::from(self.spans.encode(batch, &self.settings()));
        let mut attempts = 0;
        loop {
            let settings = self.settings();
            let pool = &self.table.get().settings.pool.clone();
            let error = match self.collector.send(&message, &settings, pool).await {
                Ok(rejected) => return self.succeeded(number, rejected.min(number)),
                Err(error) => error,
            };
            attempts += 1;
            let again = error.is_temporary && !Backoff::gives_up(attempts);
            let is_last = !again || self.spans.is_stopping();
            if is_last {
                self.given_up(number, &error);
            }
            // Also after the last: the next batch would be refused at once.
            self.pause(&error).await;
            if is_last {
                return;
            }
        }
    }

    fn succeeded(&mut self, number: u64, rejected: u64) {
        let spans = &self.spans;
        spans
            .exported
            .fetch_add(number - rejected, Ordering::Relaxed);
        spans.failed.fetch_add(rejected, Ordering::Relaxed);
        if self.backoff.succeeded() {
            tracing::info!(collector = %self.collector, "spans are exported again");
        }
    }

    fn given_up(&self, number: u64, error: &ExportError) {
        self.spans.failed.fetch_add(number, Ordering::Relaxed);
        let (collector, error) = (&self.collector, &error.message);
        tracing::warn!(%collector, %error, spans = number, "export of spans failed: spans dropped");
    }

    /// Waits before the next attempt, but not after the process stops or settings change.
    async fn pause(&mut self, error: &ExportError) {
        let pause = self.backoff.failed(error.after, fastrand::f64());
        let (collector, error) = (&self.collector, &error.message);
        tracing::warn!(%collector, %error, retry_seconds = pause.as_secs_f32(), "cannot export spans");
        let settings = self.settings();
        let mut over = pin!(tokio::time::sleep(pause));
        // Taking the current table also releases the former one.
        while !self.spans.is_stopping() && Arc::ptr_eq(&settings, &self.settings()) {
            let table = Arc::clone(&self.table.get());
            tokio::select! {
                () = &mut over => return,
                () = self.spans.wake.notified() => {}
                () = current::changed(&self.reader, &table, SETTLING) => {}
            }
        }
    }
}
