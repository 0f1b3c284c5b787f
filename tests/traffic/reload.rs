//! Changes while traffic flows: nothing is lost, nothing is mixed, nothing waits.

use std::time::{Duration, Instant};

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::site::FILE;
use headgate_testkit::{Connection, Echo, Load, Program, Request, Site, wait};

use super::setup::BINARY;

/// How soon a change in a file must be served. It is measured in milliseconds; the rest is for loaded machines.
const SOON: Duration = Duration::from_secs(2);

fn host_file(host: &str) -> String {
    let name = host.replace('.', "-");
    manifest::file([&Ingress::new(&name).host(host).path("/", "web").object()])
}

/// Makes a change, and tells how long it took until a request for the host was answered so.
fn took(program: &Program, host: &str, status: u16, change: impl FnOnce()) -> Duration {
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
fn files_are_watched() {
    let web = Echo::start("web");
    let program = Site::new().service("web", &[web.address()]).start(BINARY);
    let other = || program.write("other.yaml", &host_file("c.test"));
    let times = [
        (
            "add",
            took(&program, "b.test", 200, || {
                program.write("b.yaml", &host_file("b.test"))
            }),
        ),
        (
            "change",
            took(&program, "c.test", 200, || {
                program.write("b.yaml", &host_file("c.test"))
            }),
        ),
        ("what it replaced", took(&program, "b.test", 404, || {})),
        (
            "rename out of sight",
            took(&program, "c.test", 404, || {
                program.rename("b.yaml", "b.off")
            }),
        ),
        (
            "rename back",
            took(&program, "c.test", 200, || {
                program.rename("b.off", "b.yaml")
            }),
        ),
        (
            "remove",
            took(&program, "c.test", 404, || program.remove("b.yaml")),
        ),
        ("another file", took(&program, "c.test", 200, other)),
    ];
    for (what, time) in times {
        println!("{what}: served after {time:?}");
        assert!(time < SOON, "{what}: served after {time:?}");
    }
}

#[test]
fn endpoints_change_without_touching_connections() {
    let (one, two) = (Echo::start("one"), Echo::start("two"));
    let ingress = Ingress::new("web").path("/", "web");
    let site = |echo: &Echo| {
        Site::new()
            .service("web", &[echo.address()])
            .ingress(ingress.clone())
    };
    let program = site(&one).start(BINARY);
    let mut connection = Connection::open(program.http());
    for echo in [&two, &one, &two] {
        site(echo).replace(&program);
        let response = connection.exchange(&Request::get("/"));
        assert_eq!(response.echo().name(), echo.name(), "{response:?}");
    }
}

#[test]
fn a_broken_document_keeps_what_was_served() {
    let web = Echo::start("web");
    let program = Site::new().service("web", &[web.address()]).start(BINARY);
    took(&program, "b.test", 200, || {
        program.write("b.yaml", &host_file("b.test"))
    });
    program.write(
        "b.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: [Ingress\n",
    );
    wait::until("the finding", || {
        program
            .ask("/debug/findings")
            .text()
            .contains("b.yaml")
            .then_some(())
    });
    Request::get("/")
        .host("b.test")
        .send(program.http())
        .is(200);
    took(&program, "c.test", 200, || {
        program.write("c.yaml", &host_file("c.test"))
    });
    took(&program, "b.test", 404, || program.remove("b.yaml"));
}

#[test]
fn one_bad_object_affects_no_other() {
    let web = Echo::start("web");
    let good = Ingress::new("good").host("good.test").path("/", "web");
    let bad = Ingress::new("bad")
        .annotation("limit-rps", "many")
        .host("bad.test")
        .path("/", "web");
    let program = Site::new()
        .service("web", &[web.address()])
        .ingress(good)
        .ingress(bad)
        .start(BINARY);
    Request::get("/")
        .host("good.test")
        .send(program.http())
        .is(200);
    assert_ne!(
        Request::get("/")
            .host("bad.test")
            .send(program.http())
            .status,
        200
    );
}

/// A version of a site: route and upstream name it.
fn version(echo: &Echo) -> Site {
    let name = echo.name();
    Site::new().service(name, &[echo.address()]).ingress(
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
fn two_hundred_changes_under_load_lose_and_mix_nothing() {
    const CHANGES: usize = 200;
    let versions = [Echo::start("red"), Echo::start("blue")];
    let texts = versions.each_ref().map(|echo| version(echo).text());
    let program = version(&versions[0]).start(BINARY);
    let load = Load::start(program.http(), 8, &Request::get("/page"), |response| {
        let echo = response.echo();
        let name = echo.name();
        let target = format!("/{name}/page");
        let whole = echo.target() == target
            && echo.field("host") == Some(name)
            && echo.field("x-forwarded-prefix") == Some(&*format!("/{name}"));
        whole
            .then_some(())
            .ok_or_else(|| format!("a mixed answer\n{response:?}"))
    });
    load.wait_for(8);
    let start = Instant::now();
    for number in 1..=CHANGES {
        program.change(|| program.write(FILE, &texts[number % 2]));
    }
    let time = start.elapsed();
    load.wait_for(8);
    let report = load.stop();
    println!("{CHANGES} changes in {time:?}, {} answers", report.good);
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
fn a_rolling_backend_loses_nothing() {
    let ingress = Ingress::new("web").path("/", "web");
    let site = |echoes: &[&Echo]| {
        let addresses: Vec<_> = echoes.iter().map(|echo| echo.address()).collect();
        Site::new()
            .service("web", &addresses)
            .ingress(ingress.clone())
    };
    let mut current = [Echo::start("pod"), Echo::start("pod")];
    let program = site(&[&current[0], &current[1]]).start(BINARY);
    let load = Load::start(program.http(), 4, &Request::get("/"), |_| Ok(()));
    load.wait_for(4);
    for round in 0..20 {
        // As Kubernetes does it: the new one comes, the old one leaves the slices, then the old one ends.
        let fresh = Echo::start("pod");
        let place = round % 2;
        site(&[&current[0], &current[1], &fresh]).replace(&program);
        let former = std::mem::replace(&mut current[place], fresh);
        site(&[&current[0], &current[1]]).replace(&program);
        load.wait_for(8); // every connection has got past requests that began before the change
        drop(former);
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
