//! Rate and concurrency limits as arithmetic over a clock that the caller passes in.
//!
//! It has how many requests one client may make ([`Quota`]), the key of a client ([`Key`]), and the two stores that keep the
//! state of clients between requests ([`RateLimiter`], [`ConcurrencyLimiter`]). The stores hold what clients have used and no
//! configuration: a limit is an argument of each call, so a new configuration takes effect at once while the counts stay.
//!
//! It deliberately has no clock, sockets, async runtime or waiting. A request over its limit is rejected, never delayed, as
//! ingress-nginx does with `nodelay`. Which clients are exempt and which response a rejected request gets belong to the proxy.
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

#![deny(clippy::disallowed_methods)] // no clock, no randomness: see .clippy.toml

mod concurrency;
mod generations;
mod key;
mod nanos;
mod quota;
mod rate;
mod shards;
mod sync;

pub use concurrency::{ConcurrencyLimiter, Permit};
pub use key::Key;
pub use nanos::Nanos;
pub use quota::{Admission, Quota, Rejected};
pub use rate::{RateLimiter, Rule, admit_all};
