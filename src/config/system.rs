//! Facts about the system: processors, open files, and this replica's Pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use headgate_proxy::{MemoryLimit, TracingEnvironment};

/// Open files to assume where the limit cannot be read.
const DEFAULT_FILES: u64 = 1024 + 2 * 4096;
/// Files that are not connections: listeners, certificates, request bodies on disk. Under a low limit, a quarter of it.
const OTHER_FILES: u64 = 1024;

/// Facts about the system.
#[derive(Clone, Debug)]
pub(crate) struct System {
    /// The CPU limit of the container, rounded up, else the number of cores.
    pub(crate) cpus: usize,
    /// Limit of open files.
    pub(crate) open_files: u64,
    pub(crate) has_ipv6: bool,
    /// Limit of the container's memory, bytes; `None`: no limit.
    pub(crate) memory: Option<u64>,
    /// This replica's Pod (`POD_NAME`); empty outside of a cluster.
    pub(crate) pod_name: String,
    /// The Pod's namespace (`POD_NAMESPACE`).
    pub(crate) pod_namespace: String,
    /// What the environment says about traces.
    pub(crate) tracing: TracingEnvironment,
    /// Name of the machine; the identity outside of a cluster.
    pub(crate) host_name: String,
}

impl System {
    /// Reads the facts, and raises the limit of open files as far as allowed.
    pub(crate) fn read() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        Self {
            cpus: cpus(),
            open_files: rlimit::increase_nofile_limit(u64::MAX).unwrap_or(DEFAULT_FILES),
            has_ipv6: Path::new("/proc/net/if_inet6").exists(),
            memory: memory(),
            pod_name: variable("POD_NAME"),
            pod_namespace: variable("POD_NAMESPACE"),
            tracing: TracingEnvironment::read(|name| std::env::var(name).ok()),
            host_name: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default(),
        }
    }

    /// The unspecified address: that of IPv6 also accepts IPv4 connections, where the system has IPv6.
    pub(crate) fn all_addresses(&self) -> IpAddr {
        if self.has_ipv6 {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        }
    }

    /// Maximum of client connections: each may need a second file for its endpoint.
    pub(crate) fn max_connections(&self) -> usize {
        let others = OTHER_FILES.min(self.open_files / 4);
        let connections = (self.open_files - others) / 2;
        usize::try_from(connections.max(1)).unwrap_or(usize::MAX)
    }

    /// The limit of the container's memory, which only control groups of version 2 allow to follow.
    pub(crate) fn memory_limit(&self) -> Option<MemoryLimit> {
        let directory = PathBuf::from("/sys/fs/cgroup");
        let bytes = self
            .memory
            .filter(|_| directory.join("memory.current").exists())?;
        Some(MemoryLimit { bytes, directory })
    }

    /// Bytes of responses that wait for their clients: a small part of a small container's memory.
    pub(crate) fn response_buffers(&self) -> usize {
        self.part_of_memory(64, headgate_proxy::Config::RESPONSE_BUFFERS)
    }

    /// Bytes of request bodies that wait for their end.
    pub(crate) fn request_buffers(&self) -> usize {
        self.part_of_memory(16, headgate_proxy::Config::REQUEST_BUFFERS)
    }

    /// The container's memory divided by `parts`, but `most` at most.
    fn part_of_memory(&self, parts: u64, most: usize) -> usize {
        let part = self
            .memory
            .and_then(|memory| usize::try_from(memory / parts).ok());
        part.map_or(most, |part| part.min(most))
    }
}

/// The limit of the control group, of version 2 or 1; `max` is none, and so is the largest number of version 1.
fn memory() -> Option<u64> {
    let read = |path| std::fs::read_to_string(path).ok();
    let limit = read("/sys/fs/cgroup/memory.max")
        .or_else(|| read("/sys/fs/cgroup/memory/memory.limit_in_bytes"))?;
    limit.trim().parse().ok()
}

/// The standard library rounds the limit down: with 1.5 CPUs, half a CPU would stay idle.
fn cpus() -> usize {
    let read = |path| std::fs::read_to_string(path).ok();
    let cores = read("/proc/self/status").as_deref().and_then(allowed_cores);
    let cores = cores
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    let limit = read("/sys/fs/cgroup/cpu.max")
        .as_deref()
        .and_then(limit_v2)
        .or_else(|| {
            let quota = read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")?;
            limit_v1(&quota, &read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")?)
        });
    limit.map_or(cores, |limit| limit.min(cores)).max(1)
}

/// Cores that this process may run on, from `/proc/self/status`: `Cpus_allowed_list: 0-3,8`.
fn allowed_cores(status: &str) -> Option<usize> {
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().split(',').try_fold(0_usize, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

/// `quota period` of cgroups version 2, rounded up; `None`: no limit.
fn limit_v2(max: &str) -> Option<usize> {
    let (quota, period) = max.trim().split_once(' ')?;
    limit_v1(quota, period)
}

/// Quota and period in microseconds, of cgroups version 1; a quota of -1 is no limit.
fn limit_v1(quota: &str, period: &str) -> Option<usize> {
    let quota: u64 = quota.trim().parse().ok()?;
    let period: u64 = period.trim().parse().ok().filter(|period| *period > 0)?;
    usize::try_from(quota.div_ceil(period))
        .ok()
        .filter(|cpus| *cpus > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_rounded_up() {
        let cases = [
            ("max 100000\n", None),
            ("100000 100000\n", Some(1)),
            ("150000 100000\n", Some(2)),
            ("50000 100000\n", Some(1)),
            ("0 100000\n", None),
            ("1 0\n", None),
            ("nonsense", None),
        ];
        for (text, expected) in cases {
            assert_eq!(limit_v2(text), expected, "{text:?}");
        }
        assert_eq!(limit_v1("-1\n", "100000\n"), None);
        assert_eq!(limit_v1("250000\n", "100000\n"), Some(3));
    }

    #[test]
    fn cores_are_counted_in_ranges() {
        let status = |list: &str| format!("Name:\tx\nCpus_allowed_list:\t{list}\nThreads:\t1\n");
        for (list, expected) in [
            ("0", Some(1)),
            ("0-3,8", Some(5)),
            ("3-0", None),
            ("", None),
        ] {
            assert_eq!(allowed_cores(&status(list)), expected, "{list:?}");
        }
        assert_eq!(allowed_cores("Name:\tx\n"), None);
    }

    #[test]
    fn connections_follow_the_open_files() {
        for (open_files, expected) in [
            (0, 1),
            (256, 96),
            (1024, 384),
            (11_024, 5_000),
            (1_048_576, 523_776),
        ] {
            assert_eq!(system(open_files).max_connections(), expected);
        }
    }

    fn system(open_files: u64) -> System {
        let (pod_name, pod_namespace) = (String::new(), String::new());
        System {
            cpus: 1,
            open_files,
            has_ipv6: false,
            memory: None,
            pod_name,
            pod_namespace,
            tracing: TracingEnvironment::default(),
            host_name: String::new(),
        }
    }
}
