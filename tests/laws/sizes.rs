//! The work of compiling grows in proportion to an object, however large it is.

use headgate_compile::{Object, Options, Snapshot, compile};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};

use super::universe::fallback;

/// Allocations and bytes of compiling an Ingress with these rules.
fn work(rules: Vec<Value>) -> (u64, u64) {
    let class = json!({ "metadata": { "name": "nginx" }, "spec": { "controller": "k8s.io/ingress-nginx" } });
    let ingress = json!({
        "metadata": { "namespace": "team", "name": "large" },
        "spec": { "ingressClassName": "nginx", "rules": rules },
    });
    let mut snapshot = Snapshot::default();
    snapshot.apply(
        serde_json::from_value::<IngressClass>(class)
            .unwrap()
            .into(),
    );
    snapshot.apply(serde_json::from_value::<Ingress>(ingress).unwrap().into());
    let changes = snapshot.take_changes();
    fallback();
    let counted = allocation_counter::measure(|| {
        compile(&snapshot, &changes, None, &Options::default(), fallback());
    });
    (counted.count_total, counted.bytes_total)
}

fn rule(host: &str, paths: impl Iterator<Item = usize>) -> Value {
    let backend = json!({ "service": { "name": "web", "port": { "number": 80 } } });
    let paths: Vec<Value> = paths
        .map(
            |path| json!({ "path": format!("/p{path}"), "pathType": "Prefix", "backend": backend }),
        )
        .collect();
    json!({ "host": host, "http": { "paths": paths } })
}

fn assert_linear(kind: &str, work: impl Fn(usize) -> (u64, u64)) {
    let (half, whole) = (work(5_000), work(10_000));
    for (half, whole) in [(half.0, whole.0), (half.1, whole.1)] {
        assert!(whole < half * 5 / 2, "{kind}: {half} and {whole}");
    }
}

#[test]
fn ten_thousand_paths_or_hosts_of_one_object_are_twice_five_thousand() {
    assert_linear("paths of a rule", |count| {
        work(vec![rule("a.test", 0..count)])
    });
    assert_linear("rules of a host", |count| {
        work(
            (0..count)
                .map(|path| rule("a.test", path..path + 1))
                .collect(),
        )
    });
    assert_linear("hosts", |count| {
        let host = |number| rule(&format!("h{number}.test"), 0..1);
        work((0..count).map(host).collect())
    });
}

/// Ingress `n` with a host of its own.
fn small(n: usize, body_size: &str) -> Object {
    let ingress = json!({
        "metadata": {
            "namespace": "team", "name": format!("small-{n}"),
            "annotations": { "nginx.ingress.kubernetes.io/proxy-body-size": body_size },
        },
        "spec": { "rules": [rule(&format!("{n}.test"), 0..3)] },
    });
    serde_json::from_value::<Ingress>(ingress).unwrap().into()
}

/// Allocations and bytes of compiling one change among `count` Ingresses.
fn work_of_a_change(count: usize) -> (u64, u64) {
    let options = Options::default();
    let mut snapshot = Snapshot::default();
    snapshot.set_classes_readable(false);
    for n in 0..count {
        snapshot.apply(small(n, "1m"));
    }
    let changes = snapshot.take_changes();
    let compiled = compile(&snapshot, &changes, None, &options, fallback());
    // While the table serves, the next one is a copy.
    let _serving = compiled.table().clone();
    snapshot.apply(small(count / 2, "2m"));
    let changes = snapshot.take_changes();
    let counted = allocation_counter::measure(|| {
        compile(&snapshot, &changes, Some(compiled), &options, fallback());
    });
    (counted.count_total, counted.bytes_total)
}

#[test]
fn one_change_is_the_same_work_among_many_ingresses() {
    let (few, many) = (work_of_a_change(100), work_of_a_change(1_600));
    for (few, many) in [(few.0, many.0), (few.1, many.1)] {
        assert!(many < few * 5 / 4, "{few} and {many}");
    }
}
