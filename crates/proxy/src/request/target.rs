//! Request target and host, in the forms that are accepted.

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri, Version};

use super::authority::Authority;
use super::path::InvalidPath;

/// Request target and host as sent, with method and version. Owned (by counted references), so that the head can be edited
/// in place while they are read.
#[derive(Clone, Debug)]
pub(crate) struct RequestTarget {
    /// Never CONNECT or TRACE.
    pub(crate) method: Method,
    /// As received.
    pub(crate) version: Version,
    /// As received; its path begins with `/` or is empty.
    pub(crate) uri: Uri,
    /// The host with its port as sent: of an absolute target, `:authority`, or `Host`. `None`: HTTP/1.0 without one.
    pub(crate) host: Option<HeaderValue>,
}

/// Why a request is refused before routing: the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// CONNECT or TRACE.
    #[error("unsupported method")]
    Method,
    /// Neither a path nor an absolute http or https URL.
    #[error("unsupported form of request target")]
    Target,
    /// Missing, repeated, contradictory or malformed.
    #[error("missing or malformed host")]
    Host,
    #[error(transparent)]
    Path(#[from] InvalidPath),
}

impl Malformed {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Target | Self::Host | Self::Path(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl RequestTarget {
    /// Request target and host of `head`.
    ///
    /// # Errors
    /// Unsupported methods and forms of target (RFC 9112 section 3.2), and hosts that are missing, repeated or contradict
    /// `:authority` (RFC 9113 section 8.3.1).
    pub(crate) fn of(head: &Parts) -> Result<Self, Malformed> {
        if head.method == Method::CONNECT || head.method == Method::TRACE {
            return Err(Malformed::Method);
        }
        check_target(&head.uri)?;
        Ok(Self {
            method: head.method.clone(),
            version: head.version,
            uri: head.uri.clone(),
            host: host(head)?,
        })
    }

    /// The canonical host; empty if none was sent.
    ///
    /// # Errors
    /// Text that is not a host.
    pub(crate) fn name(&self) -> Result<Cow<'_, str>, Malformed> {
        match &self.host {
            None => Ok(Cow::Borrowed("")),
            Some(host) => match Authority::parse(host.as_bytes()) {
                Some(authority) => Ok(authority.name),
                None => Err(Malformed::Host),
            },
        }
    }

    /// The path as sent.
    pub(crate) fn raw_path(&self) -> &str {
        match self.uri.path() {
            "" => "/",
            path => path,
        }
    }

    /// The query as sent, without `?`.
    pub(crate) fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Path and query as sent; begins with `/`.
    pub(crate) fn raw_target(&self) -> Cow<'_, str> {
        let text = self
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        // `http://host?query` has an empty path.
        if text.starts_with('/') {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(format!("/{text}"))
        }
    }
}

fn check_target(uri: &Uri) -> Result<(), Malformed> {
    let form = match (uri.scheme_str(), uri.authority()) {
        (None, None) => uri.path().starts_with('/'),
        (Some("http" | "https"), Some(_)) => uri.path().is_empty() || uri.path().starts_with('/'),
        // The authority form is for CONNECT, and other schemes are not supported.
        _ => false,
    };
    if form { Ok(()) } else { Err(Malformed::Target) }
}

/// The host of the target, or else of the `Host` field (RFC 9112 section 3.2.2).
fn host(head: &Parts) -> Result<Option<HeaderValue>, Malformed> {
    let mut fields = head.headers.get_all(HOST).iter();
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(Malformed::Host);
    }
    let Some(authority) = head.uri.authority() else {
        return match field {
            Some(field) if !field.is_empty() => Ok(Some(field.clone())),
            _ if head.version <= Version::HTTP_10 => Ok(None),
            _ => Err(Malformed::Host),
        };
    };
    match field {
        None if head.version == Version::HTTP_11 => return Err(Malformed::Host),
        Some(field) if head.version >= Version::HTTP_2 && !agree(field, authority.as_str()) => {
            return Err(Malformed::Host);
        }
        _ => {}
    }
    HeaderValue::from_str(authority.as_str())
        .map(Some)
        .map_err(|_| Malformed::Host)
}

fn agree(field: &HeaderValue, authority: &str) -> bool {
    let canonical = |text| Authority::parse(text).map(|parsed| (parsed.name, parsed.port));
    field.as_bytes() == authority.as_bytes()
        || canonical(field.as_bytes())
            .is_some_and(|field| Some(field) == canonical(authority.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use http::Request;

    /// `target | version | Host lines` to `host|raw target`.
    fn line(
        method: &str,
        target: &str,
        version: Version,
        hosts: &[&str],
    ) -> Result<String, Malformed> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let target = RequestTarget::of(&head)?;
        let name = target.name()?;
        Ok(format!("{name}|{}", target.raw_target()))
    }

    #[test]
    fn the_host_of_a_request() {
        let cases: &[(&str, Version, &[&str], &str)] = &[
            ("/x?y", Version::HTTP_11, &["A.test:80"], "a.test|/x?y"),
            ("/", Version::HTTP_10, &[], "|/"),
            ("/", Version::HTTP_10, &[""], "|/"),
            (
                "http://a.test/x",
                Version::HTTP_11,
                &["b.test"],
                "a.test|/x",
            ),
            ("http://a.test", Version::HTTP_11, &["b.test"], "a.test|/"),
            (
                "http://a.test?q",
                Version::HTTP_11,
                &["b.test"],
                "a.test|/?q",
            ),
            ("https://a.test/", Version::HTTP_2, &[], "a.test|/"),
            ("https://a.test/", Version::HTTP_2, &["A.test."], "a.test|/"),
            ("/x?", Version::HTTP_11, &["a"], "a|/x?"),
        ];
        for (target, version, hosts, expected) in cases {
            assert_eq!(
                line("GET", target, *version, hosts).as_deref(),
                Ok(*expected),
                "{target} {hosts:?}"
            );
        }
    }

    #[test]
    fn refused() {
        let cases: &[(&str, &str, Version, &[&str], Malformed)] = &[
            ("GET", "/", Version::HTTP_11, &[], Malformed::Host),
            ("GET", "/", Version::HTTP_11, &[""], Malformed::Host),
            ("GET", "/", Version::HTTP_11, &["a", "a"], Malformed::Host),
            ("GET", "/", Version::HTTP_11, &["a, a"], Malformed::Host),
            ("GET", "/", Version::HTTP_11, &["u@a"], Malformed::Host),
            (
                "GET",
                "http://u@a/",
                Version::HTTP_11,
                &["a"],
                Malformed::Host,
            ),
            ("GET", "http://a/", Version::HTTP_11, &[], Malformed::Host),
            (
                "GET",
                "https://a.test/",
                Version::HTTP_2,
                &["b.test"],
                Malformed::Host,
            ),
            (
                "GET",
                "https://a.test/",
                Version::HTTP_2,
                &["a.test:1"],
                Malformed::Host,
            ),
            (
                "GET",
                "ftp://a/",
                Version::HTTP_11,
                &["a"],
                Malformed::Target,
            ),
            ("GET", "u", Version::HTTP_11, &["a"], Malformed::Target),
            ("GET", "*", Version::HTTP_11, &["a"], Malformed::Target),
            ("OPTIONS", "*", Version::HTTP_11, &["a"], Malformed::Target),
            (
                "CONNECT",
                "a:80",
                Version::HTTP_11,
                &["a"],
                Malformed::Method,
            ),
            ("TRACE", "/", Version::HTTP_11, &["a"], Malformed::Method),
        ];
        for (method, target, version, hosts, error) in cases {
            assert_eq!(
                line(method, target, *version, hosts),
                Err(*error),
                "{method} {target} {hosts:?}"
            );
        }
        assert_eq!(Malformed::Method.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(
            Malformed::Path(InvalidPath::Escape).status(),
            StatusCode::BAD_REQUEST
        );
    }
}
