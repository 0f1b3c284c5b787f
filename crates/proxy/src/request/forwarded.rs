//! The client of a request, also behind load balancers (behaviour.md 3.2 and 3.3).

use std::net::{IpAddr, SocketAddr};

use headgate_table::{ForwardedTrust, IpSet, Listener};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::authority::{Authority, number};
use super::client::{ClientInfo, ConnectionInfo, Scheme, SentText};
use crate::downstream::Downstream;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl ConnectionInfo {
    /// A connection to `listener`.
    pub(crate) fn of(downstream: &Downstream, listener: &Listener) -> Self {
        Self {
            peer: downstream.peer(),
            proxied_port: downstream.proxied.map(|proxied| proxied.destination.port()),
            scheme: if downstream.tls.is_some() {
                Scheme::Https
            } else {
                Scheme::Http
            },
            port: listener.public_port(downstream.local.port()),
            https_port: listener.ports.https,
        }
    }

    /// The client of a request with these `headers`, as far as `trust` goes; `host` is that of the request.
    pub(crate) fn client(
        self,
        trust: &ForwardedTrust,
        headers: &HeaderMap,
        host: Option<&HeaderValue>,
    ) -> ClientInfo {
        let (mut scheme, mut port) = (self.scheme, self.proxied_port.unwrap_or(self.port));
        let mut forwarded_host = None;
        let mut sent = SentText::default();
        if trust.use_forwarded_headers {
            scheme = first(headers, &X_FORWARDED_PROTO)
                .and_then(named_scheme)
                .unwrap_or(scheme);
            sent.scheme = unusual(headers, &X_FORWARDED_PROTO, |text| {
                matches!(text, b"http" | b"https")
            });
            port = first(headers, &X_FORWARDED_PORT)
                .and_then(number)
                .filter(|port| *port != 0)
                .unwrap_or(port);
            sent.port = unusual(headers, &X_FORWARDED_PORT, |text| {
                text == itoa::Buffer::new().format(port).as_bytes()
            });
            forwarded_host = first(headers, &X_FORWARDED_HOST)
                .filter(|host| Authority::parse(host.as_bytes()).is_some())
                .and_then(|host| HeaderValue::from_str(host).ok());
        }
        if self.proxied_port == Some(Scheme::Https.default_port()) {
            scheme = Scheme::Https;
            sent.scheme = None;
        }
        let is_plain = sent.scheme.is_none() && sent.port.is_none();
        ClientInfo {
            address: self.client_address(trust, headers),
            scheme,
            port: self.reported(port),
            connected_port: port,
            host: forwarded_host.or_else(|| host.cloned()),
            sent: (!is_plain).then(|| Box::new(sent)),
        }
    }

    /// A custom https port is internal to the proxy and the load balancer: upstreams get 443.
    fn reported(self, port: u16) -> u16 {
        let own_https_port = self.scheme == Scheme::Https && port == self.port;
        if own_https_port || (port == self.https_port && port != 0) {
            Scheme::Https.default_port()
        } else {
            port
        }
    }

    fn client_address(self, trust: &ForwardedTrust, headers: &HeaderMap) -> IpAddr {
        let peer = self.peer.ip().to_canonical();
        // With the PROXY protocol the client is known; only use-forwarded-headers overrides it.
        let use_header = trust.use_forwarded_headers || (trust.real_ip && !trust.proxy_protocol);
        if use_header {
            rightmost_untrusted(peer, &trust.trusted, headers, &trust.for_header)
        } else {
            peer
        }
    }
}

/// All elements of the list in the field `name` as one value; `None` if it is empty.
pub(crate) fn listed(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter().filter(|line| !line.is_empty());
    let first = lines.next()?;
    let Some(second) = lines.next() else {
        return Some(first.clone());
    };
    let mut joined = first.as_bytes().to_vec();
    for line in std::iter::once(second).chain(lines) {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line.as_bytes());
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)).ok()
}

/// The last entry that a trusted hop has written for an untrusted one, from the end of the list, the nearest hop. Text
/// that is not an address ends the search.
fn rightmost_untrusted(
    peer: IpAddr,
    trusted: &IpSet,
    headers: &HeaderMap,
    name: &HeaderName,
) -> IpAddr {
    let mut client = peer;
    for line in headers.get_all(name).iter().rev() {
        for entry in line.as_bytes().rsplit(|byte| *byte == b',') {
            let entry = entry.trim_ascii();
            if entry.is_empty() {
                continue;
            }
            if !trusted.contains(client) {
                return client;
            }
            match address(entry) {
                Some(address) => client = address,
                None => return client,
            }
        }
    }
    client
}

/// An address with or without port. As in nginx, brackets without a port are none.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

/// The first element of a list.
fn first<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let text = headers.get(name)?.to_str().ok()?;
    let entry = text.split(',').next()?.trim();
    (!entry.is_empty()).then_some(entry)
}

/// The field `name` as sent, unless it is absent or `usual` alone.
fn unusual(
    headers: &HeaderMap,
    name: &HeaderName,
    usual: impl Fn(&[u8]) -> bool,
) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    if lines.next().is_none() && usual(first.as_bytes()) {
        return None;
    }
    Some(listed(headers, name).unwrap_or_else(|| HeaderValue::from_static("")))
}

fn named_scheme(name: &str) -> Option<Scheme> {
    if name.eq_ignore_ascii_case("https") {
        Some(Scheme::Https)
    } else if name.eq_ignore_ascii_case("http") {
        Some(Scheme::Http)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
