//! Client certificates of a host: steps 1, 3 and 4, and the fields that tell the backend (behaviour.md 1.8).

use headgate_table::{ClientDemand, ClientRules, Host, HostClients};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::downstream::TlsFacts;
use crate::request::Context;
use crate::respond::LocalResponse;
use crate::tls::{ClientCertificate, Verdict};

const SSL_CLIENT_VERIFY: HeaderName = HeaderName::from_static("ssl-client-verify");
const SSL_CLIENT_SUBJECT_DN: HeaderName = HeaderName::from_static("ssl-client-subject-dn");
const SSL_CLIENT_ISSUER_DN: HeaderName = HeaderName::from_static("ssl-client-issuer-dn");
const SSL_CLIENT_CERT: HeaderName = HeaderName::from_static("ssl-client-cert");

/// Step 1: whether the certificate of the connection is good enough for `host`, which serves `name`. Plain HTTP is not checked.
pub(super) fn verify(tls: Option<&TlsFacts>, host: &Host, name: &str) -> Result<(), LocalResponse> {
    let (Some(tls), Some(rules)) = (tls, host.clients.requested()) else {
        return Ok(());
    };
    let is_own_name = tls.server_name.as_deref() == Some(name);
    if tls.is_known && !is_own_name {
        return Err(LocalResponse::Page(StatusCode::MISDIRECTED_REQUEST));
    }
    if is_own_name && !tls.is_verified_for(rules) {
        // The rules have changed since the handshake.
        return Err(LocalResponse::PageAndClose(StatusCode::MISDIRECTED_REQUEST));
    }
    let is_accepted = match (certificate(tls, rules), rules.demand) {
        (None, ClientDemand::On) => {
            return Err(refusal(rules, "No required SSL certificate was sent"));
        }
        (None, _) => true,
        (Some(certificate), demand) => match certificate.verdict {
            Verdict::Valid => true,
            Verdict::Unverifiable(_) => demand == ClientDemand::OptionalNoCa,
            Verdict::Invalid(_) => false,
        },
    };
    match is_accepted {
        true => Ok(()),
        false => Err(refusal(rules, "The SSL certificate error")),
    }
}

/// Steps 3 and 4: whether `host` serves clients with this subject, or any. The subject is empty without a certificate.
pub(super) fn authorize(tls: Option<&TlsFacts>, host: &Host) -> Result<(), LocalResponse> {
    let rules = match &host.clients {
        HostClients::Any => return Ok(()),
        HostClients::Refused(_) => return Err(LocalResponse::Page(StatusCode::FORBIDDEN)),
        HostClients::Verified(rules) => rules,
    };
    let Some(pattern) = &rules.subject else {
        return Ok(());
    };
    let certificate = tls.and_then(|tls| certificate(tls, rules));
    let subject = certificate.map_or("", |certificate| &certificate.subject);
    if pattern.is_match(subject.as_bytes()) {
        return Ok(());
    }
    let text = "client certificate unauthorized";
    Err(LocalResponse::Text(StatusCode::FORBIDDEN, text))
}

/// Adds what the backend learns of the client's certificate. A client's own fields of these names are removed before.
pub(super) fn describe(context: &Context<'_>, headers: &mut HeaderMap) {
    let (Some(tls), HostClients::Verified(rules)) = (context.parsed.tls, &context.host.clients)
    else {
        return;
    };
    let Some(certificate) = certificate(tls, rules) else {
        headers.insert(SSL_CLIENT_VERIFY, HeaderValue::from_static("NONE"));
        return;
    };
    let mut set = |name, text: &str| {
        // All these texts are visible ASCII, and an empty one is not sent.
        if let Ok(value) = HeaderValue::from_str(text)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    };
    set(SSL_CLIENT_VERIFY, &certificate.result());
    set(SSL_CLIENT_SUBJECT_DN, &certificate.subject);
    set(SSL_CLIENT_ISSUER_DN, &certificate.issuer);
    if rules.pass_certificate {
        set(SSL_CLIENT_CERT, &certificate.escaped());
    }
}

/// The client's certificate, if it was verified with the authorities of `rules`: that of another host's handshake counts as
/// none.
fn certificate<'c>(tls: &'c TlsFacts, rules: &ClientRules) -> Option<&'c ClientCertificate> {
    if !rules.demand.requests() || !tls.is_verified_for(rules) {
        return None;
    }
    tls.client.as_ref()?.certificate.as_ref()
}

fn refusal(rules: &ClientRules, reason: &'static str) -> LocalResponse {
    match &rules.error_page {
        Some(location) => LocalResponse::Redirect {
            status: StatusCode::FOUND,
            location: location.clone(),
        },
        None => LocalResponse::Certificate(reason),
    }
}
