//! Counters of a worker and of its connections, and its buffer of the access log.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_table::AccessLogSettings;

use super::Telemetry;
use super::access_log::{LogBuffer, StreamLog};
use super::chain::Chain;
use super::count::Count;
use super::errors::ErrorLines;
use super::observation::Observation;
use super::stream_session::Session;
use super::streams::{Port, PortCounts, Ports};
use super::tap::{Looks, is_watched};
use crate::current::CurrentTable;
use crate::limit::Limit;
use crate::record::Record;

/// Counters of a worker, aligned so that no two workers write to the same cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counters {
    /// Connections accepted.
    pub(super) accepted: Count,
    /// Connections served.
    pub(super) handled: Count,
    /// Connections open now.
    pub(super) active: Count,
    /// Of these, by [`ConnectionState`].
    pub(super) states: [Count; 3],
    /// Requests that ended.
    pub(super) requests: Count,
    /// Panics that were caught.
    pub(super) panics: Count,
    /// Error responses by reason.
    pub(super) errors: Chain<(&'static str, Count)>,
    /// Refusals by limit.
    pub(super) refused: Chain<(&'static str, Count)>,
    /// Copies for mirrors by what became of them.
    pub(super) mirrored: Chain<(&'static str, Count)>,
    /// TCP and UDP sessions by port.
    pub(super) ports: Ports,
}

impl Counters {
    fn refuse(&self, limit: Limit) {
        count(&self.refused, limit.as_str());
    }

    fn state(&self, state: ConnectionState) -> Option<&Count> {
        self.states.get(state as usize)
    }
}

/// Counts one more under `label`.
fn count(counts: &Chain<(&'static str, Count)>, label: &'static str) {
    let found = counts.iter().find(|(name, _)| *name == label);
    let (_, count) = found.unwrap_or_else(|| counts.push(|| (label, Count::default())));
    count.add(1);
}

/// What a client connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionState {
    /// Reading the head of a request; also handshakes.
    Reading,
    /// Serving at least one request, or a stream.
    Writing,
    /// Idle between requests.
    Waiting,
}

/// [`Telemetry`] of one worker. Never leaves the worker's thread.
pub(crate) struct WorkerTelemetry {
    telemetry: Arc<Telemetry>,
    counters: Arc<Counters>,
    index: usize,
    table: CurrentTable,
    log: RefCell<LogBuffer>,
    stream_log: RefCell<StreamLog>,
    errors: ErrorLines,
    looks: Looks,
}

impl WorkerTelemetry {
    /// Longest time that a line stays in a worker: [`WorkerTelemetry::flush`] is due this long after the first line.
    pub(crate) const FLUSH_INTERVAL: Duration = Duration::from_millis(100);

    /// For worker `index`, which serves from `table`. At most one for each index below the configured number of workers.
    pub(crate) fn new(telemetry: &Arc<Telemetry>, index: usize, table: CurrentTable) -> Self {
        Self {
            telemetry: telemetry.clone(),
            counters: telemetry.workers.get(index).cloned().unwrap_or_default(),
            index,
            table,
            log: RefCell::new(LogBuffer::new(telemetry.log.clone())),
            stream_log: RefCell::new(StreamLog::new(telemetry.stream_log.clone())),
            errors: ErrorLines::default(),
            looks: Looks::default(),
        }
    }

    /// Counts a finished request and logs it by the settings of the current table.
    pub(super) fn observe(&self, record: &Record) {
        let table = self.table.get();
        let seen = Observation::of(record, Instant::now());
        self.telemetry.spans.observe(&seen, &table.settings.tracing);
        self.finish(&seen, &table.settings.access_log);
        if is_watched(seen.details) {
            self.telemetry.taps.offer(&seen);
        }
    }

    /// Whether a tap may select a request that began at `now`: then its record needs details.
    pub(crate) fn watches(&self, now: Instant) -> bool {
        self.telemetry.taps.are_open() && self.looks.admit(now)
    }

    /// Counts an accepted connection, which is open until the guard is dropped.
    pub(crate) fn connection(&self) -> ConnectionGuard {
        let counters = self.counters.clone();
        counters.accepted.add(1);
        counters.handled.add(1);
        counters.active.add(1);
        let guard = ConnectionGuard {
            counters,
            state: Cell::new(ConnectionState::Reading),
            thread: PhantomData,
        };
        if let Some(count) = guard.counters.state(ConnectionState::Reading) {
            count.add(1);
        }
        guard
    }

    /// Counts a connection that was accepted and closed at once because of `limit`.
    pub(crate) fn connection_refused(&self, limit: Limit) {
        self.counters.accepted.add(1);
        self.refused(limit);
    }

    /// Counts a refusal by `limit` that has no record.
    pub(crate) fn refused(&self, limit: Limit) {
        self.counters.refuse(limit);
    }

    /// Counts and reports a request of `client` whose head was refused.
    pub(crate) fn head_refused(&self, client: SocketAddr, status: u16, limit: Limit) {
        self.refused(limit);
        count(&self.counters.errors, limit.as_str());
        if self.table.get().settings.access_log.errors {
            self.errors.write_refusal(client, status, limit.as_str());
        }
    }

    /// Logs a request that was made on behalf of another, such as one to an authentication service, if settings say so. It
    /// counts in no metric.
    pub(crate) fn log_subrequest(&self, record: &Record) {
        if self.table.get().settings.access_log.subrequests {
            self.log_copy(record);
        }
    }

    /// Logs a copy for a mirror. It counts in no metric of requests.
    pub(crate) fn log_copy(&self, record: &Record) {
        let table = self.table.get();
        if let Ok(mut log) = self.log.try_borrow_mut() {
            let seen = Observation::of(record, Instant::now());
            log.write(&seen, &table.settings.access_log);
        }
    }

    /// The counters of the TCP or UDP sessions of a port.
    pub(crate) fn port(&self, port: Port) -> Arc<PortCounts> {
        PortCounts::of(&self.counters.ports, port)
    }

    /// Logs a TCP or UDP session that ends now, if settings of the current table say so.
    pub(crate) fn log_session(&self, session: &Session) {
        let table = self.table.get();
        if let Ok(mut log) = self.stream_log.try_borrow_mut() {
            log.write(session, &table.settings.streams);
        }
    }

    /// Counts a copy for a mirror by what became of it.
    pub(crate) fn mirrored(&self, outcome: &'static str) {
        count(&self.counters.mirrored, outcome);
    }

    /// Counts a caught panic.
    pub(crate) fn panicked(&self) {
        self.counters.panics.add(1);
    }

    /// Whether lines wait for [`WorkerTelemetry::flush`].
    #[cfg(test)]
    pub(crate) fn has_lines(&self) -> bool {
        self.log.try_borrow().is_ok_and(|log| log.has_lines())
    }

    /// Sends buffered lines to the writer. Never blocks.
    pub(crate) fn flush(&self) {
        if let Ok(mut log) = self.log.try_borrow_mut() {
            log.flush();
        }
        if let Ok(mut log) = self.stream_log.try_borrow_mut() {
            log.flush();
        }
    }

    pub(super) fn finish(&self, seen: &Observation<'_>, settings: &AccessLogSettings) {
        let telemetry = &*self.telemetry;
        self.counters.requests.add(1);
        if let Some(limit) = seen.refused_by {
            self.counters.refuse(limit);
        }
        if seen.over_budget {
            self.counters.refuse(Limit::RetryBudget);
        }
        if let Some(fault) = seen.reason {
            count(&self.counters.errors, fault.reason);
            if settings.errors {
                self.errors.write(seen, fault);
            }
        }
        telemetry.routes.observe(seen, self.index);
        if let Ok(mut log) = self.log.try_borrow_mut() {
            log.write(seen, settings);
        }
    }
}

impl Drop for WorkerTelemetry {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Counts an open client connection in the gauges. Never leaves its worker's thread.
pub(crate) struct ConnectionGuard {
    counters: Arc<Counters>,
    state: Cell<ConnectionState>,
    thread: PhantomData<Rc<()>>,
}

impl ConnectionGuard {
    /// Changes the state, which is [`ConnectionState::Reading`] at first.
    pub(crate) fn enter(&self, state: ConnectionState) {
        let former = self.state.replace(state);
        if former == state {
            return;
        }
        if let (Some(former), Some(now)) = (self.counters.state(former), self.counters.state(state))
        {
            former.decrement();
            now.add(1);
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.counters.active.decrement();
        if let Some(count) = self.counters.state(self.state.get()) {
            count.decrement();
        }
    }
}
