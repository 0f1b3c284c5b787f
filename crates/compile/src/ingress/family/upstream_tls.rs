//! TLS towards the backend.

use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, NameRef, OnInvalid, Reader, TlsVersions, keys, types};

keys! { Annotation {
    PROXY_SSL_SECRET: String =
        annotation("proxy-ssl-secret", types::chars(Class::Basic),
            "Secret namespace/name with the client certificate and CA for TLS to the backend.")
            .ingress().risk(Risk::Medium).refuses().names(ObjectKind::Secret);
    PROXY_SSL_VERIFY: bool =
        annotation("proxy-ssl-verify", types::ON_OFF, "Verifies the backend's certificate; needs proxy-ssl-secret.")
            .default("off").ingress().needs(&[PROXY_SSL_SECRET.row()]);
    PROXY_SSL_VERIFY_DEPTH: i64 =
        annotation("proxy-ssl-verify-depth", types::INT,
            "Longest chain of the backend's certificate; needs proxy-ssl-secret.")
            .default("1").ingress().needs(&[PROXY_SSL_SECRET.row()]);
    PROXY_SSL_SERVER_NAME: bool =
        annotation("proxy-ssl-server-name", types::ON_OFF,
            "Sends the name (SNI) to the backend; needs proxy-ssl-secret.")
            .default("off").ingress().needs(&[PROXY_SSL_SECRET.row()]);
    PROXY_SSL_NAME: String =
        annotation("proxy-ssl-name", types::chars(Class::Regex),
            "Name to verify and to send to the backend; needs proxy-ssl-secret.")
            .ingress().risk(Risk::High).needs(&[PROXY_SSL_SECRET.row()]);
    PROXY_SSL_CIPHERS: String =
        annotation("proxy-ssl-ciphers", types::chars(Class::Ciphers),
            "Cipher suites for TLS 1.2 to the backend; needs proxy-ssl-secret.")
            .default("DEFAULT").ingress().risk(Risk::Medium).needs(&[PROXY_SSL_SECRET.row()]);
    PROXY_SSL_PROTOCOLS: Vec<String> =
        annotation("proxy-ssl-protocols", types::LIST,
            "TLSv1.2, TLSv1.3 or both to the backend; needs proxy-ssl-secret.")
            .default("TLSv1.2").ingress().needs(&[PROXY_SSL_SECRET.row()]);
} }

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
        let name = reader.get(&PROXY_SSL_SECRET)?;
        let secret = NameRef::parse(&name)
            .ok()
            .filter(|secret| secret.namespace.is_some());
        let Some(secret) = secret else {
            reader.reject(
                &PROXY_SSL_SECRET,
                OnInvalid::Close,
                "the Secret is to be named namespace/name",
            );
            return None;
        };
        Some(Self {
            secret,
            verify: reader.on(&PROXY_SSL_VERIFY),
            verify_depth: reader.positive(&PROXY_SSL_VERIFY_DEPTH).unwrap_or(1),
            server_name: reader.on(&PROXY_SSL_SERVER_NAME),
            name: reader.get(&PROXY_SSL_NAME),
            ciphers: reader
                .get(&PROXY_SSL_CIPHERS)
                .filter(|list| list != "DEFAULT"),
            versions: versions(reader),
        })
    }
}

fn versions(reader: &mut Reader) -> TlsVersions {
    const DEFAULT: TlsVersions = TlsVersions {
        tls12: true,
        tls13: false,
    };
    let Some(words) = reader.get(&PROXY_SSL_PROTOCOLS) else {
        return DEFAULT;
    };
    let text = words.join(" ");
    let (versions, unknown) = TlsVersions::parse(&text);
    if !unknown.is_empty() {
        reader.reject(
            &PROXY_SSL_PROTOCOLS,
            OnInvalid::Ignore,
            "only TLSv1.2 and TLSv1.3 are offered; the other members are dropped",
        );
    }
    versions.unwrap_or(DEFAULT)
}
