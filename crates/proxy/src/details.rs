//! What log formats and templates of responses read of a request besides its record.

use std::borrow::Cow;

use bytes::Bytes;
use headgate_table::Host;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::values::{self, ConnectionFacts};

/// Kept only if a log format or a template of the response reads it.
#[derive(Default)]
pub(crate) struct Details {
    /// `None` only in tests.
    pub(crate) connection: Option<ConnectionFacts>,
    /// The host that the client requested, also behind a trusted balancer.
    pub(crate) forwarded_host: Option<HeaderValue>,
    /// The scheme that the client used, as upstreams get it; `None` until the request was parsed.
    pub(crate) scheme: Option<HeaderValue>,
    /// The port that the client connected to, likewise.
    pub(crate) port: Option<HeaderValue>,
    /// `Host` as sent.
    pub(crate) host: Option<HeaderValue>,
    /// Canonical host; empty when none was sent.
    pub(crate) name: Box<str>,
    /// Decoded, normalised path.
    pub(crate) path: Box<[u8]>,
    /// Somebody may watch the request as it ends.
    pub(crate) is_watched: bool,
    /// Fields of the client's request.
    pub(crate) request: Fields,
    /// Fields of the response.
    pub(crate) response: Fields,
    /// Fields of the upstream's last response.
    pub(crate) upstream: Fields,
}

impl Details {
    /// Those of a request on `connection`.
    pub(crate) fn new(connection: ConnectionFacts) -> Self {
        Self {
            connection: Some(connection),
            ..Self::default()
        }
    }

    /// Forgets what a request to `host` must not read.
    pub(crate) fn restrict(&mut self, host: &Host) {
        let connection = self.connection.take();
        self.connection = connection.map(|facts| facts.of_host(host));
    }
}

/// Header fields that are kept.
#[derive(Default)]
pub(crate) struct Fields(Vec<(HeaderName, HeaderValue)>);

impl Fields {
    /// Keeps the fields of these names, in place of former values. Several lines of one name are one value.
    pub(crate) fn keep(&mut self, names: &[HeaderName], headers: &HeaderMap) {
        for name in names {
            self.0.retain(|(kept, _)| kept != name);
            if let Some(value) = joined(headers, name) {
                self.0.push((name.clone(), value));
            }
        }
    }

    /// The value of a field that is kept.
    pub(crate) fn find(&self, name: &HeaderName) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(kept, _)| kept == name)?;
        Some(value.as_bytes())
    }
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    match values::joined(headers, name)? {
        Cow::Borrowed(_) => headers.get(name).cloned(),
        Cow::Owned(all) => HeaderValue::from_maybe_shared(Bytes::from(all)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE;

    #[test]
    fn fields_are_joined_and_replaced() {
        let (name, cookie) = (HeaderName::from_static("x-a"), COOKIE);
        let headers = |values: &[&'static str]| -> HeaderMap {
            let fields = values.iter().flat_map(|value| {
                let value = HeaderValue::from_static(value);
                [(name.clone(), value.clone()), (COOKIE, value)]
            });
            let mut headers = HeaderMap::new();
            fields.for_each(|(name, value)| {
                headers.append(name, value);
            });
            headers
        };
        let mut fields = Fields::default();
        let names = [name.clone(), cookie.clone()];
        fields.keep(&names, &headers(&["1", "2"]));
        assert_eq!(fields.find(&name), Some(&b"1, 2"[..]));
        assert_eq!(fields.find(&cookie), Some(&b"1; 2"[..]));
        fields.keep(&names, &headers(&["3"]));
        assert_eq!(fields.find(&name), Some(&b"3"[..]));
        fields.keep(&names, &headers(&[]));
        assert_eq!(fields.find(&name), None);
    }
}
