//! TLS towards clients. TLS towards endpoints is in `upstream`.

mod ciphers;
mod clients;
mod facts;
mod name;
mod server;
mod sessions;
mod tickets;
mod verify;

pub(crate) use self::facts::TlsFacts;
pub(crate) use clients::ClientCertificate;
pub(crate) use server::{canonical, handshake};
pub(crate) use verify::Verdict;
