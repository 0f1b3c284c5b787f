//! The hosts file and a name server on loopback.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use tempfile::TempDir;

use super::*;

/// A hosts file and a `resolv.conf` in a directory of their own.
struct Fixture(TempDir);

impl Fixture {
    fn new(hosts: &str, resolv_conf: &str) -> Self {
        let fixture = Self(tempfile::tempdir().unwrap());
        fixture.write("hosts", hosts);
        fixture.write("resolv.conf", resolv_conf);
        fixture
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn files(&self) -> Files {
        Files {
            hosts: self.0.path().join("hosts"),
            resolv_conf: self.0.path().join("resolv.conf"),
        }
    }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn the_hosts_file_comes_first_and_is_read_each_time() {
    // A search domain and ndots as in a Pod: DNS would be asked for api.example.cluster.local first. No server listens.
    let pod = "nameserver 127.0.0.1\nsearch cluster.local\noptions ndots:5 timeout:1 attempts:1\n";
    let fixture = Fixture::new(
        "::1 api.example\n192.0.2.1 API.example other # comment\n",
        pod,
    );
    let files = fixture.files();
    let expected = addresses(&["192.0.2.1", "::1"]);
    assert_eq!(files.lookup("api.example").await.unwrap(), expected);
    assert_eq!(files.lookup("Api.Example.").await.unwrap(), expected);
    fixture.write("hosts", "192.0.2.9 api.example\n");
    let moved = files.lookup("api.example").await.unwrap();
    assert_eq!(moved, addresses(&["192.0.2.9"]));
}

#[tokio::test]
async fn an_address_needs_no_file() {
    let files = Files {
        hosts: "/nonexistent/hosts".into(),
        resolv_conf: "/nonexistent/resolv.conf".into(),
    };
    let found = files.lookup("2001:db8::1").await.unwrap();
    assert_eq!(found, addresses(&["2001:db8::1"]));
    let error = files.lookup("").await.unwrap_err().to_string();
    assert_eq!(error, "empty name");
    let error = files.lookup("api.example").await.unwrap_err().to_string();
    assert!(error.contains("/nonexistent/resolv.conf"), "{error}");
}

#[tokio::test]
async fn a_configuration_without_servers_is_named() {
    let fixture = Fixture::new("", "search cluster.local\n");
    let error = fixture.files().lookup("api.example").await.unwrap_err();
    assert!(error.to_string().contains("resolv.conf: "), "{error}");
}

#[tokio::test]
async fn search_domains_come_before_a_name_with_few_dots() {
    let server = NameServer::start(|name, kind| match (name, kind) {
        ("api.one.example", A) => vec![vec![192, 0, 2, 1]],
        ("api.one.example", AAAA) => vec![[0; 15].into_iter().chain([1]).collect()],
        _ => Vec::new(),
    });
    let conf = "nameserver 127.0.0.1\nsearch zero.example one.example\noptions ndots:5\n";
    let both = server
        .dns(conf, Families::Both)
        .lookup("api")
        .await
        .unwrap();
    assert_eq!(both.addresses, addresses(&["192.0.2.1", "::1"]));
    assert!(both.ttl <= Duration::from_secs(60) && both.ttl > Duration::from_secs(50));
    let asked: Vec<_> = server.asked.try_iter().collect();
    assert_eq!(asked.first().unwrap(), "api.zero.example");
    let ipv4 = server
        .dns(conf, Families::Ipv4)
        .lookup("api")
        .await
        .unwrap();
    assert_eq!(ipv4.addresses, addresses(&["192.0.2.1"]));
    let first = server.dns(conf, Families::Ipv4ThenIpv6).lookup("api").await;
    assert_eq!(first.unwrap().addresses, addresses(&["192.0.2.1"]));
    let error = server.dns(conf, Families::Both).lookup("absent").await;
    assert!(error.is_err());
}

const A: u16 = 1;
const AAAA: u16 = 28;

/// A DNS server on a free port of 127.0.0.1. Ends with the process.
struct NameServer {
    port: u16,
    asked: Receiver<String>,
}

impl NameServer {
    /// With the addresses of a name and a type of record; none: no such name.
    fn start(addresses: fn(&str, u16) -> Vec<Vec<u8>>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let (sender, asked) = channel();
        thread::spawn(move || {
            let mut query = [0; 1024];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                let (name, end) = question(&query[..length]);
                let kind = u16::from_be_bytes([query[end - 4], query[end - 3]]);
                let found = addresses(&name, kind);
                let _ = sender.send(name);
                socket
                    .send_to(&response(&query[..end], kind, &found), client)
                    .unwrap();
            }
        });
        Self { port, asked }
    }

    fn dns(&self, resolv_conf: &str, families: Families) -> Dns {
        let (mut config, options) = parse_resolv_conf(resolv_conf).unwrap();
        for server in &mut config.name_servers {
            for connection in &mut server.connections {
                connection.port = self.port;
            }
        }
        Dns::with(config, options, families).unwrap()
    }
}

/// The name of the only question, in lower case, and the end of that question.
fn question(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), at + 5)
}

/// RFC 1035 section 4.1: the header, the question, and a record for each address, valid for a minute.
fn response(query: &[u8], kind: u16, addresses: &[Vec<u8>]) -> Vec<u8> {
    let code = if addresses.is_empty() { 3 } else { 0 };
    let count = u8::try_from(addresses.len()).unwrap();
    let mut out = query.to_vec();
    out[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    for address in addresses {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60, 0]);
        out.push(u8::try_from(address.len()).unwrap());
        out.extend(address);
    }
    out
}
