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
}
