//! Paths: the decoded, normalised form that routes and rules match, and encoding.
//!
//! Percent-encoding is decoded exactly once, so `%2544` is the path `%44` and `%2f` is a slash to every rule. The upstream
//! gets the path as sent unless it is rewritten.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// Bytes that are encoded in paths: those that RFC 3986 section 3.3 does not allow, except `[` and `]`, as in nginx.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPath {
    #[error("the path does not begin with a slash")]
    NoSlash,
    /// A control character, encoded or not.
    #[error("the path contains a control character")]
    Control,
    /// `%` without two hexadecimal digits.
    #[error("the path contains an invalid percent-encoding")]
    Escape,
    /// `..` above the root.
    #[error("the path leads above the root")]
    AboveRoot,
    /// A segment such as `..;x`: servers that strip parameters read it as `..`, so it could pass a rule here and reach what
    /// the rule protects there.
    #[error("the path contains a dot segment with a parameter")]
    DotParameter,
}

/// Treatment of empty segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slashes {
    /// `//` becomes `/`.
    Merge,
    /// `//` stays.
    Keep,
}

/// The canonical form of `raw`, a path without query as sent: decoded once, slashes merged, dot segments resolved.
/// Borrowed if that changes nothing.
///
/// # Errors
/// Ambiguous paths, which get 400.
pub(crate) fn canonical(raw: &str) -> Result<Cow<'_, [u8]>, InvalidPath> {
    let bytes = raw.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(InvalidPath::NoSlash);
    }
    if is_canonical(bytes)? {
        return Ok(Cow::Borrowed(bytes));
    }
    let decoded = decoded(bytes)?;
    resolved(&decoded, Slashes::Merge).map(Cow::Owned)
}

/// `path` (decoded, beginning with `/`) with its dot segments resolved (RFC 3986 section 5.2.4).
///
/// # Errors
/// `..` above the root, and dot segments with parameters.
pub(crate) fn resolved(path: &[u8], slashes: Slashes) -> Result<Vec<u8>, InvalidPath> {
    let relative = path.strip_prefix(b"/").ok_or(InvalidPath::NoSlash)?;
    let mut out = Vec::with_capacity(path.len());
    let mut segments = relative.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"" if last || slashes == Slashes::Keep => out.push(b'/'),
            b"." if last => out.push(b'/'),
            b"" | b"." => {}
            b".." => {
                let parent = memchr::memrchr(b'/', &out).ok_or(InvalidPath::AboveRoot)?;
                out.truncate(parent);
                if last {
                    out.push(b'/');
                }
            }
            segment if segment.starts_with(b".;") || segment.starts_with(b"..;") => {
                return Err(InvalidPath::DotParameter);
            }
            segment => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    Ok(out)
}

/// `path` (decoded) in percent-encoding, for a request target or `Location`.
pub(crate) fn encoded(path: &[u8]) -> Cow<'_, str> {
    percent_encode(path, ESCAPED).into()
}

/// Whether a path is canonical already, which is the usual case.
fn is_canonical(bytes: &[u8]) -> Result<bool, InvalidPath> {
    let mut after_slash = false;
    let mut canonical = true;
    for &byte in bytes {
        match byte {
            0..0x20 | 0x7f => return Err(InvalidPath::Control),
            b'%' => canonical = false,
            b'/' | b'.' if after_slash => canonical = false,
            _ => {}
        }
        after_slash = byte == b'/';
    }
    Ok(canonical)
}

fn decoded(bytes: &[u8]) -> Result<Vec<u8>, InvalidPath> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => escape(rest.next(), rest.next()).ok_or(InvalidPath::Escape)?,
            other => other,
        };
        if byte.is_ascii_control() {
            return Err(InvalidPath::Control);
        }
        out.push(byte);
    }
    Ok(out)
}

fn escape(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| {
        char::from(byte?)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use proptest::prelude::*;

    fn path(raw: &str) -> Result<String, InvalidPath> {
        canonical(raw).map(|path| String::from_utf8_lossy(&path).into_owned())
    }

    #[test]
    fn one_reading() {
        for (raw, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//D", "/D"),
            ("/a///b//", "/a/b/"),
            ("/./D", "/D"),
            ("/x/../D", "/D"),
            ("/x/%2e%2e/D", "/D"),
            ("/x/.%2E/D", "/D"),
            ("/x%2f..%2fD", "/D"),
            ("/%44", "/D"),
            ("/%2544", "/%44"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a\\..\\b", "/a\\..\\b"),
            ("/%5c", "/\\"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/...", "/a/..."),
            ("/a;x=1/b", "/a;x=1/b"),
            ("/a+b", "/a+b"),
            ("/%3f", "/?"),
        ] {
            assert_eq!(path(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn refused() {
        use InvalidPath::{AboveRoot, Control, DotParameter, Escape, NoSlash};
        for (raw, error) in [
            ("", NoSlash),
            ("a", NoSlash),
            ("*", NoSlash),
            ("/..", AboveRoot),
            ("//..", AboveRoot),
            ("/a/../../b", AboveRoot),
            ("/%2e%2e/b", AboveRoot),
            ("/a%00", Control),
            ("/a%0d%0aX:1", Control),
            ("/a%7f", Control),
            ("/a\x01", Control),
            ("/a%", Escape),
            ("/a%4", Escape),
            ("/a%4g", Escape),
            ("/a%+1", Escape),
            ("/x/..;/D", DotParameter),
            ("/x/..;a=b/D", DotParameter),
            ("/x/.;/D", DotParameter),
            ("/x/%2e%2e%3b/D", DotParameter),
        ] {
            assert_eq!(path(raw), Err(error), "{raw}");
        }
    }

    #[test]
    fn a_canonical_path_is_borrowed() {
        for raw in ["/", "/a.b/c;d/", "/a..b"] {
            assert!(matches!(canonical(raw), Ok(Cow::Borrowed(_))), "{raw}");
        }
    }

    #[test]
    fn kept_slashes_are_segments() {
        assert_eq!(resolved(b"/a//b", Slashes::Keep).unwrap(), b"/a//b");
        assert_eq!(resolved(b"/a//../b", Slashes::Keep).unwrap(), b"/a/b");
        assert_eq!(resolved(b"//", Slashes::Keep).unwrap(), b"//");
        assert_eq!(
            resolved(b"/a/../..", Slashes::Keep),
            Err(InvalidPath::AboveRoot)
        );
    }

    #[test]
    fn encoding_leaves_nothing_to_misread() {
        assert_eq!(
            encoded(b"/a b?c#d%e\r\n\xc3\xa9"),
            "/a%20b%3Fc%23d%25e%0D%0A%C3%A9"
        );
        assert_eq!(
            encoded(b"/a;b=c,d:e@f!g$h&i'j(k)l*m+n[o]~"),
            "/a;b=c,d:e@f!g$h&i'j(k)l*m+n[o]~"
        );
    }

    /// A canonical path is below the root, and written again it is itself.
    fn is_canonical_once(raw: &str) {
        let Ok(path) = canonical(raw) else { return };
        assert_eq!(canonical(&encoded(&path)).unwrap(), path);
        let segments: Vec<_> = path.split(|b| *b == b'/').collect();
        let (before, inner) = segments.split_first().unwrap();
        let (last, inner) = inner.split_last().unwrap();
        assert!(before.is_empty() && !matches!(*last, b"." | b".."));
        assert!(
            inner
                .iter()
                .all(|segment| !matches!(*segment, b"" | b"." | b".."))
        );
        assert!(!path.iter().any(u8::is_ascii_control));
    }

    #[test]
    fn fuzz_path() {
        headgate_fuzz::check("path", |bytes| {
            if let Ok(text) = std::str::from_utf8(bytes) {
                is_canonical_once(text);
            }
        });
    }

    proptest! {
        #[test]
        fn the_canonical_path_is_canonical_once(raw in "/([a-c./;%]|%2[eEfF5]|%[4-6][0-9a-f]|%2e|%2f){0,24}") {
            is_canonical_once(&raw);
        }

        #[test]
        fn climbing_is_refused_exactly_when_it_leaves_the_root(segments in proptest::collection::vec(prop_oneof!["a", "\\.\\.", "\\."], 0..10)) {
            let raw = format!("/{}", segments.join("/"));
            let mut depth = 0_i32;
            let leaves = segments.iter().any(|segment| {
                depth += match segment.as_str() { ".." => -1, "." => 0, _ => 1 };
                depth < 0
            });
            prop_assert_eq!(canonical(&raw) == Err(InvalidPath::AboveRoot), leaves);
        }
    }
}
