//! What threads share state with, for code whose every order of steps the models of `crates/models` explore, with other types.

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

pub(crate) use arc_swap::ArcSwapOption;
pub(crate) use parking_lot::Mutex;
