//! TLS towards clients. TLS towards endpoints is the business of `upstream`.

mod ciphers;
mod server;
mod sessions;

pub(crate) use server::{canonical, handshake};
