//! Cookies of a request, parsed on demand.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

/// The `Cookie` lines of a request; HTTP/2 clients may send one per cookie (RFC 9113 section 8.2.3).
#[derive(Clone, Debug, Default)]
pub(crate) struct Cookies(SmallVec<[HeaderValue; 1]>);

impl Cookies {
    /// The cookies in `headers`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(headers.get_all(COOKIE).iter().cloned().collect())
    }

    /// Value of the cookie `name`; of several, the first. Names are case-sensitive.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find_map(|line| value(line.as_bytes(), name.as_bytes()))
    }
}

fn value<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l str> {
    line.split(|byte| *byte == b';').find_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(name)?;
        std::str::from_utf8(rest.strip_prefix(b"=")?).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(lines: &[&'static str]) -> Cookies {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        Cookies::of(&headers)
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let cookies = cookies(&["a=1; bb=2;a=3", "c=4=5; d; e="]);
        for (name, expected) in [
            ("a", Some("1")),
            ("bb", Some("2")),
            ("b", None),
            ("c", Some("4=5")),
            ("d", None),
            ("e", Some("")),
            ("A", None),
        ] {
            assert_eq!(cookies.find(name), expected, "{name}");
        }
    }

    /// The first bytes up to a line end are the name, the rest the `Cookie` lines.
    fn is_of_its_name(bytes: &[u8]) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let name = lines.next().map(String::from_utf8_lossy);
        let name = name.unwrap_or_default();
        let mut headers = HeaderMap::new();
        for line in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            headers.append(COOKIE, line);
        }
        if let Some(value) = Cookies::of(&headers).find(&name) {
            assert!(!value.contains(';') && value.trim_ascii_end() == value);
            let pair = format!("{name}={value}");
            let is_pair = |part: &[u8]| part.trim_ascii() == pair.as_bytes();
            let mut lines = headers.get_all(COOKIE).iter();
            assert!(lines.any(|line| line.as_bytes().split(|byte| *byte == b';').any(is_pair)));
        }
    }

    #[test]
    fn fuzz_cookies() {
        headgate_fuzz::check("cookies", is_of_its_name);
    }
}
