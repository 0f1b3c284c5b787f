//! Connections: accepted, shaken hands with, served, and ended in time.

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

use super::answer::Answerer;
use super::body::{self, Memory};
use super::certificate::Current;
use super::clients::Clients;
use super::connection_limit::{ConnectionLimit, Permit};
use super::judge::Judge;
use super::metrics::WebhookMetrics;
use super::watched::{Answering, Patience, Watched};
use crate::webhook_certificate::ServingCertificate;

/// Connections at once. An API server keeps a few.
const CONNECTIONS: usize = 256;
/// Bound on a TLS handshake, and on a head after its first byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bound on an idle connection; an API server gives its own up after 90 s, and it should be the one who does.
const IDLE: Duration = Duration::from_secs(120);
/// Bytes that one connection buffers: the largest head, and what of a body is read at once.
const BUFFER: usize = 64 << 10;
/// After an answer that comes before its request's end, what still arrives is thrown away, so that the answer is not lost
/// to a reset: until nothing does for this long.
const LINGER: Duration = Duration::from_secs(2);
/// Bound on that.
const LINGER_IN_ALL: Duration = Duration::from_secs(10);
/// Pause after a failed accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections are treated.
pub(super) struct Options {
    /// The authorities of those who may ask; `None`: everybody may.
    pub(super) clients: Option<PathBuf>,
    /// While it is set, a connection is closed with its next answer.
    pub(super) leaving: Arc<AtomicBool>,
}

/// What all connections share.
pub(super) struct Server<J> {
    tls: TlsAcceptor,
    answerer: Arc<Answerer<J>>,
    limit: Arc<ConnectionLimit>,
}

impl<J: Judge> Server<J> {
    /// A server that shows what `certificate` holds.
    pub(super) fn new(
        judge: J,
        certificate: watch::Receiver<Option<Arc<ServingCertificate>>>,
        metrics: Arc<WebhookMetrics>,
        options: Options,
    ) -> io::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(ALL_VERSIONS)
            .map_err(io::Error::other)?;
        let config = match options.clients {
            Some(file) => config.with_client_cert_verifier(Arc::new(Clients::of(file))),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(Arc::new(Current::new(certificate)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Few clients, and each stays connected: nothing to resume.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            tls: TlsAcceptor::from(Arc::new(config)),
            answerer: Arc::new(Answerer {
                judge,
                memory: Memory::default(),
                metrics,
                leaving: options.leaving,
            }),
            limit: ConnectionLimit::new(CONNECTIONS),
        })
    }

    /// Serves until `stop` resolves or its sender is dropped.
    pub(super) async fn serve(&self, listener: TcpListener, stop: oneshot::Receiver<()>) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "the admission webhook cannot listen");
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
                        tracing::debug!(%error, "accepting for the admission webhook failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop((listener, stopping));
        let rest = async { while connections.join_next().await.is_some() {} };
        if timeout(body::TIME, rest).await.is_err() {
            tracing::warn!("reviews under way were given up");
        }
    }

    fn admit(
        &self,
        stream: TcpStream,
        connections: &mut JoinSet<()>,
        stopped: &watch::Receiver<()>,
    ) {
        let Some(permit) = self.limit.enter() else {
            tracing::debug!(
                "every connection of the admission webhook is busy; one more was refused"
            );
            return;
        };
        let (tls, answerer) = (self.tls.clone(), self.answerer.clone());
        let stopped = stopped.clone();
        connections.spawn(async move {
            let permit = Arc::new(permit);
            let leave = permit.clone();
            tokio::select! {
                () = leave.evicted() => {}
                () = connection(stream, tls, answerer, permit, stopped) => {}
            }
        });
    }
}

async fn connection<J: Judge>(
    stream: TcpStream,
    tls: TlsAcceptor,
    answerer: Arc<Answerer<J>>,
    permit: Arc<Permit>,
    mut stopped: watch::Receiver<()>,
) {
    // Answers are small and written at once.
    let _ = stream.set_nodelay(true);
    let handshake = tokio::select! {
        handshake = timeout(PATIENCE, tls.accept(stream)) => handshake,
        _ = stopped.changed() => return,
    };
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a handshake failed"),
        Err(_) => return tracing::debug!("a handshake took too long"),
    };
    match exchange(stream, answerer, permit, stopped).await {
        Ok(stream) => linger(stream).await,
        Err(error) => tracing::debug!(%error, "a connection of the admission webhook ended early"),
    }
}

/// Answers the requests of one connection.
async fn exchange<J: Judge>(
    stream: TlsStream<TcpStream>,
    answerer: Arc<Answerer<J>>,
    permit: Arc<Permit>,
    mut stopped: watch::Receiver<()>,
) -> hyper::Result<TlsStream<TcpStream>> {
    let answering = Answering::default();
    let patience = Patience {
        head: PATIENCE,
        idle: IDLE,
    };
    let stream = Watched::new(stream, patience, answering.clone());
    let requests = answering.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (answerer, permit, requests) = (answerer.clone(), permit.clone(), requests.clone());
        Box::pin(async move {
            permit.busy();
            requests.begin();
            let response = answerer.answer(request).await;
            requests.end();
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
        None if answering.has_begun() => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|context| connection.poll_without_shutdown(context)).await?;
        }
        None => {}
    }
    Ok(connection.into_parts().io.into_inner().into_inner())
}

/// Ends a connection such that what was written arrives: says that nothing more comes, and throws away what still does.
async fn linger(mut stream: TlsStream<TcpStream>) {
    let end = async {
        let mut rest = vec![0; BUFFER];
        timeout(LINGER, stream.shutdown()).await??;
        while timeout(LINGER, stream.read(&mut rest)).await?? > 0 {}
        io::Result::Ok(())
    };
    // Whoever is not done by now loses.
    let _ = timeout(LINGER_IN_ALL, end).await;
}
