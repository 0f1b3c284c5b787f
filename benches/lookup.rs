//! Lookup of the host and route of a request in tables of ten and of 20,000 hosts with five paths each. A lookup must not
//! allocate and must hardly depend on the number of hosts. That of an HTTPRoute takes as long as that of an Ingress, and 100
//! candidates of one path take at most one microsecond more.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use headgate_compile::{Options, Snapshot, compile};
use headgate_table::{Listener, RoutingTable};

mod support;

use support::gateways::{self, By};
use support::lookup::{Conditional, find, listener};

/// The table of a snapshot.
fn table(mut snapshot: Snapshot, options: &Options) -> Arc<RoutingTable> {
    let changes = snapshot.take_changes();
    let compiled = compile(&snapshot, &changes, None, options, &support::fallback());
    compiled.table().clone()
}

/// Asserts that the lookups do not allocate, and measures them, in an order that processor caches do not predict.
fn measure(
    criterion: &mut Criterion,
    name: &str,
    listener: &Listener,
    requests: &[(String, &[u8], Conditional)],
) {
    let counted = allocation_counter::measure(|| {
        for (host, path, request) in requests {
            assert_ne!(black_box(find(listener, host, path, request)), 0, "{host}");
        }
    });
    assert_eq!(counted.count_total, 0, "a lookup allocates: {name}");
    let mut next = 0;
    criterion.bench_function(name, |bench| {
        bench.iter(|| {
            next = (next + 1) % requests.len();
            let (host, path, request) = &requests[next];
            black_box(find(listener, host, path, request))
        });
    });
}

fn lookup(criterion: &mut Criterion) {
    for hosts in [10, 20_000] {
        let paths: [&[u8]; 4] = [b"/users/42", b"/orders/history", b"/products/a/b", b"/none"];
        let requests: Vec<_> = (0..4096_usize)
            .map(|n| {
                let host = support::host(n.wrapping_mul(7919) % hosts);
                (host, paths[n % paths.len()], Conditional::none())
            })
            .collect();
        let snapshot = support::snapshot(hosts, support::Certificates::Wildcard);
        let table_of_ingresses = table(snapshot, &support::options());
        let name = format!("lookup in {hosts} hosts x 5 paths");
        measure(
            criterion,
            &name,
            listener(&table_of_ingresses, false),
            &requests,
        );
        let snapshot = gateways::hosts(hosts);
        let table_of_routes = table(snapshot, &gateways::options());
        let name = format!("lookup in {hosts} hosts x 5 paths of HTTPRoutes");
        measure(
            criterion,
            &name,
            listener(&table_of_routes, true),
            &requests,
        );
    }
}

/// The candidates of one path.
fn candidates(criterion: &mut Criterion) {
    const MANY: usize = 100;
    for by in [By::Header, By::Query] {
        for count in [1, MANY] {
            let table = table(gateways::candidates(count, by), &gateways::options());
            // The last one is found.
            let last = Conditional {
                value: (count - 1).to_string(),
            };
            let name = format!("the last of {count} candidates by {by:?}");
            let request = (support::host(0), b"/".as_slice(), last);
            measure(criterion, &name, listener(&table, true), &[request]);
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).measurement_time(std::time::Duration::from_secs(3));
    targets = lookup, candidates
}
criterion_main!(benches);
