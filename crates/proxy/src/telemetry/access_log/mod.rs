//! The access log: one line a request, formatted on the worker and written by a thread of its own.
//!
//! A worker gathers lines in a block and hands over whole blocks. When the destination is slower than the traffic,
//! blocks are dropped and counted: serving goes before logging.

mod clock;
mod format;
mod skip;
mod user;
mod writer;

use headgate_table::AccessLogSettings;

use self::clock::Clock;
use self::skip::SkipList;
pub(super) use self::writer::Writer;
use super::observation::Observation;

/// A block of this size goes to the writer at once, in bytes.
const BLOCK: usize = 32 << 10;

/// Longest line, in bytes; keeps one request from flooding the log.
const LONGEST_LINE: usize = 8 << 10;

/// The lines of one worker that the writer does not have yet.
pub(super) struct LogBuffer {
    writer: Writer,
    bytes: Vec<u8>,
    lines: u64,
    clock: Clock,
    skip: SkipList,
}

impl LogBuffer {
    /// An empty buffer in front of `writer`.
    pub(super) fn new(writer: Writer) -> Self {
        Self {
            writer,
            bytes: Vec::new(),
            lines: 0,
            clock: Clock::default(),
            skip: SkipList::default(),
        }
    }

    /// Writes the line of a request, unless it is one of those that are left out (ingress-nginx reference 10).
    pub(super) fn write(&mut self, seen: &Observation<'_>, settings: &AccessLogSettings) {
        let left_out = !settings.enabled
            || seen.unlogged
            || (seen.default_backend && !settings.default_backend)
            || self.skip.matches(&settings.skip, seen.target);
        if left_out {
            return;
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(BLOCK + LONGEST_LINE);
        }
        format::line(&mut self.bytes, seen, self.clock.text(seen.end));
        self.lines += 1;
        if self.bytes.len() >= BLOCK {
            self.flush();
        }
    }

    /// Whether there are lines.
    pub(super) fn has_lines(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Hands the lines to the writer.
    pub(super) fn flush(&mut self) {
        if self.has_lines() {
            self.writer.send(
                std::mem::take(&mut self.bytes),
                std::mem::take(&mut self.lines),
            );
        }
    }
}
