//! Changes under traffic: no request fails, or is served by what is not there yet or any more.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use headgate_testkit::{Connection, Echo, Load, Request, wait};
use serde_json::{Value, json};

use super::setup::{Cluster, PORT, Running, http, outcome, to, weighted};

const OTHER_PORT: u16 = 8081;
/// Clients of each test.
const CLIENTS: usize = 4;

/// A load for host `a.test`, which each of `names` may serve.
fn load(running: &Running, names: &'static [&'static str]) -> Load {
    let request = Request::get("/").host("a.test");
    let load = Load::start(running.at(PORT), CLIENTS, &request, move |response| {
        let echo = response.echo();
        let is_right = names.contains(&echo.name());
        is_right
            .then_some(())
            .ok_or_else(|| format!("served by {}", echo.name()))
    });
    load.wait_for(8);
    load
}

#[track_caller]
fn check(load: Load) {
    load.wait_for(8);
    let report = load.stop();
    let failures = report.failures.join("\n");
    assert_eq!(report.failed, 0, "of {}: {failures}", report.good);
}

#[test]
fn listeners_come_and_go_while_another_one_serves() {
    const CHANGES: usize = 40;
    let (v1, v2) = (Echo::start("v1"), Echo::start("v2"));
    let route = |section: &str, service: &str| {
        json!({
            "parentRefs": [{ "name": "gw", "sectionName": section }],
            "rules": [{ "backendRefs": [to(service)] }],
        })
    };
    let base = Cluster::new()
        .backend(&v1)
        .backend(&v2)
        .object("HTTPRoute", "main", route("main", "v1"))
        .object("HTTPRoute", "host", route("host", "v2"))
        .object("HTTPRoute", "port", route("port", "v2"));
    let main = http("main", PORT, None);
    let host = http("host", PORT, Some("*.other.test"));
    let port = http("port", OTHER_PORT, None);
    let few = base.clone().gateway("gw", std::slice::from_ref(&main));
    let all = base.gateway("gw", &[host, main, port]);
    let running = few.start();
    let load = load(&running, &["v1"]);
    let other = Request::get("/").host("x.other.test");
    for number in 1..=CHANGES {
        let (cluster, served_by) = [(&few, "v1"), (&all, "v2")][number % 2];
        cluster.replace(&running);
        let response = other.send(running.at(PORT));
        assert_eq!(outcome(&response), served_by, "{response:?}");
        let is_open = served_by == "v2";
        wait::until("the port to be opened or closed", || {
            let connected = TcpStream::connect(running.at(OTHER_PORT)).is_ok();
            (connected == is_open).then_some(())
        });
        if is_open {
            let response = other.send(running.at(OTHER_PORT));
            assert_eq!(outcome(&response), "v2", "{response:?}");
        }
    }
    check(load);
}

/// A client that repeats a request, and what it got: each status only when it differs from the one before.
struct Client {
    statuses: Arc<Mutex<Vec<u16>>>,
    stopping: Arc<AtomicBool>,
    worker: JoinHandle<()>,
}

impl Client {
    fn start(address: SocketAddr, request: Request) -> Self {
        let (statuses, stopping) = (Arc::<Mutex<Vec<u16>>>::default(), Arc::default());
        let (seen, stop) = (statuses.clone(), Arc::clone(&stopping));
        let worker = std::thread::spawn(move || {
            let mut connection = Connection::open(address);
            while !AtomicBool::load(&stop, Ordering::Acquire) {
                let response = connection.exchange(&request);
                if response.field("connection").is_some() {
                    connection = Connection::open(address);
                }
                let mut seen = seen.lock().unwrap();
                if seen.last() != Some(&response.status) {
                    seen.push(response.status);
                }
            }
        });
        Self {
            statuses,
            stopping,
            worker,
        }
    }

    fn last(&self) -> Option<u16> {
        self.statuses.lock().unwrap().last().copied()
    }

    fn stop(self) -> Vec<u16> {
        self.stopping.store(true, Ordering::Release);
        self.worker.join().unwrap();
        let statuses = self.statuses.lock().unwrap();
        statuses.clone()
    }
}

#[test]
fn a_route_is_not_found_before_it_is_created_and_after_it_is_deleted() {
    const ROUNDS: usize = 20;
    let v1 = Echo::start("v1");
    let without = Cluster::simple(&[&v1]);
    let rules = json!([{ "backendRefs": [to("v1")] }]);
    let with = without.clone().route_of("new", &["a.test"], rules);
    let running = without.start();
    let clients: Vec<Client> = (0..CLIENTS)
        .map(|_| Client::start(running.at(PORT), Request::get("/").host("a.test")))
        .collect();
    let until_all_get = |status: u16| {
        wait::until("the status", || {
            let mut clients = clients.iter();
            clients
                .all(|client| client.last() == Some(status))
                .then_some(())
        });
    };
    until_all_get(404);
    for _ in 0..ROUNDS {
        with.replace(&running);
        until_all_get(200);
        without.replace(&running);
        until_all_get(404);
    }
    let mut expected = vec![404];
    expected.extend([200, 404].repeat(ROUNDS));
    for client in clients {
        assert_eq!(client.stop(), expected);
    }
}

#[test]
fn after_a_change_of_weights_only_backends_with_a_weight_get_requests() {
    const ROUNDS: usize = 12;
    /// That one of these backends gets none of so many is as good as impossible.
    const REQUESTS: usize = 80;
    let echoes = ["v1", "v2", "v3"].map(Echo::start);
    let cluster = Cluster::simple(&echoes.each_ref());
    let clusters = [[1, 3, 0], [0, 1, 0], [2, 0, 5]].map(|weights| {
        let backends = echoes.iter().zip(weights);
        let backends = backends.map(|(echo, weight)| weighted(echo.name(), weight));
        let rules = json!([{ "backendRefs": backends.collect::<Value>() }]);
        (cluster.clone().route("r", rules), weights)
    });
    let running = clusters[0].0.start();
    let load = load(&running, &["v1", "v2", "v3"]);
    for (cluster, weights) in clusters.iter().cycle().skip(1).take(ROUNDS) {
        cluster.replace(&running);
        let mut names = BTreeSet::new();
        for _ in 0..REQUESTS {
            names.insert(outcome(&running.send("/ host=a.test")));
        }
        let served = echoes.iter().zip(weights);
        let served = served.filter(|(_, weight)| **weight > 0);
        let expected: BTreeSet<String> = served.map(|(echo, _)| echo.name().to_owned()).collect();
        assert_eq!(names, expected, "with {weights:?}");
    }
    check(load);
}
