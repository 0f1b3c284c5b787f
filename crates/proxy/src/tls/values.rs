//! Values of `$ssl_*` (behaviour.md 3.1 and 10).

use std::borrow::Cow;
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use headgate_table::{ClientVariable, TlsVariable};
use jiff::Timestamp;
use rustls::{CipherSuite, NamedGroup};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

use super::clients::ClientCertificate;
use super::facts::TlsFacts;
use super::verify::Verdict;
use super::{ciphers, name};

const DAY: i64 = 24 * 3600;

impl TlsFacts {
    /// The value of `variable`; empty if it has none.
    pub(crate) fn value(&self, variable: TlsVariable) -> Cow<'_, str> {
        match variable {
            TlsVariable::Protocol => self.protocol.into(),
            TlsVariable::Cipher => self.cipher.into(),
            TlsVariable::Ciphers => joined(&self.offered.ciphers, cipher).into(),
            TlsVariable::Curve => self.group.map_or_else(String::new, curve).into(),
            TlsVariable::Curves => joined(&self.offered.groups, curve).into(),
            TlsVariable::ServerName => self.server_name.as_deref().unwrap_or_default().into(),
            TlsVariable::Alpn => self.alpn.into(),
            TlsVariable::SessionReused if self.resumed => "r".into(),
            TlsVariable::SessionReused => ".".into(),
            TlsVariable::Client(variable) => {
                let client = self.client.as_ref();
                let certificate = client.and_then(|client| client.certificate.as_ref());
                of_client(variable, certificate)
            }
        }
    }
}

fn of_client(variable: ClientVariable, certificate: Option<&ClientCertificate>) -> Cow<'_, str> {
    let Some(certificate) = certificate else {
        let none = if variable == ClientVariable::Verify {
            "NONE"
        } else {
            ""
        };
        return none.into();
    };
    match variable {
        ClientVariable::Verify => certificate.result(),
        ClientVariable::Subject => (&*certificate.subject).into(),
        ClientVariable::Issuer => (&*certificate.issuer).into(),
        ClientVariable::RawCertificate => certificate.pem().into(),
        ClientVariable::Certificate => certificate.pem().trim_end().replace('\n', "\n\t").into(),
        ClientVariable::EscapedCertificate => certificate.escaped().into(),
        ClientVariable::Fingerprint => {
            hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate.der()).as_ref()).into()
        }
        ClientVariable::SubjectLegacy
        | ClientVariable::IssuerLegacy
        | ClientVariable::Serial
        | ClientVariable::Start
        | ClientVariable::End
        | ClientVariable::Remain => match parse_x509_certificate(certificate.der()) {
            Ok((_, parsed)) => of_content(variable, &parsed).into(),
            Err(_) => "".into(),
        },
    }
}

fn of_content(variable: ClientVariable, certificate: &X509Certificate<'_>) -> String {
    let validity = certificate.validity();
    match variable {
        ClientVariable::SubjectLegacy => name::legacy(certificate.subject()),
        ClientVariable::IssuerLegacy => name::legacy(certificate.issuer()),
        ClientVariable::Serial => {
            // Of DER, a leading zero only says that the number is positive.
            let serial = match certificate.raw_serial() {
                [0, rest @ ..] if !rest.is_empty() => rest,
                serial => serial,
            };
            hex(serial).to_ascii_uppercase()
        }
        ClientVariable::Start => date(validity.not_before),
        ClientVariable::End => date(validity.not_after),
        ClientVariable::Remain => {
            let left = validity.not_after.timestamp() - Timestamp::now().as_second();
            (left.max(0) / DAY).to_string()
        }
        _ => String::new(),
    }
}

impl ClientCertificate {
    /// The result of its verification, as nginx writes it.
    pub(crate) fn result(&self) -> Cow<'static, str> {
        match &self.verdict {
            Verdict::Valid => "SUCCESS".into(),
            Verdict::Unverifiable(reason) => format!("FAILED:{reason}").into(),
            Verdict::Invalid(reason) => format!("FAILED:{reason}").into(),
        }
    }
}

/// As OpenSSL prints it: `Nov  9 10:00:00 2026 GMT`.
fn date(time: ASN1Time) -> String {
    let time = Timestamp::from_second(time.timestamp());
    time.map_or_else(
        |_| String::new(),
        |time| time.strftime("%b %e %H:%M:%S %Y GMT").to_string(),
    )
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn joined<T: Copy>(list: &[T], name: impl Fn(T) -> String) -> String {
    let names: Vec<String> = list.iter().copied().map(name).collect();
    names.join(":")
}

/// By its OpenSSL name, or its number.
fn cipher(suite: CipherSuite) -> String {
    match ciphers::name(suite) {
        "" => format!("{:#06x}", u16::from(suite)),
        name => name.to_owned(),
    }
}

fn curve(group: NamedGroup) -> String {
    match group {
        NamedGroup::secp256r1 => "prime256v1".to_owned(),
        NamedGroup::secp384r1 => "secp384r1".to_owned(),
        NamedGroup::secp521r1 => "secp521r1".to_owned(),
        NamedGroup::X25519 => "X25519".to_owned(),
        NamedGroup::X448 => "X448".to_owned(),
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768".to_owned(),
        other => format!("{:#06x}", u16::from(other)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::sync::Arc;

    use super::super::facts::Offered;
    use super::super::testing;
    use super::*;

    #[test]
    fn values_are_those_of_nginx() {
        let facts = testing::facts(Some(testing::client("alice, \"a\"", 2, 40)));
        let client = |variable| facts.value(TlsVariable::Client(variable)).into_owned();
        assert_eq!(client(ClientVariable::Verify), "SUCCESS");
        assert_eq!(
            client(ClientVariable::Subject),
            r#"CN=alice\, \"a\",O=shop"#
        );
        assert_eq!(
            client(ClientVariable::SubjectLegacy),
            "/O=shop/CN=alice, \"a\""
        );
        assert_eq!(client(ClientVariable::IssuerLegacy), "/CN=ca");
        assert_eq!(client(ClientVariable::Serial), "8000000000000001");
        let fingerprint = client(ClientVariable::Fingerprint);
        assert_eq!(fingerprint.len(), 40);
        assert!(
            fingerprint
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
        assert_eq!(client(ClientVariable::Remain), "39");
        assert!(client(ClientVariable::Start).ends_with(" GMT"));
        let (raw, folded) = (
            client(ClientVariable::RawCertificate),
            client(ClientVariable::Certificate),
        );
        assert!(raw.starts_with("-----BEGIN CERTIFICATE-----\n") && raw.ends_with("-----\n"));
        assert_eq!(folded.replace("\n\t", "\n") + "\n", raw);
        assert!(
            client(ClientVariable::EscapedCertificate)
                .starts_with("-----BEGIN%20CERTIFICATE-----%0A")
        );
    }

    #[test]
    fn without_a_certificate_only_the_result_has_a_value() {
        let facts = testing::facts(None);
        let client = |variable| facts.value(TlsVariable::Client(variable)).into_owned();
        assert_eq!(client(ClientVariable::Verify), "NONE");
        for variable in [
            ClientVariable::Subject,
            ClientVariable::Serial,
            ClientVariable::End,
        ] {
            assert_eq!(client(variable), "");
        }
    }

    #[test]
    fn lists_of_the_client_have_names_or_numbers() {
        let mut facts = testing::facts(None);
        facts.offered = Arc::new(Offered {
            ciphers: vec![
                CipherSuite::TLS13_AES_128_GCM_SHA256,
                CipherSuite::from(0x0a0a),
            ],
            groups: vec![
                NamedGroup::X25519,
                NamedGroup::secp256r1,
                NamedGroup::from(0x1234),
            ],
        });
        assert_eq!(
            facts.value(TlsVariable::Ciphers),
            "TLS_AES_128_GCM_SHA256:0x0a0a"
        );
        assert_eq!(facts.value(TlsVariable::Curves), "X25519:prime256v1:0x1234");
    }

    #[test]
    fn dates_are_those_of_openssl() {
        let time = ASN1Time::from_timestamp(1_794_304_805).unwrap();
        assert_eq!(date(time), "Nov 10 10:00:05 2026 GMT");
        let time = ASN1Time::from_timestamp(1_794_218_405 - 24 * 3600).unwrap();
        assert_eq!(date(time), "Nov  8 10:00:05 2026 GMT");
    }
}
