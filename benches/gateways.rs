//! 5,000 HTTPRoutes of ten rules on 50 Gateways: compiling all of them, and one that is changed, or created and deleted, up to the
//! swapped table. A change takes at most 2 ms.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use headgate_compile::{Compiled, Options, Snapshot, compile};
use headgate_table::{Certificate, Publisher, publisher};

mod support;

use support::gateways::{self, GATEWAYS, ROUTES};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A cluster that is served.
struct Served {
    options: Options,
    fallback: Arc<Certificate>,
    snapshot: Snapshot,
    compiled: Option<Compiled>,
    publisher: Publisher,
}

impl Served {
    fn new() -> Self {
        let options = gateways::options();
        let fallback = support::fallback();
        let mut snapshot = gateways::snapshot(ROUTES, GATEWAYS);
        for object in (ROUTES..ROUTES + GATEWAYS).flat_map(support::backend) {
            snapshot.apply(object);
        }
        let changes = snapshot.take_changes();
        let compiled = compile(&snapshot, &changes, None, &options, &fallback);
        let (publisher, _reader) = publisher(compiled.table().clone());
        Self {
            options,
            fallback,
            snapshot,
            compiled: Some(compiled),
            publisher,
        }
    }

    /// The time from a change to the swapped table.
    fn time(&mut self, change: impl FnOnce(&mut Snapshot)) -> Duration {
        let former = self.compiled.take();
        let start = Instant::now();
        change(&mut self.snapshot);
        let changes = self.snapshot.take_changes();
        let (snapshot, options) = (&self.snapshot, &self.options);
        let compiled = compile(snapshot, &changes, former, options, &self.fallback);
        black_box(self.publisher.publish(compiled.table().clone()));
        let time = start.elapsed();
        self.compiled = Some(compiled);
        time
    }
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
    let mut served = Served::new();
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
