//! Structured texts: names of objects, CORS origins, and rewriting pairs.

use super::ValueError;

const OBJECT: &str = "the name of an object, or namespace/name";
const ORIGIN: &str =
    "an origin such as https://app.example.com, https://*.example.com:8443, null or *";
const PAIR: &str = "off, or what to replace and its replacement, separated by a space";

/// A Secret or ConfigMap an annotation or key names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameRef {
    /// The namespace, when written.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

impl NameRef {
    /// `name` or `namespace/name`, each a valid Kubernetes name.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
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

    /// The namespace meant by an object of namespace `own`.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
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

/// One member of `cors-allow-origin`, lower-cased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `*`: every origin.
    Any,
    /// The literal `null` of sandboxed pages.
    Null,
    /// A scheme and host, with the port when written.
    Exact {
        /// For example `https`.
        scheme: String,
        /// Host name or address.
        host: String,
        /// Has to be equal: no default ports are filled in.
        port: Option<u16>,
    },
    /// As exact, but exactly one label of letters, digits and `-` stands before `.suffix`.
    Subdomain {
        /// For example `https`.
        scheme: String,
        /// What follows `*.`.
        suffix: String,
        /// Has to be equal: no default ports are filled in.
        port: Option<u16>,
    },
}

impl Origin {
    /// One member of the list.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "*" => Ok(Self::Any),
            "null" => Ok(Self::Null),
            _ => Self::parse_url(text).ok_or_else(|| ValueError::invalid(text, ORIGIN)),
        }
    }

    fn parse_url(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (authority, None),
        };
        let (suffix, wildcard) = match host.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (host, false),
        };
        if !is_scheme(scheme) || !is_host(suffix) {
            return None;
        }
        let scheme = scheme.to_owned();
        let host = suffix.to_owned();
        Some(if wildcard {
            Self::Subdomain {
                scheme,
                suffix: host,
                port,
            }
        } else {
            Self::Exact { scheme, host, port }
        })
    }

    /// Whether the value of an `Origin` header is this one. Both ends are anchored, letters compare without case.
    pub fn matches(&self, header: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Null => header == "null",
            Self::Exact { scheme, host, port } => split_origin(header).is_some_and(|(s, h, p)| {
                s.eq_ignore_ascii_case(scheme) && h.eq_ignore_ascii_case(host) && p == *port
            }),
            Self::Subdomain {
                scheme,
                suffix,
                port,
            } => split_origin(header).is_some_and(|(s, h, p)| {
                let Some((label, rest)) = h.split_once('.') else {
                    return false;
                };
                s.eq_ignore_ascii_case(scheme)
                    && is_label(label)
                    && rest.eq_ignore_ascii_case(suffix)
                    && p == *port
            }),
        }
    }
}

fn split_origin(header: &str) -> Option<(&str, &str, Option<u16>)> {
    let (scheme, authority) = header.split_once("://")?;
    match authority.split_once(':') {
        Some((host, port)) => Some((scheme, host, Some(parse_port(port)?))),
        None => Some((scheme, authority, None)),
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

/// A text to look for and its replacement, as in `proxy-cookie-path: "/old /new"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// Explicitly nothing.
    Off,
    /// Replace `from` by `to`.
    Replace {
        /// What to look for.
        from: String,
        /// What to put there.
        to: String,
    },
}

impl Rewrite {
    /// `off`, or two words. A `from` that is a regex (`~…`) is refused: it would never match as plain text.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let mut words = text.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("off"), None, None) => Ok(Self::Off),
            (Some(from), Some(to), None) if !from.starts_with('~') => Ok(Self::Replace {
                from: from.to_owned(),
                to: to.to_owned(),
            }),
            _ => Err(ValueError::invalid(text, PAIR)),
        }
    }
}

/// What `proxy-redirect-from` and `proxy-redirect-to` mean together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectRewrite {
    /// `Location` and `Refresh` pass unchanged.
    Off,
    /// The upstream's own address at the start of `Location` is replaced by the Ingress path.
    Default,
    /// A leading `from` is replaced by `to`.
    Replace {
        /// What to look for.
        from: String,
        /// What to put there.
        to: String,
    },
}

impl RedirectRewrite {
    /// `to` counts only when `from` is neither `off` nor `default`, and is itself not `off`.
    pub fn new(from: &str, to: &str) -> Self {
        match (from.trim(), to.trim()) {
            ("" | "off", _) => Self::Off,
            ("default", _) => Self::Default,
            (_, "" | "off") => Self::Off,
            (from, to) => Self::Replace {
                from: from.to_owned(),
                to: to.to_owned(),
            },
        }
    }
}
