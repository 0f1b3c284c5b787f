//! Metrics of the process from the kernel.
//!
//! They are read from `/proc` when metrics are gathered; where it is not readable, the values are 0.

use std::fs;

/// Clock ticks per second, the unit of CPU time and start time: 100 on all supported Linux platforms.
const TICKS: f64 = 100.0;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Process {
    /// CPU seconds, user and system.
    pub(super) cpu: f64,
    /// Seconds since 1970.
    pub(super) start: f64,
    /// Resident bytes.
    pub(super) resident: f64,
    /// Bytes of address space.
    pub(super) virtual_memory: f64,
    /// Bytes read from storage.
    pub(super) read: f64,
    /// Bytes written to storage.
    pub(super) written: f64,
    /// Open file descriptors.
    pub(super) open_files: f64,
    /// Most of them.
    pub(super) max_files: f64,
}

impl Process {
    pub(super) fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&Sources {
            stat: &read("/proc/self/stat"),
            status: &read("/proc/self/status"),
            io: &read("/proc/self/io"),
            system: &read("/proc/stat"),
            limits: &read("/proc/self/limits"),
            // One of them is that of the directory itself.
            open_files: fs::read_dir("/proc/self/fd")
                .map_or(0, |files| files.count().saturating_sub(1)),
        })
    }

    fn parse(sources: &Sources<'_>) -> Self {
        // The name of the command, in parentheses, may contain anything; fields follow it, the state being number 3.
        let after_name = sources.stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let field = |number: usize| {
            let text = number
                .checked_sub(3)
                .and_then(|index| after_name.split_ascii_whitespace().nth(index));
            text.and_then(|text| text.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        Self {
            cpu: (field(14) + field(15)) / TICKS,
            start: value(sources.system, "btime") + field(22) / TICKS,
            resident: value(sources.status, "VmRSS:") * 1024.0,
            virtual_memory: value(sources.status, "VmSize:") * 1024.0,
            read: value(sources.io, "read_bytes:"),
            written: value(sources.io, "write_bytes:"),
            open_files: sources.open_files as f64,
            max_files: value(sources.limits, "Max open files"),
        }
    }
}

/// Contents of the files.
struct Sources<'s> {
    stat: &'s str,
    status: &'s str,
    io: &'s str,
    system: &'s str,
    limits: &'s str,
    open_files: usize,
}

/// The number after `key` at the start of a line.
fn value(text: &str, key: &str) -> f64 {
    let number = |line: &str| {
        line.strip_prefix(key)?
            .split_ascii_whitespace()
            .next()?
            .parse()
            .ok()
    };
    text.lines().find_map(number).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 9 0 12345 1000 10";
        let status = "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let io = "rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\n";
        let process = Process::parse(&Sources {
            stat,
            status,
            io,
            system: "cpu 1 2\nbtime 1700000000\n",
            limits: "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024      4096      files\n",
            open_files: 7,
        });
        let expected = Process {
            cpu: 2.0,
            start: 1_700_000_123.45,
            resident: 1_048_576.0,
            virtual_memory: 2_097_152.0,
            read: 4096.0,
            written: 8192.0,
            open_files: 7.0,
            max_files: 1024.0,
        };
        assert_eq!(process, expected);
    }

    #[test]
    fn missing_files_are_zeroes() {
        let empty = Sources {
            stat: "",
            status: "",
            io: "",
            system: "",
            limits: "",
            open_files: 0,
        };
        assert_eq!(Process::parse(&empty), Process::default());
    }
}
