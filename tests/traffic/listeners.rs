//! Listening addresses of the ConfigMap, which change while the program runs.

use std::net::SocketAddr;

use headgate_testkit::{Connection, Echo, Request, Scenario, wait};

use super::setup::BINARY;

#[test]
fn listeners_follow_the_settings() {
    let web = Echo::start("web");
    let scenario = |settings| Scenario::simple(web.address(), &[]).settings(settings);
    let program = scenario(&[]).start(BINARY);
    let before = program.http();
    let after = SocketAddr::from(([127, 0, 0, 2], before.port()));
    assert!(Connection::try_open(after).is_err());
    let mut kept = Connection::open(before);
    kept.exchange(&Request::get("/")).is(200);

    scenario(&[("bind-address", "127.0.0.2")]).replace(&program);
    wait::until("the new address to be open", || {
        Connection::try_open(after).is_ok().then_some(())
    });
    Request::get("/").send(after).is(200);
    wait::until("the former address to be closed", || {
        Connection::try_open(before).is_err().then_some(())
    });

    scenario(&[]).replace(&program);
    wait::until("the former address to be open", || {
        Connection::try_open(before).is_ok().then_some(())
    });
    Request::get("/").send(before).is(200);
}
