//! TLS towards clients. TLS towards endpoints is in `upstream`.

mod additions;
mod ciphers;
mod clients;
mod facts;
mod name;
mod server;
mod sessions;
#[cfg(test)]
mod testing;
mod tickets;
mod values;
mod verify;

pub(crate) use self::additions::Additions;
pub(crate) use self::ciphers::provider;
pub(crate) use self::facts::TlsFacts;
pub(crate) use clients::{ClientCertificate, ClientIdentity, algorithms};
pub(crate) use server::{canonical, handshake};
pub(crate) use verify::{Verdict, in_time, is_issued_by, is_self_issued};
