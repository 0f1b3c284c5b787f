//! Checks the user name and password of a request (behaviour.md 1.6).

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use headgate_table::{BasicUsers, Credentials, Users};
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use zeroize::Zeroizing;

use super::digest;
use super::exchange::Exchange;
use crate::limit::Limit;
use crate::passwords::{Login, Verdict};
use crate::request::Context;
use crate::respond::LocalResponse;
use crate::upstream::Fault;

/// nginx takes any padding, and ignores unused bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Checks the credentials of a request against `credentials`.
///
/// # Errors
/// 401 with a challenge, or 503 if too many passwords are being verified.
pub(super) async fn check(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
    credentials: &Arc<Credentials>,
) -> Result<(), LocalResponse> {
    match &credentials.users {
        Users::Basic(users) => match basic(exchange, context, credentials).await {
            Verdict::Granted => Ok(()),
            Verdict::Refused => Err(challenge(users)),
            Verdict::Overloaded => {
                exchange.record.refused_by = Some(Limit::PasswordChecks);
                exchange.record.reason = Some(Fault::new(Limit::PasswordChecks.as_str()));
                Err(LocalResponse::Page(StatusCode::SERVICE_UNAVAILABLE))
            }
        },
        Users::Digest(users) => digest::check(exchange, context, credentials, users),
    }
}

/// A known client costs one keyed hash and one look-up.
async fn basic(
    exchange: &Exchange<'_>,
    context: &Context<'_>,
    credentials: &Arc<Credentials>,
) -> Verdict {
    let Some(field) = context.headers.get(AUTHORIZATION) else {
        return Verdict::Refused;
    };
    let passwords = &exchange.downstream.worker.shared.passwords;
    let key = passwords.key(&[&credentials.identity.0, field.as_bytes()]);
    if let Some(granted) = passwords.known(&key, exchange.record.start) {
        return if granted {
            Verdict::Granted
        } else {
            Verdict::Refused
        };
    }
    match login(field.as_bytes()) {
        None => Verdict::Refused,
        Some(login) => passwords.verify(key, credentials, login).await,
    }
}

fn challenge(users: &BasicUsers) -> LocalResponse {
    let challenge = users.challenge.clone();
    LocalResponse::Unauthorized {
        challenge: challenge.unwrap_or_else(|| HeaderValue::from_static("Basic realm=\"\"")),
    }
}

/// The user name and password of Basic credentials (RFC 7617 section 2).
fn login(field: &[u8]) -> Option<Login> {
    const SCHEME: &[u8] = b"basic ";
    let (scheme, encoded) = field.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let encoded = encoded.trim_ascii();
    let mut text = Zeroizing::new(Vec::with_capacity(encoded.len()));
    BASE64.decode_vec(encoded, &mut text).ok()?;
    let colon = memchr::memchr(b':', &text)?;
    let (user, password) = text.split_at_checked(colon)?;
    Some(Login {
        user: user.to_vec(),
        password: Zeroizing::new(password.get(1..)?.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins() {
        for (field, expected) in [
            ("Basic dXNlcjpwYXNz", Some(("user", "pass"))),
            ("bASIC   dXNlcjpwYXNz", Some(("user", "pass"))),
            ("Basic YTpiOmM=", Some(("a", "b:c"))),
            ("Basic YTo", Some(("a", ""))),
            ("Basic Og==", Some(("", ""))),
            ("Basic YTp=", Some(("a", ""))),
            ("Basic dXNlcg==", None),
            ("Basic !", None),
            ("Basic ", None),
            ("Basic", None),
            ("Bearer dXNlcjpwYXNz", None),
            ("", None),
        ] {
            let found = login(field.as_bytes());
            let found = found.map(|login| (login.user, login.password.to_vec()));
            let expected = expected.map(|(user, password)| (user.into(), password.into()));
            assert_eq!(found, expected, "{field}");
        }
    }

    /// A login can be sent again.
    fn is_sendable(field: &[u8]) {
        use base64::engine::general_purpose::STANDARD;
        if let Some(read) = login(field) {
            assert!(!read.user.contains(&b':'));
            let text = [&read.user[..], b":", &read.password].concat();
            let again = login(format!("Basic {}", STANDARD.encode(text)).as_bytes());
            let again = again.map(|again| (again.user, again.password));
            assert_eq!(again, Some((read.user, read.password)));
        }
    }

    #[test]
    fn fuzz_basic_credentials() {
        headgate_fuzz::check("basic-credentials", is_sendable);
    }
}
