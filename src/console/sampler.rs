//! Reads the counters every ten seconds.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headgate_console::history::{History, STEP, Sample};
use headgate_proxy::{ProcessCounts, ServerCounts, Telemetry};
use parking_lot::Mutex;

use super::{Console, Live};

/// How long the index of the table is kept without a reader.
const UNUSED: Duration = Duration::from_secs(60);

/// Counters of the process at the last two ticks.
#[derive(Default)]
pub(super) struct Rates {
    former: Option<Reading>,
    last: Option<Reading>,
}

#[derive(Clone)]
struct Reading {
    at: Instant,
    server: ServerCounts,
    process: ProcessCounts,
}

/// How counters grew between two readings.
pub(super) struct Growth {
    seconds: f64,
    former: Reading,
    last: Reading,
}

impl Rates {
    fn push(&mut self, reading: Reading) {
        self.former = self.last.replace(reading);
    }

    /// Between the last two ticks; `None` before the second.
    pub(super) fn growth(&self) -> Option<Growth> {
        let (former, last) = (self.former.clone()?, self.last.clone()?);
        let seconds = last.at.saturating_duration_since(former.at).as_secs_f64();
        (seconds > 0.0).then_some(Growth {
            seconds,
            former,
            last,
        })
    }
}

impl Growth {
    /// A second, of a number of the server.
    pub(super) fn server(&self, number: impl Fn(&ServerCounts) -> u64) -> f64 {
        let grown = number(&self.last.server).saturating_sub(number(&self.former.server));
        grown as f64 / self.seconds
    }

    /// Processors in use.
    pub(super) fn cpus(&self) -> f64 {
        let used = self.last.process.cpu_seconds - self.former.process.cpu_seconds;
        (used / self.seconds).max(0.0)
    }
}

impl Live {
    fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            history: Mutex::new(History::new(telemetry.time_bounds())),
            rates: Mutex::default(),
            telemetry,
        }
    }

    fn sample(&self, now: u64) {
        let mut history = self.history.lock();
        let Some(mut tick) = history.tick(now) else {
            return;
        };
        self.telemetry.read_requests(|counts| {
            tick.add(&Sample {
                route: counts.route,
                host: counts.host,
                canary: counts.canary,
                client_errors: counts.client_errors,
                server_errors: counts.server_errors,
                times: counts.times,
            });
        });
        tick.finish();
        drop(history);
        self.rates.lock().push(Reading {
            at: Instant::now(),
            server: self.telemetry.read_server(),
            process: self.telemetry.read_process(),
        });
    }
}

impl Console {
    /// Reads the counters of `telemetry` from now on, with a thread that ends with the console or the process. Later calls have
    /// no effect.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn follow(self: &Arc<Self>, telemetry: Arc<Telemetry>) -> std::io::Result<()> {
        if self.live.set(Live::new(telemetry)).is_err() {
            return Ok(());
        }
        let console = Arc::downgrade(self);
        let thread = thread::Builder::new().name("console-history".to_owned());
        thread.spawn(move || sample(&console)).map(|_| ())
    }

    pub(super) fn forget_unused(&self) {
        self.watches.forget_unused();
        let mut index = self.index.lock();
        if index
            .as_ref()
            .is_some_and(|used| used.at.elapsed() > UNUSED)
        {
            *index = None;
        }
    }
}

/// Steps are those of the clock, so that replicas have the same ones; a clock that is set does not change their length.
fn sample(console: &Weak<Console>) {
    let (began, start) = (Instant::now(), unix_now());
    loop {
        let now = start + began.elapsed();
        let Some(console) = console.upgrade() else {
            return;
        };
        if let Some(live) = console.live.get() {
            live.sample(now.as_secs());
        }
        console.forget_unused();
        drop(console);
        let next = Duration::from_secs((now.as_secs() / STEP + 1) * STEP);
        thread::sleep(next.saturating_sub(start + began.elapsed()));
    }
}

/// The time since 1970.
pub(super) fn unix_now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
