//! UDP: datagrams of clients that are forwarded to endpoints, and their responses.
//!
//! Each worker has its own socket at every address (`SO_REUSEPORT`), and the kernel delivers the datagrams of a client to the
//! same one. A session is the datagrams of one client; its state is bounded in number, bytes and time.

mod flow;
mod port;
mod socket;

use std::net::SocketAddr;
use std::rc::Rc;

use headgate_table::RoutingTable;
use tokio::sync::oneshot;

use self::port::{Port, Shared};
use self::socket::PortSocket;
use crate::connection::{Handler, WorkerContext};
use crate::drain::Registration;
use crate::listen::BindError;

/// Share of the connections that may be open at once which is for UDP sessions, so that they leave room for others.
const SHARE: usize = 4;

/// The UDP sockets of one worker.
pub(crate) struct UdpSockets<H> {
    context: Rc<WorkerContext<H>>,
    shared: Rc<Shared>,
    open: Vec<OpenPort>,
}

struct OpenPort {
    address: SocketAddr,
    stop: oneshot::Sender<Registration>,
}

impl<H: Handler> UdpSockets<H> {
    /// No open sockets.
    pub(crate) fn new(context: Rc<WorkerContext<H>>) -> Self {
        let config = &context.worker.shared.config;
        let most = config.max_connections / SHARE / config.workers.max(1);
        Self {
            shared: Rc::new(Shared::new(most)),
            context,
            open: Vec::new(),
        }
    }

    /// Opens and closes sockets for `table`. Returns the addresses that cannot be listened on.
    pub(crate) fn reconcile(&mut self, table: &RoutingTable) -> Vec<BindError> {
        let connections = &self.context.connections;
        for port in std::mem::take(&mut self.open) {
            if table.udp_listener(port.address).is_some() {
                self.open.push(port);
            } else {
                tracing::debug!(address = %port.address, "stopped receiving datagrams");
                // Fails if the task panicked: then the socket is closed as well.
                let _ = port.stop.send(connections.register());
            }
        }
        let mut failed = Vec::new();
        for listener in table.udp_listeners() {
            let address = listener.address;
            if self.open.iter().any(|port| port.address == address) {
                continue;
            }
            match PortSocket::open(address) {
                Ok(socket) => self.open.push(self.start(socket)),
                Err(source) => failed.push(BindError { address, source }),
            }
        }
        failed
    }

    fn start(&self, socket: PortSocket) -> OpenPort {
        let address = socket.address;
        let (stop, stopped) = oneshot::channel();
        let port = Port::new(self.context.clone(), self.shared.clone(), socket);
        tokio::task::spawn_local(Rc::new(port).run(stopped));
        tracing::debug!(%address, "receiving datagrams");
        OpenPort { address, stop }
    }

    /// Closes all sockets. The drain of the worker waits for responses that are due.
    pub(crate) fn close(self) {
        for port in self.open {
            // As above.
            let _ = port.stop.send(self.context.connections.register());
        }
    }
}
