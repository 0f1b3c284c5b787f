//! Verification of a client's certificate chain, with the results of OpenSSL (behaviour.md 1.8).

use std::time::Duration;

use headgate_table::ClientTrust;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RawPublicKeyEntity, RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder,
    UnknownStatusPolicy, VerifiedPath,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::x509::X509Version;

use super::clients::algorithms;
use super::name;

/// The result of verifying a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It leads to an authority.
    Valid,
    /// It leads to no authority, in the words of OpenSSL; `optional_no_ca` leaves it to the backend.
    Unverifiable(&'static str),
    /// It must not be accepted, for this reason.
    Invalid(String),
}

/// The authorities in a form for verification.
pub(super) struct Anchors<'t> {
    trust: &'t ClientTrust,
    /// The self-signed authorities, at which chains end.
    roots: Vec<&'t CertificateDer<'static>>,
    /// The others, which complete chains.
    others: Vec<&'t CertificateDer<'static>>,
}

impl<'t> Anchors<'t> {
    pub(super) fn new(trust: &'t ClientTrust) -> Self {
        let is_root = |der: &&CertificateDer<'_>| {
            parse_x509_certificate(der).is_ok_and(|(_, parsed)| is_self_issued(&parsed))
        };
        let (roots, others) = trust.authorities.iter().partition(is_root);
        Self {
            trust,
            roots,
            others,
        }
    }

    /// Verifies the certificate `first`, which came with `sent`, at the time `now`.
    pub(super) fn verify(
        &self,
        first: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Verdict {
        let Ok((_, parsed)) = parse_x509_certificate(first) else {
            return Verdict::Invalid("it is not a certificate".into());
        };
        if let Err(reason) = in_time(&parsed, now) {
            return Verdict::Invalid(reason.into());
        }
        if has_nul(&parsed) {
            return Verdict::Invalid("a name of it has a NUL byte".into());
        }
        if self.roots.iter().any(|root| ***root == **first) {
            return self.self_signed(&parsed);
        }
        if is_self_issued(&parsed) {
            return unverifiable(&parsed, sent); // it may say that it is an authority, as those of `openssl req -x509` do
        }
        if parsed.version() == X509Version::V1 {
            return self.version_1(&parsed, sent, now);
        }
        match self.chain(first, sent, now) {
            Ok(()) => Verdict::Valid,
            Err(webpki::Error::UnknownIssuer) => unverifiable(&parsed, sent),
            Err(error) => Verdict::Invalid(error.to_string()),
        }
    }

    fn chain(
        &self,
        first: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let anchors: Vec<TrustAnchor<'_>> = self
            .roots
            .iter()
            .filter_map(|root| webpki::anchor_from_trusted_cert(root).ok())
            .collect();
        let known = self.others.iter().map(|der| CertificateDer::from(&***der));
        let sent = sent.iter().map(|der| CertificateDer::from(&**der));
        let intermediates: Vec<CertificateDer<'_>> = sent.chain(known).collect();
        let lists = self.lists()?;
        let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
        let depth = usize::try_from(self.trust.depth).unwrap_or(usize::MAX);
        let fits = |path: &VerifiedPath<'_>| match path.intermediate_certificates().count() <= depth
        {
            true => Ok(()),
            false => Err(webpki::Error::MaximumPathDepthExceeded),
        };
        EndEntityCert::try_from(first)?
            .verify_for_usage(
                algorithms().all,
                &anchors,
                &intermediates,
                now,
                KeyUsage::client_auth(),
                revocation(&lists),
                Some(&fits),
            )
            .map(drop)
    }

    fn lists(&self) -> Result<Vec<CertRevocationList<'static>>, webpki::Error> {
        let lists = self.trust.revocations.iter();
        let lists = lists.map(|der| OwnedCertRevocationList::from_der(der).map(Into::into));
        lists.collect()
    }

    /// One of the authorities itself: a bundle may list the certificates of the clients.
    fn self_signed(&self, certificate: &X509Certificate<'_>) -> Verdict {
        if !self.trust.revocations.is_empty() {
            return Verdict::Invalid("no list says that it is not revoked".into());
        }
        let usage = certificate.extended_key_usage();
        let usage =
            usage.map(|usage| usage.is_none_or(|usage| usage.value.client_auth || usage.value.any));
        match usage {
            Ok(true) => Verdict::Valid,
            Ok(false) | Err(_) => Verdict::Invalid("unsuitable certificate purpose".into()),
        }
    }

    /// X.509 version 1, which the library does not verify: only directly below an authority, and not with lists of revoked
    /// certificates.
    fn version_1(
        &self,
        certificate: &X509Certificate<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Verdict {
        if !self.trust.revocations.is_empty() {
            return Verdict::Invalid("X.509 version 1 cannot be checked for revocation".into());
        }
        let issues = |root: &&&CertificateDer<'_>| {
            parse_x509_certificate(root)
                .is_ok_and(|(_, root)| is_issued_by(certificate, &root, now))
        };
        match self.roots.iter().find(issues) {
            Some(_) => Verdict::Valid,
            None => unverifiable(certificate, sent),
        }
    }
}

/// Every certificate of a chain needs a current list, as with OpenSSL's `CRL_CHECK_ALL`.
fn revocation<'l>(lists: &'l [&'l CertRevocationList<'l>]) -> Option<RevocationOptions<'l>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?; // an error means that there is none
    let builder = builder
        .with_depth(RevocationCheckDepth::Chain)
        .with_status_policy(UnknownStatusPolicy::Deny)
        .with_expiration_policy(ExpirationPolicy::Enforce);
    Some(builder.build())
}

/// Whether the authority `issuer` has signed `certificate`.
pub(crate) fn is_issued_by(
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
    now: UnixTime,
) -> bool {
    let may_sign = issuer
        .key_usage()
        .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    if certificate.issuer().as_raw() != issuer.subject().as_raw()
        || !issuer.is_ca()
        || !may_sign
        || in_time(issuer, now).is_err()
    {
        return false;
    }
    let key = SubjectPublicKeyInfoDer::from(issuer.public_key().raw);
    let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
        return false;
    };
    let (message, signature) = (
        certificate.tbs_certificate.as_ref(),
        &certificate.signature_value.data,
    );
    let mut known = algorithms().all.iter();
    known.any(|algorithm| key.verify_signature(*algorithm, message, signature).is_ok())
}

/// In the words of OpenSSL, which distinguishes where the chain breaks.
fn unverifiable(first: &X509Certificate<'_>, sent: &[CertificateDer<'_>]) -> Verdict {
    let any = |holds: &dyn Fn(&X509Certificate<'_>) -> bool| {
        let mut sent = sent.iter();
        sent.any(|der| parse_x509_certificate(der).is_ok_and(|(_, parsed)| holds(&parsed)))
    };
    Verdict::Unverifiable(if is_self_issued(first) {
        "self-signed certificate"
    } else if any(&is_self_issued) {
        "self-signed certificate in certificate chain"
    } else if any(&|parsed| parsed.subject().as_raw() == first.issuer().as_raw()) {
        "unable to get local issuer certificate"
    } else {
        "unable to verify the first certificate"
    })
}

pub(crate) fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

pub(crate) fn in_time(
    certificate: &X509Certificate<'_>,
    now: UnixTime,
) -> Result<(), &'static str> {
    let validity = certificate.validity();
    let now = Duration::from_secs(now.as_secs());
    let seconds = |time: i64| Duration::from_secs(u64::try_from(time).unwrap_or_default());
    if now < seconds(validity.not_before.timestamp()) {
        Err("certificate is not yet valid")
    } else if now > seconds(validity.not_after.timestamp()) {
        Err("certificate has expired")
    } else {
        Ok(())
    }
}

/// Whether a name of the subject or an alternative name has a NUL byte: the backend might read another name than this process.
fn has_nul(certificate: &X509Certificate<'_>) -> bool {
    let of_general = |name: &GeneralName<'_>| match name {
        GeneralName::RFC822Name(text) | GeneralName::DNSName(text) | GeneralName::URI(text) => {
            text.contains('\0')
        }
        GeneralName::DirectoryName(name) => name::has_nul(name),
        _ => false,
    };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    name::has_nul(certificate.subject())
        || alternative.is_some_and(|names| names.value.general_names.iter().any(of_general))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::sync::Arc;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
        IsCa, KeyPair,
    };

    use super::*;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    const YEAR: u64 = 365 * 24 * 3600;

    fn named(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn authority(name: &str) -> Issuer {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn client(issuer: &Issuer, usage: &[ExtendedKeyUsagePurpose]) -> CertificateDer<'static> {
        let mut params = named("alice");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        params.extended_key_usages = usage.to_vec();
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, issuer).unwrap().der().clone()
    }

    fn trust(authorities: &[&CertificateDer<'static>]) -> ClientTrust {
        ClientTrust {
            id: "test".into(),
            authorities: authorities.iter().copied().cloned().collect(),
            revocations: Arc::default(),
            depth: 1,
        }
    }

    /// Years after 1970.
    fn year(year: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * YEAR))
    }

    #[test]
    fn certificates_are_valid_in_their_time() {
        let ca = authority("ca");
        let alice = client(&ca, &[ExtendedKeyUsagePurpose::ClientAuth]);
        let trust = trust(&[ca.der()]);
        let at = |time| Anchors::new(&trust).verify(&alice, &[], year(time));
        assert_eq!(at(2026), Verdict::Valid);
        assert_eq!(
            at(2018),
            Verdict::Invalid("certificate is not yet valid".into())
        );
        assert_eq!(at(2032), Verdict::Invalid("certificate has expired".into()));
    }

    #[test]
    fn names_with_a_nul_byte_are_invalid() {
        use rcgen::string::Ia5String;
        let ca = authority("ca");
        let trust = trust(&[ca.der()]);
        let mail = |text: &str| rcgen::SanType::Rfc822Name(Ia5String::try_from(text).unwrap());
        for (name, alternative, valid) in [
            ("alice", mail("alice@shop.example"), true),
            ("alice\0.evil", mail("alice@shop.example"), false),
            ("alice", mail("alice@shop.example\0.evil"), false),
        ] {
            let mut params = named(name);
            params.subject_alt_names = vec![alternative];
            let key = KeyPair::generate().unwrap();
            let client = params.signed_by(&key, &ca).unwrap();
            let verdict = Anchors::new(&trust).verify(client.der(), &[], year(2026));
            assert_eq!(verdict == Verdict::Valid, valid, "{name:?}: {verdict:?}");
        }
    }

    #[test]
    fn certificates_for_servers_only_are_invalid() {
        let ca = authority("ca");
        let server = client(&ca, &[ExtendedKeyUsagePurpose::ServerAuth]);
        let verdict = Anchors::new(&trust(&[ca.der()])).verify(&server, &[], year(2026));
        assert!(matches!(verdict, Verdict::Invalid(_)), "{verdict:?}");
    }

    #[test]
    fn unknown_authorities_are_told_in_the_words_of_openssl() {
        let (ca, other) = (authority("ca"), authority("other"));
        let alice = client(&other, &[]);
        let trust = trust(&[ca.der()]);
        let verify = |first: &CertificateDer<'static>, sent: &[CertificateDer<'static>]| {
            Anchors::new(&trust).verify(first, sent, year(2026))
        };
        for (first, sent, words) in [
            (&alice, vec![], "unable to verify the first certificate"),
            (
                &alice,
                vec![other.der().clone()],
                "self-signed certificate in certificate chain",
            ),
            (other.der(), vec![], "self-signed certificate"),
        ] {
            assert_eq!(verify(first, &sent), Verdict::Unverifiable(words));
        }
    }

    #[test]
    fn an_authority_of_the_same_name_does_not_count() {
        let (ca, forged) = (authority("ca"), authority("ca"));
        let verdict =
            Anchors::new(&trust(&[ca.der()])).verify(&client(&forged, &[]), &[], year(2026));
        assert_ne!(verdict, Verdict::Valid);
    }

    #[test]
    fn garbage_is_invalid() {
        let ca = authority("ca");
        let verdict =
            Anchors::new(&trust(&[ca.der()])).verify(&vec![0x30, 0].into(), &[], year(2026));
        assert!(matches!(verdict, Verdict::Invalid(_)), "{verdict:?}");
    }
}
