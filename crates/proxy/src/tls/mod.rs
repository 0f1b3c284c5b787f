//! TLS towards clients. TLS towards endpoints is the business of `upstream`.

mod ciphers;
mod server;

pub(crate) use server::{ServerTls, handshake};
