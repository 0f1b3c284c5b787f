//! Client certificates for tests.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use headgate_table::ClientTrust;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SerialNumber,
};

use super::clients::ClientIdentity;
use super::facts::{Offered, TlsFacts};

/// The identity of a client with a certificate for `name`, valid for that many days around now, of an authority `ca`.
pub(super) fn client(name: &str, before: u64, after: u64) -> ClientIdentity {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = rcgen::DistinguishedName::new();
    authority.distinguished_name.push(DnType::CommonName, "ca");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = CertifiedIssuer::self_signed(authority, key).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "shop");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(0x8000_0000_0000_0001_u64));
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    let now = std::time::SystemTime::now();
    params.not_before = (now - days(before)).into();
    params.not_after = (now + days(after) - Duration::from_secs(60)).into();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let trust = ClientTrust {
        id: "ca".into(),
        authorities: Arc::new([authority.der().clone()]),
        revocations: Arc::default(),
        depth: 1,
    };
    ClientIdentity::new(&trust, Some(&[certificate.der().clone()]))
}

/// The facts of a connection of such a client.
pub(super) fn facts(client: Option<ClientIdentity>) -> TlsFacts {
    TlsFacts {
        server_name: Some("a.test".into()),
        is_known: true,
        client: client.map(Arc::new),
        protocol: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        group: None,
        offered: Arc::new(Offered::default()),
        resumed: false,
        alpn: "",
    }
}
