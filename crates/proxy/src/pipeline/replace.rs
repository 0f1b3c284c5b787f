//! Replacements in response fields that contain hosts and paths of the upstream: `Set-Cookie`, `Location` and `Refresh`
//! (behaviour.md 1.12).

use std::borrow::Cow;

use headgate_table::ReplaceRule;
use http::header::{LOCATION, REFRESH, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// Replaces the domain and path of the cookies in `headers`.
pub(super) fn cookies(
    headers: &mut HeaderMap,
    domain: Option<&ReplaceRule>,
    path: Option<&ReplaceRule>,
) {
    if domain.is_none() && path.is_none() {
        return;
    }
    for value in headers
        .iter_mut()
        .filter(|(name, _)| **name == SET_COOKIE)
        .map(|(_, value)| value)
    {
        let Ok(text) = value.to_str() else { continue };
        if let Cow::Owned(replaced) = cookie(text, domain, path)
            && let Ok(replaced) = HeaderValue::try_from(replaced)
        {
            *value = replaced;
        }
    }
}

/// Replaces the beginning of the URLs in `Location` and `Refresh`. A replaced `Location` that is only a path is preceded by
/// `origin`, as nginx does; one that was not replaced stays as the upstream sent it.
pub(super) fn locations(headers: &mut HeaderMap, rule: Option<&ReplaceRule>, origin: Option<&str>) {
    let Some(rule) = rule else { return };
    if let Some(value) = headers.get_mut(LOCATION) {
        set(value, |text| {
            let replaced = beginning(text, rule)?;
            let origin = origin.filter(|_| replaced.starts_with('/'));
            Some(format!("{}{replaced}", origin.unwrap_or_default()))
        });
    }
    if let Some(value) = headers.get_mut(REFRESH) {
        set(value, |text| {
            let at = find_ignoring_case(text, "url=")?.checked_add("url=".len())?;
            let (before, url) = text.split_at_checked(at)?;
            Some(format!("{before}{}", beginning(url, rule)?))
        });
    }
}

fn set(value: &mut HeaderValue, replace: impl FnOnce(&str) -> Option<String>) {
    let replaced = value
        .to_str()
        .ok()
        .and_then(replace)
        .and_then(|text| HeaderValue::try_from(text).ok());
    if let Some(replaced) = replaced {
        *value = replaced;
    }
}

/// `None`: `text` does not begin with the text to replace.
fn beginning(text: &str, rule: &ReplaceRule) -> Option<String> {
    text.strip_prefix(rule.from.as_str())
        .map(|rest| format!("{}{rest}", rule.to))
}

/// A `Set-Cookie` value with its attributes replaced, and then with the separators of nginx; borrowed if nothing is.
fn cookie<'c>(
    text: &'c str,
    domain: Option<&ReplaceRule>,
    path: Option<&ReplaceRule>,
) -> Cow<'c, str> {
    let mut changed = false;
    let mut out = String::with_capacity(text.len());
    for (at, part) in text.split(';').enumerate() {
        if at > 0 {
            out.push_str("; ");
        }
        let replaced = if at == 0 {
            None
        } else {
            attribute(part, domain, path)
        };
        changed |= replaced.is_some();
        out.push_str(replaced.as_deref().unwrap_or(part).trim_start());
    }
    if changed {
        Cow::Owned(out)
    } else {
        Cow::Borrowed(text)
    }
}

fn attribute(
    part: &str,
    domain: Option<&ReplaceRule>,
    path: Option<&ReplaceRule>,
) -> Option<String> {
    let (name, value) = part.split_once('=')?;
    let replaced = match name.trim() {
        name if name.eq_ignore_ascii_case("domain") => domain_value(value, domain?)?,
        name if name.eq_ignore_ascii_case("path") => beginning(value, path?)?,
        _ => return None,
    };
    Some(format!("{name}={replaced}"))
}

/// The whole domain is compared, ignoring case and a leading dot (RFC 6265 section 5.2.3).
fn domain_value(value: &str, rule: &ReplaceRule) -> Option<String> {
    let bare = |text: &str| text.strip_prefix('.').unwrap_or(text).to_owned();
    let dot = if value.starts_with('.') { "." } else { "" };
    bare(value)
        .eq_ignore_ascii_case(&bare(&rule.from))
        .then(|| format!("{dot}{}", bare(&rule.to)))
}

fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes()
        .windows(needle.len())
        .position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn rule(from: &str, to: &str) -> ReplaceRule {
        ReplaceRule {
            from: from.to_owned(),
            to: to.to_owned(),
        }
    }

    #[test]
    fn cookie_attributes() {
        let domain = rule("inner.test", "outer.test");
        let path = rule("/app", "/");
        for (text, expected) in [
            (
                "a=1; Domain=inner.test; Path=/app/x",
                "a=1; Domain=outer.test; Path=//x",
            ),
            (
                "a=1;domain=.INNER.test;HttpOnly",
                "a=1; domain=.outer.test; HttpOnly",
            ),
            ("a=1; Domain=x.inner.test", "a=1; Domain=x.inner.test"),
            ("a=1; Path=/APP", "a=1; Path=/APP"),
            ("domain=inner.test; Secure", "domain=inner.test; Secure"),
            ("path=/app", "path=/app"),
        ] {
            assert_eq!(cookie(text, Some(&domain), Some(&path)), expected);
        }
        assert_eq!(
            cookie("a=1; Path=/app", Some(&domain), None),
            "a=1; Path=/app"
        );
    }

    #[test]
    fn every_cookie_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("a=1; Path=/app"));
        headers.append(SET_COOKIE, HeaderValue::from_static("b=1; Path=/app/b"));
        headers.append("x-cookie", HeaderValue::from_static("b=1; Path=/app/b"));
        cookies(&mut headers, None, Some(&rule("/app", "/new")));
        let values: Vec<_> = headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(values, ["a=1; Path=/new", "b=1; Path=/new/b"]);
        assert_eq!(headers.get("x-cookie").unwrap(), "b=1; Path=/app/b");
    }

    #[test]
    fn urls() {
        let replace = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let rule = rule("http://inner/", "https://outer/");
            locations(&mut headers, Some(&rule), Some("http://a"));
            headers.get(name).unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(replace("location", "http://inner/x"), "https://outer/x");
        assert_eq!(replace("location", "/http://inner/"), "/http://inner/");
        assert_eq!(
            replace("refresh", "5; URL=http://inner/x"),
            "5; URL=https://outer/x"
        );
        assert_eq!(replace("refresh", "5"), "5");
        assert_eq!(replace("x-location", "http://inner/"), "http://inner/");
        assert_eq!(replace("location", "/other"), "/other");
    }

    #[test]
    fn a_replaced_path_is_made_absolute() {
        let replace = |name: &'static str, value: &'static str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            locations(&mut headers, Some(&rule("/in/", "/out/")), origin);
            headers.get(name).unwrap().to_str().unwrap().to_owned()
        };
        let origin = Some("http://a");
        assert_eq!(replace("location", "/in/z", origin), "http://a/out/z");
        assert_eq!(replace("location", "/in/z", None), "/out/z");
        assert_eq!(replace("location", "/other", origin), "/other");
        assert_eq!(replace("refresh", "0;url=/in/z", origin), "0;url=/out/z");
    }
}
