//! The Kubernetes API fixture answers as a real API server does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admission;
mod apply;
mod client;
mod faults;
mod hook;
mod kubectl;
mod lists;
mod objects;
mod rbac;
mod watches;
