//! TLS towards clients. TLS towards endpoints is in `upstream`.

mod ciphers;
mod clients;
mod name;
mod server;
mod sessions;
mod tickets;
mod verify;

pub(crate) use clients::{ClientCertificate, ClientIdentity};
pub(crate) use server::{canonical, handshake};
pub(crate) use verify::Verdict;
