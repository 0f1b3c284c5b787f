//! Client certificates of a host (behaviour.md 1.8).

use std::sync::Arc;

use http::HeaderValue;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use crate::{Pattern, Slot};

/// Which clients a host serves, judged by their certificates.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum HostClients {
    /// All; no certificate is requested.
    #[default]
    Any,
    /// Those that pass these rules.
    Verified(Arc<ClientRules>),
    /// None: every request gets 403, because the rules cannot be honoured.
    Refused(RefusedClients),
}

/// Why a host refuses every client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedClients {
    /// The reason for the operator; never sent to clients.
    pub reason: Arc<str>,
}

/// How the certificates of clients are requested and judged.
#[derive(Clone, Debug)]
pub struct ClientRules {
    /// The Secret that the authorities are from, for logs and dumps.
    pub source: Arc<str>,
    /// What certificates are verified with.
    pub trust: ClientTrust,
    /// Who needs a certificate.
    pub demand: ClientDemand,
    /// `Location` of the redirect that a client without a valid certificate gets; `None`: the 400 page.
    pub error_page: Option<HeaderValue>,
    /// Backends get the certificate in `ssl-client-cert`.
    pub pass_certificate: bool,
    /// The subject must match it, also of a client without one, whose subject is empty; otherwise 403.
    pub subject: Option<Pattern>,
    /// Run-time state: the TLS configuration with its sessions.
    pub slot: Slot,
}

/// What client certificates are verified with.
#[derive(Clone, Debug)]
pub struct ClientTrust {
    /// Identity: equal only if the verification of every certificate has the same result. It contains the digests of the
    /// authorities and lists.
    pub id: Arc<str>,
    /// Certificates of authorities. Chains end at a self-signed one.
    pub authorities: Arc<[CertificateDer<'static>]>,
    /// Lists of revoked certificates. If there is any, every certificate of a chain needs a current one.
    pub revocations: Arc<[CertificateRevocationListDer<'static>]>,
    /// Maximum number of intermediate certificates; default 1.
    pub depth: u32,
}

/// How the certificates of all clients of a listener are requested and judged, whatever host they ask for (gateway-api.md
/// 2.10).
#[derive(Clone, Debug)]
pub struct ListenerClients {
    /// What certificates are verified with. All authorities are ends of chains.
    pub trust: ClientTrust,
    /// Handshakes without a valid certificate fail; otherwise a certificate is requested, and any or none is accepted.
    pub required: bool,
    /// Run-time state: the TLS configuration with its sessions.
    pub slot: Slot,
}

/// Who needs a certificate (nginx `ssl_verify_client`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientDemand {
    /// No client: none is requested.
    Off,
    /// Every client: without a valid one, 400.
    On,
    /// No client, but one that is sent must be valid.
    Optional,
    /// No client, and one that is sent may be of any authority; the backend decides.
    OptionalNoCa,
}

impl ClientDemand {
    /// Whether handshakes request a certificate.
    pub fn requests(self) -> bool {
        self != Self::Off
    }

    /// As in nginx.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Optional => "optional",
            Self::OptionalNoCa => "optional_no_ca",
        }
    }
}

impl HostClients {
    /// The rules, if handshakes for the host request a certificate.
    pub fn requested(&self) -> Option<&Arc<ClientRules>> {
        match self {
            Self::Verified(rules) if rules.demand.requests() => Some(rules),
            Self::Verified(_) | Self::Any | Self::Refused(_) => None,
        }
    }
}

impl PartialEq for ClientRules {
    /// Ignores run-time state.
    fn eq(&self, other: &Self) -> bool {
        let subject = |rules: &Self| rules.subject.as_ref().map(|p| p.source().to_owned());
        self.source == other.source
            && self.trust.id == other.trust.id
            && self.demand == other.demand
            && self.error_page == other.error_page
            && self.pass_certificate == other.pass_certificate
            && subject(self) == subject(other)
    }
}
