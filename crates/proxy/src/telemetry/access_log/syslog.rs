//! Lines to a syslog server over UDP, as nginx writes them (RFC 3164).

use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::values::HOSTNAME;

/// Facility local7, severity emergency.
const FACILITY: u8 = 184;
/// Longest datagram, bytes.
const LONGEST: usize = 60 << 10;
/// How long an address is used before the name is resolved again, and the pause after a failure.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// Severity of a line (RFC 3164 section 4.1.1).
#[derive(Clone, Copy, Debug)]
pub(in crate::telemetry) struct Severity(u8);

impl Severity {
    pub(in crate::telemetry) const INFO: Self = Self(6);

    /// That of nginx's level of the same name.
    pub(in crate::telemetry) fn of(level: tracing::Level) -> Self {
        Self(match level {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            tracing::Level::DEBUG | tracing::Level::TRACE => 7,
        })
    }
}

/// A syslog server.
pub(super) struct Syslog {
    host: Arc<str>,
    port: u16,
    socket: Option<UdpSocket>,
    /// When the name is resolved again.
    due: Option<Instant>,
    datagram: Vec<u8>,
}

impl Syslog {
    pub(super) fn new(host: Arc<str>, port: u16) -> Self {
        Self {
            host,
            port,
            socket: None,
            due: None,
            datagram: Vec::new(),
        }
    }

    /// Sends every line of `block`, and returns how many could not be sent. Never waits for the network, but for the name.
    pub(super) fn write(
        &mut self,
        block: &[u8],
        severity: Severity,
    ) -> Result<(), (u64, io::Error)> {
        let priority = FACILITY | severity.0;
        let lines = block
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        self.prepare()
            .map_err(|error| (lines.clone().count() as u64, error))?;
        let Some(socket) = &self.socket else {
            let error = io::Error::other("the server could not be reached a moment ago");
            return Err((lines.count() as u64, error));
        };
        let time = Timestamp::now().strftime("%b %e %H:%M:%S").to_string();
        let mut failed = (0, None);
        for line in lines {
            self.datagram.clear();
            // Writing to a vector cannot fail.
            let _ = write!(self.datagram, "<{priority}>{time} {} nginx: ", *HOSTNAME);
            self.datagram.extend_from_slice(line);
            self.datagram.truncate(LONGEST);
            if let Err(error) = socket.send(&self.datagram) {
                failed = (failed.0 + 1, Some(error));
            }
        }
        match failed {
            (count, Some(error)) => Err((count, error)),
            _ => Ok(()),
        }
    }

    fn prepare(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.due.is_some_and(|due| now < due) {
            return Ok(());
        }
        let connected = connect(&self.host, self.port);
        let pause = if connected.is_ok() {
            RESOLVE_INTERVAL
        } else {
            PAUSE
        };
        self.due = now.checked_add(pause);
        match connected {
            Ok(socket) => {
                self.socket = Some(socket);
                Ok(())
            }
            // The former address may still be right.
            Err(_) if self.socket.is_some() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn connect(host: &str, port: u16) -> io::Result<UdpSocket> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = headgate_resolve::lookup_blocking(host)?.into_iter().next();
    let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
    let server = SocketAddr::new(address, port);
    let any: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn every_line_is_a_datagram() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut syslog = Syslog::new("localhost".into(), server.local_addr().unwrap().port());
        syslog.write(b"one\ntwo\n", Severity::INFO).unwrap();
        for expected in ["one", "two"] {
            let mut buffer = [0; 1024];
            let length = server.recv(&mut buffer).unwrap();
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            assert!(text.starts_with("<190>"), "{text}");
            assert!(text.ends_with(&format!(" nginx: {expected}")), "{text}");
        }
    }

    #[test]
    fn lines_that_cannot_be_sent_are_counted() {
        let mut syslog = Syslog::new("".into(), 514);
        let (failed, _) = syslog.write(b"one\ntwo\n", Severity::INFO).unwrap_err();
        assert_eq!(failed, 2);
        let (failed, _) = syslog.write(b"three\n", Severity::INFO).unwrap_err();
        assert_eq!(failed, 1);
    }
}
