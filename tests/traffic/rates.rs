//! Responses that are sent at a limited rate.

use std::time::{Duration, Instant};

use bytes::Bytes;
use headgate_testkit::{Connection, Http2, Program, Scenario, Scripted};
use http_body_util::Full;

use super::setup::BINARY;

const SIZE: usize = 30_000;

/// `a.test` with a response of [`SIZE`] bytes at so many KiB per second.
fn limited(rate: &str) -> (Program, Scripted) {
    let body = "x".repeat(SIZE);
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n{body}");
    let web = Scripted::responding(&response);
    let annotations = [("limit-rate", rate), ("proxy-buffering", "on")];
    let program = Scenario::simple(web.address(), &annotations).start(BINARY);
    (program, web)
}

#[test]
fn the_rate_is_that_of_one_response_in_both_versions_of_http() {
    // The bytes of the first second are sent at once.
    let least = Duration::from_millis(450);
    let (program, _web) = limited("20");
    let mut connection = Connection::open(program.http());
    for _ in 0..2 {
        let start = Instant::now();
        connection.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(connection.response().is(200).body.len(), SIZE);
        assert!(start.elapsed() >= least, "{:?}", start.elapsed());
    }
    let mut http2 = Http2::clear(program.http());
    let start = Instant::now();
    let request = http::Request::get("http://a.test/").body(Full::<Bytes>::default());
    let response = http2.send(request.unwrap());
    assert_eq!(response.body.len(), SIZE);
    assert!(start.elapsed() >= least, "{:?}", start.elapsed());
}

#[test]
fn a_response_ends_with_its_client() {
    let (program, _web) = limited("1");
    let mut connection = Connection::open(program.http());
    connection.send("GET /gone HTTP/1.1\r\nHost: a.test\r\n\r\n");
    connection.try_head().unwrap();
    drop(connection);
    let line = program.until_access_log("the request", |line| line.contains("GET /gone "));
    let whole = format!("\" 200 {SIZE} ");
    assert!(!line.contains(&whole), "{line}");
}
