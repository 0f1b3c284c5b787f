//! TLS of the host.

use crate::ingress::annotations::{Annotation, Class, Kind, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "ssl-ciphers",
        Kind::Chars(Class::Ciphers),
        "Cipher suites of the host for TLS 1.2.",
    )
    .setting("ssl-ciphers", "")
    .ingress()
    .refuses()
    .support(Support::NotYet),
    annotation(
        "ssl-prefer-server-ciphers",
        Kind::Bool,
        "The server's order of cipher suites wins; here it always does.",
    )
    .default("true")
    .ingress()
    .support(Support::Inert),
    annotation(
        "ssl-passthrough",
        Kind::Bool,
        "Hands TLS of the host to the backend undecrypted; needs --enable-ssl-passthrough.",
    )
    .default("false")
    .ingress()
    .refuses()
    .support(Support::Protects),
];
