//! What is known of a TLS connection.

use std::fmt;
use std::sync::Arc;

use headgate_table::{ClientRules, Host};
use rustls::{CipherSuite, NamedGroup};

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
    /// The key exchange.
    pub(crate) group: Option<NamedGroup>,
    /// What the client offered.
    pub(crate) offered: Arc<Offered>,
    /// A session was resumed.
    pub(crate) resumed: bool,
    /// The protocol that ALPN chose; empty for none.
    pub(crate) alpn: &'static str,
}

/// What the ClientHello offers.
#[derive(Default)]
pub(crate) struct Offered {
    pub(super) ciphers: Vec<CipherSuite>,
    pub(super) groups: Vec<NamedGroup>,
}

impl TlsFacts {
    /// Whether the client's certificate was verified with these rules.
    pub(crate) fn is_verified_for(&self, rules: &ClientRules) -> bool {
        let client = self.client.as_ref();
        client.is_some_and(|client| client.trust == rules.trust.id)
    }

    /// Forgets a certificate that was verified with other rules than those of `host`.
    pub(crate) fn restrict(&mut self, host: &Host) {
        let rules = host.clients.requested();
        if !rules.is_some_and(|rules| self.is_verified_for(rules)) {
            self.client = None;
        }
    }
}

impl fmt::Debug for TlsFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.server_name.as_deref().unwrap_or("no server name");
        write!(f, "{} {name}", self.protocol)
    }
}
