//! Connections: accept, TLS handshake, requests, and timely close.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::{ALL_VERSIONS, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::body::{self, Memory};
use super::certificate::CertificateResolver;
use super::clients::ClientVerifier;
use super::connection_limit::{ConnectionLimit, Permit};
use super::handler::Handler;
use super::metrics::WebhookMetrics;
use super::timed_stream::{RequestCounter, TimedStream, Timeouts};
use super::validator::Validator;
use crate::webhook_certificate::ServingCertificate;

/// Most open connections. An API server keeps a few.
const MAX_CONNECTIONS: usize = 256;
/// Timeout of a TLS handshake, and of a request head after its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of an idle connection. An API server closes its idle connections after 90 s and should be first to do so.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes that one connection buffers: the largest head, and one read of a body.
const BUFFER: usize = 64 << 10;
/// After a response that precedes the end of its request, the rest of the request is discarded, so that the response is
/// not lost to a reset; until nothing arrives for this time (nginx: `lingering_timeout`).
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time of discarding (nginx: `lingering_time`).
const LINGER_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept, e.g. when no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Options {
    /// File of the CAs of accepted clients; `None`: all clients are accepted.
    pub(super) client_ca: Option<PathBuf>,
    /// While set, a connection is closed after its next response.
    pub(super) draining: Arc<AtomicBool>,
}

/// The state shared by all connections.
pub(super) struct Server<V> {
    tls: TlsAcceptor,
    handler: Arc<Handler<V>>,
    limit: Arc<ConnectionLimit>,
}

impl<V: Validator> Server<V> {
    /// A server with the certificate that `certificate` holds.
    pub(super) fn new(
        validator: V,
        certificate: watch::Receiver<Option<Arc<ServingCertificate>>>,
        metrics: Arc<WebhookMetrics>,
        options: Options,
    ) -> io::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(ALL_VERSIONS)
            .map_err(io::Error::other)?;
        let config = match options.client_ca {
            Some(file) => config.with_client_cert_verifier(Arc::new(ClientVerifier::new(file))),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(Arc::new(CertificateResolver::new(certificate)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Clients are few and stay connected: no session to resume.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            tls: TlsAcceptor::from(Arc::new(config)),
            handler: Arc::new(Handler {
                validator,
                memory: Memory::default(),
                metrics,
                draining: options.draining,
            }),
            limit: ConnectionLimit::new(MAX_CONNECTIONS),
        })
    }

    /// Serves until `stop` resolves or its sender is dropped.
    pub(super) async fn serve(&self, listener: TcpListener, stop: oneshot::Receiver<()>) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "admission webhook cannot listen");
                return;
            }
        };
        let (stopping, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                _ = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream, &mut connections, &stopped),
                    Err(error) => {
                        tracing::debug!(%error, "admission webhook: accept failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop((listener, stopping));
        let rest = async { while connections.join_next().await.is_some() {} };
        if timeout(body::TIMEOUT, rest).await.is_err() {
            tracing::warn!("admission webhook stopped with pending reviews");
        }
    }

    fn admit(
        &self,
        stream: TcpStream,
        connections: &mut JoinSet<()>,
        stopped: &watch::Receiver<()>,
    ) {
        let Some(permit) = self.limit.acquire() else {
            tracing::debug!("admission webhook refused a connection: all are busy");
            return;
        };
        let (tls, handler) = (self.tls.clone(), self.handler.clone());
        let stopped = stopped.clone();
        connections.spawn(async move {
            let permit = Arc::new(permit);
            let evicted = permit.clone();
            tokio::select! {
                () = evicted.evicted() => {}
                () = connection(stream, tls, handler, permit, stopped) => {}
            }
        });
    }
}

async fn connection<V: Validator>(
    stream: TcpStream,
    tls: TlsAcceptor,
    handler: Arc<Handler<V>>,
    permit: Arc<Permit>,
    mut stopped: watch::Receiver<()>,
) {
    // Responses are small and written at once.
    let _ = stream.set_nodelay(true);
    let handshake = tokio::select! {
        handshake = timeout(HEAD_TIMEOUT, tls.accept(stream)) => handshake,
        _ = stopped.changed() => return,
    };
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "admission webhook: TLS handshake failed"),
        Err(_) => return tracing::debug!("admission webhook: TLS handshake timed out"),
    };
    match serve_requests(stream, handler, permit, stopped).await {
        Ok(stream) => linger(stream).await,
        Err(error) => tracing::debug!(%error, "admission webhook: connection failed"),
    }
}

/// Serves the requests of one connection.
async fn serve_requests<V: Validator>(
    stream: TlsStream<TcpStream>,
    handler: Arc<Handler<V>>,
    permit: Arc<Permit>,
    mut stopped: watch::Receiver<()>,
) -> hyper::Result<TlsStream<TcpStream>> {
    let requests = RequestCounter::default();
    let timeouts = Timeouts {
        head: HEAD_TIMEOUT,
        idle: IDLE_TIMEOUT,
    };
    let stream = TimedStream::new(stream, timeouts, requests.clone());
    let counter = requests.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, permit, counter) = (handler.clone(), permit.clone(), counter.clone());
        Box::pin(async move {
            permit.busy();
            counter.begin();
            let response = handler.handle(request).await;
            counter.end();
            permit.idle();
            Ok::<_, Infallible>(response)
        })
    });
    let mut connection = http1::Builder::new()
        .max_buf_size(BUFFER)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => Some(ended),
        _ = stopped.changed() => None,
    };
    match ended {
        Some(ended) => ended?,
        None if requests.any() => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|context| connection.poll_without_shutdown(context)).await?;
        }
        None => {}
    }
    Ok(connection.into_parts().io.into_inner().into_inner())
}

/// Closes a connection without losing the response: sends the end of the stream, and discards what still arrives.
async fn linger(mut stream: TlsStream<TcpStream>) {
    let end = async {
        let mut rest = vec![0; BUFFER];
        timeout(LINGER_TIMEOUT, stream.shutdown()).await??;
        while timeout(LINGER_TIMEOUT, stream.read(&mut rest)).await?? > 0 {}
        io::Result::Ok(())
    };
    // Closed now in any case.
    let _ = timeout(LINGER_TIME, end).await;
}
