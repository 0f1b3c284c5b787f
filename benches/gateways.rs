//! 5,000 HTTPRoutes of ten rules on 50 Gateways: compiling all of them, and one that is changed, or created and deleted, up to the
//! swapped table. A change takes at most 2 ms.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use headgate_compile::compile;

mod support;

use support::gateways::{self, GATEWAYS, ROUTES};
use support::served::Served;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A cluster that is served, with Services of routes that are created.
fn served() -> Served {
    let mut snapshot = gateways::snapshot(ROUTES, GATEWAYS);
    for object in (ROUTES..ROUTES + GATEWAYS).flat_map(support::backend) {
        snapshot.apply(object);
    }
    Served::new(snapshot, gateways::options())
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gateways");
    let objects = format!("{ROUTES} HTTPRoutes on {GATEWAYS} Gateways");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    group.bench_function(format!("all of {objects}"), |bench| {
        let (options, fallback) = (gateways::options(), support::fallback());
        let mut snapshot = gateways::snapshot(ROUTES, GATEWAYS);
        let changes = snapshot.take_changes();
        bench.iter_with_large_drop(|| compile(&snapshot, &changes, None, &options, &fallback));
    });
    let mut served = served();
    let mut revision = 0;
    group
        .sample_size(50)
        .measurement_time(Duration::from_secs(5));
    group.bench_function(format!("one changed among {objects}"), |bench| {
        bench.iter_custom(|iterations| {
            let times = (0..iterations).map(|_| {
                revision += 1;
                let route = gateways::route(revision % ROUTES, GATEWAYS, revision);
                served.time(|snapshot| _ = snapshot.apply(route))
            });
            times.sum()
        });
    });
    group.bench_function(format!("one created among {objects}"), |bench| {
        bench.iter_custom(|iterations| {
            let times = (0..iterations).map(|number| {
                let route = ROUTES + usize::try_from(number).unwrap_or(0) % GATEWAYS;
                let route = gateways::route(route, GATEWAYS, 0);
                let created = route.reference();
                let time = served.time(|snapshot| _ = snapshot.apply(route));
                served.time(|snapshot| _ = snapshot.delete(&created));
                time
            });
            times.sum()
        });
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
