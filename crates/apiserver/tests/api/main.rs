//! The API server behaves like kube-apiserver.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod admission;
mod apply;
mod client;
mod custom;
mod faults;
mod hook;
mod kubectl;
mod lists;
mod objects;
mod rbac;
mod watches;
