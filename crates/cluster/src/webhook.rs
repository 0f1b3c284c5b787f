//! The admission webhook: the API server has Ingresses reviewed over HTTPS before it stores them (behaviour.md 9.1).
//!
//! A [`Validator`] decides; this is the server in front of it. In many clusters every pod can reach the port, so that
//! connections, bodies, memory and time are bounded. It has its own thread and runtime, so that a flood of requests delays
//! neither the reconciler nor the data plane.

mod body;
mod certificate;
mod clients;
mod connection_limit;
mod handler;
mod message;
mod metrics;
mod server;
mod timed_stream;
mod validator;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{oneshot, watch};

pub use self::metrics::WebhookMetrics;
use self::server::Server;
pub use self::validator::{Unavailable, Validator};
use crate::webhook_certificate::ServingCertificate;

/// The webhook before its port is bound.
#[derive(Clone, Copy, Debug)]
pub struct Webhook;

/// The webhook with its port bound, not serving yet: connections wait.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    client_ca: Option<PathBuf>,
}

/// A serving webhook. Dropping it stops it at once.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    draining: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    stopped: oneshot::Receiver<()>,
}

impl Webhook {
    /// Binds the port; port 0 is any free one.
    ///
    /// # Errors
    /// Those of the system, e.g. when the port is in use.
    pub fn bind(address: SocketAddr) -> io::Result<Bound> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Bound {
            listener,
            address,
            client_ca: None,
        })
    }
}

impl Bound {
    /// The address with the bound port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts only clients with a certificate of a CA in this PEM file, which is read again when it changes. Until it can
    /// be read, every client is refused. Default: all clients are accepted.
    pub fn with_client_ca(mut self, file: PathBuf) -> Self {
        self.client_ca = Some(file);
        self
    }

    /// Serves on its own thread. Until `certificate` holds one, handshakes fail; a new one is used from the next handshake
    /// on, and an invalid one is logged while the previous one stays in use.
    ///
    /// # Errors
    /// When the thread cannot be started or the TLS library refuses its own defaults.
    pub fn start(
        self,
        validator: impl Validator,
        certificate: watch::Receiver<Option<Arc<ServingCertificate>>>,
        metrics: Arc<WebhookMetrics>,
    ) -> io::Result<Running> {
        let draining = Arc::<AtomicBool>::default();
        let Self {
            listener,
            address,
            client_ca,
        } = self;
        let options = server::Options {
            client_ca,
            draining: draining.clone(),
        };
        let server = Server::new(validator, certificate, metrics, options)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopping) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("webhook".into())
            .spawn(move || {
                runtime.block_on(server.serve(listener, stopping));
                // Open connections end with the runtime, so that `stop` returns after them.
                drop(runtime);
                let _ = done.send(());
            })?;
        tracing::info!(%address, "admission webhook listening");
        Ok(Running {
            address,
            draining,
            stop: Some(stop),
            stopped,
        })
    }
}

impl Running {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes each connection after its next response, and still accepts new ones. To be called a while before
    /// [`Self::stop`]: an API server keeps its connections, and closing one during a request fails that review.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Stops accepting, closes idle connections, finishes pending reviews for at most 5 s, and returns when the port is
    /// free.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.stopped).await;
    }
}
