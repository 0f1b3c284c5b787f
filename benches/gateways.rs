//! One changed HTTPRoute among 5,000 of ten rules on 50 Gateways, up to the swapped table; at most 2 ms.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use headgate_compile::{Compiled, Snapshot, compile};
use headgate_table::publisher;

mod support;

use support::gateways;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUTES: usize = 5_000;
const GATEWAYS: usize = 50;

fn one(criterion: &mut Criterion) {
    let options = gateways::options();
    let fallback = support::fallback();
    let mut snapshot = gateways::snapshot(ROUTES, GATEWAYS);
    let changes = snapshot.take_changes();
    let compiled = compile(&snapshot, &changes, None, &options, &fallback);
    let (mut publisher, _reader) = publisher(compiled.table().clone());
    let mut state = Some((snapshot, compiled));
    let mut revision = 0;
    let mut group = criterion.benchmark_group("gateways");
    group
        .sample_size(50)
        .measurement_time(Duration::from_secs(5));
    let name = format!("one changed HTTPRoute among {ROUTES} on {GATEWAYS} Gateways");
    group.bench_function(name, |bench| {
        bench.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            for _ in 0..iterations {
                revision += 1;
                let changed = gateways::route(revision % ROUTES, GATEWAYS, revision);
                let (mut snapshot, compiled): (Snapshot, Compiled) =
                    state.take().expect("put back below");
                let start = Instant::now();
                snapshot.apply(changed);
                let changes = snapshot.take_changes();
                let compiled = compile(&snapshot, &changes, Some(compiled), &options, &fallback);
                black_box(publisher.publish(compiled.table().clone()));
                spent += start.elapsed();
                state = Some((snapshot, compiled));
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, one);
criterion_main!(benches);
