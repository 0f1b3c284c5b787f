//! Digest authentication (RFC 7616 with MD5 and qop=auth, the form that clients of nginx's module use).
//!
//! Nonces have no state: a nonce is the time and a keyed hash of it, so every replica with the same users accepts it. The key
//! comes from the users and the random uid of their Secret, or else is that of the process. Without state a captured request
//! can be sent again, with the same method and target, until its nonce expires: for up to [`LIFETIME`] seconds. Use TLS.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use headgate_table::{Credentials, DigestUsers};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use self::fields::Fields;
use super::exchange::Exchange;
use crate::keyed_hash::HashKey;
use crate::passwords::{Passwords, equal};
use crate::request::Context;
use crate::respond::LocalResponse;

mod fields;

/// Seconds from a nonce's challenge to its expiry, after which the client gets another one without asking its user.
const LIFETIME: u64 = 60;
/// Seconds by which the clock of the replica that made a nonce may be ahead.
const CLOCK_SKEW: u64 = 60;
/// Hexadecimal digits of the time in a nonce.
const TIME: usize = 8;
/// Bytes of the keyed hash in a nonce.
const SIGNATURE: usize = 16;

const AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("authentication-info");

/// Checks the response of a request to the challenge.
///
/// # Errors
/// 401 with a challenge.
pub(super) fn check(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
    credentials: &Credentials,
    users: &DigestUsers,
) -> Result<(), LocalResponse> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nonces = Nonces {
        passwords: &exchange.downstream.worker.shared.passwords,
        credentials,
        users,
        now: now.map_or(0, |now| now.as_secs()),
    };
    let field = context
        .headers
        .get(AUTHORIZATION)
        .map(HeaderValue::as_bytes);
    let fields = field.and_then(Fields::parse);
    let fields = fields.filter(|fields| fields.fit(&credentials.realm, &context.raw_target()));
    let Some(fields) = fields else {
        return Err(nonces.challenge(false));
    };
    let method = context.parsed.target.method.as_str();
    let Some(secret) = verified(&fields, users, method) else {
        return Err(nonces.challenge(false));
    };
    if !nonces.accepts(&fields.nonce) {
        // The client knows the password, so it need not ask its user again.
        return Err(nonces.challenge(true));
    }
    if let Some(info) = info(&fields, secret) {
        exchange.edits.add_field(AUTHENTICATION_INFO, info);
    }
    Ok(())
}

/// The stored secret of the user, if the request was made with it. An unknown user takes as long as a known one.
fn verified<'u>(fields: &Fields, users: &'u DigestUsers, method: &str) -> Option<&'u [u8]> {
    let secret = users.secrets.get(fields.username.as_slice());
    let secret = secret.map(|secret| secret.0.as_slice());
    let expected = response(fields, secret.unwrap_or(&[b'0'; 32]), method.as_bytes());
    secret.filter(|_| equal(expected.as_bytes(), &fields.response))
}

/// The response to the challenge; `method` is empty for that of the server.
fn response(fields: &Fields, secret: &[u8], method: &[u8]) -> String {
    let request = md5(&[method, &fields.uri]);
    md5(&[
        secret,
        &fields.nonce,
        &fields.nc,
        &fields.cnonce,
        &fields.qop,
        request.as_bytes(),
    ])
}

/// `Authentication-Info`: it proves to the client that the server knows the secret too.
fn info(fields: &Fields, secret: &[u8]) -> Option<HeaderValue> {
    let proof = response(fields, secret, b"");
    let text = [
        b"qop=\"auth\", rspauth=\"",
        proof.as_bytes(),
        b"\", cnonce=\"",
        &fields.cnonce,
        b"\", nc=",
        &fields.nc,
    ]
    .concat();
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
}

/// MD5 of the parts with colons between them, in hexadecimal digits.
fn md5(parts: &[&[u8]]) -> String {
    hex(&Md5::digest(Zeroizing::new(parts.join(&b':'))))
}

fn hex(bytes: &[u8]) -> String {
    let text = String::with_capacity(2 * bytes.len());
    bytes.iter().fold(text, |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Nonces for the users of a route.
struct Nonces<'a> {
    passwords: &'a Passwords,
    credentials: &'a Credentials,
    users: &'a DigestUsers,
    /// Seconds since the epoch.
    now: u64,
}

impl Nonces<'_> {
    fn challenge(&self, stale: bool) -> LocalResponse {
        let nonce = self.make(self.now);
        let realm = &self.credentials.realm;
        let stale = if stale { ", stale=\"true\"" } else { "" };
        let text = format!(
            "Digest algorithm=\"MD5\", qop=\"auth\", realm=\"{realm}\", nonce=\"{nonce}\"{stale}"
        );
        // Compilation admits no realm that is no text of a field.
        let challenge = HeaderValue::from_maybe_shared(bytes::Bytes::from(text));
        LocalResponse::Unauthorized {
            challenge: challenge.unwrap_or_else(|_| HeaderValue::from_static("Digest")),
        }
    }

    /// The nonce of a challenge at `time`.
    fn make(&self, time: u64) -> String {
        let time = format!("{time:0TIME$x}");
        let parts = [
            b"nonce".as_slice(),
            &self.credentials.identity.0,
            time.as_bytes(),
        ];
        let signature = match &self.users.nonce_key {
            Some(key) => HashKey::new(&key.0).hash(&parts),
            None => self.passwords.key(&parts),
        };
        time + &hex(signature.get(..SIGNATURE).unwrap_or_default())
    }

    /// Whether `nonce` is one of these and has not expired.
    fn accepts(&self, nonce: &[u8]) -> bool {
        let time = nonce
            .get(..TIME)
            .and_then(|time| std::str::from_utf8(time).ok());
        let time = time.and_then(|time| u64::from_str_radix(time, 16).ok());
        let Some(time) = time else { return false };
        let is_current = time <= self.now + CLOCK_SKEW && self.now <= time + LIFETIME;
        equal(self.make(time).as_bytes(), nonce) && is_current
    }
}

#[cfg(test)]
mod tests;
