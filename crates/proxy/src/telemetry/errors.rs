//! A line in the program's log for every error response that the proxy makes, so that an operator sees the reason.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::observation::Observation;
use crate::upstream::Fault;

/// Most lines of a worker in a second; the rest is counted.
const LINES: u32 = 10;
/// Longest target in a line, characters.
const LONGEST_TARGET: usize = 256;

/// The bound on lines of one worker.
#[derive(Default)]
pub(super) struct ErrorLines {
    since: Cell<Option<Instant>>,
    lines: Cell<u32>,
    suppressed: Cell<u64>,
}

impl ErrorLines {
    /// Writes the line of a request.
    pub(super) fn write(&self, seen: &Observation<'_>, fault: &Fault) {
        let Some(suppressed) = self.admit(seen.end) else {
            return;
        };
        let route = seen.route.map(|route| route.origin);
        let none = || "-".to_owned();
        let ingress = route.map_or_else(none, |origin| {
            format!("{}/{}", origin.namespace, origin.name)
        });
        let upstream = seen.attempts.last();
        let upstream = upstream.map_or_else(none, |attempt| attempt.endpoint.to_string());
        let target: String = seen
            .target
            .to_string()
            .chars()
            .take(LONGEST_TARGET)
            .collect();
        let cut = fault.reason == "response-cut";
        tracing::info!(
            client = %seen.client.to_canonical(),
            method = %seen.method,
            host = seen.host.map_or("-", |host| host),
            path = %target.escape_debug(),
            ingress,
            upstream,
            status = seen.status,
            reason = fault.reason,
            detail = &*fault.detail,
            suppressed,
            "{}",
            if cut { "response cut" } else { "request failed" },
        );
    }

    /// Writes the line of a request whose head was refused.
    pub(super) fn write_refusal(&self, client: SocketAddr, status: u16, reason: &'static str) {
        if let Some(suppressed) = self.admit(Instant::now()) {
            let client = client.ip().to_canonical();
            tracing::info!(%client, status, reason, suppressed, "request refused");
        }
    }

    /// Whether a line may be written, and how many were suppressed before it.
    fn admit(&self, now: Instant) -> Option<u64> {
        let running = self.since.get();
        if running.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            self.since.set(Some(now));
            self.lines.set(0);
        }
        if self.lines.get() >= LINES {
            self.suppressed.set(self.suppressed.get().saturating_add(1));
            return None;
        }
        self.lines.set(self.lines.get() + 1);
        Some(self.suppressed.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_bound_are_counted() {
        let (lines, start) = (ErrorLines::default(), Instant::now());
        for _ in 0..LINES {
            assert_eq!(lines.admit(start), Some(0));
        }
        assert_eq!(lines.admit(start), None);
        assert_eq!(lines.admit(start), None);
        let later = start + Duration::from_secs(1);
        assert_eq!(lines.admit(later), Some(2));
        assert_eq!(lines.admit(later), Some(0));
    }
}
