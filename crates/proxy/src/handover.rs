//! Connections that the worker which accepted them hands over to another, and how they get there.

use std::net::{self, SocketAddr};
use std::sync::Arc;

use headgate_table::RoutingTable;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::process::Permit;

/// A connection on its way. It has been accepted, and is counted for the worker that gets it: its permit bounds how many there
/// are.
pub(crate) struct HandedOver {
    pub(crate) stream: net::TcpStream,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The address of the listener that accepted it.
    pub(crate) listener: SocketAddr,
    /// The newest table with that listener that the other worker knew.
    pub(crate) table: Arc<RoutingTable>,
    pub(crate) permit: Permit,
}

/// Where the workers receive connections, by their number.
#[derive(Clone)]
pub(crate) struct Workers(Arc<[UnboundedSender<HandedOver>]>);

/// The connections that a worker is handed.
pub(crate) struct Inbox(UnboundedReceiver<HandedOver>);

/// So many workers, and the inbox of each.
pub(crate) fn workers(count: usize) -> (Workers, Vec<Inbox>) {
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..count)
        .map(|_| mpsc::unbounded_channel())
        .map(|(sender, receiver)| (sender, Inbox(receiver)))
        .unzip();
    (Workers(senders.into()), inboxes)
}

impl Workers {
    /// Hands a connection over to the worker `to`. Returns it if that takes none any more.
    pub(crate) fn hand_over(&self, to: usize, connection: HandedOver) -> Result<(), HandedOver> {
        match self.0.get(to) {
            Some(sender) => sender.send(connection).map_err(|refused| refused.0),
            None => Err(connection),
        }
    }
}

impl Inbox {
    /// The next connection. Nothing is lost if this is dropped.
    pub(crate) async fn next(&mut self) -> Option<HandedOver> {
        self.0.recv().await
    }

    /// Takes no more connections, except those that are on their way: [`Inbox::next`] returns these, and then `None`.
    pub(crate) fn close(&mut self) {
        self.0.close();
    }
}
