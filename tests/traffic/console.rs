//! The web console of a running program, from its socket to the requests that it shows. Its pages have tests of their own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use headgate_testkit::{Program, Request, Response, Scenario, wait};
use serde_json::Value;

use super::setup::{BINARY, serve};

fn get(program: &Program, path: &str) -> Response {
    let request = Request::get(path).host("localhost");
    request
        .field("Accept", "application/json")
        .send(program.console())
}

fn json(program: &Program, path: &str) -> Value {
    serde_json::from_slice(&get(program, path).is(200).body).unwrap()
}

#[test]
fn it_shows_what_is_served_and_counted() {
    let (program, web) = serve(&[]);
    let overview = json(&program, "/");
    assert_eq!(overview["phase"], "serving");
    assert_eq!(overview["instance"]["command"], "serve");
    let addresses = overview["addresses"].as_array().unwrap();
    let address = |name: &str| addresses.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(address("console")["address"], program.console().to_string());
    let routes = json(&program, "/routes?q=a.test");
    let id = routes["items"][0]["id"].as_str().unwrap();
    let route = json(&program, &format!("/routes/{id}"));
    let endpoint = &route["backends"][0]["endpoints"][0];
    assert_eq!(endpoint["address"], web.address().to_string());
    assert_eq!(endpoint["state"], "sound");
    assert_eq!(route["explained"]["outcome"]["kind"], "forwarded");
    // The counters are read every ten seconds.
    wait::until("the requests in the numbers", || {
        Request::get("/")
            .host("a.test")
            .send(program.http())
            .is(200);
        let routes = json(&program, "/routes?sort=requests");
        let traffic = &routes["items"][0]["traffic"];
        (traffic["requests"].as_u64()? > 0).then_some(())
    });
    let overview = json(&program, "/");
    assert_eq!(overview["busiest"][0]["id"], id);
    assert!(overview["traffic"]["p50Seconds"].is_number(), "{overview}");
}

#[test]
fn requests_are_shown_as_they_end() {
    let (program, web) = serve(&[]);
    let mut stream = TcpStream::connect(program.console()).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let head =
        "GET /live?path=/shown HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines();
    // The tap is open when the head of its response is there.
    let head = lines.by_ref().map(Result::unwrap);
    assert!(head.take_while(|line| !line.is_empty()).count() > 1);
    let send = |target: &str| Request::get(target).host("A.test").send(program.http());
    send("/hidden").is(200);
    send("/shown?token=secret").is(200);
    let event = lines.map(Result::unwrap).find_map(|line| {
        let value: Value = serde_json::from_str(&line).ok()?;
        value.get("event").cloned()
    });
    let event = event.unwrap();
    assert_eq!(event["target"], "/shown?token=*");
    assert_eq!(
        (&event["authority"], &event["host"]),
        (&"a.test".into(), &"a.test".into())
    );
    assert_eq!(event["endpoint"], web.address().to_string());
    assert_eq!(
        (&event["status"], &event["method"]),
        (&200.into(), &"GET".into())
    );
    assert_eq!(event["object"], "Ingress shop/web");
    let id = json(&program, "/routes?q=a.test")["items"][0]["id"].clone();
    assert_eq!(event["route"], id);
}

#[test]
fn wildcard_hosts_are_counted_too_but_in_no_metric() {
    use headgate_testkit::Echo;
    use headgate_testkit::manifest::Ingress;
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(Ingress::new("web").host("*.a.test").path("/", "web"))
        .start(BINARY);
    wait::until("the requests in the numbers", || {
        Request::get("/")
            .host("x.a.test")
            .send(program.http())
            .is(200);
        let host = json(&program, "/hosts/*.a.test");
        (host["host"]["traffic"]["requests"].as_u64()? > 0).then_some(())
    });
    let metrics = program.admin_get("/metrics").is(200).text();
    assert!(!metrics.contains("host=\"*.a.test\""), "{metrics}");
}

#[test]
fn it_can_be_switched_off_and_needs_a_token_beyond_loopback() {
    let program = Scenario::simple(([127, 0, 0, 1], 1).into(), &[])
        .argument("--console-address=")
        .start(BINARY);
    assert!(!program.stderr().iter().any(|line| line.contains("console")));
    let refused = Program::run(
        BINARY.as_ref(),
        &["serve", "/nonexistent", "--console-address=:0"],
    );
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        refused.stderr.contains("--console-token-file"),
        "{}",
        refused.stderr
    );
}

#[test]
fn top_prints_it_as_text() {
    let (program, _web) = serve(&[]);
    let url = format!("http://{}", program.console());
    let shown = Program::run(BINARY.as_ref(), &["top", "--once", "--console", &url]);
    assert_eq!(shown.status.code(), Some(0), "{}", shown.stderr);
    assert!(shown.stdout.contains("a.test/"), "{}", shown.stdout);
    assert!(
        shown.stdout.contains("Ingress shop/web"),
        "{}",
        shown.stdout
    );
}
