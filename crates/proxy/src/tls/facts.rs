//! What is known of a TLS connection.

use std::fmt;
use std::sync::Arc;

use super::clients::ClientIdentity;

/// The result of the handshake.
#[derive(Clone)]
pub(crate) struct TlsFacts {
    /// Server name, lower-case and without final dot.
    pub(crate) server_name: Option<Arc<str>>,
    /// The server name is that of a host, not one that only the catch-all serves.
    pub(crate) is_known: bool,
    /// The client, if its certificate was requested.
    pub(crate) client: Option<Arc<ClientIdentity>>,
    /// Such as `TLSv1.3`.
    pub(crate) protocol: &'static str,
    /// Cipher suite by its OpenSSL name.
    pub(crate) cipher: &'static str,
    /// A session was resumed.
    pub(crate) resumed: bool,
    /// The protocol that ALPN chose; empty for none.
    pub(crate) alpn: &'static str,
}

impl fmt::Debug for TlsFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.server_name.as_deref().unwrap_or("no server name");
        write!(f, "{} {name}", self.protocol)
    }
}
