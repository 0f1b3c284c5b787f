//! Mirrors: what they get, and that they neither slow nor fail requests.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Echo, Program, Request, Scenario, Scripted, wait};

use super::setup::{Annotations, BINARY};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// Copies that a worker has in flight to one mirror.
const IN_FLIGHT: usize = 64;

/// `a.test` with copies for `mirror`, and further annotations.
fn mirrored(mirror: &Scripted, annotations: Annotations<'_>) -> (Program, Echo) {
    let web = Echo::start("web");
    let target = format!("http://{}$request_uri", mirror.address());
    let mut all = annotations.to_vec();
    all.push(("mirror-target", &target));
    let program = Scenario::simple(web.address(), &all).start(BINARY);
    (program, web)
}

fn until_counted(program: &Program, outcome: &str, count: usize) {
    let label = format!("outcome=\"{outcome}\"");
    wait::until("the metric of copies", || {
        let found = program.metric("headgate_mirrored_requests_total", &[&label]);
        (found == count as f64).then_some(())
    });
}

#[test]
fn a_mirror_that_never_responds_gets_a_bounded_number_of_copies() {
    let mirror = Scripted::start(|connection| while connection.request().is_some() {});
    let (program, web) = mirrored(&mirror, &[]);
    // One connection, and so one worker.
    let mut connection = Connection::open(program.http());
    for _ in 0..IN_FLIGHT + 6 {
        connection.exchange(&Request::post("/", "x")).is(200);
    }
    assert_eq!(web.requests(), IN_FLIGHT + 6);
    until_counted(&program, "dropped-busy", 6);
    assert_eq!(mirror.wait_for(IN_FLIGHT).len(), IN_FLIGHT);
}

#[test]
fn a_mirror_keeps_its_connection_and_gets_buffered_bodies_up_to_a_bound() {
    let mirror = Scripted::responding(OK);
    let (program, _web) = mirrored(&mirror, &[("proxy-body-size", "20m")]);
    for (size, copies) in [(1_usize, 1), (100 << 10, 2)] {
        let mut connection = Connection::open(program.http());
        let request = Request::post("/", vec![b'x'; size]);
        connection.exchange(&request).is(200);
        let copy = mirror.wait_for(copies).pop().unwrap();
        let (head, body) = copy.split_once("\r\n\r\n").unwrap();
        assert_eq!((body.len(), body.trim_matches('x')), (size, ""), "{head}");
        until_counted(&program, "sent", copies);
    }
    let large = vec![b'x'; (8 << 20) + 1];
    Request::post("/", large).send(program.http()).is(200);
    until_counted(&program, "dropped-body-too-large", 1);
    assert_eq!(mirror.requests().len(), 2);
}

#[test]
fn a_body_that_is_streamed_is_copied_when_it_has_ended() {
    let mirror = Scripted::responding(OK);
    let (program, _web) = mirrored(&mirror, &[("proxy-request-buffering", "off")]);
    let head = "POST /s HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut connection = Connection::open(program.http());
    connection.send(format!("{head}3\r\nabc\r\n"));
    connection.send("2\r\nde\r\n0\r\n\r\n").response().is(200);
    let copy = mirror.wait_for(1).pop().unwrap();
    assert!(copy.starts_with("POST /s HTTP/1.1\r\n"), "{copy}");
    assert!(copy.ends_with("\r\n\r\nabcde"), "{copy}");
    let long = "x".repeat((64 << 10) + 1);
    let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let response = connection.send(format!("{head}{chunk}")).response().is(200);
    assert_eq!(response.echo().body().len(), long.len());
    until_counted(&program, "dropped-body-too-large", 1);
    assert_eq!(mirror.requests().len(), 1);
}

#[test]
fn the_mirror_may_be_a_service_and_each_copy_has_a_line_in_the_log() {
    let mirror = Scripted::responding(OK);
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .service("mirror", &[mirror.address()])
        .ingress(
            Ingress::new("web")
                .annotation("mirror-target", "http://mirror.shop.svc.cluster.local/copy")
                .path("/", "web"),
        )
        .start(BINARY);
    Request::get("/own?q=1").send(program.http()).is(200);
    let copy = mirror.wait_for(1).pop().unwrap();
    assert!(copy.starts_with("GET /copy?q=1 HTTP/1.1\r\n"), "{copy}");
    let line = program.until_access_log("the copy", |line| line.contains("GET /copy?q=1 "));
    assert!(line.contains("[shop-mirror-80]"), "{line}");
    let counted = program.metrics();
    let requests = "nginx_ingress_controller_nginx_process_requests_total{";
    let count = counted.lines().find(|line| line.starts_with(requests));
    assert!(count.unwrap().ends_with(" 1"), "{count:?}");
}
