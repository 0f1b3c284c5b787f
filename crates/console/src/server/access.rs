//! Who may read: the name that a browser asked for, the site that asked it to, and the token.
//!
//! A browser gets a session for the token: a cookie with an end and a code over it, made with a key that is derived from the
//! token. No state is kept, so every replica knows a session, and another token ends all of them. The token itself is in no
//! cookie. Cookies are shared by the ports of a host name: who forwards the port should not run foreign programs that listen
//! on the same name.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Request};

use super::refusal::Refusal;

/// How long a session is valid.
pub(super) const SESSION: Duration = Duration::from_secs(12 * 60 * 60);
/// Fewest bytes of a token: without a limit on attempts, only its length protects it.
pub const MIN_TOKEN: usize = 16;
/// The cookie of a session.
pub(super) const SESSION_COOKIE: &str = "headgate-console";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// What the key of sessions is for: the token has no other use with this text.
const PURPOSE: &[u8] = b"headgate console session 1";

/// Which requests are answered.
#[derive(Clone, Debug, Default)]
pub struct Access {
    token: Option<Token>,
    /// Names in lower case.
    hosts: Vec<String>,
}

/// A token is too short to protect anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTooShort;

impl std::fmt::Display for TokenTooShort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the token of the console has fewer than {MIN_TOKEN} bytes"
        )
    }
}

impl std::error::Error for TokenTooShort {}

#[derive(Clone)]
struct Token {
    digest: Digest,
    sessions: hmac::Key,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl Access {
    /// Every client that asks for a loopback name or address, for the address that it is connected to, or for one of `hosts`:
    /// the names of the Service, say, without port.
    pub fn open(hosts: impl IntoIterator<Item = String>) -> Self {
        let hosts = hosts.into_iter();
        Self {
            token: None,
            hosts: hosts.map(|host| host.to_ascii_lowercase()).collect(),
        }
    }

    /// The same with `token`, without the white space around it.
    ///
    /// # Errors
    /// [`TokenTooShort`] with fewer than [`MIN_TOKEN`] bytes.
    pub fn with_token(self, token: &str) -> Result<Self, TokenTooShort> {
        let token = token.trim().as_bytes();
        if token.len() < MIN_TOKEN {
            return Err(TokenTooShort);
        }
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, token), PURPOSE);
        Ok(Self {
            token: Some(Token {
                digest: digest(&SHA256, token),
                sessions: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
            }),
            ..self
        })
    }

    /// Whether the name that the client asked for is this process's, and the site that made a browser ask is this one.
    ///
    /// A foreign name that resolves to this address (DNS rebinding) would make foreign scripts part of the console's origin.
    /// Links from other sites may be followed; nothing else of them may read.
    pub(super) fn check_site<B>(
        &self,
        request: &Request<B>,
        local: SocketAddr,
    ) -> Result<(), Refusal> {
        let host = single(request.headers(), &HOST)?.ok_or(Refusal::NO_HOST)?;
        let asked = [Some(host), request.uri().authority().map(Authority::as_str)];
        for name in asked.into_iter().flatten() {
            let authority: Authority = name.parse().map_err(|_| Refusal::NO_HOST)?;
            if !self.is_own(&authority, local.ip()) {
                return Err(Refusal::FOREIGN_HOST);
            }
        }
        if let Some(origin) = single(request.headers(), &ORIGIN)? {
            let rest = ["http://", "https://"].map(|scheme| origin.strip_prefix(scheme));
            if !rest
                .into_iter()
                .flatten()
                .any(|one| one.eq_ignore_ascii_case(host))
            {
                return Err(Refusal::FOREIGN_ORIGIN);
            }
        }
        match single(request.headers(), &SEC_FETCH_SITE)? {
            None | Some("same-origin" | "none") => Ok(()),
            Some(_) if is_followed_link(request) => Ok(()),
            Some(_) => Err(Refusal::FOREIGN_ORIGIN),
        }
    }

    /// A name that is in no public DNS, an address, or one of the configured names. Addresses cannot be rebound.
    fn is_own(&self, authority: &Authority, local: IpAddr) -> bool {
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if authority.as_str().contains('@') {
            return false;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = address.to_canonical();
            return address.is_loopback() || address == local.to_canonical();
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        host == "localhost" || host.ends_with(".localhost") || self.hosts.contains(&host)
    }

    /// Whether the client has the token, or a session at `now`, in Unix seconds.
    pub(super) fn admits(&self, headers: &HeaderMap, now: u64) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let bearer = headers.get(AUTHORIZATION).and_then(|value| {
            let (scheme, given) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(given)
        });
        let mut sessions = cookies(headers);
        bearer.is_some_and(|given| token.is(given))
            || sessions.any(|session| token.has_made(session, now))
    }

    /// A session from `now` on, in Unix seconds, for the token; `None` for another text.
    pub(super) fn session(&self, given: &str, now: u64) -> Option<String> {
        let token = self.token.as_ref().filter(|token| token.is(given.trim()))?;
        Some(token.session(now + SESSION.as_secs()))
    }

    /// Whether there is anything to log in to.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

impl Token {
    /// In a time that does not depend on how much of it is right.
    fn is(&self, given: &str) -> bool {
        let given = digest(&SHA256, given.as_bytes());
        verify_slices_are_equal(given.as_ref(), self.digest.as_ref()).is_ok()
    }

    fn session(&self, end: u64) -> String {
        let end = end.to_be_bytes();
        let code = hmac::sign(&self.sessions, &end);
        URL_SAFE_NO_PAD.encode([&end, code.as_ref()].concat())
    }

    fn has_made(&self, session: &str, now: u64) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(session) else {
            return false;
        };
        let Some((end, code)) = bytes.split_first_chunk() else {
            return false;
        };
        hmac::verify(&self.sessions, end, code).is_ok() && now < u64::from_be_bytes(*end)
    }
}

/// The text of a field that may be there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Refusal::BAD_FIELD),
        (Some(_), Some(_)) => Err(Refusal::BAD_FIELD),
    }
}

/// Whether a browser shows the response in the place of the foreign page, which cannot read it.
fn is_followed_link<B>(request: &Request<B>) -> bool {
    let mode = request.headers().get(SEC_FETCH_MODE);
    *request.method() == Method::GET && mode.is_some_and(|mode| mode == "navigate")
}

/// Whether the request is a followed link of another site, with which browsers send no cookie of this one.
pub(super) fn is_from_elsewhere<B>(request: &Request<B>) -> bool {
    let site = request.headers().get(SEC_FETCH_SITE);
    site.is_some_and(|site| site != "same-origin" && site != "none") && is_followed_link(request)
}

/// The values of the cookie.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(COOKIE).iter();
    let fields = fields.filter_map(|field| field.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';'));
    pairs.filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == SESSION_COOKIE).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn access() -> Access {
        let hosts = ["headgate-console.Ingress.svc".to_owned()];
        Access::open(hosts).with_token(TOKEN).unwrap()
    }

    fn check(fields: &[(&str, &str)]) -> Result<(), Refusal> {
        let mut request = Request::get("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let local = "10.0.0.7:10243".parse().unwrap();
        access().check_site(&request.body(()).unwrap(), local)
    }

    #[test]
    fn own_names_and_addresses() {
        let own = [
            "localhost",
            "LocalHost:10243",
            "console.localhost",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:10243",
            "10.0.0.7",
            "[::ffff:10.0.0.7]:10243",
            "headgate-console.ingress.svc",
            "headgate-console.ingress.svc.:80",
        ];
        for host in own {
            assert_eq!(check(&[("host", host)]), Ok(()), "{host}");
        }
        let foreign = [
            "evil.example",
            "localhost.evil.example",
            "xlocalhost",
            "10.0.0.8",
            "[2001:db8::1]",
            "127.0.0.1.evil.example",
            "0.0.0.0",
            "headgate-console",
            "2130706433",
        ];
        for host in foreign {
            assert_eq!(
                check(&[("host", host)]),
                Err(Refusal::FOREIGN_HOST),
                "{host}"
            );
        }
        assert_eq!(check(&[]), Err(Refusal::NO_HOST));
        assert_eq!(check(&[("host", "a b")]), Err(Refusal::NO_HOST));
        assert_eq!(
            check(&[("host", "x@localhost")]),
            Err(Refusal::FOREIGN_HOST)
        );
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(check(&two), Err(Refusal::BAD_FIELD));
    }

    #[test]
    fn the_target_is_no_way_around_the_host() {
        let request = Request::get("http://evil.example/").header("host", "localhost");
        let local = "127.0.0.1:10243".parse().unwrap();
        let checked = access().check_site(&request.body(()).unwrap(), local);
        assert_eq!(checked, Err(Refusal::FOREIGN_HOST));
    }

    #[test]
    fn other_sites_may_link_and_nothing_else() {
        let host = ("host", "localhost:10243");
        let foreign = Err(Refusal::FOREIGN_ORIGIN);
        assert_eq!(check(&[host, ("origin", "http://localhost:10243")]), Ok(()));
        assert_eq!(
            check(&[host, ("origin", "https://localhost:10243")]),
            Ok(())
        );
        for origin in [
            "null",
            "http://localhost:3000",
            "http://evil.example",
            "http://localhost",
            "ftp://localhost:10243",
        ] {
            assert_eq!(check(&[host, ("origin", origin)]), foreign, "{origin}");
        }
        let fetched =
            |site, mode| check(&[host, ("sec-fetch-site", site), ("sec-fetch-mode", mode)]);
        assert_eq!(fetched("same-origin", "cors"), Ok(()));
        assert_eq!(fetched("none", "navigate"), Ok(()));
        assert_eq!(fetched("cross-site", "navigate"), Ok(()));
        assert_eq!(fetched("cross-site", "no-cors"), foreign);
        assert_eq!(fetched("same-site", "cors"), foreign);
    }

    #[test]
    fn the_token_or_a_session_of_it() {
        let admits = |name: &str, value: &str, now| {
            let mut headers = HeaderMap::new();
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
            access().admits(&headers, now)
        };
        assert!(admits("authorization", &format!("Bearer {TOKEN}"), 0));
        assert!(admits("authorization", &format!("bearer {TOKEN}"), 0));
        for wrong in [
            "Bearer ",
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
            TOKEN,
        ] {
            assert!(!admits("authorization", wrong, 0), "{wrong}");
        }
        assert_eq!(access().session("0123456789abcdeF", 0), None);
        let session = access().session(TOKEN, 1_000).unwrap();
        assert!(!session.contains(TOKEN));
        let cookie = format!("theme=dark; {SESSION_COOKIE}={session}");
        let end = 1_000 + SESSION.as_secs();
        assert!(admits("cookie", &cookie, end - 1));
        assert!(!admits("cookie", &cookie, end));
        let mut later = URL_SAFE_NO_PAD.decode(&session).unwrap();
        later[0] = 1;
        let later = URL_SAFE_NO_PAD.encode(later);
        for wrong in [later.as_str(), "", "AAAA", TOKEN, &session[1..]] {
            assert!(
                !admits("cookie", &format!("{SESSION_COOKIE}={wrong}"), 0),
                "{wrong}"
            );
        }
        let other = Access::default()
            .with_token("another token of 16 bytes")
            .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.parse().unwrap());
        assert!(!other.admits(&headers, 0));
    }

    #[test]
    fn a_token_is_long_and_not_printed() {
        assert_eq!(
            Access::default()
                .with_token(" 0123456789abcde \n")
                .unwrap_err(),
            TokenTooShort
        );
        assert!(!format!("{:?}", access()).contains("0123"));
    }
}
