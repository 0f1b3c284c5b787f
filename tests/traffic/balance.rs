//! Load balancing by requests in flight, and slow start.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Echo, Gate, Program, Request, Scenario, Scripted, wait};
use serde_json::{Value, json};

use super::setup::{BINARY, count_names};

/// The endpoints of Service `web`, as the debug page shows them.
fn endpoints(program: &Program) -> Vec<Value> {
    let table = program.table();
    let mut upstreams = table["upstreams"].as_array().unwrap().iter();
    let web = upstreams.find(|upstream| upstream["name"].as_str().unwrap().contains("/web/"));
    web.unwrap()["endpoints"].as_array().unwrap().clone()
}

/// An endpoint that responds when `gate` is open.
fn behind(gate: &Gate) -> Scripted {
    let gate = gate.clone();
    Scripted::start(move |connection| {
        while connection.request().is_some() {
            gate.pass();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

#[test]
fn least_conn_sends_a_slow_endpoint_no_more_than_it_can_do() {
    let gates = [Gate::new(), Gate::new()];
    let [slow, fast] = gates.each_ref().map(behind);
    let program = Scenario::new()
        .service("web", &[slow.address(), fast.address()])
        .ingress(
            Ingress::new("web")
                .annotation("headgate.dev/load-balance", "least_conn")
                .path("/", "web"),
        )
        .argument("--workers=2")
        .start(BINARY);
    let address = program.http();
    let mut held = Vec::new();
    for number in 1..=6 {
        held.push(std::thread::spawn(move || {
            Request::get("/").send(address).status
        }));
        wait::until("the request at an endpoint", || {
            (slow.requests().len() + fast.requests().len() == number).then_some(())
        });
    }
    // On whichever worker they are.
    assert_eq!((slow.requests().len(), fast.requests().len()), (3, 3));
    let requests = || -> Vec<Value> {
        let endpoints = endpoints(&program);
        let counts = endpoints.iter().map(|one| one["requests"].clone());
        counts.collect()
    };
    assert_eq!(requests(), [json!(3), json!(3)]);
    gates[1].open();
    wait::until("room at the fast one", || {
        requests().contains(&json!(0)).then_some(())
    });
    for _ in 0..40 {
        Request::get("/").send(address).is(200);
    }
    assert_eq!((slow.requests().len(), fast.requests().len()), (3, 43));
    gates[0].open();
    for client in held {
        assert_eq!(client.join().unwrap(), 200);
    }
}

#[test]
fn a_new_endpoint_starts_slowly() {
    let echoes = ["one", "two", "three"].map(Echo::start);
    let scenario = |number: usize| {
        let addresses: Vec<_> = echoes[..number].iter().map(Echo::address).collect();
        let ingress = Ingress::new("web")
            .annotation("headgate.dev/slow-start", "1h")
            .path("/", "web");
        Scenario::new()
            .service("web", &addresses)
            .ingress(ingress)
            .argument("--workers=2")
    };
    let program = scenario(2).start(BINARY);
    let get = Request::get("/");
    let before = count_names(&program, &get, 20);
    assert_eq!(before.len(), 2, "{before:?}");
    scenario(3).replace(&program);
    let after = count_names(&program, &get, 300);
    let new = after.get("three").copied().unwrap_or(0);
    // A tenth of 2.1: about 14.
    assert!((1..60).contains(&new), "{after:?}");
    let address = echoes[2].address().to_string();
    for endpoint in endpoints(&program) {
        if endpoint["address"] == address {
            assert_eq!(endpoint["state"], "starting");
            assert_eq!(endpoint["sharePercent"], 10);
            assert!(endpoint["startingSeconds"].as_u64().unwrap() > 3000);
        } else {
            assert_eq!(endpoint["state"], "sound");
        }
    }
    let explained = program
        .admin_get("/debug/explain?url=http%3A%2F%2Fa.test%2F")
        .text();
    let state = format!("{address}: starting: gets 10 % of its share");
    assert!(explained.contains(&state), "{explained}");
}
