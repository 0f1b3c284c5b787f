//! Structured texts: names of objects, CORS origins, and rewriting pairs.

use headgate_table::{OriginPattern, ReplaceRule};
use http::{HeaderName, HeaderValue};

use super::ValueError;
use crate::Name;

const OBJECT: &str = "the name of an object, or namespace/name";
const ORIGIN: &str =
    "an origin such as https://app.example.com, https://*.example.com:8443, null or *";
const HEADER_VALUE: &str = "a header value without control characters";
const PAIR: &str = "off, or what to replace and its replacement, separated by a space";

/// A reference to a Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameRef {
    /// The namespace, when written.
    pub(crate) namespace: Option<String>,
    /// The object's name.
    pub(crate) name: String,
}

impl NameRef {
    /// `name` or `namespace/name`, each a valid Kubernetes name.
    pub(crate) fn parse(text: &str) -> Result<Self, ValueError> {
        let invalid = || ValueError::invalid(text, OBJECT);
        let (namespace, name) = match text.trim().split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text.trim()),
        };
        if !is_subdomain(name) || !namespace.is_none_or(is_dns_label) {
            return Err(invalid());
        }
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// `namespace/name`, both written.
    pub(crate) fn full(text: &str) -> Result<Name, ValueError> {
        let parsed = Self::parse(text).ok();
        let full = parsed.and_then(|parsed| Some(Name::new(&parsed.namespace?, &parsed.name)));
        full.ok_or_else(|| ValueError::invalid(text, "namespace/name"))
    }

    /// The namespace of the reference in an object of namespace `own`.
    pub(crate) fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(own)
    }
}

/// A DNS-1123 label: the form of a namespace.
fn is_dns_label(text: &str) -> bool {
    let alphanumeric =
        |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// A DNS-1035 label: the form of a Service name.
pub(crate) fn is_service_name(text: &str) -> bool {
    is_dns_label(text) && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
}

/// A DNS-1123 subdomain: the form of most object names. Labels longer than 63 bytes are legal in it.
fn is_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = label.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes
                .iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// One member of `cors-allow-origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `*`: every origin.
    Any,
    /// One origin, or one whose host begins with any one label.
    Pattern(OriginPattern),
}

impl Origin {
    /// One member of the list: `*`, the literal `null` of sandboxed pages, or a scheme and host with the port when written;
    /// no default port is filled in.
    pub(crate) fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "*" => Ok(Self::Any),
            "null" => Ok(Self::Pattern(OriginPattern::Exact(text.to_owned()))),
            _ => Self::parse_url(text).ok_or_else(|| ValueError::invalid(text, ORIGIN)),
        }
    }

    fn parse_url(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, format!(":{}", parse_port(port)?)),
            None => (authority, String::new()),
        };
        let (suffix, wildcard) = match host.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (host, false),
        };
        if !is_scheme(scheme) || !is_host(suffix) {
            return None;
        }
        Some(Self::Pattern(if wildcard {
            OriginPattern::OneLabel {
                scheme: format!("{scheme}://"),
                suffix: format!(".{suffix}{port}"),
            }
        } else {
            OriginPattern::Exact(format!("{scheme}://{host}{port}"))
        }))
    }
}

fn parse_port(text: &str) -> Option<u16> {
    // `u16::from_str` accepts a plus sign.
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn is_scheme(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(is_label)
}

/// The value of a header field: no control characters (RFC 9110, section 5.5).
pub(crate) fn parse_header_value(text: &str) -> Result<HeaderValue, ValueError> {
    HeaderValue::from_str(text).map_err(|_| ValueError::invalid(text, HEADER_VALUE))
}

/// The name of a header field (RFC 9110, section 5.1).
pub(crate) fn parse_header_name(text: &str) -> Result<HeaderName, ValueError> {
    HeaderName::try_from(text).map_err(|_| ValueError::invalid(text, "a header name"))
}

/// A text and its replacement, as in `proxy-cookie-path: "/old /new"`; `off` is `None`. A regex (`~…`) to replace is
/// invalid: it would never match as plain text.
pub(crate) fn parse_replacement(text: &str) -> Result<Option<ReplaceRule>, ValueError> {
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("off"), None, None) => Ok(None),
        (Some(from), Some(to), None) if !from.starts_with('~') => Ok(Some(ReplaceRule {
            from: from.to_owned(),
            to: to.to_owned(),
        })),
        _ => Err(ValueError::invalid(text, PAIR)),
    }
}
