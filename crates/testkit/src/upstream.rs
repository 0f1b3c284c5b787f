//! Upstreams on loopback.

pub mod authorizer;
pub mod echo;
pub mod scripted;
