//! The access log: one line per request, formatted by the worker and written by a separate thread.
//!
//! A worker buffers lines and sends them in blocks. If the destination is slower than the traffic, blocks are dropped and
//! counted: serving precedes logging.

mod clock;
mod custom;
mod format;
mod skip;
mod stream;
mod syslog;
mod values;
mod writer;

use headgate_table::AccessLogSettings;

use self::clock::Clock;
use self::skip::SkipList;
pub(super) use self::stream::StreamLog;
pub(super) use self::syslog::Severity;
pub(crate) use self::values::expand;
pub(super) use self::values::expand_seen;
pub(super) use self::writer::Writer;
use super::observation::Observation;

/// Size at which a block is sent, bytes.
const BLOCK: usize = 32 << 10;

/// Longest line, bytes.
const LONGEST_LINE: usize = 8 << 10;

/// Buffered lines of one worker.
pub(super) struct LogBuffer {
    writer: Writer,
    bytes: Vec<u8>,
    lines: u64,
    clock: Clock,
    skip: SkipList,
    /// A value before it is escaped.
    scratch: Vec<u8>,
}

impl LogBuffer {
    pub(super) fn new(writer: Writer) -> Self {
        Self {
            writer,
            bytes: Vec::new(),
            lines: 0,
            clock: Clock::default(),
            skip: SkipList::default(),
            scratch: Vec::new(),
        }
    }

    /// Adds the line of a request, unless settings leave it out (behaviour.md 10).
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
        match &settings.format {
            None => format::line(&mut self.bytes, seen, self.clock.text(seen.end)),
            Some(format) => custom::line(&mut self.bytes, seen, format, &mut self.scratch),
        }
        self.lines += 1;
        if self.bytes.len() >= BLOCK {
            self.flush();
        }
    }

    pub(super) fn has_lines(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Sends the lines to the writer.
    pub(super) fn flush(&mut self) {
        if self.has_lines() {
            self.writer.send(
                std::mem::take(&mut self.bytes),
                std::mem::take(&mut self.lines),
            );
        }
    }
}
