//! Upgrades: the upstream decides, and rules come before.

use headgate_testkit::{Connection, Request, Scenario, Scripted};

use super::super::setup::{BINARY, serve};
use super::{Entry, check, local, served};

const WEBSOCKET: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn request(line: &str, fields: &str) -> String {
    format!("{line}\r\nHost: a.test\r\n{fields}\r\n")
}

#[test]
fn u1_and_u2_upgrades_that_are_none() {
    const PLAIN: &[super::Conditions] = &[&["!\r\nupgrade:", "!\r\nconnection:"]];
    let get = "GET / HTTP/1.1";
    let denied = request("GET /denied HTTP/1.1", "");
    let mut entries = vec![
        Entry {
            responses: vec![200, 403],
            ..served(
                "U1",
                "bytes after a request that the upstream responds to with 200",
                format!(
                    "{}{denied}",
                    request(get, &format!("{WEBSOCKET}Sec-WebSocket-Version: 13\r\n"))
                ),
                &[&["Upgrade: websocket"]],
            )
        },
        Entry {
            responses: vec![200, 403],
            ..served(
                "U1",
                "the same with another protocol",
                format!(
                    "{}{denied}",
                    request(get, "Connection: upgrade\r\nUpgrade: raw\r\n")
                ),
                &[&["Upgrade: raw"]],
            )
        },
    ];
    for (what, line, fields) in [
        (
            "no option of Connection",
            get,
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n".to_owned(),
        ),
        ("no protocol", get, "Connection: Upgrade\r\n".to_owned()),
        (
            "an empty protocol",
            get,
            "Connection: Upgrade\r\nUpgrade: \r\n".to_owned(),
        ),
        (
            "version 12",
            get,
            format!("{WEBSOCKET}Sec-WebSocket-Version: 12\r\n"),
        ),
        ("no version", get, WEBSOCKET.to_owned()),
        (
            "a POST",
            "POST / HTTP/1.1",
            format!("{WEBSOCKET}Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n"),
        ),
        (
            "HTTP/1.0",
            "GET / HTTP/1.0",
            format!("{WEBSOCKET}Sec-WebSocket-Version: 13\r\nConnection: keep-alive\r\n"),
        ),
        (
            "h2c",
            get,
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
                .to_owned(),
        ),
        (
            "h2c among others",
            get,
            "Connection: Upgrade\r\nUpgrade: raw, H2C\r\n".to_owned(),
        ),
    ] {
        let id = if what.starts_with("h2c") { "S11" } else { "U2" };
        entries.push(served(id, what, request(line, &fields), PLAIN));
    }
    entries.push(local(
        "U4",
        "an address list comes first",
        request(
            "GET /denied HTTP/1.1",
            &format!("{WEBSOCKET}Sec-WebSocket-Version: 13\r\n"),
        ),
        403,
    ));
    check(&entries);
}

/// An idle tunnel ends with the timeout for reading; the upstream sees it end.
#[test]
fn u3_idle_tunnels() {
    let upstream = Scripted::start(|connection| {
        if connection.head().is_some() {
            connection.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n",
            );
            let closed = connection.wait_for_close();
            connection.record(if closed { "closed" } else { "open" });
        }
    });
    let timeouts = [("proxy-read-timeout", "1"), ("proxy-send-timeout", "1")];
    let program = Scenario::simple(upstream.address(), &timeouts).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.send(request(
        "GET / HTTP/1.1",
        "Connection: Upgrade\r\nUpgrade: raw\r\n",
    ));
    connection.response().is(101);
    assert!(connection.is_closed());
    assert_eq!(upstream.wait_for(2)[1], "closed");
}

/// Authentication and limits come before the upgrade.
#[test]
fn u4_rules_before_tunnels() {
    let upgrade = Request::get("/")
        .field("Connection", "Upgrade")
        .field("Upgrade", "raw");
    let service = Scripted::responding("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let (program, web) = serve(&[("auth-url", &format!("http://{}/", service.address()))]);
    upgrade.send(program.http()).is(401);
    assert_eq!(web.requests(), 0);
    let (program, web) = serve(&[("limit-rpm", "1"), ("limit-burst-multiplier", "1")]);
    let statuses = [(); 3].map(|()| upgrade.send(program.http()).status);
    assert_eq!((statuses, web.requests()), ([101, 101, 503], 2));
}
