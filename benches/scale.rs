//! What the control plane costs by the size of the cluster: compiling everything, one change up to the swapped table, lookup
//! and memory, for clusters with many Ingresses, paths, endpoints or certificates. Prints a table; benches/scale/plot draws the
//! results.
//!
//! ```text
//! cargo bench --bench scale [-- SERIES...] [--quick] [--most SIZE] [--json FILE]
//! ```
//!
//! Each size has a process of its own, so that its memory is its own. `--quick` stops at 1,000 and takes fewer samples. What
//! depends on no other load of the machine, bytes and allocations, is measured by the bench `allocations`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod support;

use support::lookup::{Conditional, find, listener};
use support::results::{self, Arguments};
use support::series::{Change, Cluster};
use support::served::Served;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests that are looked up, in an order that processor caches do not predict.
const REQUESTS: usize = 16_384;

fn main() {
    let columns = [
        "compile_ms",
        "ingress_us",
        "ingress_p99_us",
        "slice_us",
        "slice_p99_us",
        "secret_us",
        "secret_p99_us",
        "lookup_ns",
        "objects_mib",
        "resident_mib",
    ];
    results::run("scale", &columns, measure);
}

/// One cluster, in this process.
fn measure(cluster: Cluster, arguments: &Arguments) -> Value {
    let before = resident();
    let snapshot = cluster.snapshot();
    let objects = resident() - before;
    let start = Instant::now();
    let mut served = Served::new(snapshot, support::options());
    let compile = start.elapsed();
    let resident = resident();
    let lookup = lookup(cluster, &served, arguments.samples(20));
    let mut measured = json!({
        "compile_ms": 1e3 * compile.as_secs_f64(),
        "lookup_ns": lookup,
        "objects_mib": objects,
        "resident_mib": resident,
    });
    for change in Change::ALL {
        let times = changes(cluster, change, &mut served, arguments.samples(1_000));
        let name = change.name();
        measured[format!("{name}_us")] = times[times.len() / 2].into();
        measured[format!("{name}_p99_us")] = times[(times.len() * 99).div_ceil(100) - 1].into();
    }
    measured
}

/// Times of changes to the swapped table, in microseconds, ascending.
fn changes(cluster: Cluster, change: Change, served: &mut Served, samples: usize) -> Vec<f64> {
    let mut times: Vec<f64> = (1..=samples)
        .map(|sample| {
            let object = cluster.sample(change, sample);
            1e6 * served
                .time(|snapshot| _ = snapshot.apply(object))
                .as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The time of a lookup in nanoseconds: the least of several rounds, since what disturbs a round only adds to it.
fn lookup(cluster: Cluster, served: &Served, rounds: usize) -> f64 {
    let listener = listener(served.table(), false);
    let requests: Vec<(String, String)> = (0..REQUESTS)
        .map(|n| cluster.request(n.wrapping_mul(104_729)))
        .collect();
    let request = Conditional::none();
    let round = |_| {
        let start = Instant::now();
        for (host, path) in &requests {
            assert_ne!(
                black_box(find(listener, host, path.as_bytes(), &request)),
                0
            );
        }
        start.elapsed()
    };
    let least = (0..rounds).map(round).min().unwrap_or(Duration::ZERO);
    1e9 * least.as_secs_f64() / REQUESTS as f64
}

/// Resident memory of this process in MiB.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.expect("Linux reports sizes in kB") / 1024.0
}
