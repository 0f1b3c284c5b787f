//! TLS towards the backend.

use crate::ingress::annotations::{
    Annotation, Bad, Class, Kind, NameRef, Reader, Risk, TlsVersions, annotation,
};

pub(crate) const ENTRIES: &[Annotation] = &[
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

/// The settings that mean nothing without `proxy-ssl-secret`.
const NEEDS_SECRET: [&str; 6] = [
    "proxy-ssl-verify",
    "proxy-ssl-verify-depth",
    "proxy-ssl-server-name",
    "proxy-ssl-name",
    "proxy-ssl-ciphers",
    "proxy-ssl-protocols",
];

/// TLS towards the backend. Without it an HTTPS or GRPCS backend is neither verified nor sent a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// `namespace/name` of the Secret; the namespace is always there.
    pub secret: NameRef,
    /// Verify the backend's certificate against the Secret's `ca.crt`. Off by default.
    pub verify: bool,
    /// Longest chain accepted; 1 by default.
    pub verify_depth: u32,
    /// Send the name. Off by default.
    pub server_name: bool,
    /// The name to send and verify; the upstream's own name when not set.
    pub name: Option<String>,
    /// OpenSSL cipher list for TLS 1.2, as written.
    pub ciphers: Option<String>,
    /// TLS 1.2 only by default.
    pub versions: TlsVersions,
}

impl UpstreamTls {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let Some(name) = reader.string("proxy-ssl-secret") else {
            for name in NEEDS_SECRET {
                if reader.present(name) {
                    reader.warn(name, "ignored without proxy-ssl-secret");
                }
            }
            return None;
        };
        let secret = NameRef::parse(&name)
            .ok()
            .filter(|secret| secret.namespace.is_some());
        let Some(secret) = secret else {
            reader.reject(
                "proxy-ssl-secret",
                Bad::Deny,
                "the Secret is to be named namespace/name",
            );
            return None;
        };
        Some(Self {
            secret,
            verify: reader.on("proxy-ssl-verify"),
            verify_depth: reader.positive("proxy-ssl-verify-depth").unwrap_or(1),
            server_name: reader.on("proxy-ssl-server-name"),
            name: reader.string("proxy-ssl-name"),
            ciphers: reader
                .string("proxy-ssl-ciphers")
                .filter(|list| list != "DEFAULT"),
            versions: versions(reader),
        })
    }
}

fn versions(reader: &mut Reader) -> TlsVersions {
    const NAME: &str = "proxy-ssl-protocols";
    const DEFAULT: TlsVersions = TlsVersions {
        tls12: true,
        tls13: false,
    };
    let Some(words) = reader.list(NAME) else {
        return DEFAULT;
    };
    let text = words.join(" ");
    let (versions, unknown) = TlsVersions::parse(&text);
    if !unknown.is_empty() {
        reader.reject(
            NAME,
            Bad::Ignore,
            "only TLSv1.2 and TLSv1.3 are offered; the other members are dropped",
        );
    }
    versions.unwrap_or(DEFAULT)
}
