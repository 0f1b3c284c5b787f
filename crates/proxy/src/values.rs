//! Values of variables that depend on the connection, the time or the process: the same for templates and logs.

mod user;

use std::fmt::Display;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use headgate_table::{GeoVariable, TlsVariable, Variable};
use http::Version;
use jiff::Timestamp;

pub(crate) use self::user::of as basic_user;
use crate::geo::Locations;
use crate::tls::TlsFacts;

/// What variables read of a client connection.
#[derive(Clone)]
pub(crate) struct ConnectionFacts {
    /// The client, or the source of a PROXY header.
    pub(crate) peer: SocketAddr,
    /// The proxy's address.
    pub(crate) local: SocketAddr,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) proxied: Option<Proxied>,
    /// Serial number of the connection.
    pub(crate) id: u64,
    /// Requests received on it so far.
    pub(crate) requests: u64,
    /// Databases, if settings look up locations.
    pub(crate) locations: Option<Arc<Locations>>,
}

/// Addresses of a PROXY header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proxied {
    /// The client.
    pub(crate) source: SocketAddr,
    /// The address that the client connected to.
    pub(crate) destination: SocketAddr,
}

/// Appends the value of `variable` if it is one of these; `connection` is `None` only in tests.
pub(crate) fn write(variable: &Variable, connection: Option<&ConnectionFacts>, out: &mut Vec<u8>) {
    match variable {
        Variable::Msec => {
            let now = Timestamp::now();
            show(
                out,
                format_args!("{}.{:03}", now.as_second(), now.subsec_millisecond()),
            );
        }
        Variable::TimeIso8601 => show(out, Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S+00:00")),
        Variable::TimeLocal => show(out, Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000")),
        Variable::Hostname => out.extend_from_slice(HOSTNAME.as_bytes()),
        Variable::Pid => show(out, std::process::id()),
        Variable::Constant(text) => out.extend_from_slice(text.as_bytes()),
        other => {
            if let Some(connection) = connection {
                of_connection(other, connection, out);
            }
        }
    }
}

fn of_connection(variable: &Variable, connection: &ConnectionFacts, out: &mut Vec<u8>) {
    let proxied = connection.proxied;
    match variable {
        Variable::RemotePort => show(out, connection.peer.port()),
        Variable::PeerAddr => show(out, connection.peer.ip().to_canonical()),
        Variable::PeerPort => show(out, connection.peer.port()),
        Variable::ProxyProtocolAddr => optional(out, proxied.map(|p| p.source.ip())),
        Variable::ProxyProtocolPort => optional(out, proxied.map(|p| p.source.port())),
        Variable::ProxyProtocolServerAddr => optional(out, proxied.map(|p| p.destination.ip())),
        Variable::ProxyProtocolServerPort => optional(out, proxied.map(|p| p.destination.port())),
        Variable::ServerAddr => show(out, connection.local.ip().to_canonical()),
        Variable::ServerPort => show(out, connection.local.port()),
        Variable::Connection => show(out, connection.id),
        Variable::ConnectionRequests => show(out, connection.requests),
        Variable::Tls(variable) => of_tls(*variable, connection, out),
        _ => {}
    }
}

fn of_tls(variable: TlsVariable, connection: &ConnectionFacts, out: &mut Vec<u8>) {
    let Some(tls) = &connection.tls else { return };
    out.extend_from_slice(
        match variable {
            TlsVariable::Protocol => tls.protocol,
            TlsVariable::Cipher => tls.cipher,
            TlsVariable::ServerName => tls.server_name.as_deref().unwrap_or_default(),
            TlsVariable::Alpn => tls.alpn,
            TlsVariable::SessionReused if tls.resumed => "r",
            TlsVariable::SessionReused => ".",
            TlsVariable::ClientVerify => "NONE",
        }
        .as_bytes(),
    );
}

/// `$geoip2_*` of `client`; empty unless settings look up locations.
pub(crate) fn location(
    variable: GeoVariable,
    connection: Option<&ConnectionFacts>,
    client: IpAddr,
    out: &mut Vec<u8>,
) {
    let locations = connection.and_then(|connection| connection.locations.as_ref());
    if let Some(locations) = locations {
        locations.write(variable, client, out);
    }
}

/// `$http2`.
pub(crate) fn http2(version: Version, https: bool) -> &'static str {
    match (version, https) {
        (Version::HTTP_2, true) => "h2",
        (Version::HTTP_2, false) => "h2c",
        _ => "",
    }
}

/// `$server_protocol`.
pub(crate) fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// Value of a query argument as sent; names are compared ignoring case, as in nginx.
pub(crate) fn argument<'q>(query: Option<&'q str>, name: &str) -> &'q str {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let mut values = pairs
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value);
    values.next().unwrap_or_default()
}

pub(crate) fn show(out: &mut Vec<u8>, value: impl Display) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
}

fn optional(out: &mut Vec<u8>, value: Option<impl Display>) {
    if let Some(value) = value {
        show(out, value);
    }
}

/// Read once: it does not change while the process runs. In a pod it is the pod's name.
pub(crate) static HOSTNAME: LazyLock<String> = LazyLock::new(|| {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname");
    read.map_or_else(|_| String::new(), |name| name.trim().to_owned())
});
