#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SigningKey as _,
};
use x509_ocsp::{BasicOcspResponse, ResponderId, ResponseBytes, Version};

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// 2026-01-01
const NOW: u64 = 1_767_225_600;
const HOUR: u64 = 3600;
/// `ecdsa-with-SHA256` in DER.
const ECDSA: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub(crate) fn authority(name: &str) -> Issuer {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The extension with one URL, of which `kind` is the last number of the access method.
pub(crate) fn access(kind: u8, url: &str) -> CustomExtension {
    let length = |bytes: usize| u8::try_from(bytes).unwrap();
    let mut description = vec![
        0x06,
        8,
        0x2b,
        6,
        1,
        5,
        5,
        7,
        0x30,
        kind,
        0x86,
        length(url.len()),
    ];
    description.extend_from_slice(url.as_bytes());
    let mut list = vec![0x30, length(description.len())];
    list.extend(description);
    let mut content = vec![0x30, length(list.len())];
    content.extend(list);
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

fn server(issuer: &Issuer) -> CertificateDer<'static> {
    let mut params = params("a.example");
    params.custom_extensions = vec![access(1, "http://o.example/q")];
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, issuer).unwrap().der().clone()
}

/// A certificate with its key that may sign responses if `usage` says so.
fn responder(
    issuer: &Issuer,
    usage: ExtendedKeyUsagePurpose,
) -> (CertificateDer<'static>, KeyPair) {
    let mut params = params("responder");
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.der().clone(), key)
}

fn time(seconds: u64) -> OcspGeneralizedTime {
    let time = Duration::from_secs(seconds);
    OcspGeneralizedTime(der::asn1::GeneralizedTime::from_unix_duration(time).unwrap())
}

fn good(query: &Query) -> SingleResponse {
    SingleResponse {
        cert_id: query.id.clone(),
        cert_status: CertStatus::good(),
        this_update: time(NOW - HOUR),
        next_update: Some(time(NOW + 2 * HOUR)),
        single_extensions: None,
    }
}

fn signed(
    answer: SingleResponse,
    key: &KeyPair,
    responder: Option<&CertificateDer<'_>>,
) -> Vec<u8> {
    let data = ResponseData {
        version: Version::V1,
        responder_id: ResponderId::ByKey(OctetString::new([0; 20]).unwrap()),
        produced_at: time(NOW),
        responses: vec![answer],
        response_extensions: None,
    };
    let signature = key.sign(&data.to_der().unwrap()).unwrap();
    let basic = BasicOcspResponse {
        tbs_response_data: data,
        signature_algorithm: Decode::from_der(ECDSA).unwrap(),
        signature: der::asn1::BitString::from_bytes(&signature).unwrap(),
        certs: responder.map(|der| vec![Decode::from_der(der).unwrap()]),
    };
    let response = OcspResponse {
        response_status: OcspResponseStatus::Successful,
        response_bytes: Some(ResponseBytes {
            response_type: der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1"),
            response: OctetString::new(basic.to_der().unwrap()).unwrap(),
        }),
    };
    response.to_der().unwrap()
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(NOW))
}

#[test]
fn a_request_needs_a_responder_and_the_issuer() {
    let (issuer, other) = (authority("a"), authority("b"));
    let server = server(&issuer);
    let chain = |issuer: &Issuer| vec![server.clone(), issuer.der().clone()];
    let query = Query::new(&chain(&issuer)).unwrap().unwrap();
    assert_eq!(query.urls, ["http://o.example/q"]);
    let request = OcspRequest::from_der(&query.request).unwrap();
    assert_eq!(request.tbs_request.request_list[0].req_cert, query.id);
    assert!(Query::new(&[issuer.der().clone()]).unwrap().is_none());
    for chain in [chain(&other), vec![server.clone()]] {
        assert!(Query::new(&chain).err().unwrap().contains("issuer"));
    }
}

#[test]
fn only_signed_and_current_answers_are_accepted() {
    let (issuer, other) = (authority("a"), authority("b"));
    let query = Query::new(&[server(&issuer), issuer.der().clone()]);
    let query = query.unwrap().unwrap();
    let accept = |der: &[u8]| query.accept(der, now());

    let response = accept(&signed(good(&query), issuer.key(), None)).unwrap();
    assert_eq!(response.until, NOW + 2 * HOUR);
    assert_eq!(response.renewal(now()), Duration::from_secs(HOUR));
    let (certificate, key) = responder(&issuer, ExtendedKeyUsagePurpose::OcspSigning);
    assert!(accept(&signed(good(&query), &key, Some(&certificate))).is_ok());

    let refused = |der: &[u8], reason: &str| {
        let error = accept(der).unwrap_err();
        assert!(error.contains(reason), "{error}");
    };
    refused(&signed(good(&query), other.key(), None), "not signed");
    refused(&signed(good(&query), &key, None), "not signed");
    let (certificate, key) = responder(&issuer, ExtendedKeyUsagePurpose::ServerAuth);
    refused(
        &signed(good(&query), &key, Some(&certificate)),
        "not signed",
    );
    let (certificate, key) = responder(&other, ExtendedKeyUsagePurpose::OcspSigning);
    refused(
        &signed(good(&query), &key, Some(&certificate)),
        "not signed",
    );

    let changed = |change: &dyn Fn(&mut SingleResponse)| {
        let mut answer = good(&query);
        change(&mut answer);
        signed(answer, issuer.key(), None)
    };
    let der = changed(&|answer| answer.next_update = Some(time(NOW)));
    refused(&der, "expired");
    let der = changed(&|answer| answer.this_update = time(NOW + HOUR));
    refused(&der, "future");
    let der = changed(&|answer| answer.cert_status = CertStatus::unknown());
    refused(&der, "does not know");
    let der = changed(&|answer| answer.cert_id.issuer_key_hash = OctetString::new([1]).unwrap());
    refused(&der, "another certificate");
    let der = changed(&|answer| answer.next_update = None);
    assert_eq!(accept(&der).unwrap().until, NOW + HOUR);

    let mut broken = signed(good(&query), issuer.key(), None);
    *broken.last_mut().unwrap() ^= 1;
    refused(&broken, "not signed");
    refused(&broken[..40], "not an OCSP response");
    let refusal = OcspResponse::try_later().to_der().unwrap();
    refused(&refusal, "TryLater");
}

/// A document that the issuer has not signed is not accepted: the corpus is of another issuer.
fn is_refused(document: &[u8]) {
    thread_local! {
        static QUERY: Query = {
            let issuer = authority("a");
            let chain = [server(&issuer), issuer.der().clone()];
            Query::new(&chain).unwrap().unwrap()
        };
    }
    QUERY.with(|query| {
        let reason = query.accept(document, now()).unwrap_err();
        assert!(
            reason.len() < 500 && !reason.contains(char::is_control),
            "{reason}"
        );
    });
}

#[test]
fn fuzz_ocsp() {
    headgate_fuzz::check("ocsp", is_refused);
}
