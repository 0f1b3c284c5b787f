//! The log of the program: on standard error, because the access log uses standard output. Where that is not read, messages are
//! dropped: the thread that logs may be one that serves. Messages of the data plane go where
//! `error-log-path` and `enable-syslog` say, from the level on that `error-log-level` names; both change while the program runs.

mod standard_error;

use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::time::Duration;

use headgate_compile::settings::{ErrorLog as ErrorLogSettings, LogLevel, LogTarget};
use headgate_proxy::ErrorLog;
use parking_lot::Mutex;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// Targets of the data plane's messages begin with it.
const DATA_PLANE: &str = "headgate_proxy";

/// Libraries of which only errors are logged.
const QUIET: &str = "h2=error,kube_client=error";

static LOG: OnceLock<Log> = OnceLock::new();

/// What settings change of the log.
struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    directives: String,
    /// `RUST_LOG` decides on all levels.
    fixed: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    settings: Option<ErrorLogSettings>,
    /// Started when it is used for the first time.
    errors: Option<ErrorLog>,
    /// Messages of the data plane go there.
    in_use: bool,
}

/// Starts the log at `level`, which `RUST_LOG` replaces.
pub(crate) fn start(level: Level) {
    // h2 logs a warning for each client that floods; a metric counts these instead. kube_client logs one for each watch that
    // breaks off; the watches report it in their own words.
    let own = std::env::var("RUST_LOG");
    let fixed = own.is_ok();
    let directives = own.unwrap_or_else(|_| format!("{level},{QUIET}"));
    let (filter, handle) = reload::Layer::new(filter(&directives));
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(terminal)
        .with_writer(Destinations);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
    let log = Log {
        filter: handle,
        directives,
        fixed,
        state: Mutex::default(),
    };
    // There is only one start.
    let _ = LOG.set(log);
}

/// Follows the settings.
pub(crate) fn follow(settings: &ErrorLogSettings) {
    let Some(log) = LOG.get() else { return };
    let mut state = log.state.lock();
    if state.settings.as_ref() == Some(settings) {
        return;
    }
    state.settings = Some(settings.clone());
    state.in_use = settings.target != LogTarget::Stderr;
    if state.in_use {
        let destination = crate::app::destination(&settings.target);
        match &state.errors {
            Some(errors) => errors.move_to(destination),
            None => state.errors = Some(ErrorLog::start(&destination)),
        }
    }
    drop(state); // a message of the next call needs it
    log.set_level(settings.level);
}

/// Reopens the file after it was rotated.
pub(crate) fn reopen() {
    if let Some(errors) = errors() {
        errors.reopen();
    }
}

/// Waits, at most for `bound`, until all lines are written.
pub(crate) fn sync(bound: Duration) {
    if let Some(errors) = errors() {
        errors.sync(bound);
    }
}

/// The destination of messages of the data plane, if it is not standard error.
fn errors() -> Option<ErrorLog> {
    let state = LOG.get()?.state.lock();
    state.errors.clone().filter(|_| state.in_use)
}

impl Log {
    fn set_level(&self, level: Option<LogLevel>) {
        if self.fixed {
            return;
        }
        let mut directives = self.directives.clone();
        if let Some(level) = level {
            let level = match level {
                LogLevel::Debug => Level::DEBUG,
                LogLevel::Info => Level::INFO,
                LogLevel::Warn => Level::WARN,
                LogLevel::Error => Level::ERROR,
            };
            directives.push_str(&format!(",{DATA_PLANE}={level}"));
        }
        if let Err(error) = self.filter.reload(filter(&directives)) {
            tracing::error!(%error, "cannot change the level of the log");
        }
    }
}

fn filter(directives: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(directives)
}

/// Chooses the destination of each message.
struct Destinations;

/// The destination of one message.
enum Destination {
    Stderr,
    Errors(ErrorLog, Level),
}

impl MakeWriter<'_> for Destinations {
    type Writer = Destination;

    fn make_writer(&self) -> Destination {
        Destination::Stderr
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> Destination {
        let target = metadata.target();
        let of_data_plane =
            target.starts_with(DATA_PLANE) && !target.starts_with(ErrorLog::OF_ITSELF);
        match errors().filter(|_| of_data_plane) {
            Some(errors) => Destination::Errors(errors, *metadata.level()),
            None => self.make_writer(),
        }
    }
}

impl Write for Destination {
    /// A message is written at once, as a whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stderr => return standard_error::write(line),
            Self::Errors(errors, level) => errors.write(&without_colours(line), *level),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `line` without the escape sequences `ESC [ … m` for terminals.
fn without_colours(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\x1b[") {
        let (before, sequence) = rest.split_at(at);
        out.extend_from_slice(before);
        let end = sequence.iter().position(|byte| *byte == b'm');
        rest = end
            .and_then(|end| sequence.get(end + 1..))
            .unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_only() {
        let coloured = b"\x1b[2m12:00\x1b[0m \x1b[32m INFO\x1b[0m failed [m]\n";
        assert_eq!(without_colours(coloured), b"12:00  INFO failed [m]\n");
        assert_eq!(without_colours(b"plain\n"), b"plain\n");
    }
}
