//! The source of objects against an API server that misbehaves on command.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "watch/cache.rs"]
mod cache;
#[path = "watch/faults.rs"]
mod faults;
#[path = "watch/names.rs"]
mod names;
#[path = "watch/scope.rs"]
mod scope;
#[path = "watch/start.rs"]
mod start;
#[path = "watch/told.rs"]
mod told;
#[path = "watch/world.rs"]
mod world;
