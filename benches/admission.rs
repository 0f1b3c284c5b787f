//! Reviews of one Ingress beside 20,000: of an update, of a new one, of one with a conflicting path, and on a host that all of
//! them share. The HTTP side of the webhook is not measured.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use headgate_compile::{Compiled, Object, Options, Review, Reviewed, Snapshot, compile, review};
use k8s_openapi::api::networking::v1::Ingress;

mod support;

use support::Certificates;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const INGRESSES: usize = 20_000;
/// Upper bound of the 99th percentile.
const P99: Duration = Duration::from_millis(5);

/// The state that reviews use.
struct State {
    snapshot: Snapshot,
    compiled: Compiled,
    options: Options,
}

impl State {
    fn new(mut snapshot: Snapshot) -> Self {
        let options = support::options();
        let changes = snapshot.take_changes();
        let compiled = compile(&snapshot, &changes, None, &options, &support::fallback());
        Self {
            snapshot,
            compiled,
            options,
        }
    }

    fn review(&self, ingress: &Reviewed) -> Review {
        review(ingress, &self.compiled, &self.snapshot, &self.options)
    }
}

/// Ingress `n`, changed by `change`.
fn ingress(n: usize, change: impl FnOnce(&mut Ingress)) -> Ingress {
    let Object::Ingress(object) = support::ingress(n, 1) else {
        unreachable!("it is an Ingress");
    };
    let mut ingress = Arc::unwrap_or_clone(object);
    ingress.metadata.uid = Some(format!("0b1c7a52-6f0e-4c1d-9d5b-{n:012}"));
    change(&mut ingress);
    ingress
}

fn rename(ingress: &mut Ingress) {
    ingress.metadata.name = Some("new".into());
}

/// One path on a host that all Ingresses share.
fn share(n: usize, ingress: &mut Ingress) {
    let Some(rule) = ingress
        .spec
        .iter_mut()
        .flat_map(|spec| &mut spec.rules)
        .flatten()
        .next()
    else {
        return;
    };
    rule.host = Some("shared.example.com".into());
    if let Some(http) = &mut rule.http {
        http.paths.truncate(1);
        for path in &mut http.paths {
            path.path = Some(format!("/tenant-{n}"));
        }
    }
}

fn reviews(criterion: &mut Criterion) {
    let many = State::new(support::snapshot(INGRESSES, Certificates::Wildcard));
    let mut snapshot = support::snapshot(0, Certificates::Wildcard);
    for n in 0..INGRESSES {
        snapshot.apply(ingress(n, |ingress| share(n, ingress)).into());
    }
    let shared = State::new(snapshot);
    let update = |n| ingress(n % INGRESSES, |_| ());
    let new = |n: usize| ingress(n + INGRESSES, rename);
    let conflicting = |n: usize| ingress(n % INGRESSES, rename);
    let tenant = |n: usize| {
        ingress(n + INGRESSES, |ingress| {
            share(n + INGRESSES, ingress);
            rename(ingress);
        })
    };
    measure(criterion, "an update", &many, update, false);
    measure(criterion, "a new one", &many, new, false);
    measure(criterion, "a conflicting path", &many, conflicting, true);
    measure(
        criterion,
        "a new path of a host that all share",
        &shared,
        tenant,
        false,
    );
}

fn measure(
    criterion: &mut Criterion,
    name: &str,
    state: &State,
    object: impl Fn(usize) -> Ingress,
    is_denied: bool,
) {
    let objects = (0..200).map(|n| Reviewed::Ingress(Box::new(object(n))));
    let objects: Vec<Reviewed> = objects.collect();
    let mut spent: Vec<Duration> = objects
        .iter()
        .cycle()
        .take(2_000)
        .map(|object| {
            let start = Instant::now();
            let review = state.review(object);
            let spent = start.elapsed();
            assert_eq!(review.denied.is_some(), is_denied, "{:?}", review.denied);
            spent
        })
        .collect();
    spent.sort();
    let p99 = spent[spent.len() * 99 / 100];
    println!("review of {name}: p99 {p99:?}");
    assert!(
        p99 < P99,
        "{name}: one review in a hundred takes {p99:?} or more"
    );
    let mut group = criterion.benchmark_group("admission");
    let mut next = objects.iter().cycle();
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    group.bench_function(name, |bench| {
        bench.iter(|| black_box(state.review(next.next().expect("the cycle is endless"))));
    });
    group.finish();
}

criterion_group!(benches, reviews);
criterion_main!(benches);
