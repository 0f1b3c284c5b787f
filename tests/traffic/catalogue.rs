//! The catalogue of attacks on a proxy: bytes that a client sends, and what client and upstream then receive.
//!
//! An entry belongs to a class: F framing, T target and host, P path, H fields, S HTTP/2, U tunnels, X TLS. Whatever a request
//! is, proxy and upstream read the same one from it, or the upstream receives nothing.

mod fields;
mod floods;
mod framing;
mod http2;
mod http2_frames;
mod paths;
mod responses;
mod targets;
mod tls;
mod tunnels;

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Program, Request, Scenario, Scripted};

use super::setup::BINARY;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a request to the upstream must have: lines of its head, and after `!` text that is nowhere in it (of any case).
type Conditions = &'static [&'static str];

/// Bytes on a new connection, and their effect.
struct Entry {
    /// The class.
    id: &'static str,
    what: &'static str,
    send: Vec<u8>,
    /// The statuses that the client receives, in order.
    responses: Vec<u16>,
    /// The connection ends after them; else it serves another request.
    closes: bool,
    /// The requests that the upstream receives, in order.
    forwarded: &'static [Conditions],
}

/// Bytes that get this status, end the connection, and never reach the upstream.
fn refused(id: &'static str, what: &'static str, send: impl Into<Vec<u8>>, status: u16) -> Entry {
    Entry {
        id,
        what,
        send: send.into(),
        responses: vec![status],
        closes: true,
        forwarded: &[],
    }
}

/// A request that gets this status from the proxy; the connection stays open.
fn local(id: &'static str, what: &'static str, send: impl Into<Vec<u8>>, status: u16) -> Entry {
    Entry {
        closes: false,
        ..refused(id, what, send, status)
    }
}

/// Requests that the upstream receives and responds to with 200; the connection stays open.
fn served(
    id: &'static str,
    what: &'static str,
    send: impl Into<Vec<u8>>,
    forwarded: &'static [Conditions],
) -> Entry {
    Entry {
        id,
        what,
        send: send.into(),
        responses: vec![200; forwarded.len()],
        closes: false,
        forwarded,
    }
}

/// `a.test` with `/denied` for no client, and an upstream that records.
pub(super) fn scenario() -> (Scenario, Scripted) {
    let upstream = Scripted::responding(OK);
    let scenario = Scenario::new()
        .service("web", &[upstream.address()])
        .ingress(Ingress::new("web").path("/", "web"))
        .ingress(
            Ingress::new("denied")
                .annotation("denylist-source-range", "0.0.0.0/0")
                .path("/denied", "web"),
        );
    (scenario, upstream)
}

/// Checks each entry with [`scenario`].
fn check(entries: &[Entry]) {
    let (scenario, upstream) = scenario();
    check_with(&scenario.start(BINARY), &upstream, entries);
}

/// Checks each entry, and reports all that are wrong.
fn check_with(program: &Program, upstream: &Scripted, entries: &[Entry]) {
    let problems: Vec<String> = entries
        .iter()
        .filter_map(|entry| {
            let problem = entry.check(program, upstream).err()?;
            let sent: String = String::from_utf8_lossy(&entry.send)
                .chars()
                .take(400)
                .collect();
            Some(format!(
                "== {} {}: {problem}\nsent: {sent:?}\n",
                entry.id, entry.what
            ))
        })
        .collect();
    assert!(
        problems.is_empty(),
        "{} wrong\n{}",
        problems.len(),
        problems.concat()
    );
}

impl Entry {
    fn check(&self, program: &Program, upstream: &Scripted) -> Result<(), String> {
        let before = upstream.requests().len();
        let mut connection = Connection::open(program.http());
        // Fails if the proxy refuses the request before it is complete.
        let _ = connection.try_send(&self.send);
        let mut responses = Vec::new();
        for _ in &self.responses {
            let bodiless = self.send.starts_with(b"HEAD ");
            match connection.try_response(bodiless) {
                Ok(response) => responses.push(response),
                Err(error) => return Err(format!("{error} after {responses:?}")),
            }
        }
        let statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
        let mut forwarded = upstream.requests().split_off(before);
        if statuses != self.responses {
            return Err(format!(
                "expected {:?}\nreceived: {responses:?}\nforwarded: {forwarded:?}",
                self.responses
            ));
        }
        if self.closes {
            if !connection.is_closed() {
                return Err(format!("the connection stays open after {responses:?}"));
            }
            forwarded = upstream.requests().split_off(before);
        } else {
            let _ = connection.try_send(&Request::get("/probe").bytes());
            let probe = connection.try_response(false);
            let received = upstream.requests().pop().unwrap_or_default();
            if !probe.as_ref().is_ok_and(|response| response.status == 200)
                || !received.starts_with("GET /probe HTTP/1.1\r\n")
            {
                return Err(format!(
                    "the next request gets {probe:?} after {responses:?}\nlast forwarded: {received:?}"
                ));
            }
        }
        conditions(self.forwarded, &forwarded)
    }
}

/// Whether a head has a line; names of fields may have any case.
fn has_line(head: &str, expected: &str) -> bool {
    let mut lines = head.split("\r\n");
    lines.next() == Some(expected) || lines.any(|line| line.eq_ignore_ascii_case(expected))
}

/// Checks the requests that an upstream received.
fn conditions(expected: &[Conditions], received: &[String]) -> Result<(), String> {
    if expected.len() != received.len() {
        return Err(format!(
            "{} requests were expected to be forwarded, not {received:?}",
            expected.len()
        ));
    }
    for (conditions, request) in expected.iter().zip(received) {
        let (head, _) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
        for condition in *conditions {
            let holds = match condition.strip_prefix('!') {
                Some(absent) => !request.to_lowercase().contains(&absent.to_lowercase()),
                None => has_line(head, condition),
            };
            if !holds {
                return Err(format!("{condition:?} does not hold for {request:?}"));
            }
        }
    }
    Ok(())
}
