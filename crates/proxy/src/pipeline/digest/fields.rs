//! The fields of Digest credentials.

/// Values without quotes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) username: Vec<u8>,
    pub(super) realm: Vec<u8>,
    pub(super) nonce: Vec<u8>,
    pub(super) uri: Vec<u8>,
    pub(super) qop: Vec<u8>,
    pub(super) nc: Vec<u8>,
    pub(super) cnonce: Vec<u8>,
    pub(super) response: Vec<u8>,
    pub(super) algorithm: Vec<u8>,
}

impl Fields {
    /// The fields of `Authorization: Digest …`; `None` if it is not of this form or a field is missing.
    pub(super) fn parse(field: &[u8]) -> Option<Self> {
        const SCHEME: &[u8] = b"digest ";
        let (scheme, mut rest) = field.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let mut fields = Self::default();
        loop {
            rest = skip(rest);
            if rest.is_empty() {
                break;
            }
            let equals = rest.iter().position(|byte| *byte == b'=')?;
            let (name, after) = (rest.get(..equals)?, rest.get(equals + 1..)?);
            let (value, after) = value(after)?;
            // One that comes twice could mean different things to different readers.
            if let Some(place) = fields.place(name) {
                if !place.is_empty() {
                    return None;
                }
                *place = value;
            }
            rest = after;
        }
        fields.is_complete().then_some(fields)
    }

    /// Whether they are for `realm` and `target`. Some clients leave out the query of the target.
    pub(super) fn fit(&self, realm: &str, target: &str) -> bool {
        let target = target.as_bytes();
        let rest = target.strip_prefix(self.uri.as_slice());
        let is_target = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'?')));
        self.realm == realm.as_bytes() && is_target
    }

    fn place(&mut self, name: &[u8]) -> Option<&mut Vec<u8>> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"username" => &mut self.username,
            b"realm" => &mut self.realm,
            b"nonce" => &mut self.nonce,
            b"uri" => &mut self.uri,
            b"qop" => &mut self.qop,
            b"nc" => &mut self.nc,
            b"cnonce" => &mut self.cnonce,
            b"response" => &mut self.response,
            b"algorithm" => &mut self.algorithm,
            _ => return None,
        })
    }

    fn is_complete(&self) -> bool {
        let has_all = [&self.username, &self.nonce, &self.uri, &self.cnonce];
        let is_hexadecimal =
            |text: &[u8], length| text.len() == length && text.iter().all(u8::is_ascii_hexdigit);
        let is_md5 = self.algorithm.is_empty() || self.algorithm.eq_ignore_ascii_case(b"md5");
        // It is sent back in quotes.
        let is_quotable = !self.cnonce.iter().any(|byte| matches!(byte, b'"' | b'\\'));
        has_all.iter().all(|text| !text.is_empty())
            && self.qop == b"auth"
            && is_hexadecimal(&self.nc, 8)
            && is_hexadecimal(&self.response, 32)
            && is_md5
            && is_quotable
    }
}

/// Skips white space and commas.
fn skip(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t' | b','));
    start
        .and_then(|start| text.get(start..))
        .unwrap_or_default()
}

/// A token or quoted string, and what follows it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text
            .iter()
            .position(|byte| matches!(byte, b' ' | b'\t' | b','));
        let (token, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        return Some((token.to_vec(), rest));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, quoted.get(at + 1..)?)),
            b'\\' => value.push(*bytes.next()?.1),
            _ => value.push(*byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    const REST: &str = "qop=auth, nc=00000001,cnonce=\"c\" , response=\"0123456789abcdef0123456789abcdef\", opaque=\"\"";

    fn parse(start: &str) -> Option<Fields> {
        Fields::parse(format!("Digest {start}{REST}").as_bytes())
    }

    #[test]
    fn quoted_strings_and_tokens() {
        let fields = parse("UserName=\"a\\\"b, c\", realm=\"\",nonce=n, uri=\"/x?a=1\",").unwrap();
        assert_eq!(fields.username, b"a\"b, c");
        assert_eq!(
            (fields.realm.as_slice(), fields.nonce.as_slice()),
            (&b""[..], &b"n"[..])
        );
        assert!(fields.fit("", "/x?a=1"));
    }

    #[test]
    fn incomplete_fields_are_none() {
        for start in [
            "",
            "username=a, nonce=n, ",
            "username=a, username=b, nonce=n, uri=/, ",
            "username=\"a, nonce=n, uri=/, ",
            "username=a, nonce=n, uri=/, algorithm=SHA-256, ",
            "username, nonce=n, uri=/, ",
        ] {
            assert_eq!(parse(start), None, "{start}");
        }
        assert!(parse("username=a, nonce=n, uri=/, algorithm=MD5, ").is_some());
        assert_eq!(Fields::parse(b"Basic YTpi"), None);
        assert_eq!(Fields::parse(b"Digest"), None);
    }

    #[test]
    fn the_target_is_that_of_the_request() {
        let fields = parse("username=a, realm=r, nonce=n, uri=\"/x\", ").unwrap();
        for (realm, target, fits) in [
            ("r", "/x", true),
            ("r", "/x?a", true),
            ("r", "/xy", false),
            ("r", "/", false),
            ("q", "/x", false),
        ] {
            assert_eq!(fields.fit(realm, target), fits, "{realm} {target}");
        }
    }

    /// Fields can be sent again, in quotes, and what is sent back in quotes stays in them.
    fn is_sendable(field: &[u8]) {
        let Some(read) = Fields::parse(field) else {
            return;
        };
        assert!(!read.cnonce.contains(&b'"') && read.response.len() == 32);
        let quoted = |text: &[u8]| {
            let escape = |byte: &u8| match byte {
                b'"' | b'\\' => vec![b'\\', *byte],
                _ => vec![*byte],
            };
            let inner: Vec<u8> = text.iter().flat_map(escape).collect();
            [b"\"", &inner[..], b"\""].concat()
        };
        let mut sent = b"Digest ".to_vec();
        for (name, value) in [
            ("username", &read.username),
            ("realm", &read.realm),
            ("nonce", &read.nonce),
            ("uri", &read.uri),
            ("qop", &read.qop),
            ("nc", &read.nc),
            ("cnonce", &read.cnonce),
            ("response", &read.response),
            ("algorithm", &read.algorithm),
        ] {
            sent.extend([name.as_bytes(), b"=", &quoted(value), b", "].concat());
        }
        assert_eq!(Fields::parse(&sent), Some(read));
    }

    #[test]
    fn fuzz_digest_credentials() {
        headgate_fuzz::check("digest-credentials", is_sendable);
    }
}
