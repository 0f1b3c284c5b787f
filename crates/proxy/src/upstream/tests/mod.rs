//! Forwarding over real sockets on loopback.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod bodies;
mod bounds;
mod bursts;
mod calls;
mod choice;
mod choice_of_fewest;
mod connections;
mod faults;
mod outages;
mod responses;
mod retries;
mod secure;
mod upgrades;

use std::future::Future;

use super::testing::{
    Endpoint, FakeRequest, World, certificate, forwarding, identity, sticky, unused_address,
    upstream,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Runs a test where tasks stay on one thread, as in a worker.
async fn local<T>(test: impl Future<Output = T>) -> T {
    tokio::task::LocalSet::new().run_until(test).await
}
