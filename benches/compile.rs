//! Compiling 20,000 Ingresses, and one change among them, up to the swapped table.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use headgate_compile::compile;

mod support;

use support::Certificates;
use support::served::Served;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const INGRESSES: usize = 20_000;

fn full(criterion: &mut Criterion) {
    let options = support::options();
    let fallback = support::fallback();
    let mut group = criterion.benchmark_group("compile");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    for (certificates, name) in [
        (Certificates::Wildcard, "one certificate in all Secrets"),
        (Certificates::Each, "a certificate for each"),
    ] {
        let mut snapshot = support::snapshot(INGRESSES, certificates);
        let changes = snapshot.take_changes();
        group.bench_function(format!("all of {INGRESSES} Ingresses, {name}"), |bench| {
            bench.iter_with_large_drop(|| compile(&snapshot, &changes, None, &options, &fallback));
        });
    }
    group.finish();
}

fn one(criterion: &mut Criterion) {
    let snapshot = support::snapshot(INGRESSES, Certificates::Wildcard);
    let mut served = Served::new(snapshot, support::options());
    let mut revision = 0;
    let mut group = criterion.benchmark_group("compile");
    group
        .sample_size(50)
        .measurement_time(Duration::from_secs(5));
    group.bench_function(
        format!("one changed Ingress among {INGRESSES}, to the swapped table"),
        |bench| {
            bench.iter_custom(|iterations| {
                let times = (0..iterations).map(|_| {
                    revision += 1;
                    let changed = support::ingress(revision % INGRESSES, revision);
                    served.time(|snapshot| _ = snapshot.apply(changed))
                });
                times.sum()
            });
        },
    );
    group.finish();
}

criterion_group!(benches, full, one);
criterion_main!(benches);
