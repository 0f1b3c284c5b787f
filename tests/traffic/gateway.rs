//! Gateways and their routes. Tests that the official conformance suite has too are named as there.

mod backends;
mod cors;
mod edits;
mod hosts;
mod matching;
mod mirrors;
mod redirects;
mod setup;
mod streams;
