//! Cookie affinity: which endpoint a cookie names, and the cookie of a new session.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headgate_table::{Affinity, AffinityMode, Balance, SameSite, Upstream};
use http::HeaderValue;
use md5::{Digest, Md5};

use super::SelectionInput;
use super::balance::{Candidates, Selection, UpstreamState, View, hash, random};

/// How many random keys a new session draws to avoid endpoints that were tried.
const PICKS: usize = 20;

/// The same where most endpoints are left out.
const MOST_PICKS: usize = 2000;

/// Last second of the year 9999: a cookie cannot express later dates.
const LAST_SECOND: u64 = 253_402_300_799;

/// Whether the affinity cookie's value `cookie` belongs to a session with `upstream`: primary and canary share a cookie
/// name, and the second half of the value distinguishes them.
pub(crate) fn bound_to(cookie: &str, upstream: &Upstream) -> bool {
    let Some((_, bound)) = cookie.split_once('|') else {
        return false;
    };
    match upstream.slot.get::<UpstreamState>() {
        Some(state) => bound == state.binding,
        None => bound == binding(&upstream.log_name),
    }
}

/// Second half of the cookie value for the upstream `name`: ingress-nginx hashes twice (behaviour.md 1.4).
pub(super) fn binding(name: &str) -> String {
    md5_hex(&format!("{}{name}", md5_hex(name)))
}

/// First half of the cookie value of a persistent session with `endpoint`.
pub(super) fn persistent_key(upstream: &str, endpoint: SocketAddr) -> String {
    md5_hex(&format!("{upstream}{endpoint}"))
}

fn md5_hex(text: &str) -> String {
    Md5::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(32), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The endpoint of the request's session, or of a new one, whose cookie is put into `selection`. A session stays where it is,
/// also while its endpoint is no candidate, unless it may move.
pub(super) fn pick(
    selection: &mut Selection<'_>,
    affinity: &Affinity,
    candidates: &Candidates<'_>,
) -> Option<SocketAddr> {
    let view = candidates.view;
    let moves = |endpoint: &SocketAddr| {
        affinity.change_on_failure && (!candidates.tried.is_empty() || !candidates.suits(endpoint))
    };
    let session = session(selection, affinity, view);
    if let Some(endpoint) = session.filter(|endpoint| !moves(endpoint)) {
        return Some(endpoint);
    }
    let upstream = selection.target.upstream;
    let fewest = upstream.balance == Balance::LeastConn;
    let shares = selection.target.state.shares(upstream);
    let suits = |endpoint: &SocketAddr| {
        candidates.suits(endpoint) && shares.as_ref().is_none_or(|shares| shares.admit(endpoint))
    };
    let (endpoint, key) = match affinity.mode {
        AffinityMode::Balanced if fewest => {
            let two = [(); 2].map(|()| begin_balanced(candidates, suits));
            let requests = |(endpoint, _): &(SocketAddr, _)| view.in_flight().count(endpoint);
            two.into_iter().flatten().min_by_key(requests)?
        }
        AffinityMode::Balanced => begin_balanced(candidates, suits)?,
        AffinityMode::Persistent => {
            let endpoint = match fewest {
                true => selection.balanced(candidates)?,
                false => random(candidates.endpoints(), suits)?,
            };
            (
                endpoint,
                persistent_key(&selection.target.upstream.log_name, endpoint),
            )
        }
    };
    if let Some(path) = selection.input.session_path() {
        let value = format!("{key}|{}", selection.target.state.binding);
        selection.cookie = set_cookie(affinity, &value, path, selection.input);
    }
    Some(endpoint)
}

/// The endpoint that the request's cookie names. For balanced sessions any text is a key of the ring, also that of another
/// upstream of the route, or of another proxy before a migration. A persistent session whose endpoint is gone names none.
fn session(selection: &Selection<'_>, affinity: &Affinity, view: &View) -> Option<SocketAddr> {
    let mut parts = selection.input.cookie(&affinity.cookie)?.split('|');
    let key = parts.find(|part| !part.is_empty())?;
    match affinity.mode {
        AffinityMode::Balanced => view.by_hash(hash(key.as_bytes()), |_| true),
        AffinityMode::Persistent => view.by_key(&selection.target.upstream.log_name, key),
    }
}

/// A new key and its endpoint, which almost certainly `suits`: the fewer candidates are left, the more keys are drawn.
fn begin_balanced(
    candidates: &Candidates<'_>,
    suits: impl Fn(&SocketAddr) -> bool,
) -> Option<(SocketAddr, String)> {
    let all = candidates.view.endpoints().len();
    let picks = PICKS * all.checked_div(candidates.endpoints().len())?;
    let mut picked = None;
    for _ in 0..picks.min(MOST_PICKS) {
        let key = new_key();
        let endpoint = candidates.view.by_hash(hash(key.as_bytes()), |_| true)?;
        let suits = suits(&endpoint);
        picked = Some((endpoint, key));
        if suits {
            break;
        }
    }
    picked
}

/// Digits and dots as in ingress-nginx, but random where it shows its process id.
fn new_key() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "{}.{:03}.{}.{}",
        now.as_secs(),
        now.subsec_millis(),
        fastrand::u16(..),
        fastrand::u32(..)
    )
}

/// `Set-Cookie` for `value`; `None` if an attribute of the object is not a field value.
fn set_cookie(
    affinity: &Affinity,
    value: &str,
    default_path: &str,
    input: &dyn SelectionInput,
) -> Option<HeaderValue> {
    let path = affinity.path.as_deref().unwrap_or(default_path);
    let mut text = format!("{}={value}", affinity.cookie);
    if let Some(seconds) = affinity.expires {
        text.push_str("; Expires=");
        text.push_str(&httpdate::fmt_http_date(date_in(seconds)));
    }
    if let Some(seconds) = affinity.max_age {
        let _ = write!(text, "; Max-Age={seconds}");
    }
    if let Some(domain) = &affinity.domain {
        let _ = write!(text, "; Domain={domain}");
    }
    let _ = write!(text, "; Path={path}");
    if affinity.always_secure || input.https() {
        text.push_str("; Secure");
    }
    text.push_str("; HttpOnly");
    if let Some(same_site) = same_site(affinity, input) {
        let _ = write!(text, "; SameSite={}", same_site.as_str());
    }
    HeaderValue::try_from(text).ok()
}

/// `seconds` from now, within the years that a date in a cookie can express.
fn date_in(seconds: i64) -> SystemTime {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    UNIX_EPOCH + Duration::from_secs(now.saturating_add_signed(seconds).min(LAST_SECOND))
}

fn same_site(affinity: &Affinity, input: &dyn SelectionInput) -> Option<SameSite> {
    let same_site = affinity.same_site?;
    let conditional = affinity.conditional_same_site_none && same_site == SameSite::None;
    (!conditional || reads_same_site_none(input.user_agent())).then_some(same_site)
}

/// Whether a browser understands `SameSite=None`; some older ones take it for `Strict` or drop the cookie.
fn reads_same_site_none(user_agent: &str) -> bool {
    let has = |part: &str| user_agent.contains(part);
    let old_chrome = ["Chrome/4", "Chrome/5", "Chrome/6"].into_iter().any(has);
    let old_ios = has("iPhone OS 12") || has("iPad; CPU OS 12");
    let old_safari = has("Intel Mac OS X 10_14") && has("Safari/") && !has("Chrome/");
    !(old_chrome || old_ios || old_safari)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::upstream::testing::{FakeRequest, sticky};

    fn affinity() -> Affinity {
        sticky(AffinityMode::Balanced, false)
    }

    fn cookie(affinity: &Affinity, request: &FakeRequest) -> String {
        set_cookie(affinity, "k|b", "/app", request)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_binding_is_the_md5_of_the_md5() {
        // printf %s "$(printf %s a-b-80 | md5sum | cut -c1-32)a-b-80" | md5sum
        assert_eq!(md5_hex("a-b-80"), "fa985efd25fb23a8dfa13179649aa218");
        assert_eq!(
            binding("a-b-80"),
            md5_hex("fa985efd25fb23a8dfa13179649aa218a-b-80")
        );
    }

    #[test]
    fn attributes_in_the_order_of_ingress_nginx() {
        let plain = FakeRequest::default();
        assert_eq!(
            cookie(&affinity(), &plain),
            "INGRESSCOOKIE=k|b; Path=/app; HttpOnly"
        );
        let full = Affinity {
            path: Some("/".into()),
            domain: Some("shop.example".into()),
            max_age: Some(600),
            expires: Some(i64::MIN),
            always_secure: true,
            same_site: Some(SameSite::None),
            ..affinity()
        };
        assert_eq!(
            cookie(&full, &plain),
            "INGRESSCOOKIE=k|b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=600; Domain=shop.example; Path=/; Secure; \
             HttpOnly; SameSite=None"
        );
        assert!(
            cookie(
                &Affinity {
                    expires: Some(i64::MAX),
                    ..affinity()
                },
                &plain
            )
            .contains("31 Dec 9999 23:59:59")
        );
        let https = FakeRequest {
            https: true,
            ..FakeRequest::default()
        };
        assert_eq!(
            cookie(&affinity(), &https),
            "INGRESSCOOKIE=k|b; Path=/app; Secure; HttpOnly"
        );
    }

    #[test]
    fn browsers_that_misread_same_site_none_do_not_get_it() {
        let conditional = Affinity {
            same_site: Some(SameSite::None),
            conditional_same_site_none: true,
            ..affinity()
        };
        for (agent, sent) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
                true,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/60.0 Safari/537.36",
                false,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 12_1 like Mac OS X) AppleWebKit/605.1.15",
                false,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_3) AppleWebKit/605.1.15 Version/12.0 Safari/605.1.15",
                false,
            ),
            ("", true),
        ] {
            let request = FakeRequest {
                user_agent: agent.into(),
                ..FakeRequest::default()
            };
            assert_eq!(
                cookie(&conditional, &request).contains("SameSite"),
                sent,
                "{agent}"
            );
        }
    }
}
