//! A server with a runtime of its own.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A server that runs until this is dropped, which does not wait for its tasks.
#[derive(Debug)]
pub(crate) struct Listening {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Listening {
    /// Listens on this address, with port 0 on any free port, and runs what `serve` makes of the listener.
    ///
    /// # Panics
    /// When it cannot listen.
    pub(crate) fn start<F>(address: SocketAddr, serve: impl FnOnce(TcpListener) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = runtime();
        let listener = runtime
            .block_on(TcpListener::bind(address))
            .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        let address = listener.local_addr().expect("a listener has an address");
        runtime.spawn(serve(listener));
        Self {
            address,
            runtime: Some(runtime),
        }
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A runtime with a thread of its own.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be started")
}
