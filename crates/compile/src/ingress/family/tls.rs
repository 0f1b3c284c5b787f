//! TLS of the host.

use headgate_table::HostCiphers;

use crate::ingress::annotations::{Annotation, Flag, Rules, annotation};
use crate::ingress::ciphers::Ciphers;
use crate::ingress::registry::{Class, Protection, Reader, When, differences, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    SSL_CIPHERS: String =
        annotation("ssl-ciphers", types::chars(Class::Ciphers), "Cipher suites of the host for TLS 1.2.")
            .setting(&settings::tls::SSL_CIPHERS).default("").ingress().refuses()
            .differs(differences![
                When::Set =>
                    "Only suites of TLS 1.2 with ECDHE and AEAD; other members are skipped, with a finding.",
            ])
            .only_of_ingresses("cipher suites are for whole hosts, which routes of several objects share");
    SSL_PREFER_SERVER_CIPHERS: bool =
        annotation("ssl-prefer-server-ciphers", types::BOOL,
            "The server's order of cipher suites takes precedence.")
            .default("true").ingress()
            .only_of_ingresses("cipher suites are for whole hosts, which routes of several objects share");
    SSL_PASSTHROUGH: bool =
        annotation("ssl-passthrough", types::BOOL,
            "Forwards TLS connections of the host to the backend undecrypted; needs --enable-ssl-passthrough.")
            .default("false").ingress().refuses().protects(Protection::Routes)
            .needs_flag(Flag::SslPassthrough)
            .of_no_policy("it is for whole hosts; TLSRoutes pass connections through");
} }

/// Whether TLS connections of the hosts are passed through.
pub(crate) fn passthrough(reader: &Reader, rules: &Rules<'_>) -> bool {
    rules.flags.contains(&Flag::SslPassthrough) && reader.on(&SSL_PASSTHROUGH)
}

/// Cipher suites of the hosts; what the library lacks is reported.
pub(crate) fn ciphers(reader: &mut Reader) -> HostCiphers {
    let list = reader.text(&SSL_CIPHERS).map(Ciphers::parse);
    let problem = list.as_ref().and_then(Ciphers::problem);
    let is_default = reader.text(&SSL_CIPHERS) == Some(SSL_CIPHERS.entry().default);
    if let Some(problem) = problem.filter(|_| !is_default) {
        reader.warn(&SSL_CIPHERS, problem);
    }
    HostCiphers {
        names: list.map(|list| list.names.into()),
        client_order: reader.get(&SSL_PREFER_SERVER_CIPHERS).map(|server| !server),
    }
}
