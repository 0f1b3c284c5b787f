//! Changes under traffic: no request fails, is served by two versions at once, or waits.

use std::time::{Duration, Instant};

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::scenario::FILE;
use headgate_testkit::{Connection, Echo, Load, Program, Request, Scenario, wait};

use super::setup::BINARY;

/// Maximum time until a change in a file is served. Usual are milliseconds; the rest is for loaded machines.
const MAX_TIME: Duration = Duration::from_secs(2);

fn host_file(host: &str) -> String {
    let name = host.replace('.', "-");
    manifest::file([&Ingress::new(&name).host(host).path("/", "web").object()])
}

/// Makes a change and returns the time until a request for the host got this status.
fn time_to_serve(program: &Program, host: &str, status: u16, change: impl FnOnce()) -> Duration {
    let mut connection = Connection::open(program.http());
    let request = Request::get("/").host(host);
    let start = Instant::now();
    change();
    wait::until("the change to be served", || {
        let response = connection.exchange(&request);
        if response.field("connection").is_some() {
            connection = Connection::open(program.http());
        }
        (response.status == status).then_some(())
    });
    start.elapsed()
}

#[test]
fn file_changes_are_served() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .start(BINARY);
    let other = || program.write("other.yaml", &host_file("c.test"));
    let times = [
        (
            "add",
            time_to_serve(&program, "b.test", 200, || {
                program.write("b.yaml", &host_file("b.test"))
            }),
        ),
        (
            "change",
            time_to_serve(&program, "c.test", 200, || {
                program.write("b.yaml", &host_file("c.test"))
            }),
        ),
        (
            "the replaced host",
            time_to_serve(&program, "b.test", 404, || {}),
        ),
        (
            "rename to an ignored name",
            time_to_serve(&program, "c.test", 404, || {
                program.rename("b.yaml", "b.off")
            }),
        ),
        (
            "rename back",
            time_to_serve(&program, "c.test", 200, || {
                program.rename("b.off", "b.yaml")
            }),
        ),
        (
            "remove",
            time_to_serve(&program, "c.test", 404, || program.remove("b.yaml")),
        ),
        (
            "another file",
            time_to_serve(&program, "c.test", 200, other),
        ),
    ];
    for (what, time) in times {
        println!("{what}: served after {time:?}");
        assert!(time < MAX_TIME, "{what}: served after {time:?}");
    }
}

#[test]
fn endpoint_changes_keep_client_connections_open() {
    let (one, two) = (Echo::start("one"), Echo::start("two"));
    let ingress = Ingress::new("web").path("/", "web");
    let scenario = |echo: &Echo| {
        Scenario::new()
            .service("web", &[echo.address()])
            .ingress(ingress.clone())
    };
    let program = scenario(&one).start(BINARY);
    let mut connection = Connection::open(program.http());
    for echo in [&two, &one, &two] {
        scenario(echo).replace(&program);
        let response = connection.exchange(&Request::get("/"));
        assert_eq!(response.echo().name(), echo.name(), "{response:?}");
    }
}

#[test]
fn a_broken_document_keeps_its_last_version() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .start(BINARY);
    time_to_serve(&program, "b.test", 200, || {
        program.write("b.yaml", &host_file("b.test"))
    });
    program.write(
        "b.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: [Ingress\n",
    );
    wait::until("the finding", || {
        program
            .admin_get("/debug/findings")
            .text()
            .contains("b.yaml")
            .then_some(())
    });
    Request::get("/")
        .host("b.test")
        .send(program.http())
        .is(200);
    time_to_serve(&program, "c.test", 200, || {
        program.write("c.yaml", &host_file("c.test"))
    });
    time_to_serve(&program, "b.test", 404, || program.remove("b.yaml"));
}

#[test]
fn an_invalid_object_affects_no_other() {
    let web = Echo::start("web");
    let valid = Ingress::new("valid").host("valid.test").path("/", "web");
    let invalid = Ingress::new("invalid")
        .annotation("limit-rps", "many")
        .host("invalid.test")
        .path("/", "web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(valid)
        .ingress(invalid)
        .start(BINARY);
    Request::get("/")
        .host("valid.test")
        .send(program.http())
        .is(200);
    assert_ne!(
        Request::get("/")
            .host("invalid.test")
            .send(program.http())
            .status,
        200
    );
}

/// A version of the objects; route and upstream have its name.
fn version(echo: &Echo) -> Scenario {
    let name = echo.name();
    Scenario::new().service(name, &[echo.address()]).ingress(
        Ingress::new("web")
            .annotations(&[
                ("ssl-redirect", "false"),
                ("upstream-vhost", name),
                ("x-forwarded-prefix", &format!("/{name}")),
                ("rewrite-target", &format!("/{name}/$1")),
            ])
            .pattern("/(.*)", name),
    )
}

#[test]
fn two_hundred_changes_under_load_fail_and_mix_no_request() {
    const CHANGES: usize = 200;
    let versions = [Echo::start("red"), Echo::start("blue")];
    let texts = versions.each_ref().map(|echo| version(echo).text());
    let program = version(&versions[0]).start(BINARY);
    let load = Load::start(program.http(), 8, &Request::get("/page"), |response| {
        let echo = response.echo();
        let name = echo.name();
        let target = format!("/{name}/page");
        let is_consistent = echo.target() == target
            && echo.field("host") == Some(name)
            && echo.field("x-forwarded-prefix") == Some(&*format!("/{name}"));
        is_consistent
            .then_some(())
            .ok_or_else(|| format!("a mix of two versions\n{response:?}"))
    });
    load.wait_for(8);
    let start = Instant::now();
    for number in 1..=CHANGES {
        program.change(|| program.write(FILE, &texts[number % 2]));
    }
    let time = start.elapsed();
    load.wait_for(8);
    let report = load.stop();
    println!("{CHANGES} changes in {time:?}, {} responses", report.good);
    assert_eq!(
        report.failed,
        0,
        "of {}: {}",
        report.good,
        report.failures.join("\n")
    );
    assert!(
        versions.iter().all(|echo| echo.requests() > 8),
        "both versions served"
    );
}

#[test]
fn a_rolling_update_of_the_backend_fails_no_request() {
    let ingress = Ingress::new("web").path("/", "web");
    let scenario = |echoes: &[&Echo]| {
        let addresses: Vec<_> = echoes.iter().map(|echo| echo.address()).collect();
        Scenario::new()
            .service("web", &addresses)
            .ingress(ingress.clone())
    };
    let mut current = [Echo::start("pod"), Echo::start("pod")];
    let program = scenario(&[&current[0], &current[1]]).start(BINARY);
    let load = Load::start(program.http(), 4, &Request::get("/"), |_| Ok(()));
    load.wait_for(4);
    for round in 0..20 {
        // In the order of Kubernetes: the new Pod is added, the old one is removed from the slices, then the old one stops.
        let new = Echo::start("pod");
        let index = round % 2;
        scenario(&[&current[0], &current[1], &new]).replace(&program);
        let old = std::mem::replace(&mut current[index], new);
        scenario(&[&current[0], &current[1]]).replace(&program);
        load.wait_for(8); // requests that began before the change have finished
        drop(old);
    }
    let report = load.stop();
    assert_eq!(
        report.failed,
        0,
        "of {}: {}",
        report.good,
        report.failures.join("\n")
    );
}
