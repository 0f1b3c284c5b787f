//! The web console: what is served, how it goes, and why a request went where it went.
//!
//! The pages show the plain data of [`model`], which programs get as JSON at the same paths. Where the data comes from is the
//! business of the program: it implements [`Source`], the only thing that the console knows of the process, and keeps the
//! [`history`] of its traffic. Nothing here changes any state of the process.

pub mod history;
pub mod model;
mod source;

pub use source::{Failed, Reply, Source, TapReader};
