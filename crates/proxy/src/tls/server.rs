//! Handshakes with clients, with the settings and certificates of the table that is current when a handshake begins.

use std::io;
use std::sync::Arc;

use headgate_table::{Settings, TlsRoute};
use rustls::server::Acceptor;
use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::additions::serving_key;
use super::clients::ClientIdentity;
use super::facts::{Offered, TlsFacts};
use super::{ciphers, sessions};

/// A fatal `unrecognized_name` alert (RFC 6066 section 3) as a plaintext TLS 1.2 record.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// A finished handshake.
pub(crate) struct Handshake<S> {
    /// The connection, which has more than a kilobyte: it is moved several times.
    pub(crate) stream: Box<TlsStream<S>>,
    pub(crate) facts: TlsFacts,
    /// The client and the proxy agreed on HTTP/2.
    pub(crate) http2: bool,
}

/// Performs the handshake with a client; `route` returns the route for its server name. The library
/// bounds memory by accepting a ClientHello of at most 64 KiB; the caller bounds the time. A handshake that waits for its
/// client costs no more than its socket, and signing runs on the worker's own thread, so that never more handshakes compute
/// at once than there are workers.
pub(crate) async fn handshake<S>(
    stream: S,
    settings: &Settings,
    route: impl FnOnce(Option<&str>) -> Option<TlsRoute>,
) -> io::Result<Handshake<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let hello = start.client_hello();
    let server_name = hello.server_name().map(canonical);
    let offered = Offered {
        ciphers: hello.cipher_suites().to_vec(),
        groups: hello.named_groups().map(<[_]>::to_vec).unwrap_or_default(),
    };
    let route = route(server_name.as_deref());
    let found = route.as_ref().and_then(|route| {
        let terminate = route.terminate()?;
        let certificate = terminate.certificate(server_name.as_deref())?;
        Some((route, terminate, serving_key(certificate, settings.ocsp)))
    });
    let Some((route, terminate, key)) = found else {
        start.io.write_all(&UNRECOGNIZED_NAME).await?;
        start.io.shutdown().await?;
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no certificate for the server name",
        ));
    };
    let (host, is_known) = terminate.hosts.of_handshake(server_name.as_deref());
    let rules = host.clients.requested().cloned();
    let rules = rules.filter(|_| terminate.clients.is_none());
    let config = sessions::config(route, terminate, (settings, host), key);
    let config = config.map_err(io::Error::other)?;
    let stream = Box::new(start.into_stream(Arc::new(config)).await?);
    let connection = stream.get_ref().1;
    let http2 = connection.alpn_protocol() == Some(b"h2");
    let suite = connection.negotiated_cipher_suite();
    let facts = TlsFacts {
        server_name: server_name.map(Arc::from),
        is_known,
        protocol: protocol(connection.protocol_version()),
        cipher: suite.map_or("", |suite| ciphers::name(suite.suite())),
        group: connection
            .negotiated_key_exchange_group()
            .map(|group| group.name()),
        offered: Arc::new(offered),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        alpn: alpn(connection.alpn_protocol()),
        client: rules.map(|rules| {
            Arc::new(ClientIdentity::new(
                &rules.trust,
                connection.peer_certificates(),
            ))
        }),
    };
    Ok(Handshake {
        stream,
        facts,
        http2,
    })
}

/// A server name in the form of hosts: lower-case, without final dot.
pub(crate) fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn alpn(protocol: Option<&[u8]>) -> &'static str {
    match protocol {
        Some(b"h2") => "h2",
        Some(b"http/1.1") => "http/1.1",
        _ => "",
    }
}

fn protocol(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "-",
    }
}
