//! The admission webhook: the API server asks over HTTPS whether an Ingress may be stored (behaviour.md 9.1).
//!
//! It decides nothing. The verdict is a [`Judge`]'s; here is what stands between the judge and whoever can reach the port,
//! which in many clusters is every pod: bounds on connections, bodies, memory and time. It has a thread and runtime of its
//! own, so that a flood of requests delays neither the reconciler nor the data plane.

mod answer;
mod body;
mod certificate;
mod clients;
mod connection_limit;
mod judge;
mod message;
mod metrics;
mod server;
mod watched;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{oneshot, watch};

pub use self::judge::{Judge, Unavailable};
pub use self::metrics::WebhookMetrics;
use self::server::Server;
use crate::webhook_certificate::ServingCertificate;

/// The webhook before it has a port.
#[derive(Clone, Copy, Debug)]
pub struct Webhook;

/// The webhook with its port, not serving yet: connections wait.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    clients: Option<PathBuf>,
}

/// A webhook that serves. Dropping it stops it at once.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    leaving: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    stopped: oneshot::Receiver<()>,
}

impl Webhook {
    /// Takes the port; port 0 is any free one.
    ///
    /// # Errors
    /// As the system says, e.g. when the port is taken.
    pub fn bind(address: SocketAddr) -> io::Result<Bound> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Bound {
            listener,
            address,
            clients: None,
        })
    }
}

impl Bound {
    /// The address with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers only those who show a certificate of the authorities in this PEM file, which is read again as it changes. As
    /// long as it cannot be read, nobody is answered. Default: everybody is.
    pub fn for_clients_of(mut self, authorities: PathBuf) -> Self {
        self.clients = Some(authorities);
        self
    }

    /// Serves on a thread of its own. Until `certificate` holds one, handshakes fail; another one is used from the next
    /// handshake on, and one that cannot be used is logged while the one before goes on.
    ///
    /// # Errors
    /// When the system gives no thread or the TLS library refuses its own defaults.
    pub fn start(
        self,
        judge: impl Judge,
        certificate: watch::Receiver<Option<Arc<ServingCertificate>>>,
        metrics: Arc<WebhookMetrics>,
    ) -> io::Result<Running> {
        let leaving = Arc::<AtomicBool>::default();
        let Self {
            listener,
            address,
            clients,
        } = self;
        let options = server::Options {
            clients,
            leaving: leaving.clone(),
        };
        let server = Server::new(judge, certificate, metrics, options)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopping) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("webhook".into())
            .spawn(move || {
                runtime.block_on(server.serve(listener, stopping));
                // What is still open ends with the runtime, and only then is the end told.
                drop(runtime);
                let _ = done.send(());
            })?;
        tracing::info!(%address, "the admission webhook listens");
        Ok(Running {
            address,
            leaving,
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

    /// Ends each connection with its next answer, and still takes new ones. An API server keeps its connections, and one that
    /// is closed under a review it is just sending fails that review; so this comes a while before [`Self::stop`].
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Takes no new connection, closes those that wait, finishes reviews that are under way, for at most 5 s, and returns
    /// when the port is free.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.stopped).await;
    }
}
