//! UDP: datagrams of clients that are forwarded to endpoints, and their responses.
//!
//! Each worker has its own socket at every address (`SO_REUSEPORT`), and the kernel delivers the datagrams of a client to the
//! same one. A session is the datagrams of one client; its state is bounded in number, bytes and time.

mod flow;
mod port;
mod sessions;
mod socket;

use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use headgate_table::RoutingTable;

use self::port::Port;
use self::sessions::Sessions;
use self::socket::PortSocket;
use crate::connection::{Handler, WorkerContext};
use crate::listen::BindError;

/// The UDP sockets of one worker.
pub(crate) struct UdpSockets<H> {
    context: Rc<WorkerContext<H>>,
    sessions: Rc<Sessions>,
    /// Also those that wait for responses before they close.
    open: Vec<OpenPort<H>>,
}

struct OpenPort<H> {
    address: SocketAddr,
    /// Gone once it is closed.
    port: Weak<Port<H>>,
}

impl<H: Handler> UdpSockets<H> {
    /// No open sockets.
    pub(crate) fn new(context: Rc<WorkerContext<H>>) -> Self {
        let config = &context.worker.shared.config;
        let most = sessions::most(config.max_connections, sessions::ephemeral_ports());
        Self {
            sessions: Rc::new(Sessions::new(most / config.workers.max(1))),
            context,
            open: Vec::new(),
        }
    }

    /// Opens and closes sockets for `table`, the current one. Returns the addresses that cannot be listened on.
    pub(crate) fn reconcile(&mut self, table: &Rc<Arc<RoutingTable>>) -> Vec<BindError> {
        self.open.retain(|open| {
            let port = open.port.upgrade();
            port.inspect(|port| port.table_changed()).is_some()
        });
        let mut failed = Vec::new();
        for listener in table.udp_listeners() {
            let address = listener.address;
            // A second socket beside one that is about to close would get only a part of the clients.
            if self.open.iter().any(|port| port.address == address) {
                continue;
            }
            match PortSocket::open(address) {
                Ok(socket) => self.open.push(self.start(socket, table.clone())),
                Err(source) => failed.push(BindError { address, source }),
            }
        }
        failed
    }

    fn start(&self, socket: PortSocket, table: Rc<Arc<RoutingTable>>) -> OpenPort<H> {
        let address = socket.address;
        let port = Port::new(self.context.clone(), self.sessions.clone(), socket, table);
        let port = Rc::new(port);
        let open = OpenPort {
            address,
            port: Rc::downgrade(&port),
        };
        tokio::task::spawn_local(port.run());
        tracing::debug!(%address, "receiving datagrams");
        open
    }

    /// Closes all sockets after receiving the datagrams that wait in them. The drain of the worker waits for responses that are
    /// due.
    pub(crate) fn close(self) {
        self.sessions.close();
        for open in self.open {
            open.port.upgrade().inspect(|port| port.table_changed());
        }
    }
}
