//! Client certificates. They are not honoured yet and close the route.

use crate::ingress::annotations::{Annotation, Class, Kind, Risk, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "auth-tls-secret",
        Kind::Chars(Class::Basic),
        "Asks for client certificates of the CA in this Secret.",
    )
    .risk(Risk::Medium)
    .refuses()
    .support(Support::Protects),
    annotation(
        "auth-tls-verify-client",
        Kind::OneOf(&["on", "off", "optional", "optional_no_ca"]),
        "How strictly client certificates are asked for; off switches auth-tls-secret off.",
    )
    .default("on")
    .risk(Risk::Medium)
    .support(Support::NotYet),
    annotation(
        "auth-tls-verify-depth",
        Kind::Int,
        "Longest chain of a client certificate.",
    )
    .default("1")
    .support(Support::NotYet),
    annotation(
        "auth-tls-error-page",
        Kind::Chars(Class::ErrorPage),
        "Where a client without a good certificate goes.",
    )
    .risk(Risk::High)
    .refuses()
    .support(Support::NotYet),
    annotation(
        "auth-tls-pass-certificate-to-upstream",
        Kind::Bool,
        "Passes the client certificate to the backend in ssl-client-cert.",
    )
    .default("false")
    .refuses()
    .support(Support::NotYet),
    annotation(
        "auth-tls-match-cn",
        Kind::CommonName,
        "Regex the subject of the client certificate has to match.",
    )
    .risk(Risk::High)
    .refuses()
    .support(Support::Protects),
];
