//! Sheds load before the memory of the container is used up, where the kernel would end the process.
//!
//! Page cache that the kernel can drop is not counted. Without a limit nothing is measured.

use std::fs;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::MemoryLimit;

/// Time between two measurements.
const INTERVAL: Duration = Duration::from_millis(250);

/// How much of the container's memory is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Pressure {
    None,
    /// 85 %: connections end after their current responses.
    High,
    /// 92 %: new requests get 503.
    Critical,
    /// 97 %: idle connections are closed.
    Extreme,
}

impl Pressure {
    const ALL: [(Self, u64); 4] = [
        (Self::Extreme, 97),
        (Self::Critical, 92),
        (Self::High, 85),
        (Self::None, 0),
    ];

    fn of(used: u64, limit: u64) -> Self {
        let percent = used.saturating_mul(100) / limit.max(1);
        let reached = Self::ALL.into_iter().find(|(_, least)| percent >= *least);
        reached.map_or(Self::None, |(pressure, _)| pressure)
    }
}

/// The memory of the container, which all workers share.
pub(crate) struct Memory {
    limit: Option<MemoryLimit>,
    pressure: AtomicU8,
    measured: Mutex<Option<Instant>>,
}

impl Memory {
    /// No pressure before the first measurement.
    pub(crate) fn new(limit: Option<MemoryLimit>) -> Self {
        Self {
            limit,
            pressure: AtomicU8::new(0),
            measured: Mutex::new(None),
        }
    }

    /// The last measurement.
    pub(crate) fn pressure(&self) -> Pressure {
        let number = self.pressure.load(Relaxed);
        let known = Pressure::ALL.into_iter();
        let mut known = known.map(|(pressure, _)| pressure);
        known
            .find(|pressure| *pressure as u8 == number)
            .unwrap_or(Pressure::None)
    }

    /// Measures, unless a worker has a moment ago. No effect without a limit.
    pub(crate) fn watch(&self, now: Instant) {
        let Some(limit) = &self.limit else { return };
        // Another worker measures.
        let Some(mut measured) = self.measured.try_lock() else {
            return;
        };
        if measured.is_none_or(|last| now.duration_since(last) >= INTERVAL) {
            self.measure(limit);
            *measured = Some(now);
        }
    }

    fn measure(&self, limit: &MemoryLimit) {
        // What cannot be read changes nothing.
        let Some(used) = used(limit) else { return };
        let pressure = Pressure::of(used, limit.bytes);
        let before = self.pressure.swap(pressure as u8, Relaxed);
        if before != pressure as u8 {
            let limit = limit.bytes;
            match pressure {
                Pressure::None => tracing::info!(used, limit, "memory is no longer short"),
                _ => tracing::warn!(used, limit, ?pressure, "memory is short: shedding load"),
            }
        }
    }
}

/// The memory that the kernel cannot reclaim by dropping files, bytes.
fn used(limit: &MemoryLimit) -> Option<u64> {
    let current = fs::read_to_string(limit.directory.join("memory.current")).ok()?;
    let stat = fs::read_to_string(limit.directory.join("memory.stat")).ok()?;
    let inactive = stat
        .lines()
        .find_map(|line| line.strip_prefix("inactive_file ")?.parse().ok());
    let current: u64 = current.trim().parse().ok()?;
    Some(current.saturating_sub(inactive.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn pressure_follows_what_cannot_be_reclaimed() {
        let directory = tempfile::tempdir().unwrap();
        let limit = MemoryLimit {
            bytes: 1000,
            directory: directory.path().to_owned(),
        };
        let memory = Memory::new(Some(limit.clone()));
        memory.measure(&limit);
        assert_eq!(memory.pressure(), Pressure::None, "there are no files");
        for (current, inactive, expected) in [
            ("849\n", 0, Pressure::None),
            ("850\n", 0, Pressure::High),
            ("1000\n", 81, Pressure::High),
            ("1000\n", 80, Pressure::Critical),
            ("970\n", 0, Pressure::Extreme),
            ("nonsense", 0, Pressure::Extreme),
            ("970\n", 970, Pressure::None),
        ] {
            fs::write(directory.path().join("memory.current"), current).unwrap();
            let stat = format!("anon 5\ninactive_file {inactive}\nactive_file 7\n");
            fs::write(directory.path().join("memory.stat"), stat).unwrap();
            memory.measure(&limit);
            assert_eq!(memory.pressure(), expected, "{current} {inactive}");
        }
    }
}
