//! The echo backend, `headgate echo`: a server that responds with the request that it received, to test proxies. `headgate
//! demo` runs one for every Service.
//!
//! It speaks HTTP/1.1, HTTP/2 (by ALPN, or by prior knowledge on a plain port), WebSocket and gRPC. A query controls the
//! response (`?status=`, `?bytes=`, `?header=`, `?delay=`, see [`controls`]). It is a backend for tests, deliberately not a
//! hardened server: it trusts its peers and bounds only the cost of one request.

mod body;
mod controls;
mod grpc;
mod received;
mod response;
#[cfg(test)]
mod tests;
mod upgrade;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long requests in flight may take to finish after shutdown has begun.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: the usual reason, no free file descriptors, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Maximum fields of one HTTP/1.1 request, and maximum bytes of one HTTP/2 header list. Above the limits of the proxy, so that
/// tests reach those.
const MAX_HEADERS: usize = 1024;
const MAX_HEADER_LIST: u32 = 1 << 20;

/// Flags of `headgate echo`.
#[derive(Debug, clap::Args)]
pub(crate) struct EchoArgs {
    /// Address and port to listen on; repeatable. Port 0 is any free port; the bound address is printed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: Vec<SocketAddr>,
    /// Name of this backend, which is part of every response.
    #[arg(long, default_value = "echo")]
    name: String,
    /// PEM file with a certificate chain. Enables TLS on every address.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the private key of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Shared by the connections of one server.
#[derive(Clone)]
struct Shared {
    name: Arc<str>,
    stop: Stop,
}

/// Signals the stop of the server, which drops the sender.
#[derive(Clone)]
struct Stop(watch::Receiver<()>);

impl Stop {
    /// Waits until the server stops.
    async fn stopped(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// Runs `headgate echo` until SIGTERM or SIGINT. Prints one line for every bound address.
pub(crate) async fn run(args: EchoArgs) -> anyhow::Result<()> {
    let EchoArgs {
        listen,
        name,
        tls_cert,
        tls_key,
    } = args;
    let tls = match tls_cert.zip(tls_key) {
        Some((cert, key)) => Some(acceptor(&cert, &key)?),
        None => None,
    };
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(());
    let stopped = Stop(stopped);
    let name: Arc<str> = name.into();
    let mut servers = JoinSet::new();
    for address in listen {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("--listen {address}"))?;
        println!("{name} listens on {}", listener.local_addr()?);
        let mut stopped = stopped.clone();
        let (name, tls) = (Arc::clone(&name), tls.clone());
        servers.spawn(async move { accept_all(listener, name, tls, stopped.stopped()).await });
    }
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    drop(stop);
    servers.join_all().await;
    Ok(())
}

/// Serves plain HTTP/1.1 and HTTP/2 on `listener` as the backend `name` until `shutdown` is ready; then requests in
/// flight have five seconds to finish. Dropping the future aborts them.
pub(crate) async fn serve(
    listener: TcpListener,
    name: Arc<str>,
    shutdown: impl Future<Output = ()>,
) {
    accept_all(listener, name, None, shutdown).await;
}

async fn accept_all(
    listener: TcpListener,
    name: Arc<str>,
    tls: Option<TlsAcceptor>,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(());
    let shared = Shared {
        name,
        stop: Stop(stopped),
    };
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, tls.clone(), shared.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            // Collects finished tasks, or the set would grow with every connection.
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(stop);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(open = connections.len(), "aborted connections at shutdown");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, shared: Shared) {
    // Small responses must not wait for the delayed ACK of the peer; a socket that refuses the option still works.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return speak_http(stream, peer, shared).await;
    };
    match timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak_http(stream, peer, shared).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake timed out"),
    }
}

async fn speak_http<S>(stream: S, peer: SocketAddr, shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stop = shared.stop.clone();
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(response::respond(request, peer, &shared).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST);
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection failed");
    }
}

/// TLS 1.2 and 1.3 with the certificate of these files; HTTP/2 is offered first.
fn acceptor(cert: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("--tls-cert {}", cert.display()))?;
    let text = std::fs::read(key).with_context(|| format!("--tls-key {}", key.display()))?;
    // The error quotes the text.
    let key_der = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| anyhow::anyhow!("--tls-key {}: not a private key in PEM", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .with_context(|| format!("{} and {}", cert.display(), key.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
