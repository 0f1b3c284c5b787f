//! Client certificates. They are not honoured yet and close the route.

use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, Protection, keys, types};

keys! { Annotation {
    AUTH_TLS_SECRET: String =
        annotation("auth-tls-secret", types::chars(Class::Basic),
            "Requires client certificates of the CA in this Secret.")
            .risk(Risk::Medium).refuses().names(ObjectKind::Secret).not_yet().protects(Protection::Hosts)
            .off_by(AUTH_TLS_VERIFY_CLIENT.row(), "off");
    AUTH_TLS_VERIFY_CLIENT: &'static str =
        annotation("auth-tls-verify-client", types::words(&["on", "off", "optional", "optional_no_ca"]),
            "How strictly client certificates are verified; off switches auth-tls-secret off.")
            .default("on").risk(Risk::Medium).not_yet();
    AUTH_TLS_VERIFY_DEPTH: i64 =
        annotation("auth-tls-verify-depth", types::INT, "Longest chain of a client certificate.")
            .default("1").not_yet();
    AUTH_TLS_ERROR_PAGE: String =
        annotation("auth-tls-error-page", types::chars(Class::ErrorPage),
            "Where a client without a valid certificate is redirected.")
            .risk(Risk::High).refuses().not_yet();
    AUTH_TLS_PASS_CERTIFICATE_TO_UPSTREAM: bool =
        annotation("auth-tls-pass-certificate-to-upstream", types::BOOL,
            "Passes the client certificate to the backend in ssl-client-cert.")
            .default("false").refuses().not_yet();
    AUTH_TLS_MATCH_CN: String =
        annotation("auth-tls-match-cn", types::COMMON_NAME,
            "Regex that the subject of the client certificate must match.")
            .risk(Risk::High).refuses().not_yet().protects(Protection::Hosts);
} }
