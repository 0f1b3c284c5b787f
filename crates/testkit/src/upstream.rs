//! Upstreams on loopback.

pub mod echo;
pub mod scripted;
