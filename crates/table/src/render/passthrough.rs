//! The server names whose TLS connections are passed through.

use std::collections::BTreeMap;

use super::forward;
use crate::{RoutingTable, TlsSocket};

/// The backends by server name, in order; `*` is every other name. Listeners share their names, so each is there once.
pub(super) fn names(table: &RoutingTable) -> BTreeMap<String, String> {
    let sockets = table.listeners().iter();
    let sockets = sockets.filter_map(|listener| listener.socket.tls());
    let names = sockets.flat_map(TlsSocket::passed_through);
    names
        .map(|(name, split)| {
            let name = name.unwrap_or_else(|| "*".to_owned());
            (name, forward(table, split))
        })
        .collect()
}
