//! TLS of the host and towards the upstream.

use super::{Annotation, Kind, Risk, Support, annotation};
use crate::ingress::annotations::Class;

pub(super) const ENTRIES: &[Annotation] = &[
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
    annotation(
        "proxy-ssl-secret",
        Kind::Chars(Class::Basic),
        "Secret namespace/name with the client certificate and CA for TLS to the backend.",
    )
    .ingress()
    .risk(Risk::Medium)
    .refuses(),
    annotation(
        "proxy-ssl-verify",
        Kind::OnOff,
        "Verifies the backend's certificate; needs proxy-ssl-secret.",
    )
    .default("off")
    .ingress(),
    annotation(
        "proxy-ssl-verify-depth",
        Kind::Int,
        "Longest chain of the backend's certificate; needs proxy-ssl-secret.",
    )
    .default("1")
    .ingress(),
    annotation(
        "proxy-ssl-server-name",
        Kind::OnOff,
        "Sends the name (SNI) to the backend; needs proxy-ssl-secret.",
    )
    .default("off")
    .ingress(),
    annotation(
        "proxy-ssl-name",
        Kind::Chars(Class::Regex),
        "Name to verify and to send to the backend; needs proxy-ssl-secret.",
    )
    .ingress()
    .risk(Risk::High),
    annotation(
        "proxy-ssl-ciphers",
        Kind::Chars(Class::Ciphers),
        "Cipher suites for TLS 1.2 to the backend; needs proxy-ssl-secret.",
    )
    .default("DEFAULT")
    .ingress()
    .risk(Risk::Medium),
    annotation(
        "proxy-ssl-protocols",
        Kind::List,
        "TLSv1.2, TLSv1.3 or both to the backend; needs proxy-ssl-secret.",
    )
    .default("TLSv1.2")
    .ingress(),
];
