//! Rate and concurrency limits as arithmetic over a clock that the caller passes in.
//!
//! What is here: how many requests one client may make ([`Quota`]), what a client is counted by ([`Key`]), and the two stores that
//! remember clients between requests ([`RateLimiter`], [`ConcurrencyLimiter`]). The stores hold what clients have used and
//! nothing of the configuration: a limit is an argument of each call, so a new configuration takes effect at once while the
//! counts stay.
//!
//! What is deliberately not here: a clock, sockets, an async runtime, waiting. A request that is over its limit is refused,
//! never delayed, as ingress-nginx does with `nodelay`. Which clients are exempt and what a refusal looks like on the wire
//! belong to the proxy.
//!
//! ```
//! use headgate_limit::{Admission, Key, Nanos, Quota, RateLimiter};
//! use std::{net::IpAddr, num::NonZeroU32};
//!
//! let limiter = RateLimiter::default();
//! let quota = Quota::per_second(NonZeroU32::MIN, 1);
//! let client = Key::from(IpAddr::from([192, 0, 2, 1]));
//! let start = Nanos::new(0);
//!
//! assert_eq!(limiter.admit(client, quota, start), Admission::Admitted);
//! assert_eq!(limiter.admit(client, quota, start), Admission::Admitted); // the burst
//! assert_eq!(limiter.admit(client, quota, start), Admission::Rejected);
//! assert_eq!(limiter.admit(client, quota, Nanos::new(1_000_000_000)), Admission::Admitted);
//! ```

#![deny(clippy::disallowed_methods)] // no clock, no chance: see .clippy.toml

mod concurrency;
mod generations;
mod key;
mod nanos;
mod quota;
mod rate;
mod shards;

pub use concurrency::{ConcurrencyLimiter, Permit};
pub use key::Key;
pub use nanos::Nanos;
pub use quota::{Admission, Quota, Rejected};
pub use rate::{RateLimiter, Rule, admit_all};
