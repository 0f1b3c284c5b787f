//! The OCSP response of a certificate: the request, and what a response must be to be stapled (RFC 6960).

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::{AnyRef, BitStringRef, OctetString};
use der::{Decode, Encode, Sequence};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::RawPublicKeyEntity;
use x509_ocsp::{
    CertId, CertStatus, OcspGeneralizedTime, OcspRequest, OcspResponse, OcspResponseStatus,
    Request, ResponseData, SingleResponse, TbsRequest,
};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP;
use x509_parser::parse_x509_certificate;

use super::chain;
use super::fetch::Fetcher;
use crate::tls::{algorithms, in_time};

/// The algorithm of the hashes in requests, in DER. Every responder knows SHA-1, and nothing depends on its strength: the
/// response is signed.
const SHA1: &[u8] = &[
    0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00,
];
/// How far the responder's clock may be ahead.
const SKEW: Duration = Duration::from_secs(300);
/// How long a response without `nextUpdate` is sent.
const WITHOUT_END: Duration = Duration::from_secs(3600);
/// Bounds on the time between two requests.
const SHORTEST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Certificates of a response that may be that of the responder.
const RESPONDERS: usize = 4;

/// The request for the status of a certificate, and the responders that get it.
pub(super) struct Query {
    urls: Vec<String>,
    id: CertId,
    /// In DER.
    request: Vec<u8>,
    issuer: CertificateDer<'static>,
}

/// A response that may be stapled.
#[derive(Debug)]
pub(super) struct Response {
    /// As received.
    pub(super) der: Vec<u8>,
    /// Seconds since the epoch after which it must not be sent.
    pub(super) until: u64,
}

/// `BasicOCSPResponse`, with what is signed as it was received.
#[derive(Sequence)]
struct Basic<'r> {
    signed: AnyRef<'r>,
    algorithm: AnyRef<'r>,
    signature: BitStringRef<'r>,
    #[asn1(context_specific = "0", optional = "true", tag_mode = "EXPLICIT")]
    certificates: Option<Vec<AnyRef<'r>>>,
}

impl Query {
    /// For the first certificate of `chain`; `None`: it names no responder.
    ///
    /// # Errors
    /// Why no request can be made, as a message.
    pub(super) fn new(chain: &[CertificateDer<'static>]) -> Result<Option<Self>, String> {
        let Some((first, others)) = chain.split_first() else {
            return Ok(None);
        };
        let (_, parsed) = parse_x509_certificate(first).map_err(|error| error.to_string())?;
        let urls = chain::urls(&parsed, &OID_PKIX_ACCESS_DESCRIPTOR_OCSP);
        if urls.is_empty() {
            return Ok(None);
        }
        let issuer = others.iter().find(|other| chain::issues(other, first));
        let issuer = issuer.ok_or("tls.crt does not hold the certificate of the issuer")?;
        let (_, authority) = parse_x509_certificate(issuer).map_err(|error| error.to_string())?;
        let id = certificate_id(
            authority.subject().as_raw(),
            &authority.public_key().subject_public_key.data,
            parsed.raw_serial(),
        );
        let request = id.and_then(|id| Ok((request(&id)?, id)));
        let (request, id) = request.map_err(|error| error.to_string())?;
        Ok(Some(Self {
            urls,
            id,
            request,
            issuer: issuer.clone(),
        }))
    }

    /// Sends the request to the responders in turn, up to the first usable response.
    ///
    /// # Errors
    /// Why the last one has no usable response, as a message that names its URL.
    pub(super) async fn fetch(&self, fetcher: &Fetcher) -> Result<Response, String> {
        let mut problem = String::new();
        for url in &self.urls {
            let request = ("application/ocsp-request", self.request.clone());
            let response = match fetcher.fetch(url, Some(request)).await {
                Ok(document) => self
                    .accept(&document, UnixTime::now())
                    .map_err(|error| format!("{url:.200}: {error}")),
                Err(error) => Err(error),
            };
            match response {
                Ok(response) => return Ok(response),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    /// `document`, if it says now that the certificate is good.
    fn accept(&self, document: &[u8], now: UnixTime) -> Result<Response, String> {
        let malformed = |error: der::Error| format!("not an OCSP response: {error}");
        let response = OcspResponse::from_der(document).map_err(malformed)?;
        let bytes = match (response.response_status, &response.response_bytes) {
            (OcspResponseStatus::Successful, Some(bytes)) => bytes.response.as_bytes(),
            (status, _) => return Err(format!("the responder says {status:?}")),
        };
        let basic = Basic::from_der(bytes).map_err(malformed)?;
        self.verify(&basic, now)?;
        let data: ResponseData = basic.signed.decode_as().map_err(malformed)?;
        let mut statuses = data.responses.iter();
        let status = statuses.find(|status| self.is_about_it(&status.cert_id));
        let status = status.ok_or("the response is about another certificate")?;
        match status.cert_status {
            CertStatus::Good(_) => {}
            CertStatus::Revoked(_) => return Err("the certificate is revoked".into()),
            CertStatus::Unknown(_) => return Err("the responder does not know it".into()),
        }
        Ok(Response {
            der: document.to_vec(),
            until: until(status, now)?,
        })
    }

    fn is_about_it(&self, id: &CertId) -> bool {
        id.hash_algorithm.oid == self.id.hash_algorithm.oid
            && id.issuer_name_hash == self.id.issuer_name_hash
            && id.issuer_key_hash == self.id.issuer_key_hash
            && id.serial_number == self.id.serial_number
    }

    /// The signature of the issuer, or of a responder that it has certified for this (RFC 6960 section 4.2.2.2).
    fn verify(&self, basic: &Basic<'_>, now: UnixTime) -> Result<(), String> {
        if is_signed_by(basic, &self.issuer) {
            return Ok(());
        }
        let responders = basic.certificates.iter().flatten().take(RESPONDERS);
        for responder in responders {
            let der = responder.to_der().map_err(|error| error.to_string())?;
            let der = CertificateDer::from(der);
            if self.is_responder(&der, now) && is_signed_by(basic, &der) {
                return Ok(());
            }
        }
        Err("the response is not signed by the issuer or a responder of it".into())
    }

    fn is_responder(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        let Ok((_, parsed)) = parse_x509_certificate(certificate) else {
            return false;
        };
        let usage = parsed.extended_key_usage().ok().flatten();
        usage.is_some_and(|usage| usage.value.ocsp_signing)
            && in_time(&parsed, now).is_ok()
            && chain::issues(&self.issuer, certificate)
    }
}

impl Response {
    /// How long to wait before the next one is fetched: half the time that this one is valid for.
    pub(super) fn renewal(&self, now: UnixTime) -> Duration {
        let left = Duration::from_secs(self.until.saturating_sub(now.as_secs()));
        (left / 2).clamp(SHORTEST_WAIT, LONGEST_WAIT)
    }
}

fn certificate_id(issuer: &[u8], key: &[u8], serial: &[u8]) -> der::Result<CertId> {
    let hash = |data: &[u8]| OctetString::new(digest(&SHA1_FOR_LEGACY_USE_ONLY, data).as_ref());
    let serial = AnyRef::new(der::Tag::Integer, serial)?.to_der()?;
    Ok(CertId {
        hash_algorithm: Decode::from_der(SHA1)?,
        issuer_name_hash: hash(issuer)?,
        issuer_key_hash: hash(key)?,
        serial_number: Decode::from_der(&serial)?,
    })
}

fn request(id: &CertId) -> der::Result<Vec<u8>> {
    let request = Request {
        req_cert: id.clone(),
        single_request_extensions: None,
    };
    let request = OcspRequest {
        tbs_request: TbsRequest {
            request_list: vec![request],
            ..TbsRequest::default()
        },
        optional_signature: None,
    };
    request.to_der()
}

fn is_signed_by(basic: &Basic<'_>, signer: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = parse_x509_certificate(signer) else {
        return false;
    };
    let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
    let key = RawPublicKeyEntity::try_from(&key);
    let (Ok(key), Ok(signed), Some(signature)) =
        (key, basic.signed.to_der(), basic.signature.as_bytes())
    else {
        return false;
    };
    let mut known = algorithms().all.iter();
    known.any(|algorithm| key.verify_signature(*algorithm, &signed, signature).is_ok())
}

/// Until when a response with this status may be sent, which is later than `now`.
fn until(status: &SingleResponse, now: UnixTime) -> Result<u64, String> {
    let seconds = |time: &OcspGeneralizedTime| time.0.to_unix_duration().as_secs();
    if seconds(&status.this_update) > now.as_secs().saturating_add(SKEW.as_secs()) {
        return Err("the response is from the future".into());
    }
    let end = status.next_update.as_ref().map(seconds);
    let end = end.unwrap_or_else(|| now.as_secs().saturating_add(WITHOUT_END.as_secs()));
    match end > now.as_secs() {
        true => Ok(end),
        false => Err("the response has expired".into()),
    }
}

#[cfg(test)]
pub(super) mod tests;
