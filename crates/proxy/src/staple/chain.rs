//! Chains with missing intermediates, which their authorities publish (RFC 5280 section 4.2.2.1).

use std::cell::RefCell;
use std::collections::HashMap;

use bytes::Bytes;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::Oid;
use x509_parser::parse_x509_certificate;

use super::fetch::Fetcher;
use crate::tls::{is_issued_by, is_self_issued};

/// Longest chain.
const LONGEST: usize = 6;
/// Documents that are kept: most certificates share a few authorities.
const KEPT: usize = 256;

/// Documents of authorities by URL.
#[derive(Default)]
pub(super) struct Issuers(RefCell<HashMap<String, Bytes>>);

type Chain = Vec<CertificateDer<'static>>;

/// The URLs of this kind in the certificate's authority information access; at most two.
pub(super) fn urls(certificate: &X509Certificate<'_>, method: &Oid<'_>) -> Vec<String> {
    let descriptions = certificate.extensions().iter().filter_map(|extension| {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityInfoAccess(access) => Some(access.iter()),
            _ => None,
        }
    });
    let urls =
        descriptions
            .flatten()
            .filter_map(|description| match &description.access_location {
                GeneralName::URI(url) if description.access_method == *method => Some(*url),
                _ => None,
            });
    let http = urls.filter(|url| url.starts_with("http://"));
    http.take(2).map(str::to_owned).collect()
}

/// `chain` with the intermediates that it lacks; `None`: it lacks none.
///
/// # Errors
/// Why an intermediate cannot be had, as a message.
pub(super) async fn complete(
    chain: &[CertificateDer<'static>],
    issuers: &Issuers,
    fetcher: &Fetcher,
) -> Result<Option<Chain>, String> {
    let mut complete = linked(chain);
    let linked = complete.len();
    while complete.len() < LONGEST {
        let Some(last) = complete.last() else { break };
        let (_, parsed) = parse_x509_certificate(last).map_err(|error| error.to_string())?;
        let urls = urls(&parsed, &issuer_method());
        if is_self_issued(&parsed) || urls.is_empty() {
            break;
        }
        let issuer = issuer(last, &urls, issuers, fetcher).await?;
        let (_, parsed) = parse_x509_certificate(&issuer).map_err(|error| error.to_string())?;
        if is_self_issued(&parsed) {
            break; // the root, which clients have
        }
        complete.push(issuer);
    }
    Ok((complete.len() > linked).then_some(complete))
}

fn issuer_method() -> Oid<'static> {
    x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS
}

/// The start of `chain` in which each certificate is issued by the next.
fn linked(chain: &[CertificateDer<'static>]) -> Chain {
    let mut linked: Chain = chain.first().cloned().into_iter().collect();
    for next in chain.iter().skip(1) {
        if linked.last().is_some_and(|last| !issues(next, last)) {
            break;
        }
        linked.push(next.clone());
    }
    linked
}

/// Whether `issuer` has signed `certificate` and may do so now.
pub(super) fn issues(issuer: &CertificateDer<'_>, certificate: &CertificateDer<'_>) -> bool {
    let parsed = parse_x509_certificate(certificate).ok();
    let parsed = parsed.zip(parse_x509_certificate(issuer).ok());
    parsed.is_some_and(|((_, certificate), (_, issuer))| {
        is_issued_by(&certificate, &issuer, UnixTime::now())
    })
}

async fn issuer(
    certificate: &CertificateDer<'_>,
    urls: &[String],
    issuers: &Issuers,
    fetcher: &Fetcher,
) -> Result<CertificateDer<'static>, String> {
    let mut problem = String::new();
    for url in urls {
        let known = issuers.0.borrow().get(url).cloned();
        let document = match known {
            Some(document) => Ok(document),
            None => fetcher.fetch(url, None).await,
        };
        match document {
            Err(error) => problem = error,
            Ok(document) => {
                let found = certificates(&document);
                let mut issuing = found.into_iter().filter(|der| issues(der, certificate));
                if let Some(issuer) = issuing.next() {
                    issuers.keep(url, document);
                    return Ok(issuer);
                }
                problem =
                    format!("{url:.200}: it is not a certificate of the issuer in DER or PEM");
            }
        }
    }
    Err(problem)
}

impl Issuers {
    /// A document that holds an issuer; what is not one is fetched again.
    fn keep(&self, url: &str, document: Bytes) {
        let mut kept = self.0.borrow_mut();
        if kept.len() < KEPT {
            kept.insert(url.to_owned(), document);
        }
    }
}

/// The certificates of a document: one in DER, or a few in PEM.
fn certificates(document: &[u8]) -> Chain {
    if document.starts_with(&[0x30]) {
        return vec![CertificateDer::from(document.to_vec())];
    }
    let certificates = CertificateDer::pem_slice_iter(document).take(LONGEST);
    certificates.filter_map(Result::ok).collect()
}
