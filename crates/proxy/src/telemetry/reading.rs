//! The counters as numbers, for the console. It reads what metrics expose; requests pay nothing for it.

use std::sync::Arc;
use std::time::Duration;

use headgate_table::Route;

use super::Telemetry;
use super::count::Count;
use super::process::Process;
use super::series::{RouteSeries, Series};
use super::worker::Counters;

/// The requests of one route, host and side of a canary, since the route got its first request.
#[derive(Debug)]
pub struct RequestCounts<'a> {
    /// [`route_number`] of the route.
    pub route: u64,
    /// The host as configured; `None` where metrics have no hosts.
    pub host: Option<&'a Arc<str>>,
    /// The alternative, such as a canary, that served.
    pub canary: Option<&'a Arc<str>>,
    /// Responses with a status from 400 to 499.
    pub client_errors: u64,
    /// Responses with a status from 500.
    pub server_errors: u64,
    /// Requests by duration: one number for each of [`Telemetry::time_bounds`], and one for longer ones.
    pub times: &'a [u64],
}

/// Counters of all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerCounts {
    /// Each worker.
    pub workers: Vec<WorkerCounts>,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections in a handshake or reading the head of a request.
    pub reading: u64,
    /// Connections that serve a request or a stream.
    pub writing: u64,
    /// Connections idle between requests.
    pub waiting: u64,
    /// Error responses that the proxy made since the start, by reason.
    pub errors: Vec<(&'static str, u64)>,
    /// Refusals since the start, by limit.
    pub refused: Vec<(&'static str, u64)>,
}

/// Counters of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerCounts {
    /// Requests that ended since the start.
    pub requests: u64,
    /// Connections that are open.
    pub connections: u64,
}

/// What the kernel knows of the process; 0 where it does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessCounts {
    /// Time of processors since the start.
    pub cpu_seconds: f64,
    /// When it started.
    pub started_unix_seconds: u64,
    /// Memory in use.
    pub resident_bytes: u64,
    /// Open files.
    pub open_files: u64,
    /// Most of them.
    pub max_open_files: u64,
}

/// Publications of tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishCounts {
    /// When the last one was; `None` before the first.
    pub published_unix_seconds: Option<u64>,
    /// From the arrival of an object to its being served, the last time.
    pub last: Option<Duration>,
    /// Upper bounds of these times, in seconds.
    pub bounds: Vec<f64>,
    /// Publications by time: one number for each bound, and one for longer ones.
    pub times: Vec<u64>,
}

/// Names the counters of a route in this process; `None` before its first request.
pub fn route_number(route: &Route) -> Option<u64> {
    route.slot.get::<RouteSeries>().map(RouteSeries::number)
}

impl Telemetry {
    /// Upper bounds of the times of [`RequestCounts`], in seconds.
    pub fn time_bounds(&self) -> &[f64] {
        self.routes.scales().time.exposed()
    }

    /// Reads the requests of all routes that have had any.
    pub fn read_requests(&self, mut each: impl FnMut(&RequestCounts<'_>)) {
        for route in self.routes.live() {
            let mut sides: Vec<Side<'_>> = Vec::new();
            for series in route.iter() {
                match sides.iter_mut().find(|side| side.is_of(series)) {
                    Some(side) => side.add(series),
                    None => sides.push(Side::new(series)),
                }
            }
            sides
                .iter()
                .for_each(|side| each(&side.counts(route.number())));
        }
    }

    /// Reads the counters of the workers.
    pub fn read_server(&self) -> ServerCounts {
        let sum = |count: fn(&Counters) -> &Count| -> u64 {
            let workers = self.workers.iter();
            workers.map(|worker| count(worker).value()).sum()
        };
        let workers = self.workers.iter().map(|worker| WorkerCounts {
            requests: worker.requests.value(),
            connections: worker.active.value(),
        });
        ServerCounts {
            workers: workers.collect(),
            accepted: sum(|worker| &worker.accepted),
            reading: sum(|worker| &worker.states[0]),
            writing: sum(|worker| &worker.states[1]),
            waiting: sum(|worker| &worker.states[2]),
            errors: by_name(self.workers.iter().flat_map(|worker| worker.errors.iter())),
            refused: by_name(self.workers.iter().flat_map(|worker| worker.refused.iter())),
        }
    }

    /// Reads what the kernel knows of the process.
    pub fn read_process(&self) -> ProcessCounts {
        let process = Process::now();
        ProcessCounts {
            cpu_seconds: process.cpu,
            started_unix_seconds: process.start as u64,
            resident_bytes: process.resident as u64,
            open_files: process.open_files as u64,
            max_open_files: process.max_files as u64,
        }
    }

    /// Reads the publications.
    pub fn read_publications(&self) -> PublishCounts {
        self.control.lock().read()
    }
}

/// The series of a route that differ in method and status only.
struct Side<'a> {
    first: &'a Series,
    client_errors: u64,
    server_errors: u64,
    times: Vec<u64>,
}

impl<'a> Side<'a> {
    fn new(first: &'a Series) -> Self {
        let mut side = Self {
            first,
            client_errors: 0,
            server_errors: 0,
            times: Vec::new(),
        };
        side.add(first);
        side
    }

    fn is_of(&self, series: &Series) -> bool {
        let (one, other) = (&self.first.key, &series.key);
        one.host == other.host && one.canary == other.canary
    }

    fn add(&mut self, series: &Series) {
        let requests = series.add_times(&mut self.times);
        match series.key.class() {
            4 => self.client_errors += requests,
            5.. => self.server_errors += requests,
            _ => {}
        }
    }

    fn counts(&self, route: u64) -> RequestCounts<'_> {
        RequestCounts {
            route,
            host: self.first.key.host.as_ref(),
            canary: self.first.key.canary.as_ref(),
            client_errors: self.client_errors,
            server_errors: self.server_errors,
            times: &self.times,
        }
    }
}

fn by_name<'a>(
    counts: impl Iterator<Item = &'a (&'static str, Count)>,
) -> Vec<(&'static str, u64)> {
    let mut sums: Vec<(&'static str, u64)> = Vec::new();
    for (name, count) in counts {
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += count.value(),
            None => sums.push((name, count.value())),
        }
    }
    sums
}
