//! The web console: what is served, how it goes, and why a request went where it went.
//!
//! The pages show the plain data of [`model`], which programs get as JSON at the same paths. Where the data comes from is the
//! business of the program: it implements [`Source`], the only thing that the console knows of the process, and keeps the
//! [`history`] of its traffic. Nothing here changes any state of the process.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

#[cfg(test)]
extern crate self as headgate_console;

mod address;
mod assets;
mod chart;
mod content;
#[cfg(test)]
#[path = "../examples/console/fake/mod.rs"]
mod fake;
mod format;
pub mod history;
pub mod model;
mod openapi;
mod pages;
mod query;
mod server;
mod source;

pub use server::{Access, MIN_TOKEN, TokenTooShort, start};
pub use source::{Failed, Reply, Source, TapReader};
