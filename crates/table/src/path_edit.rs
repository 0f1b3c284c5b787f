//! Changes of paths that keep what is behind a prefix.

use std::sync::Arc;

/// A change of the path of a request (gateway-api.md 3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathEdit {
    /// This path, whatever the request's is.
    Full(Arc<str>),
    /// The segments of `from` become those of `to`.
    Prefix {
        /// The leading segments, without a final slash; empty: none.
        from: Arc<str>,
        /// What replaces them, without a final slash.
        to: Arc<str>,
    },
}

impl PathEdit {
    /// The replacement of a prefix; final slashes make no difference.
    pub fn prefix(from: &str, to: &str) -> Self {
        let trimmed = |text: &str| text.trim_end_matches('/').into();
        Self::Prefix {
            from: trimmed(from),
            to: trimmed(to),
        }
    }

    /// What follows the replaced prefix in `path`; `None` if it does not begin with it, or if the whole path is replaced.
    pub fn rest<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let Self::Prefix { from, .. } = self else {
            return None;
        };
        let rest = path.strip_prefix(from.as_bytes())?;
        (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
    }

    /// The new path, given the encoded `rest` behind the prefix. Never empty.
    pub fn apply(&self, rest: &str) -> String {
        let path = match self {
            Self::Full(path) => path.to_string(),
            Self::Prefix { to, .. } => format!("{to}{rest}"),
        };
        if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_replaced_by_segments() {
        for (path, from, to, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/bar", "/foo", "/", "/bar"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo", "/", "/xyz", "/xyz/foo"),
            ("/", "/", "/xyz", "/xyz/"),
        ] {
            let edit = PathEdit::prefix(from, to);
            let rest = edit.rest(path.as_bytes()).map(String::from_utf8_lossy);
            let new = rest.map(|rest| edit.apply(&rest));
            assert_eq!(new.as_deref(), Some(expected), "{path} {from} {to}");
        }
        assert_eq!(PathEdit::prefix("/foo", "/x").rest(b"/foobar"), None);
        assert_eq!(PathEdit::Full("/a/".into()).apply("/b"), "/a/");
    }
}
