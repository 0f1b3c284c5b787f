//! The destination of the data plane's own messages, if it is not standard error.

use std::time::Duration;

use super::access_log::{Severity, Writer};
use crate::config::AccessLog;

/// Writes lines to a file or a syslog server, without waiting. They are dropped if the destination is slower.
#[derive(Clone)]
pub struct ErrorLog(Writer);

impl ErrorLog {
    /// Messages of these modules are about the log itself: they must not be written to it.
    pub const OF_ITSELF: &str = concat!(env!("CARGO_CRATE_NAME"), "::telemetry::access_log");

    /// Starts the thread that writes to `destination`.
    pub fn start(destination: &AccessLog) -> Self {
        Self(Writer::start(destination))
    }

    /// Writes to `destination` from now on.
    pub fn move_to(&self, destination: AccessLog) {
        self.0.move_to(destination);
    }

    /// Writes a line, which ends with a line break.
    pub fn write(&self, line: &[u8], level: tracing::Level) {
        self.0.send_as(line.to_vec(), 1, Severity::of(level));
    }

    /// Reopens the file after it was rotated.
    pub fn reopen(&self) {
        self.0.reopen();
    }

    /// Waits, at most for `bound`, until all lines are written, and returns whether they are. Blocks the thread.
    pub fn sync(&self, bound: Duration) -> bool {
        self.0.sync(bound)
    }
}
