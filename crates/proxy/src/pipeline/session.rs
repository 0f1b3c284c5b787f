//! Sessions of routes: tokens by which a client stays with an endpoint (gateway-api.md 3.14).
//!
//! A token is sealed, so that a client neither reads nor chooses an endpoint. Replicas share its key: that of TLS tickets where
//! it is configured, and the id of the session in any case.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_table::{PathKind, Session, SessionCarrier, Settings};
use http::{HeaderName, HeaderValue};

use crate::keyed_hash::HashKey;
use crate::request::Context;

/// What the keys of tokens are for, so that no other use of the same key has the same result.
const PURPOSE: &[u8] = b"session token";
/// Length of the time before an address, bytes.
const TIME: usize = 8;
/// Length of a port, bytes.
const PORT: usize = 2;
/// Longest token that is read.
const LONGEST: usize = 128;

/// A token on its way to the client.
pub(super) enum Issued {
    /// `Set-Cookie`
    Cookie(HeaderValue),
    Field(HeaderName, HeaderValue),
}

/// The endpoint of the session that a request belongs to.
pub(super) fn endpoint(context: &Context<'_>, session: &Session) -> Option<SocketAddr> {
    let token = match &session.carrier {
        SessionCarrier::Cookie { name, .. } => context.cookie(name)?.as_bytes(),
        SessionCarrier::Field(name) => context.headers.get(name)?.as_bytes(),
    };
    if token.len() > LONGEST {
        return None;
    }
    let mut sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (nonce, sealed) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let key = key(session, context.settings)?;
    let opened = key.open_in_place(nonce, Aad::empty(), sealed).ok()?;
    let (end, address) = opened.split_first_chunk::<TIME>()?;
    let end = u64::from_be_bytes(*end);
    (end == 0 || now() < end).then(|| read(address)).flatten()
}

/// The token of a session with `endpoint` that begins now.
pub(super) fn begin(
    context: &Context<'_>,
    session: &Session,
    endpoint: SocketAddr,
) -> Option<Issued> {
    let end = session
        .timeout
        .map_or(0, |timeout| now() + timeout.as_secs().max(1));
    let mut sealed = end.to_be_bytes().to_vec();
    sealed.extend(endpoint.port().to_be_bytes());
    match endpoint.ip() {
        IpAddr::V4(address) => sealed.extend(address.octets()),
        IpAddr::V6(address) => sealed.extend(address.octets()),
    }
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).ok()?;
    let key = key(session, context.settings)?;
    let unique = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(unique, Aad::empty(), &mut sealed)
        .ok()?;
    let token = URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
    match &session.carrier {
        SessionCarrier::Field(name) => {
            let token = HeaderValue::try_from(token).ok()?;
            Some(Issued::Field(name.clone(), token))
        }
        SessionCarrier::Cookie { name, permanent } => {
            let lasts = session.timeout.filter(|_| *permanent);
            cookie(context, name, &token, lasts).map(Issued::Cookie)
        }
    }
}

fn cookie(
    context: &Context<'_>,
    name: &str,
    token: &str,
    lasts: Option<Duration>,
) -> Option<HeaderValue> {
    let route = context.route;
    let path = match route.kind {
        PathKind::Exact | PathKind::Prefix if !route.path.contains(';') => &*route.path,
        _ => "/",
    };
    let mut text = format!("{name}={token}; Path={path}");
    if let Some(lasts) = lasts {
        // Writing to a string cannot fail.
        let _ = write!(text, "; Max-Age={}", lasts.as_secs().max(1));
    }
    if context.https() {
        text.push_str("; Secure");
    }
    text.push_str("; HttpOnly");
    HeaderValue::try_from(text).ok()
}

fn read(address: &[u8]) -> Option<SocketAddr> {
    let (port, address) = address.split_first_chunk::<PORT>()?;
    let address = match <[u8; 4]>::try_from(address) {
        Ok(octets) => IpAddr::from(octets),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
    };
    Some(SocketAddr::new(address, u16::from_be_bytes(*port)))
}

fn key(session: &Session, settings: &Settings) -> Option<LessSafeKey> {
    let shared = settings.tls.ticket_key.as_ref();
    let shared = shared.map_or(&[][..], |key| &key.0);
    let key = HashKey::new(shared).hash(&[PURPOSE, session.id.as_bytes()]);
    UnboundKey::new(&AES_256_GCM, &key)
        .ok()
        .map(LessSafeKey::new)
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::sync::Arc;

    use headgate_table::PrivateBytes;

    use super::*;
    use crate::request::testing::Sample;

    fn session(id: &str) -> Session {
        Session {
            carrier: SessionCarrier::Field(HeaderName::from_static("x-session")),
            timeout: Some(Duration::from_secs(60)),
            id: Arc::from(id),
        }
    }

    /// The token, and what is read of it with another session and under other settings.
    fn token(session: &Session, address: &str) -> String {
        let sample = Sample::new("GET", "/");
        match begin(&sample.context(), session, address.parse().unwrap()).unwrap() {
            Issued::Field(_, value) => value.to_str().unwrap().to_owned(),
            Issued::Cookie(_) => unreachable!(),
        }
    }

    fn opened(session: &Session, token: String, key: Option<&str>) -> Option<String> {
        let token: &'static str = token.leak();
        let sample = Sample::new("GET", "/").header("x-session", token);
        let key = key.map(|key| PrivateBytes(key.as_bytes().to_vec()));
        let sample = sample.settings(|settings| settings.tls.ticket_key = key);
        endpoint(&sample.context(), session).map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn a_token_names_its_endpoint_to_who_has_the_key_only() {
        let own = session("uid/0");
        for address in ["10.0.0.1:8080", "[2001:db8::1]:80"] {
            let first = token(&own, address);
            assert_eq!(opened(&own, first.clone(), None).as_deref(), Some(address));
            assert_eq!(opened(&session("uid/1"), first.clone(), None), None);
            assert_eq!(opened(&own, first.clone(), Some("a key")), None);
            let mut changed = first.clone();
            changed.pop();
            assert_eq!(opened(&own, changed, None), None);
            assert_ne!(first, token(&own, address), "each is sealed anew");
        }
        assert_eq!(opened(&own, "x".repeat(500), None), None);
        assert_eq!(opened(&own, String::new(), None), None);
    }

    #[test]
    fn cookies_have_the_path_of_the_route_and_last_only_if_they_are_permanent() {
        let of = |permanent| Session {
            carrier: SessionCarrier::Cookie {
                name: "s".into(),
                permanent,
            },
            ..session("uid/0")
        };
        let sample = Sample::new("GET", "/");
        for (permanent, attributes) in [
            (false, "Path=/a; HttpOnly"),
            (true, "Path=/a; Max-Age=60; HttpOnly"),
        ] {
            let endpoint = "10.0.0.1:80".parse().unwrap();
            let issued = begin(&sample.context(), &of(permanent), endpoint).unwrap();
            let Issued::Cookie(value) = issued else {
                unreachable!()
            };
            let (_, found) = value.to_str().unwrap().split_once("; ").unwrap();
            assert_eq!(found, attributes);
        }
    }
}
