//! The controller with an API server that has many objects: time to ready, memory, time until a change is served, and the
//! cost of endpoint changes. Prints a table.
//!
//! ```text
//! cargo bench --bench controller [-- COUNT...] [--churn SECONDS] [--json FILE]
//! cargo bench --bench controller -- --routes
//! ```
//!
//! With `--routes` it has 5,000 HTTPRoutes of ten rules on 50 Gateways instead, and the time from a created HTTPRoute to its
//! first answer is measured.
//!
//! The API server is headgate-apiserver, in this process; the controller is the release binary. Each Ingress has one host and
//! path, and comes with its Service and slice, like the new host of a tenant. All endpoints are one echo upstream on
//! loopback.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headgate_apiserver::ApiServer;
use headgate_testkit::{Connection, Echo, Program, Request};
use serde_json::{Value, json};

mod support;

use support::gateways::{GATEWAYS, ROUTES, route_manifest};
use support::host;

/// Hosts that are added, one after the other.
const NEW_HOSTS: usize = 300;
/// Hosts that are added while endpoints change.
const NEW_HOSTS_OF_CHURN: usize = 100;
/// Endpoint changes per second.
const CHANGES: usize = 1000;
/// Between two requests for a host that is not served yet.
const PAUSE: Duration = Duration::from_micros(250);
/// The port of the first Gateway; each of the next ones has the next port.
const FIRST_PORT: u16 = 23_200;

fn main() {
    let mut counts = Vec::new();
    let mut churn = 10;
    let mut file = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--churn" => {
                let seconds = arguments.next().and_then(|seconds| seconds.parse().ok());
                churn = seconds.expect("--churn takes a number of seconds");
            }
            "--routes" => return routes(),
            "--json" => file = arguments.next(),
            // cargo adds this.
            "--bench" => {}
            count => counts.push(count.parse().expect("a number of Ingresses")),
        }
    }
    if counts.is_empty() {
        counts = vec![3_000, 5_000, 20_000];
    }
    println!(
        "| Ingresses, Services and slices | ready after start | resident | new host served: mean, p99, worst | wrong responses | {CHANGES} endpoint changes a second for {churn} s: CPU, growth | new host served during these: mean, p99, worst |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut all = json!({});
    for count in counts {
        all[count.to_string()] = run(count, churn);
    }
    if let Some(file) = file {
        let results = json!({ "controller": { "ingresses": all } });
        let written = std::fs::write(&file, format!("{results:#}\n"));
        written.unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

/// Measures the controller with this many Ingresses, and prints a row.
fn run(count: usize, churn: u64) -> Value {
    let echo = Echo::start("backend");
    let port = echo.address().port();
    let api = ApiServer::start();
    api.create(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": { "name": "nginx" }, "spec": { "controller": "k8s.io/ingress-nginx" },
    }));
    api.load((0..count).flat_map(|number| objects(number, port)));

    let start = Instant::now();
    let program = Program::controller(
        env!("CARGO_BIN_EXE_headgate").as_ref(),
        &api.kubeconfig(),
        ("ingress", "bench"),
        &["--update-status=false", "--disable-sync-events", "-v=0"],
    );
    program.until_ready();
    let ready = start.elapsed();
    let resident = status(&program, "VmRSS");
    let peak = status(&program, "VmHWM");

    let address = program.http();
    let new = |number| (address, "/".to_owned(), objects(number, port).to_vec());
    let served = new_hosts(&api, count..count + NEW_HOSTS, new);
    let (mean, p99, worst) = served.summary();

    let (before, began) = (status(&program, "VmRSS"), cpu(&program));
    let churn = Duration::from_secs(churn);
    endpoint_churn(&api, count, port, |elapsed| elapsed < churn);
    let used = (cpu(&program) - began).as_secs_f64() / churn.as_secs_f64();
    let growth = status(&program, "VmRSS").saturating_sub(before);

    let goes_on = AtomicBool::new(true);
    let during = std::thread::scope(|scope| {
        scope.spawn(|| endpoint_churn(&api, count, port, |_| goes_on.load(Ordering::Relaxed)));
        let numbers = count + NEW_HOSTS..count + NEW_HOSTS + NEW_HOSTS_OF_CHURN;
        let during = new_hosts(&api, numbers, new);
        goes_on.store(false, Ordering::Relaxed);
        during
    });
    let (mean_during, p99_during, worst_during) = during.summary();
    let (ready, wrong) = (ready.as_secs_f64(), served.wrong + during.wrong);
    println!(
        "| {count} | {ready:.2} s | {resident} MiB (peak {peak}) | {mean:.2} ms, {p99:.2} ms, {worst:.2} ms | {wrong} | {:.1} % of a core, {growth} MiB | {mean_during:.2} ms, {p99_during:.2} ms, {worst_during:.2} ms |",
        100.0 * used,
    );
    json!({
        "ready_s": ready, "resident_mib": resident, "peak_mib": peak, "wrong": wrong,
        "served_ms": mean, "served_p99_ms": p99, "churn_cores": used, "churn_growth_mib": growth,
        "served_in_churn_ms": mean_during, "served_in_churn_p99_ms": p99_during,
    })
}

/// HTTPRoutes on Gateways, which listen on their own ports.
fn routes() {
    let echo = Echo::start("backend");
    let port = echo.address().port();
    let api = ApiServer::start();
    api.load(["gatewayclasses", "gateways", "httproutes"].map(definition));
    api.create(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": "headgate" },
        "spec": { "controllerName": "headgate.dev/gateway-controller" },
    }));
    let gateway_port = |number: usize| {
        let offset = u16::try_from(number % GATEWAYS).expect("fewer Gateways than ports");
        FIRST_PORT + offset
    };
    api.load((0..GATEWAYS).map(|number| gateway(number, gateway_port(number))));
    let objects = |number| {
        let route = route_manifest(number, GATEWAYS, 0);
        [service(number), slice(number, port, 1), route]
    };
    api.load((0..ROUTES).flat_map(objects));

    let start = Instant::now();
    let program = Program::controller(
        env!("CARGO_BIN_EXE_headgate").as_ref(),
        &api.kubeconfig(),
        ("ingress", "bench"),
        &[
            "--enable-gateway-api",
            "--gateway-port-range=none",
            "--update-status=false",
            "--disable-sync-events",
            "-v=0",
        ],
    );
    program.until_ready();
    let ready = start.elapsed();
    let served = new_hosts(&api, ROUTES..ROUTES + NEW_HOSTS, |number| {
        let address = ([127, 0, 0, 1], gateway_port(number)).into();
        // The path of the last rule.
        (address, "/9/0".to_owned(), objects(number).to_vec())
    });
    let (mean, p99, worst) = served.summary();
    println!(
        "| HTTPRoutes on Gateways | ready after start | resident | created HTTPRoute to its first answer: mean, p99, worst | wrong responses |"
    );
    println!("|---|---|---|---|---|");
    println!(
        "| {ROUTES} on {GATEWAYS} | {:.2} s | {} MiB | {mean:.2} ms, {p99:.2} ms, {worst:.2} ms | {} |",
        ready.as_secs_f64(),
        status(&program, "VmRSS"),
        served.wrong,
    );
}

/// The CRD of a kind of the Gateway API.
fn definition(plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.gateway.networking.k8s.io"),
            "annotations": {
                "gateway.networking.k8s.io/bundle-version": "v1.6.1",
                "gateway.networking.k8s.io/channel": "standard",
            },
        },
        "spec": {
            "group": "gateway.networking.k8s.io",
            "versions": [{ "name": "v1", "served": true, "storage": true }],
        },
    })
}

fn gateway(number: usize, port: u16) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "name": format!("gateway-{number}"), "namespace": "shop" },
        "spec": {
            "gatewayClassName": "headgate",
            "listeners": [{ "name": "http", "port": port, "protocol": "HTTP" }],
        },
    })
}

/// The objects of a new host.
fn objects(number: usize, port: u16) -> [Value; 3] {
    [service(number), slice(number, port, 1), ingress(number)]
}

fn ingress(number: usize) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {
            "name": format!("web-{number}"), "namespace": "shop",
            "annotations": { "nginx.ingress.kubernetes.io/proxy-read-timeout": "30" },
        },
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{ "host": host(number), "http": { "paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": { "service": { "name": format!("web-{number}"), "port": { "number": 80 } } },
            }] } }],
        },
    })
}

fn service(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": format!("web-{number}"), "namespace": "shop" },
        "spec": { "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }] },
    })
}

/// The last byte of the address is `last`: all of 127/8 is this machine.
fn slice(number: usize, port: u16, last: usize) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("web-{number}-1"), "namespace": "shop",
            "labels": { "kubernetes.io/service-name": format!("web-{number}") },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": port, "protocol": "TCP" }],
        "endpoints": [{
            "addresses": [format!("127.0.0.{last}")],
            "conditions": { "ready": true, "serving": true, "terminating": false },
            "nodeName": "node-1",
            "targetRef": { "kind": "Pod", "namespace": "shop", "name": format!("web-{number}-0") },
        }],
    })
}

/// Times until new hosts were served.
struct Served {
    times: Vec<Duration>,
    wrong: usize,
}

impl Served {
    /// Mean, 99th percentile and worst, in milliseconds.
    fn summary(&self) -> (f64, f64, f64) {
        let mut times: Vec<f64> = self.times.iter().map(Duration::as_secs_f64).collect();
        times.sort_by(f64::total_cmp);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let p99 = times[(times.len() * 99).div_ceil(100) - 1];
        (1e3 * mean, 1e3 * p99, 1e3 * times[times.len() - 1])
    }
}

/// Adds hosts one by one and sends requests to each until it is served: only 404 before and 200 after are right. `new` gives
/// for a number where to send a request, its path, and the objects of the host.
fn new_hosts(
    api: &ApiServer,
    numbers: Range<usize>,
    new: impl Fn(usize) -> (SocketAddr, String, Vec<Value>),
) -> Served {
    let mut served = Served {
        times: Vec::new(),
        wrong: 0,
    };
    for number in numbers {
        let (address, path, objects) = new(number);
        let request = Request::get(&path).host(&host(number));
        let mut connection = Connection::open(address);
        let before = connection.exchange(&request).status;
        served.wrong += usize::from(before != 404);
        let start = Instant::now();
        for object in objects {
            api.create(object);
        }
        for sent in 1.. {
            // Fewer than keep-alive-requests.
            if sent % 500 == 0 {
                connection = Connection::open(address);
            }
            match connection.exchange(&request).status {
                200 => break,
                404 => {}
                _ => served.wrong += 1,
            }
            // A client without pauses would take the core that the controller needs.
            std::thread::sleep(PAUSE);
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{} is not served",
                host(number)
            );
        }
        served.times.push(start.elapsed());
    }
    served
}

/// Changes the endpoints of one Service after the other at a constant rate, as long as `goes_on` for the time since the first.
fn endpoint_churn(api: &ApiServer, count: usize, port: u16, goes_on: impl Fn(Duration) -> bool) {
    let start = Instant::now();
    for change in 0.. {
        if !goes_on(start.elapsed()) {
            return;
        }
        let due = start
            + Duration::from_secs(1) * u32::try_from(change).unwrap_or(u32::MAX)
                / u32::try_from(CHANGES).unwrap_or(1);
        if let Some(wait) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(wait);
        }
        api.replace(slice(change % count, port, 2 + change / count % 200));
    }
}

/// A size of the process in MiB.
fn status(program: &Program, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", program.id()))
        .expect("the program runs");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.expect("Linux reports sizes in kB") / 1024
}

/// Processor time of the process so far.
fn cpu(program: &Program) -> Duration {
    /// Clock ticks a second, as Linux reports times.
    const TICKS: f64 = 100.0;
    let text =
        std::fs::read_to_string(format!("/proc/{}/stat", program.id())).expect("the program runs");
    let fields = text.rsplit(") ").next().expect("a line of fields");
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number of ticks");
    Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS)
}
