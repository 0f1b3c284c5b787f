//! Compression of responses (behaviour.md 5.8).

use std::sync::Arc;

use crate::Pattern;

/// Which responses are compressed, and how. `None` in the settings costs nothing.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Compression {
    /// The codings in use, the preferred one first; each at most once.
    pub coders: Arc<[Coder]>,
    /// User agents that get no gzip (`gzip-disable`); default none.
    pub gzip_disabled: Option<Pattern>,
}

/// A coding and the responses that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coder {
    /// The coding.
    pub coding: Coding,
    /// Its level: 1 to 9 for gzip, 0 to 6 for brotli, 1 to 6 for zstd.
    pub level: u32,
    /// Shortest `Content-Length`, bytes. A body of unknown length is long enough.
    pub min_length: u64,
    /// Media types.
    pub types: MediaTypes,
}

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
}

impl Coding {
    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// A set of media types. `text/html` is always in it, as in nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaTypes(Option<Arc<[String]>>);

impl MediaTypes {
    /// The types in `list`, separated by spaces; `*` is all of them.
    pub fn parse(list: &str) -> Self {
        let mut names: Vec<String> = list
            .split_ascii_whitespace()
            .map(str::to_ascii_lowercase)
            .collect();
        if names.iter().any(|name| name == "*") {
            return Self(None);
        }
        names.push("text/html".to_owned());
        names.sort();
        names.dedup();
        Self(Some(names.into()))
    }

    /// Whether the value of a Content-Type field is in the set. nginx leaves out the parameters only from `charset` on, so
    /// that a type with another parameter is in no list.
    pub fn contains(&self, content_type: &[u8]) -> bool {
        if content_type.is_empty() {
            return false;
        }
        let Some(names) = &self.0 else {
            return true;
        };
        let media = without_charset(content_type);
        names
            .iter()
            .any(|name| name.as_bytes().eq_ignore_ascii_case(media))
    }
}

/// The part before `; charset=`.
fn without_charset(content_type: &[u8]) -> &[u8] {
    const CHARSET: &[u8] = b"charset=";
    let is_charset = |semicolon: &usize| {
        let rest = content_type
            .get(semicolon + 1..)
            .unwrap_or_default()
            .trim_ascii_start();
        rest.get(..CHARSET.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(CHARSET))
    };
    let semicolons = content_type.iter().enumerate();
    let mut semicolons = semicolons.filter_map(|(at, byte)| (*byte == b';').then_some(at));
    let end = semicolons.find(is_charset).unwrap_or(content_type.len());
    content_type.get(..end).unwrap_or(content_type)
}

/// For rendering: `gzip 1 256 a/b,c/d`.
impl std::fmt::Display for Coder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            coding,
            level,
            min_length,
            types,
        } = self;
        write!(f, "{} level {level} from {min_length} ", coding.name())?;
        match &types.0 {
            None => f.write_str("*"),
            Some(names) => f.write_str(&names.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_as_nginx_does() {
        let types = MediaTypes::parse("application/json Text/CSS");
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json;charset=utf-8", true),
            ("application/json;  CHARSET=utf-8; v=1", true),
            ("application/json; v=1", false),
            ("application/json; v=1; charset=utf-8", false),
            ("text/css", true),
            ("text/html", true),
            ("image/png", false),
            ("application/json ", false),
            (";", false),
            ("", false),
        ] {
            assert_eq!(types.contains(value.as_bytes()), expected, "{value}");
        }
        let all = MediaTypes::parse("text/css *");
        assert!(all.contains(b"image/png") && !all.contains(b""));
        assert!(MediaTypes::parse("").contains(b"text/html"));
    }
}
