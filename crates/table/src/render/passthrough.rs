//! The server names whose TLS connections are forwarded to a backend.

use std::collections::BTreeMap;

use super::forward;
use crate::{RoutingTable, TlsRoute, TlsSocket};

/// The backends by server name, in order; `*` is every other name. Listeners share their names, so each is there once.
pub(super) fn names(table: &RoutingTable) -> BTreeMap<String, String> {
    let sockets = table.listeners().iter();
    let sockets = sockets.filter_map(|listener| listener.socket.tls());
    let names = sockets.flat_map(TlsSocket::forwarded);
    names
        .map(|(name, route, split)| {
            let name = name.unwrap_or_else(|| "*".to_owned());
            let backends = forward(table, split);
            match route {
                TlsRoute::Stream { .. } => (name, format!("{backends} [terminated]")),
                TlsRoute::Terminate(_) | TlsRoute::Passthrough(_) => (name, backends),
            }
        })
        .collect()
}
