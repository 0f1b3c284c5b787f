//! A bounded load: connections that send the same request over and over and count everything that is not as it should be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::client::http1::Connection;
use crate::client::request::Request;
use crate::client::response::Response;
use crate::wait;

/// Failures that a report keeps in words.
const REMEMBERED: usize = 20;

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct Load {
    stopping: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Report>>,
}

/// What a load saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Answers that were as they should be.
    pub good: u64,
    /// Everything else: other answers, errors, refused connections.
    pub failed: u64,
    /// Some of what failed, in words.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts so many connections, each sending `request` as soon as the last one is answered. An answer is good when
    /// its status is 2xx, its body complete, and `check` finds nothing wrong with it.
    pub fn start(
        address: SocketAddr,
        connections: usize,
        request: &Request,
        check: impl Fn(&Response) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let (stopping, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let check = Arc::new(check);
        let workers = (0..connections)
            .map(|_| {
                let worker = Worker {
                    address,
                    request: request.clone(),
                    check: check.clone(),
                    stopping: stopping.clone(),
                    answered: answered.clone(),
                };
                std::thread::spawn(move || worker.run())
            })
            .collect();
        Self {
            stopping,
            answered,
            workers,
        }
    }

    /// Good answers so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Acquire)
    }

    /// Waits for so many more good answers.
    ///
    /// # Panics
    /// When they do not come.
    pub fn wait_for(&self, more: u64) {
        let goal = self.answered() + more;
        wait::until("answers under load", || {
            (self.answered() >= goal).then_some(())
        });
    }

    /// Ends the load: each connection finishes the request it is at.
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
        report.failures.truncate(REMEMBERED);
        report
    }
}

struct Worker<C> {
    address: SocketAddr,
    request: Request,
    check: Arc<C>,
    stopping: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

impl<C: Fn(&Response) -> Result<(), String>> Worker<C> {
    fn run(self) -> Report {
        let mut report = Report::default();
        let mut connection = None;
        while !self.stopping.load(Ordering::Acquire) {
            match self.exchange(&mut connection) {
                Ok(()) => {
                    report.good += 1;
                    self.answered.fetch_add(1, Ordering::AcqRel);
                }
                Err(failure) => {
                    connection = None;
                    report.failed += 1;
                    if report.failures.len() < REMEMBERED {
                        report.failures.push(failure);
                    }
                }
            }
        }
        report
    }

    fn exchange(&self, kept: &mut Option<Connection>) -> Result<(), String> {
        let response = self.answer(kept).map_err(|error| error.to_string())?;
        if !(200..300).contains(&response.status) || !response.complete {
            return Err(format!("{response:?}"));
        }
        (self.check)(&response)
    }

    fn answer(&self, kept: &mut Option<Connection>) -> io::Result<Response> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::try_open(self.address)?,
        };
        connection.try_send(&self.request.bytes())?;
        let response = connection.try_response(false)?;
        connection.forget();
        let closes = response
            .field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !closes {
            *kept = Some(connection);
        }
        Ok(response)
    }
}
