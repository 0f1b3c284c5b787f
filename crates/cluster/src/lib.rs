//! Clients of the Kubernetes API server: watches, statuses, Events and leader election; and the admission webhook.
//!
//! It decides nothing about routing: the `compile` crate interprets objects and makes the findings that are reported here.

mod cache;
mod causes;
mod connect;
pub mod events;
#[cfg(test)]
mod fake;
mod field_manager;
pub mod gateway_services;
pub mod gateway_status;
mod leadership;
pub mod lease;
mod metrics;
mod pods;
pub mod running;
pub mod status;
pub mod stop;
mod watch;
pub mod webhook;
pub mod webhook_certificate;
mod write_pace;

pub use cache::{CacheError, CacheKey, CacheOptions};
pub use connect::{ConnectError, ConnectOptions, Connected, connect};
pub use metrics::{CommonLabels, METRICS, Metric};
pub use watch::{Health, Statuses, Timing, Watch, WatchMetrics, WatchOptions};
