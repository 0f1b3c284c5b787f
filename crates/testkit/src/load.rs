//! A load: connections that repeat the same request and count failures.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::client::http1::Connection;
use crate::client::request::Request;
use crate::client::response::Response;
use crate::wait;

/// Maximum of failures that a report describes.
const MAX_FAILURES: usize = 20;

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct Load {
    stopping: Arc<AtomicBool>,
    succeeded: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Report>>,
}

/// The outcome of a load.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Complete responses with status 2xx that passed the check.
    pub good: u64,
    /// Everything else: other responses, errors, refused connections.
    pub failed: u64,
    /// The first of the failures, described.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts this many connections, each of which sends `request` as soon as the last response is read. A response is good
    /// when its status is 2xx, its body is complete and `check` accepts it.
    pub fn start(
        address: SocketAddr,
        connections: usize,
        request: &Request,
        check: impl Fn(&Response) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let (stopping, succeeded) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let check = Arc::new(check);
        let workers = (0..connections)
            .map(|_| {
                let worker = Worker {
                    address,
                    request: request.clone(),
                    check: check.clone(),
                    stopping: stopping.clone(),
                    succeeded: succeeded.clone(),
                };
                std::thread::spawn(move || worker.run())
            })
            .collect();
        Self {
            stopping,
            succeeded,
            workers,
        }
    }

    /// Good responses so far.
    pub fn succeeded(&self) -> u64 {
        self.succeeded.load(Ordering::Acquire)
    }

    /// Waits for `more` further good responses.
    ///
    /// # Panics
    /// When they do not come.
    pub fn wait_for(&self, more: u64) {
        let goal = self.succeeded() + more;
        wait::until("responses under load", || {
            (self.succeeded() >= goal).then_some(())
        });
    }

    /// Stops the load after the requests in flight.
    ///
    /// # Panics
    /// When a worker panicked.
    pub fn stop(self) -> Report {
        self.stopping.store(true, Ordering::Release);
        let mut report = Report::default();
        for worker in self.workers {
            let part = worker.join().expect("a worker of the load does not panic");
            report.good += part.good;
            report.failed += part.failed;
            report.failures.extend(part.failures);
        }
        report.failures.truncate(MAX_FAILURES);
        report
    }
}

struct Worker<C> {
    address: SocketAddr,
    request: Request,
    check: Arc<C>,
    stopping: Arc<AtomicBool>,
    succeeded: Arc<AtomicU64>,
}

impl<C: Fn(&Response) -> Result<(), String>> Worker<C> {
    fn run(self) -> Report {
        let mut report = Report::default();
        let mut connection = None;
        while !self.stopping.load(Ordering::Acquire) {
            match self.exchange(&mut connection) {
                Ok(()) => {
                    report.good += 1;
                    self.succeeded.fetch_add(1, Ordering::AcqRel);
                }
                Err(failure) => {
                    connection = None;
                    report.failed += 1;
                    if report.failures.len() < MAX_FAILURES {
                        report.failures.push(failure);
                    }
                }
            }
        }
        report
    }

    fn exchange(&self, kept: &mut Option<Connection>) -> Result<(), String> {
        let response = self.response(kept).map_err(|error| error.to_string())?;
        if !(200..300).contains(&response.status) || !response.complete {
            return Err(format!("{response:?}"));
        }
        (self.check)(&response)
    }

    fn response(&self, kept: &mut Option<Connection>) -> io::Result<Response> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::try_open(self.address)?,
        };
        connection.try_send(&self.request.bytes())?;
        let response = connection.try_response(false)?;
        connection.clear_sent();
        let closes = response
            .field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !closes {
            *kept = Some(connection);
        }
        Ok(response)
    }
}
