//! The server over sockets, byte for byte.

mod access;
mod limits;
mod pages;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::{Access, Limits, start_with};
use crate::fake::Fake;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// After this time without a byte a test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A console with an invented process, which ends with the tests.
fn console(access: Access, limits: Limits) -> SocketAddr {
    console_of(Fake::new(40), access, limits)
}

fn console_of(fake: Fake, access: Access, limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    start_with(listener, Arc::new(fake), access, limits).unwrap();
    address
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a head with these lines, whose line ends are added, and `Connection: close`; gives the whole response.
fn exchange(address: SocketAddr, lines: &[&str]) -> String {
    let mut stream = connect(address);
    let head = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
    stream.write_all(head.as_bytes()).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8(response).unwrap()
}

/// The same for a path of this host.
fn get(address: SocketAddr, path: &str, fields: &[&str]) -> String {
    let line = format!("GET {path} HTTP/1.1");
    exchange(
        address,
        &[&[line.as_str(), "Host: localhost"], fields].concat(),
    )
}

fn status(response: &str) -> u16 {
    let code = response.split(' ').nth(1).unwrap_or_default();
    code.parse().expect(response)
}

fn field<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let head = response.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Opens a stream and reads until `text` has come.
fn follow(address: SocketAddr, path: &str, text: &str) -> (TcpStream, String) {
    let mut stream = connect(address);
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let received = read_until(&mut stream, text);
    (stream, received)
}

fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).expect(text);
        received.extend_from_slice(&buffer[..length]);
        let so_far = String::from_utf8_lossy(&received);
        if so_far.contains(text) {
            return so_far.into_owned();
        }
        assert!(length > 0, "the stream ended: {so_far}");
    }
}
