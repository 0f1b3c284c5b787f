//! Handshakes with clients: settings and certificates come from the table that is current when a handshake begins.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use headgate_table::{Settings, TableReader, TlsSettings};
use rustls::crypto::aws_lc_rs;
use rustls::server::{
    Acceptor, ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache,
};
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, ServerConfig, SupportedProtocolVersion, version};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::ciphers;
use crate::downstream::TlsFacts;

/// Sessions that are kept for resumption, over all workers.
const SESSIONS: usize = 10_000;

/// A fatal `unrecognized_name` alert (RFC 6066 section 3) as a plaintext TLS 1.2 record.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// The TLS side of the listeners. All workers share it, so that a session can be resumed on any of them.
pub(crate) struct ServerTls {
    reader: TableReader,
    /// One for each listener.
    built: ArcSwap<Vec<Arc<Built>>>,
}

/// What the library needs, for one listener and one version of the settings.
struct Built {
    listener: SocketAddr,
    settings: TlsSettings,
    http2: bool,
    config: Arc<ServerConfig>,
}

/// A finished handshake.
pub(crate) struct Handshake<S> {
    /// The connection.
    pub(crate) stream: TlsStream<S>,
    /// What was agreed on.
    pub(crate) facts: TlsFacts,
    /// HTTP/2 was agreed on.
    pub(crate) http2: bool,
}

impl ServerTls {
    /// Serves the certificates of the current table.
    pub(crate) fn new(reader: TableReader) -> Self {
        Self {
            reader,
            built: ArcSwap::default(),
        }
    }

    /// The library's form of `settings`, made anew only when they have changed: sessions live in it.
    ///
    /// Two workers that meet a change at once both build it, and the later one stays; that costs a few resumptions.
    fn config(
        &self,
        listener: SocketAddr,
        settings: &Settings,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let known = self.built.load();
        let current = known.iter().find(|built| built.listener == listener);
        if let Some(built) = current
            && built.settings == settings.tls
            && built.http2 == settings.http2
        {
            return Ok(built.config.clone());
        }
        let certificates = Certificates {
            reader: self.reader.clone(),
            listener,
        };
        let config = Arc::new(build(settings, certificates)?);
        let built = Arc::new(Built {
            listener,
            settings: settings.tls.clone(),
            http2: settings.http2,
            config: config.clone(),
        });
        let others = known.iter().filter(|built| built.listener != listener);
        let all = others.cloned().chain([built]).collect();
        self.built.store(Arc::new(all));
        Ok(config)
    }
}

/// Shakes hands with a client. Memory is bounded by the library, which takes a ClientHello of at most 64 KiB; time is the
/// caller's. What waits for a client costs no more than its socket, and signing runs on the worker's own thread, so that
/// never more handshakes compute at once than there are workers.
pub(crate) async fn handshake<S>(
    tls: &ServerTls,
    listener: SocketAddr,
    settings: &Settings,
    stream: S,
) -> io::Result<Handshake<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let server_name = start.client_hello().server_name().map(canonical);
    let certificates = Certificates {
        reader: tls.reader.clone(),
        listener,
    };
    if certificates.of(server_name.as_deref()).is_none() {
        start.io.write_all(&UNRECOGNIZED_NAME).await?;
        start.io.shutdown().await?;
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no certificate for the server name",
        ));
    }
    let config = tls.config(listener, settings).map_err(io::Error::other)?;
    let stream = start.into_stream(config).await?;
    let connection = stream.get_ref().1;
    let facts = TlsFacts {
        server_name: server_name.map(Arc::from),
        protocol: protocol(connection.protocol_version()),
    };
    let http2 = connection.alpn_protocol() == Some(b"h2");
    Ok(Handshake {
        stream,
        facts,
        http2,
    })
}

/// Finds the certificate of a server name in the table that is current at the time.
struct Certificates {
    reader: TableReader,
    listener: SocketAddr,
}

impl Certificates {
    fn of(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let table = self.reader.current();
        let terminate = table.listener(self.listener)?.terminate(name)?;
        let certificate = terminate.certificate(name)?;
        Some(certificate.key.clone())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(canonical);
        self.of(name.as_deref())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

fn build(settings: &Settings, certificates: Certificates) -> Result<ServerConfig, rustls::Error> {
    let tls = &settings.tls;
    let provider = Arc::new(ciphers::provider(&tls.ciphers));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(tls))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    config.ignore_client_order = true; // `ssl_prefer_server_ciphers on`
    config.max_early_data_size = 0; // it can be replayed (RFC 8446 section 8)
    config.alpn_protocols = match settings.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    if tls.session_cache {
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    if tls.session_tickets {
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.send_tls13_tickets = 2;
    }
    Ok(config)
}

/// The versions of `tls`; both when it leaves none, since a port that nobody can reach helps nobody.
fn versions(tls: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    match (tls.tls12, tls.tls13) {
        (true, false) => vec![&version::TLS12],
        (false, true) => vec![&version::TLS13],
        (true, true) | (false, false) => vec![&version::TLS13, &version::TLS12],
    }
}

/// A server name as hosts are written: lower-case, without final dot.
fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn protocol(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "-",
    }
}
