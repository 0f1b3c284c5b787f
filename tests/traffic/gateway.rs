//! Gateways and their routes. Tests that the official conformance suite has too are named as there.

mod authorization;
mod backends;
mod cors;
mod edits;
mod explain;
mod grpc;
mod hosts;
mod matching;
mod mirrors;
mod observe;
mod redirects;
mod reload;
mod retries;
mod sessions;
mod setup;
mod streams;
mod timeouts;
mod traffic_policies;
