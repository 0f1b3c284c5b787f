//! The Kubernetes API server: objects watched, statuses and Events written, the
//! lease by which one replica leads, and the admission webhook.
//!
//! It decides nothing about routing: what objects mean is compiled elsewhere, and what is written about them here is what
//! compiling said.

mod cache;
mod causes;
mod connect;
pub mod events;
#[cfg(test)]
mod fake;
mod field_manager;
mod leadership;
pub mod lease;
pub mod status;
mod watch;
pub mod webhook;
pub mod webhook_certificate;

pub use cache::{CacheError, CacheKey, CacheOptions};
pub use connect::{ConnectError, ConnectOptions, Connected, connect};
pub use watch::{Health, Statuses, Timing, Watch, WatchMetrics, WatchOptions};
