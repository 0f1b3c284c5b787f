//! The source of objects against an API server with injected faults.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "watch/cache.rs"]
mod cache;
#[path = "watch/faults.rs"]
mod faults;
#[path = "watch/names.rs"]
mod names;
#[path = "watch/observations.rs"]
mod observations;
#[path = "watch/scope.rs"]
mod scope;
#[path = "watch/start.rs"]
mod start;
#[path = "watch/world.rs"]
mod world;
