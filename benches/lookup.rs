//! Lookup of the host and route of a request in tables of ten and of 20,000 hosts with five paths each. A lookup must not
//! allocate and must hardly depend on the number of hosts.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use headgate_compile::compile;
use headgate_table::{HostBehaviour, PathMatch, RoutingTable};

mod support;

fn find(table: &RoutingTable, host: &str, path: &[u8]) -> usize {
    let hosts = table
        .listeners()
        .first()
        .map(|listener| listener.hosts(None, host));
    match &hosts
        .and_then(Result::ok)
        .expect("a listener for http")
        .find(host)
        .behaviour
    {
        HostBehaviour::Routes { paths, .. } => match paths.find(path, |_| false) {
            PathMatch::Route(route) | PathMatch::AddSlash(route) => route.path.len(),
            PathMatch::Undecided => 0,
        },
        HostBehaviour::Redirect { to } => to.len(),
    }
}

fn lookup(criterion: &mut Criterion) {
    let options = support::options();
    let fallback = support::fallback();
    for hosts in [10, 20_000] {
        let mut snapshot = support::snapshot(hosts, support::Certificates::Wildcard);
        let changes = snapshot.take_changes();
        let compiled = compile(&snapshot, &changes, None, &options, &fallback);
        let table = compiled.table();
        // Requests for hosts all over the table, in an order that processor caches do not predict.
        let requests: Vec<(String, &[u8])> = (0..4096_usize)
            .map(|n| {
                let host = support::host(n.wrapping_mul(7919) % hosts);
                let paths: [&[u8]; 4] =
                    [b"/users/42", b"/orders/history", b"/products/a/b", b"/none"];
                (host, paths[n % paths.len()])
            })
            .collect();
        let counted = allocation_counter::measure(|| {
            for (host, path) in &requests {
                black_box(find(table, host, path));
            }
        });
        let allocations = counted.count_total;
        println!(
            "{hosts} hosts: {allocations} allocations in {} lookups",
            requests.len()
        );
        assert_eq!(allocations, 0, "a lookup allocates");
        let mut next = 0;
        criterion.bench_function(&format!("lookup in {hosts} hosts x 5 paths"), |bench| {
            bench.iter(|| {
                next = (next + 1) % requests.len();
                let (host, path) = &requests[next];
                black_box(find(table, host, path))
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).measurement_time(std::time::Duration::from_secs(3));
    targets = lookup
}
criterion_main!(benches);
