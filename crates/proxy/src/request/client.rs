//! The connection and the client of a request.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// As written in URLs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that URLs omit.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The connection of a request, independent of header fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionInfo {
    /// The TCP peer, or the source address of a PROXY header.
    pub(crate) peer: SocketAddr,
    /// The destination port of a PROXY header.
    pub(crate) proxied_port: Option<u16>,
    /// Scheme of the listener.
    pub(crate) scheme: Scheme,
    /// Port of the listener.
    pub(crate) port: u16,
    /// Port of the https listener.
    pub(crate) https_port: u16,
}

/// The client of a request, from its connection and trusted forwarded headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    /// IPv4-mapped IPv6 addresses are IPv4.
    pub(crate) address: IpAddr,
    /// The scheme that the client used.
    pub(crate) scheme: Scheme,
    /// The port that the client connected to, as upstreams get it: 443 for a custom https port.
    pub(crate) port: u16,
    /// The same unchanged, for redirects.
    pub(crate) connected_port: u16,
    /// The host that the client requested, with port as sent. `None`: none was sent.
    pub(crate) host: Option<HeaderValue>,
    /// Scheme and port as a trusted hop sent them, where they are no plain `http`, `https` or number. Upstreams and URLs get
    /// this text.
    pub(crate) sent: Option<Box<SentText>>,
}

/// Forwarded fields as sent, several lines joined. `None`: the parsed value says the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SentText {
    /// `X-Forwarded-Proto`, may be empty.
    pub(super) scheme: Option<HeaderValue>,
    /// `X-Forwarded-Port`, may be empty.
    pub(super) port: Option<HeaderValue>,
}

impl ClientInfo {
    /// The scheme as upstreams get it: `http` or `https`, or any text that a trusted hop sent; may be empty.
    pub(crate) fn scheme_value(&self) -> HeaderValue {
        let sent = self.sent.as_ref().and_then(|sent| sent.scheme.clone());
        sent.unwrap_or_else(|| HeaderValue::from_static(self.scheme.as_str()))
    }

    /// The port as upstreams get it; may be any text that a trusted hop sent.
    pub(crate) fn port_value(&self) -> HeaderValue {
        let sent = self.sent.as_ref().and_then(|sent| sent.port.clone());
        sent.unwrap_or_else(|| port_value(self.port))
    }

    /// The port of redirects between hosts, see [`ClientInfo::connected_port`].
    pub(crate) fn connected_port_value(&self) -> HeaderValue {
        let sent = self.sent.as_ref().and_then(|sent| sent.port.clone());
        sent.unwrap_or_else(|| port_value(self.connected_port))
    }
}

fn port_value(port: u16) -> HeaderValue {
    match port {
        80 => HeaderValue::from_static("80"),
        443 => HeaderValue::from_static("443"),
        other => HeaderValue::from(other),
    }
}
