//! Start and stop.

use headgate_testkit::{Connection, Echo, Gate, Http2, Program, Request, Scenario, Scripted, wait};
use http_body_util::Full;

use super::setup::{BINARY, serve};

#[test]
fn sigterm_finishes_requests_in_flight_and_exits_0() {
    let gate = Gate::new();
    let waiter = gate.clone();
    let upstream = Scripted::start(move |connection| {
        while connection.request().is_some() {
            waiter.pass();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        }
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut running = Connection::open(program.http());
    let mut idle = Connection::open(program.http());
    idle.exchange(&Request::get("/").host("other.test")).is(404);
    running.send(Request::get("/slow").bytes());
    upstream.wait_for(1);
    program.terminate();
    wait::until("refused connections", || {
        Connection::try_open(program.http()).is_err().then_some(())
    });
    assert!(!program.is_ready(), "not ready while draining");
    gate.open();
    let response = running.response().is(200);
    assert_eq!(response.text(), "done");
    response.has("connection", "close");
    assert!(running.is_closed());
    assert!(idle.is_closed(), "idle connections are closed");
    let status = program.wait();
    assert!(status.success(), "{status}");
}

#[test]
fn a_stop_is_announced_while_connections_are_accepted() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[])
        .argument("--shutdown-grace-period=60")
        .start(BINARY);
    let mut kept = Connection::open(program.http());
    let response = kept.exchange(&Request::get("/")).is(200);
    assert_eq!(response.field("connection"), None, "{response:?}");
    program.terminate();
    wait::until("the announcement", || (!program.is_ready()).then_some(()));
    let mut new = Connection::open(program.http());
    for connection in [&mut kept, &mut new] {
        // Its worker learns of it a moment later.
        wait::until("the announcement to its worker", || {
            let response = connection.exchange(&Request::get("/")).is(200);
            (response.field("connection") == Some("close")).then_some(())
        });
        assert!(connection.is_closed());
    }
}

#[test]
fn sigterm_without_traffic_exits_at_once() {
    let (program, _web) = serve(&[]);
    program.terminate();
    let status = program.wait();
    assert!(status.success(), "{status}");
}

#[test]
fn sighup_is_no_stop() {
    let (program, _web) = serve(&[]);
    program.hang_up();
    Request::get("/")
        .host("a.test")
        .send(program.http())
        .is(200);
    program.terminate();
    let status = program.wait();
    assert!(status.success(), "{status}");
}

#[test]
fn sigterm_finishes_http_2_streams() {
    let gate = Gate::new();
    let waiter = gate.clone();
    let upstream = Scripted::start(move |connection| {
        connection.request();
        waiter.pass();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    });
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let address = program.http();
    let client = std::thread::spawn(move || {
        let request = http::Request::get("http://a.test/").body(Full::default());
        Http2::clear(address).try_send(request.unwrap())
    });
    upstream.wait_for(1);
    program.terminate();
    wait::until("refused connections", || {
        Connection::try_open(address).is_err().then_some(())
    });
    gate.open();
    let response = client.join().unwrap().unwrap();
    assert_eq!(&response.body[..], b"done", "{response:?}");
    assert!(program.wait().success());
}

#[test]
fn worker_shutdown_timeout_ends_tunnels() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[])
        .settings(&[("worker-shutdown-timeout", "1s")])
        .start(BINARY);
    let mut tunnel = Connection::open(program.http());
    let upgrade = Request::get("/")
        .field("Connection", "Upgrade")
        .field("Upgrade", "raw");
    tunnel.exchange(&upgrade).is(101);
    program.terminate();
    let status = program.wait();
    assert!(status.success(), "{status}");
    assert!(tunnel.is_closed());
}

#[test]
fn an_invalid_flag_is_named_and_exits_2() {
    for arguments in [
        &["serve", ".", "--no-such-flag"][..],
        &["serve", ".", "--http-port=many"],
        &["--no-such-flag"],
    ] {
        let exit = Program::run(BINARY.as_ref(), arguments);
        assert_eq!(exit.status.code(), Some(2), "{arguments:?}: {exit:?}");
        let flag = arguments.last().unwrap().split('=').next().unwrap();
        assert!(exit.stderr.contains(flag), "{arguments:?}: {exit:?}");
    }
}

#[test]
fn a_missing_path_exits_2() {
    let exit = Program::run(
        BINARY.as_ref(),
        &[
            "serve",
            "/no/such/directory",
            "--http-port=0",
            "--https-port=0",
            "--healthz-port=0",
        ],
    );
    assert_eq!(exit.status.code(), Some(2), "{exit:?}");
    assert!(exit.stderr.contains("/no/such/directory"), "{exit:?}");
}

#[test]
fn flags_take_both_forms_and_those_without_effect_are_accepted() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[])
        .argument("--election-id")
        .argument("some-id")
        .argument("--enable-metrics=true")
        .argument("--v=2")
        .start(BINARY);
    Request::get("/").send(program.http()).is(200);
}

#[test]
fn a_directory_without_ingresses_serves_404() {
    let program = Scenario::new().start(BINARY);
    Request::get("/").send(program.http()).is(404);
}
