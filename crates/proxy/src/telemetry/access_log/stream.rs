//! The access log of TCP and UDP sessions: one line per session.

use std::net::SocketAddr;
use std::time::Duration;

use headgate_table::{StreamFormat, StreamPiece, StreamSettings, StreamVariable};
use jiff::Timestamp;
use tokio::time::Instant;

use super::clock::Clock;
use super::format::{address, escaped, number, seconds, socket};
use super::writer::Writer;
use super::{BLOCK, LONGEST_LINE};
use crate::telemetry::stream_session::Session;
use crate::upstream::RawAttempt;
use crate::values::{HOSTNAME, Proxied};

/// Longest value, bytes after escaping.
const LONGEST_VALUE: usize = 1 << 10;
/// Most attempts in a line.
const MOST_ATTEMPTS: usize = 8;

/// Buffered lines of one worker.
pub(in crate::telemetry) struct StreamLog {
    writer: Writer,
    bytes: Vec<u8>,
    lines: u64,
    clock: Clock,
    /// A value before it is escaped.
    scratch: Vec<u8>,
}

impl StreamLog {
    pub(in crate::telemetry) fn new(writer: Writer) -> Self {
        Self {
            writer,
            bytes: Vec::new(),
            lines: 0,
            clock: Clock::default(),
            scratch: Vec::new(),
        }
    }

    /// Adds the line of a session that ends now, unless settings leave it out.
    pub(in crate::telemetry) fn write(&mut self, session: &Session, settings: &StreamSettings) {
        if !settings.log {
            return;
        }
        let ended = Ended {
            session,
            end: Instant::now(),
        };
        match &settings.format {
            None => {
                let time = self.clock.text(std::time::Instant::now());
                default_line(&mut self.bytes, &ended, time);
            }
            Some(format) => custom_line(&mut self.bytes, &ended, format, &mut self.scratch),
        }
        self.lines += 1;
        if self.bytes.len() >= BLOCK {
            self.flush();
        }
    }

    /// Sends the lines to the writer.
    pub(in crate::telemetry) fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.writer.send(
                std::mem::take(&mut self.bytes),
                std::mem::take(&mut self.lines),
            );
        }
    }
}

/// A session and when it ended.
struct Ended<'s> {
    session: &'s Session,
    end: Instant,
}

/// `[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time`
fn default_line(out: &mut Vec<u8>, ended: &Ended<'_>, time: &str) {
    let session = ended.session;
    out.push(b'[');
    address(out, session.facts.client.ip().to_canonical());
    out.extend_from_slice(b"] [");
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"] ");
    out.extend_from_slice(session.facts.protocol.as_str().as_bytes());
    for field in [
        u64::from(session.status.get()),
        session.traffic.sent(),
        session.traffic.received(),
    ] {
        out.push(b' ');
        number(out, field);
    }
    out.push(b' ');
    seconds(out, ended.end - session.traffic.start);
    out.push(b'\n');
}

fn custom_line(out: &mut Vec<u8>, ended: &Ended<'_>, format: &StreamFormat, scratch: &mut Vec<u8>) {
    let end = out.len() + LONGEST_LINE;
    for piece in format.pieces() {
        match piece {
            StreamPiece::Text(text) => out.extend_from_slice(text.as_bytes()),
            StreamPiece::Variable(variable) => {
                scratch.clear();
                ended.value(*variable, scratch);
                match scratch.is_empty() {
                    true => out.push(b'-'),
                    false => escaped(out, scratch, LONGEST_VALUE),
                }
            }
        }
    }
    out.truncate(end);
    out.push(b'\n');
}

impl Ended<'_> {
    fn value(&self, variable: StreamVariable, out: &mut Vec<u8>) {
        use StreamVariable as V;
        let Self { session, end } = self;
        let (facts, traffic) = (&session.facts, &session.traffic);
        let source = |proxied: Proxied| proxied.source;
        let destination = |proxied: Proxied| proxied.destination;
        match variable {
            V::RemoteAddr => ip(out, facts.client),
            V::RemotePort => number(out, facts.client.port().into()),
            V::PeerAddr => ip(out, facts.peer),
            V::PeerPort => number(out, facts.peer.port().into()),
            V::ProxyProtocolAddr => self.proxied(source, ip, out),
            V::ProxyProtocolPort => self.proxied(source, port, out),
            V::ProxyProtocolServerAddr => self.proxied(destination, ip, out),
            V::ProxyProtocolServerPort => self.proxied(destination, port, out),
            V::ServerAddr => ip(out, facts.local),
            V::ServerPort => number(out, facts.local.port().into()),
            V::Protocol => out.extend_from_slice(facts.protocol.as_str().as_bytes()),
            V::Status => number(out, session.status.get().into()),
            V::BytesSent => number(out, traffic.sent()),
            V::BytesReceived => number(out, traffic.received()),
            V::SessionTime => seconds(out, *end - traffic.start),
            V::ProxyUpstreamName => {
                let name = session.upstream.borrow();
                out.extend_from_slice(name.as_deref().unwrap_or_default().as_bytes());
            }
            V::UpstreamAddr => self.attempts(out, |out, attempt, _| socket(out, attempt.endpoint)),
            V::UpstreamBytesSent => self.attempts(out, |out, _, is_last| {
                number(out, if is_last { traffic.upstream_sent() } else { 0 });
            }),
            V::UpstreamBytesReceived => self.attempts(out, |out, _, is_last| {
                number(
                    out,
                    if is_last {
                        traffic.upstream_received()
                    } else {
                        0
                    },
                );
            }),
            V::UpstreamConnectTime => {
                self.attempts(out, |out, attempt, _| time(out, attempt.connect));
            }
            V::UpstreamFirstByteTime => self.attempts(out, |out, attempt, is_last| {
                let first = traffic.first_byte.get().filter(|_| is_last);
                time(out, first.map(|first| first - attempt.start));
            }),
            V::UpstreamSessionTime => self.attempts(out, |out, attempt, is_last| {
                let last = is_last.then(|| *end - attempt.start);
                time(out, last.or(attempt.connect));
            }),
            V::Connection => number(out, facts.id),
            V::TimeLocal => show(out, Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000")),
            V::TimeIso8601 => show(out, Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S+00:00")),
            V::Msec => {
                let now = Timestamp::now();
                let milliseconds = now.subsec_millisecond();
                show(out, format_args!("{}.{milliseconds:03}", now.as_second()));
            }
            V::Hostname => out.extend_from_slice(HOSTNAME.as_bytes()),
            V::Pid => number(out, std::process::id().into()),
            V::Empty => {}
        }
    }

    /// Something of the PROXY header, if there was one.
    fn proxied(
        &self,
        which: impl Fn(Proxied) -> SocketAddr,
        write: impl Fn(&mut Vec<u8>, SocketAddr),
        out: &mut Vec<u8>,
    ) {
        if let Some(proxied) = self.session.facts.proxied {
            write(out, which(proxied));
        }
    }

    /// A list with an item for each attempt; the last argument of `item` is whether it is the last one.
    fn attempts(&self, out: &mut Vec<u8>, item: impl Fn(&mut Vec<u8>, &RawAttempt, bool)) {
        let attempts = self.session.attempts.borrow();
        let skipped = attempts.len().saturating_sub(MOST_ATTEMPTS);
        for (index, attempt) in attempts.iter().enumerate().skip(skipped) {
            if index > skipped {
                out.extend_from_slice(b", ");
            }
            item(out, attempt, index + 1 == attempts.len());
        }
    }
}

fn ip(out: &mut Vec<u8>, of: SocketAddr) {
    address(out, of.ip().to_canonical());
}

fn port(out: &mut Vec<u8>, of: SocketAddr) {
    number(out, of.port().into());
}

fn time(out: &mut Vec<u8>, time: Option<Duration>) {
    match time {
        Some(time) => seconds(out, time),
        None => out.push(b'-'),
    }
}

fn show(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    out.extend_from_slice(value.to_string().as_bytes());
}
