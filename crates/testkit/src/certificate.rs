//! Certificates for tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Certificate, PEM.
    pub certificate: String,
    /// Private key, PEM.
    pub key: String,
    /// Certificate, DER, as a handshake carries it.
    pub der: Vec<u8>,
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// When the cryptography library cannot generate a key.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "testkit authority");
        let key = KeyPair::generate().expect("a key pair can be generated");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority can be signed");
        Self { issuer }
    }

    /// A certificate for these DNS names.
    ///
    /// # Panics
    /// When a name is not a DNS name.
    pub fn issue(&self, names: &[&str]) -> Issued {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let params = CertificateParams::new(names).expect("names of a certificate are DNS names");
        let key = KeyPair::generate().expect("a key pair can be generated");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("an authority can sign");
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }

    /// The authority's certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
