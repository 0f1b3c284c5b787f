//! Clients that send too much or too slowly, and idle connections.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use headgate_testkit::{Connection, PATIENCE, Request};
use rustls::{ClientConnection, StreamOwned};
use serde_json::json;

use crate::site::{PATH, Site, ingress, review, tls};

const MIB: usize = 1 << 20;

/// A review of about `size` bytes of an Ingress called `name`.
fn large(name: &str, size: usize) -> Vec<u8> {
    let mut object = ingress(name);
    object["metadata"]["annotations"] = json!({ "large": "x".repeat(size) });
    review("CREATE", object).to_string().into_bytes()
}

/// Sends `bytes` as far as they are read, and returns the head of the response. It keeps no copy of them.
fn push(address: SocketAddr, bytes: &[u8]) -> String {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    let session = ClientConnection::new(tls().config(), tls().rustls_name()).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    let _ = stream.write_all(bytes);
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => head.extend_from_slice(&buffer[..length]),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn status(head: &str) -> u16 {
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status in {head:?}"))
}

/// The peak memory of this process, in bytes.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches("kB").trim();
    kib.parse::<usize>().unwrap() * 1024
}

#[test]
fn a_body_of_nine_mebibytes_is_too_large() {
    let site = Site::new();
    let body = large("accept", 9 * MIB - 1024);
    assert!(body.len() < 9 * MIB);
    site.post(body).is(200);
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: webhook\r\n");
    let announced = format!("{head}Content-Length: {}\r\n\r\n", 9 * MIB);
    let response = push(site.address(), announced.as_bytes());
    assert_eq!(status(&response), 413, "before a byte of it is sent");
    assert!(response.contains("connection: close"), "{response}");
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..10 {
        chunked.extend_from_slice(format!("{MIB:x}\r\n").as_bytes());
        chunked.resize(chunked.len() + MIB, b' ');
        chunked.extend_from_slice(b"\r\n");
    }
    assert_eq!(status(&push(site.address(), &chunked)), 413);
    let cut = format!("{head}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n");
    assert_eq!(status(&push(site.address(), cut.as_bytes())), 400);
}

/// One test for both kinds of clients, as the peak memory is that of the process.
#[test]
fn memory_is_bounded() {
    let site = Site::new();
    let address = site.address();
    let body = large("wait", 9 * MIB - 2048);
    let request: Arc<[u8]> = Request::post(PATH, body).bytes().into();
    let before = peak_memory();
    let (sender, statuses) = mpsc::channel();
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let (request, sender) = (request.clone(), sender.clone());
            thread::spawn(move || {
                let status = status(&push(address, &request));
                sender.send(status).unwrap();
                status
            })
        })
        .collect();
    site.until_reviews(8);
    // Large requests do not delay small ones.
    site.post(review("CREATE", ingress("accept")).to_string())
        .is(200);
    assert_eq!(statuses.recv_timeout(PATIENCE), Ok(503));
    site.open();
    let statuses = clients.into_iter().map(|client| client.join().unwrap());
    let statuses: Vec<u16> = statuses.collect();
    let reviewed = statuses.iter().filter(|status| **status == 200).count();
    assert!(reviewed >= 8, "{statuses:?}");
    // The others were refused, or too slow on a slow machine.
    let known = |status: &u16| [200, 408, 503].contains(status);
    assert!(statuses.iter().all(known), "{statuses:?}");
    let grown = peak_memory() - before;
    assert!(grown < 256 * MIB, "{} MiB more", grown / MIB);
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: webhook\r\nContent-Length: {}\r\n\r\n",
        100 * MIB
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + MIB, b'x');
    let bytes: Arc<[u8]> = bytes.into();
    let before = peak_memory();
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let bytes = bytes.clone();
            thread::spawn(move || push(address, &bytes))
        })
        .collect();
    for client in clients {
        assert_eq!(status(&client.join().unwrap()), 413);
    }
    let grown = peak_memory() - before;
    assert!(grown < 128 * MIB, "{} MiB more", grown / MIB);
    site.post(review("CREATE", ingress("accept")).to_string())
        .is(200);
}

#[test]
fn slow_clients_time_out() {
    let site = Site::new();
    let start = Instant::now();
    let open = || Connection::open_tls(site.address(), &tls());
    let (mut mute, mut head, mut body) = (open(), open(), open());
    let mut silent = Connection::open(site.address());
    head.send(format!("POST {PATH} HTTP/1.1\r\nHost: web"));
    body.send(format!(
        "POST {PATH} HTTP/1.1\r\nHost: webhook\r\nContent-Length: 100\r\n\r\n{{"
    ));
    site.post(review("CREATE", ingress("accept")).to_string())
        .is(200);
    assert!(start.elapsed().as_secs() < 4, "others do not wait");
    body.response().is(408);
    assert!(mute.is_closed() && head.is_closed() && silent.is_closed());
    assert!(
        (4..14).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn the_longest_idle_connection_is_closed_at_the_limit() {
    let site = Site::new();
    let body = || review("CREATE", ingress("accept")).to_string();
    let mut open: Vec<Connection> = (0..256)
        .map(|_| {
            let mut connection = Connection::open_tls(site.address(), &tls());
            connection.exchange(&Request::post(PATH, body())).is(200);
            connection
        })
        .collect();
    for _ in 0..10 {
        site.post(body()).is(200);
    }
    assert!(open[0].is_closed(), "the longest idle one");
    open[255].exchange(&Request::post(PATH, body())).is(200);
}
