//! What the control plane allocates by the size of the cluster: bytes of the objects, of the compiled state and of the table
//! alone, and the allocations of one change up to the swapped table. Unlike times, they depend on nothing else that the machine
//! does. Prints a table; benches/scale/plot draws the results.
//!
//! ```text
//! cargo bench --bench allocations [-- SERIES...] [--quick] [--most SIZE] [--json FILE]
//! ```

use allocation_counter::measure as count;
use serde_json::{Value, json};

mod support;

use support::results::{self, Arguments};
use support::series::{Change, Cluster};
use support::served::Served;

const MIB: f64 = 1024.0 * 1024.0;

fn main() {
    let columns = [
        "objects_mib",
        "compiled_mib",
        "table_mib",
        "ingress_allocations",
        "ingress_kib",
        "slice_allocations",
        "slice_kib",
        "secret_allocations",
        "secret_kib",
    ];
    results::run("allocations", &columns, measure);
}

/// One cluster, in this process.
fn measure(cluster: Cluster, arguments: &Arguments) -> Value {
    let mut snapshot = None;
    let objects = count(|| snapshot = Some(cluster.snapshot())).bytes_current;
    let mut served = None;
    let compiled = count(|| {
        let snapshot = snapshot.take();
        served = snapshot.map(|snapshot| Served::new(snapshot, support::options()));
    });
    let compiled = compiled.bytes_current;
    let mut served = served.expect("it was compiled");
    let mut measured = json!({
        "objects_mib": objects as f64 / MIB,
        "compiled_mib": compiled as f64 / MIB,
    });
    let changed = count(|| {
        for change in Change::ALL {
            let samples = arguments.samples(200);
            let (allocations, bytes) = changes(cluster, change, &mut served, samples);
            let name = change.name();
            measured[format!("{name}_allocations")] = allocations.into();
            measured[format!("{name}_kib")] = (bytes as f64 / 1024.0).into();
        }
    });
    let mut table = None;
    let freed = count(|| table = Some(served.into_table()));
    let left = objects + compiled + changed.bytes_current + freed.bytes_current;
    measured["table_mib"] = (left as f64 / MIB).into();
    measured
}

/// The median number of allocations of a change, and of their bytes.
fn changes(cluster: Cluster, change: Change, served: &mut Served, samples: usize) -> (u64, u64) {
    let (mut allocations, mut bytes) = (Vec::new(), Vec::new());
    for sample in 1..=samples {
        let object = cluster.sample(change, sample);
        let counted = count(|| _ = served.time(|snapshot| _ = snapshot.apply(object)));
        allocations.push(counted.count_total);
        bytes.push(counted.bytes_total);
    }
    allocations.sort_unstable();
    bytes.sort_unstable();
    (allocations[samples / 2], bytes[samples / 2])
}
