//! Built-in paths: health and connection counters (behaviour.md 2.6).

use std::sync::Arc;

use headgate_table::{CATCH_ALL, Host, HostBehaviour, Route, VirtualHosts};
use http::StatusCode;

use super::exchange::Exchange;
use crate::respond::LocalResponse;

/// Path of the counters, for some peers only.
const STATUS_PATH: &[u8] = b"/nginx_status";

/// Responds to built-in paths, which the catch-all host has unless an object claims them or the universe has none. They are not logged.
pub(super) fn respond(
    exchange: &mut Exchange<'_>,
    (hosts, host): (&VirtualHosts, &Host),
    route: &Arc<Route>,
    path: &[u8],
) -> Result<(), LocalResponse> {
    let is_root = matches!(&host.behaviour, HostBehaviour::Routes { paths, .. } if Arc::ptr_eq(route, paths.root()));
    if !is_root || *host.name != *CATCH_ALL || hosts.is_layered() {
        return Ok(());
    }
    let response = if *path == *exchange.settings().health_path.as_bytes() {
        LocalResponse::Healthy
    } else if *path == *STATUS_PATH {
        counters(exchange)
    } else {
        return Ok(());
    };
    exchange.record.unlogged = true;
    Err(response)
}

/// The TCP peer decides, because any client can send forwarded headers.
fn counters(exchange: &Exchange<'_>) -> LocalResponse {
    let downstream = exchange.downstream;
    let peer = downstream.tcp_peer.ip().to_canonical();
    if exchange.settings().counter_clients.contains(peer) {
        LocalResponse::Counters(downstream.worker.shared.telemetry.status_page())
    } else {
        LocalResponse::Page(StatusCode::FORBIDDEN)
    }
}
