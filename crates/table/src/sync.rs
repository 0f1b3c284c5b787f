//! How a table is published, for the models of `crates/models`, which explore every order of the steps with other types.

pub(crate) use arc_swap::{ArcSwap, Cache};
pub(crate) use event_listener::Event;
