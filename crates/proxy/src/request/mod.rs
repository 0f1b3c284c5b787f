//! The canonical form of a request: method, host, path, client, parsed once and strictly. Routing, rules, limits, logs and
//! the upstream head all read this form, so that they cannot interpret a request differently.
//!
//! This module makes no decisions about requests.

mod authority;
mod client;
mod conditions;
mod context;
mod cookies;
mod forwarded;
pub(crate) mod path;
mod target;
mod variables;

pub(crate) use authority::Authority;
pub(crate) use client::{ClientInfo, ConnectionInfo, Scheme};
pub(crate) use conditions::ConditionView;
pub(crate) use context::{Context, Parsed, client_request_id, generated_id};
pub(crate) use forwarded::listed;
pub(crate) use target::{Malformed, RequestTarget};

#[cfg(test)]
pub(crate) mod testing;
