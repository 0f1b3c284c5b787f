//! TLS of the host.

use crate::ingress::annotations::{Annotation, Flag, annotation};
use crate::ingress::registry::{Class, Protection, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    SSL_CIPHERS: String =
        annotation("ssl-ciphers", types::chars(Class::Ciphers), "Cipher suites of the host for TLS 1.2.")
            .setting(&settings::tls::SSL_CIPHERS).default("").ingress().refuses().not_yet();
    SSL_PREFER_SERVER_CIPHERS: bool =
        annotation("ssl-prefer-server-ciphers", types::BOOL,
            "The server's order of cipher suites takes precedence; here it always does.")
            .default("true").ingress().inert();
    SSL_PASSTHROUGH: bool =
        annotation("ssl-passthrough", types::BOOL,
            "Forwards TLS connections of the host to the backend undecrypted; needs --enable-ssl-passthrough.")
            .default("false").ingress().refuses().not_yet().protects(Protection::Routes)
            .needs_flag(Flag::SslPassthrough);
} }
