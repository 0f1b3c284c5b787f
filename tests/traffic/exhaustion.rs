//! What runs out: files, connections of a client, space on disk, readers of the logs.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use headgate_testkit::{Connection, Echo, Program, Request, Scenario, wait};

use super::setup::{BINARY, serve_with};

const INCOMPLETE: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n";

fn refused(program: &Program, limit: &str) -> f64 {
    let labels = [format!("limit=\"{limit}\"")];
    program.metric("headgate_requests_refused_total", &[&labels[0]])
}

/// D2 of the catalogue: far more clients than there may be files.
#[test]
fn clients_beyond_the_limit_of_files_leave_room_for_endpoints_and_the_admin_port() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let limited = directory.path().join("headgate");
    let script = format!("#!/bin/sh\nulimit -n 1024\nexec {BINARY} \"$@\"\n");
    std::fs::write(&limited, script).unwrap();
    std::fs::set_permissions(&limited, std::fs::Permissions::from_mode(0o755)).unwrap();
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[]).start(&limited);
    let connect = || {
        let mut connection = Connection::open(program.http());
        // One that is refused may be closed already.
        let _ = connection.try_send(INCOMPLETE.as_bytes());
        connection
    };
    // Those that have had a response count as reading when the next head has begun: from then on they make no room for others.
    let served = || {
        let mut connection = Connection::open(program.http());
        connection.send(INCOMPLETE).send("\r\n").response().is(200);
        connection.send(INCOMPLETE);
        connection
    };
    let mut first: Vec<Connection> = (0..300).map(|_| served()).collect();
    let name = "nginx_ingress_controller_nginx_process_connections";
    let reading = || program.metric(name, &[r#"state="reading""#]);
    wait::until("heads", || (reading() >= 300.0).then_some(()));
    let others: Vec<Connection> = (0..2700).map(|_| connect()).collect();
    program.admin_get("/healthz").is(200);
    for connection in &mut first {
        connection.send("\r\n").response().is(200);
    }
    program.admin_get("/readyz").is(200);
    let left = Instant::now();
    drop((first, others));
    wait::until("room", || {
        let response = Request::get("/").try_send(program.http());
        response
            .is_ok_and(|response| response.status == 200)
            .then_some(())
    });
    eprintln!("served again after {:?}", left.elapsed());
    assert!(refused(&program, "connections") + refused(&program, "client_connections") > 2000.0);
}

#[test]
fn a_client_address_has_a_number_of_connections() {
    let settings = [
        ("max-connections-per-client", "2"),
        ("use-proxy-protocol", "true"),
    ];
    let (program, _web) = serve_with(&settings, &[]);
    let connect = |client: &str| {
        let mut connection = Connection::open(program.http());
        connection.send(format!(
            "PROXY TCP4 {client} 127.0.0.1 4000 80\r\n{INCOMPLETE}"
        ));
        connection
    };
    let mut kept = [(); 2].map(|()| connect("192.0.2.1"));
    assert!(kept[0].send("\r\n").try_response(false).is_ok());
    assert!(kept[1].send("\r\n").try_response(false).is_ok());
    assert!(connect("192.0.2.1").is_closed());
    connect("192.0.2.2").send("\r\n").response().is(200);
    wait::until("the refusal", || {
        (refused(&program, "client_connections") == 1.0).then_some(())
    });
    drop(kept);
    wait::until("room", || {
        let mut connection = connect("192.0.2.1");
        let _ = connection.try_send(b"\r\n");
        connection.try_response(false).ok()
    });
}

#[test]
fn a_body_that_cannot_be_stored_fails_alone() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[("proxy-body-size", "2m")])
        .variable("TMPDIR", "/nonexistent")
        .start(BINARY);
    // Longer than what stays in memory.
    let long = "b".repeat((1 << 20) + 1);
    for _ in 0..5 {
        let response = Request::post("/", long.as_str())
            .send(program.http())
            .is(503);
        assert_eq!(response.field("retry-after"), Some("1"), "{response:?}");
        let in_memory = &long[1..];
        Request::post("/", in_memory).send(program.http()).is(200);
    }
    wait::until("refusals", || {
        (refused(&program, "body-spool") == 5.0).then_some(())
    });
    let warnings = program.stderr();
    let warnings = warnings
        .iter()
        .filter(|line| line.contains("cannot store a body"));
    assert!((1..5).contains(&warnings.count()), "one in a second");
}

#[test]
fn logs_that_are_not_read_are_dropped() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[])
        .variable("RUST_LOG", "debug")
        .start(BINARY);
    program.leave_output_unread();
    let dropped = || program.metric("headgate_access_log_dropped_total", &[]);
    // Each request is a line in the access log, and each connection one in the other.
    wait::until("dropped lines", || {
        for _ in 0..100 {
            Request::get(&format!("/{}", "x".repeat(4000)))
                .send(program.http())
                .is(200);
        }
        (dropped() > 0.0).then_some(())
    });
    program.admin_get("/healthz").is(200);
}

#[test]
fn a_full_disk_for_the_access_log_stops_nothing() {
    let (program, _web) = serve_with(&[("access-log-path", "/dev/full")], &[]);
    let dropped = || program.metric("headgate_access_log_dropped_total", &[]);
    wait::until("dropped lines", || {
        Request::get("/").send(program.http()).is(200);
        (dropped() > 10.0).then_some(())
    });
    let lines = program.stderr();
    let failing = lines
        .iter()
        .filter(|line| line.contains("cannot write log"));
    assert_eq!(failing.count(), 1);
}
