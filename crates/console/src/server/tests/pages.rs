//! Pages, their JSON and their streams.

use std::time::Instant;

use serde_json::Value;
use tokio::sync::Notify;

use super::*;

fn json(address: SocketAddr, path: &str) -> Value {
    let response = get(address, path, &["Accept: application/json"]);
    assert_eq!(status(&response), 200, "{path}: {response}");
    assert_eq!(field(&response, "content-type"), Some("application/json"));
    serde_json::from_str(body(&response)).unwrap()
}

#[test]
fn a_page_and_its_data_have_the_same_address() {
    let address = console(Access::default(), Limits::default());
    let browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for fields in [&[browser][..], &["Accept: */*"], &[]] {
        let page = get(address, "/routes", fields);
        assert_eq!(
            field(&page, "content-type"),
            Some("text/html; charset=utf-8")
        );
    }
    assert_eq!(
        json(address, "/routes?limit=7")["items"]
            .as_array()
            .unwrap()
            .len(),
        7
    );
    assert_eq!(json(address, "/hosts/_")["host"]["name"], "_");
    assert_eq!(
        json(address, "/routes/0019c41")["route"]["path"],
        "/products"
    );
    assert_eq!(
        json(address, "/findings?severity=error")["findings"]["total"],
        2
    );
    assert_eq!(json(address, "/openapi.json")["openapi"], "3.1.0");
    assert!(
        !json(address, "/live?status=5xx")
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_is_wrong_is_said_in_both_forms() {
    let address = console(Access::default(), Limits::default());
    let paths = [
        ("/nothing", 404),
        ("/routes/none", 404),
        ("/hosts/none.example", 404),
        ("/annotations/none", 404),
        ("/routes?limit=0", 400),
        ("/findings?hst=a", 400),
        ("/explain?url=nonsense", 400),
        ("/live?status=many", 400),
    ];
    for (path, expected) in paths {
        let page = get(address, path, &["Accept: text/html"]);
        assert_eq!(status(&page), expected, "{path}");
        assert!(page.contains("class=\"notice error\""), "{path}");
        let data = get(address, path, &["Accept: application/json"]);
        assert_eq!(status(&data), expected, "{path}");
        let data: Value = serde_json::from_str(body(&data)).unwrap();
        assert!(data["error"].is_string(), "{path}");
    }
    let data = get(address, "/explain", &["Accept: application/json"]);
    assert_eq!(status(&data), 400);
    // The form is shown with what is wrong in it.
    let page = get(address, "/explain?url=nonsense", &[]);
    assert!(page.contains("value=\"nonsense\""));
    let stream = get(address, "/check", &["Accept: text/event-stream"]);
    assert_eq!(status(&stream), 406);
}

#[test]
fn a_report_that_takes_long_has_its_frame_at_once() {
    let report = Arc::new(Notify::new());
    let fake = Fake::new(1).reporting_after(report.clone());
    let address = console_of(fake, Access::default(), Limits::default());
    let mut stream = connect(address);
    stream
        .write_all(b"GET /check?offset=130 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let frame = read_until(&mut stream, "<main");
    assert_eq!(status(&frame), 200);
    assert!(!frame.contains("<h1>"), "{frame}");
    report.notify_one();
    let content = read_until(&mut stream, "</html>");
    assert!(content.contains("131–132 of 132 Ingresses"), "{content}");
}

#[test]
fn pages_are_followed() {
    let limits = Limits {
        tick: Duration::from_millis(5),
        ..Limits::default()
    };
    let address = console(Access::default(), limits);
    let (_stream, received) = follow(address, "/hosts?q=tenant", "</table>");
    assert_eq!(field(&received, "content-type"), Some("text/event-stream"));
    assert!(received.contains("retry: 2000\n\n") && received.contains("event: page\ndata: <div"));
    assert!(!received.contains("<html"));
    let (_stream, received) = follow(address, "/live?path=%2Fproducts", "event: lost");
    assert!(received.contains("event: row\ndata: <tr"));
}

#[test]
fn requests_are_lines_for_programs() {
    let address = console(Access::default(), Limits::default());
    let mut stream = connect(address);
    let head = "GET /live HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let received = read_until(&mut stream, "}\n");
    let line = received.lines().find(|line| line.starts_with('{')).unwrap();
    let message: Value = serde_json::from_str(line).unwrap();
    assert_eq!(message["event"]["scheme"], "https");
}

#[test]
fn hostile_text_begins_no_event() {
    let address = console_of(
        Fake::new(12).hostile(),
        Access::default(),
        Limits::default(),
    );
    let (_stream, received) = follow(address, "/live", "event: lost");
    let (_, events) = received.split_once("retry: 2000").unwrap();
    let is_known = |line: &str| {
        let begins = ["event: row", "event: lost", "data: ", ": 2000", ":"];
        // Lines of the chunked coding are lengths.
        line.is_empty()
            || begins.iter().any(|begin| line.starts_with(begin))
            || u64::from_str_radix(line, 16).is_ok()
    };
    for line in events.lines().map(|line| line.trim_end_matches('\r')) {
        assert!(is_known(line), "{line}");
    }
}

#[test]
fn twenty_thousand_hosts_are_searched() {
    let address = console_of(Fake::new(20_000), Access::default(), Limits::default());
    let start = Instant::now();
    let page = get(address, "/routes?q=tenant-19999", &[]);
    assert!(page.contains("tenant-19999.apps.example"));
    assert!(page.contains("of 3 routes"));
    assert!(page.len() < 64 * 1024, "{}", page.len());
    // Far more than the 50 ms of a program that is optimised on a machine of its own.
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(get(address, "/hosts?offset=19950", &[]).contains("19,951–20,000 of 20,000 hosts"));
}
