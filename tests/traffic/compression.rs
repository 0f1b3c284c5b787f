//! Compression as clients see it, over connections that stay open. `tests/cases/compression.yaml` has what is compressed.

use std::io::Read;
use std::sync::Mutex;
use std::sync::mpsc;

use flate2::read::GzDecoder;
use headgate_testkit::{Connection, Request, Scenario, Scripted};

use super::setup::{BINARY, serve_with};

const GZIP: [(&str, &str); 2] = [("use-gzip", "true"), ("gzip-types", "text/event-stream")];

/// The content of a whole or unfinished gzip stream.
fn decoded(coded: &[u8]) -> String {
    let mut content = vec![0; 1 << 20];
    let mut decoder = GzDecoder::new(coded);
    let mut length = 0;
    while let Ok(read) = decoder.read(&mut content[length..]) {
        if read == 0 {
            break;
        }
        length += read;
    }
    content.truncate(length);
    String::from_utf8(content).unwrap()
}

/// The next chunk of a response in HTTP/1.1.
fn chunk(connection: &mut Connection) -> Vec<u8> {
    let mut size = String::new();
    while !size.ends_with("\r\n") {
        size.push(char::from(connection.exactly(1)[0]));
    }
    let length = usize::from_str_radix(size.trim(), 16).unwrap();
    let mut bytes = connection.exactly(length + 2);
    bytes.truncate(length);
    bytes
}

#[test]
fn an_event_reaches_the_client_before_the_next_one_is_sent() {
    let (next, events) = mpsc::channel::<()>();
    let events = Mutex::new(events);
    let upstream = Scripted::start(move |connection| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        while connection.request().is_some() {
            connection.send(format!("{head}9\r\ndata: 1\n\n\r\n"));
            let _ = events.lock().unwrap().recv();
            connection.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
        }
    });
    let program = Scenario::simple(upstream.address(), &[])
        .settings(&GZIP)
        .start(BINARY);
    let mut connection = Connection::open(program.http());
    let request = Request::get("/").field("Accept-Encoding", "gzip");
    connection.send(request.bytes());
    let head = connection.try_head().unwrap().to_ascii_lowercase();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut coded = Vec::new();
    while decoded(&coded) != "data: 1\n\n" {
        coded.extend(chunk(&mut connection));
    }
    next.send(()).unwrap();
    while decoded(&coded) != "data: 1\n\ndata: 2\n\n" {
        coded.extend(chunk(&mut connection));
    }
}

#[test]
fn the_content_is_that_of_the_upstream() {
    let (program, _web) = serve_with(&[("use-gzip", "true"), ("gzip-min-length", "1")], &[]);
    let request = Request::get("/").field("Accept-Encoding", "gzip");
    let response = request.send(program.http()).is(200);
    assert_eq!(response.field("content-encoding"), Some("gzip"));
    assert!(
        decoded(&response.body).contains("\"name\":\"web\""),
        "{response:?}"
    );
    let plain = Request::get("/").send(program.http()).is(200);
    assert!(plain.text().contains("\"name\":\"web\""), "{plain:?}");
}
