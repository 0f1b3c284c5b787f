//! How connections to endpoints are made: protocol and TLS.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::{Certificate, Slot};

/// Protocol of an upstream's endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BackendProtocol {
    /// HTTP/1.1 in plain text.
    #[default]
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// The scheme of the client: TLS for https, plain text for http.
    AutoHttp,
    /// gRPC: HTTP/2 in plain text.
    Grpc,
    /// gRPC over TLS.
    Grpcs,
    /// FastCGI in plain text.
    FastCgi,
}

impl BackendProtocol {
    /// Whether requests use HTTP/2.
    pub fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }

    /// Whether connections to endpoints use TLS, given whether the client's request came over https.
    pub fn tls(self, client_https: bool) -> bool {
        match self {
            Self::Http | Self::Grpc | Self::FastCgi => false,
            Self::Https | Self::Grpcs => true,
            Self::AutoHttp => client_https,
        }
    }
}

/// TLS towards endpoints (`proxy-ssl-*`).
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Identity for pooling: connections of different identities are never shared.
    pub id: Arc<str>,
    /// Client certificate.
    pub client: Option<Arc<Certificate>>,
    /// Trusted authorities; needed when `verify` is set.
    pub authorities: Authorities,
    /// Verify the endpoint's certificate against `authorities`, and against `alternatives` or else `name`.
    pub verify: bool,
    /// Names of which the endpoint's certificate must have one; empty: it must be valid for `name`.
    pub alternatives: Arc<[AlternativeName]>,
    /// Maximum number of certificates above the endpoint's.
    pub verify_depth: u8,
    /// Send SNI.
    pub server_name: bool,
    /// Name for SNI and verification; `None`: the upstream's log name.
    pub name: Option<Arc<str>>,
    /// Offer TLS 1.2.
    pub tls12: bool,
    /// Offer TLS 1.3.
    pub tls13: bool,
    /// TLS 1.2 suites by OpenSSL name, in order; empty: all that the library has.
    pub ciphers: Arc<[String]>,
    /// Run-time state: the client configuration built from this.
    pub slot: Slot,
}

/// Authorities that certificates of endpoints are verified with.
#[derive(Clone, Debug)]
pub enum Authorities {
    /// These. None: no certificate is valid.
    Listed(Arc<[CertificateDer<'static>]>),
    /// Those of the system that the process runs on.
    System,
}

/// An alternative name of a certificate (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// A DNS name for which the certificate must be valid. `*.x` must be in the certificate as it is.
    Dns(Arc<str>),
    /// A URI, which must be in the certificate as it is.
    Uri(Arc<str>),
}

impl Default for Authorities {
    /// None.
    fn default() -> Self {
        Self::Listed(Arc::default())
    }
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
