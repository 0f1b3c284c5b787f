//! The echo backend, `headgate echo`: a server that answers with what it received, for trying and testing a proxy in
//! front of it. `headgate demo` runs one in-process for every Service.
//!
//! It speaks HTTP/1.1, HTTP/2 (by ALPN, or by prior knowledge on a plain port), WebSocket and gRPC. A query scripts its
//! answers (`?status=`, `?bytes=`, `?header=`, `?delay=`, see [`controls`]). It is a backend for tests, deliberately
//! not a hardened server: it trusts its peers and bounds only what one request may cost it.

mod answer;
mod body;
mod controls;
mod grpc;
mod received;
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
/// Header fields of one HTTP/1.1 request, and the size in bytes of one HTTP/2 header list. Above what a proxy lets
/// pass, so that the proxy's limits are what a test meets.
const MAX_HEADERS: usize = 1024;
const MAX_HEADER_LIST: u32 = 1 << 20;

/// Flags of `headgate echo`.
#[derive(Debug, clap::Args)]
pub(crate) struct EchoArgs {
    /// Address and port to listen on; repeatable. Port 0 is any free port: the bound address is printed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: Vec<SocketAddr>,
    /// Name given in every answer, to tell backends apart.
    #[arg(long, default_value = "echo")]
    name: String,
    /// PEM file with a certificate chain. With it, every address speaks TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the private key of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// What every connection of one server shares.
#[derive(Clone)]
struct Shared {
    name: Arc<str>,
    /// Its sender goes away when the server stops.
    stop: Stop,
}

/// Tells when the server stops.
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
/// flight have five seconds to finish. Dropping the future ends everything at once.
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
            // Finished tasks are collected as they come, or the set would grow with every connection ever made.
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(stop);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(open = connections.len(), "connections cut at shutdown");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, shared: Shared) {
    // Small answers must not wait for the peer's delayed ACK; a socket that refuses the option still works.
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
        async move { Ok::<_, Infallible>(answer::answer(request, peer, &shared).await) }
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
    let key_der = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("--tls-key {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .with_context(|| format!("{} and {}", cert.display(), key.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
