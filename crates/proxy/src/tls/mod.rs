//! TLS towards clients. TLS towards endpoints is in `upstream`.

mod ciphers;
mod server;
mod sessions;

pub(crate) use server::{canonical, handshake};
