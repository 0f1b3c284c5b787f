//! `$remote_user` of the log: the user of Basic credentials, which are not verified here.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding is optional.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest encoded credentials that are decoded, bytes.
const LONGEST: usize = 1 << 10;

/// The user of Basic credentials (RFC 7617 section 2); `None` if `authorization` has none.
pub(crate) fn of(authorization: &[u8]) -> Option<Vec<u8>> {
    const SCHEME: &[u8] = b"basic ";
    let (scheme, credentials) = authorization.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let credentials = credentials.trim_ascii();
    if credentials.len() > LONGEST {
        return None;
    }
    let mut user = BASE64.decode(credentials).ok()?;
    user.truncate(memchr::memchr(b':', &user)?);
    Some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_basic_credentials() {
        for (authorization, user) in [
            ("Basic dXNlcjpwYXNz", Some("user")),
            ("basic   dXNlcjpwYXNz", Some("user")),
            ("Basic YTpiYzpk", Some("a")),
            ("Basic YTo=", Some("a")),
            ("Basic YTo", Some("a")),
            ("Basic OnBhc3M=", Some("")),
            ("Basic dXNlcg==", None),
            ("Basic !!", None),
            ("Basic ", None),
            ("Basi", None),
            ("Bearer dXNlcjpwYXNz", None),
            ("", None),
        ] {
            let found = of(authorization.as_bytes());
            assert_eq!(found.as_deref(), user.map(str::as_bytes), "{authorization}");
        }
        let long = format!("Basic {}", "YTpi".repeat(LONGEST));
        assert_eq!(of(long.as_bytes()), None);
    }
}
