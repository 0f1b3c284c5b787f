//! The URL of the request to explain.

use std::ffi::OsStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use http::uri::Authority;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// What a URL must look like.
const EXPECTED: &str = "expected a URL such as https://shop.example/cart, or tcp://shop.example:5432 for a TCP or UDP service";

/// A URL with a host. User information is no part of it: clients send it in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestUrl {
    pub(crate) url: Uri,
    /// `Authorization` for the user information, as curl sends it.
    pub(crate) authorization: Option<HeaderValue>,
}

impl RequestUrl {
    /// Parses a URL; without a scheme it is one of http. The reason of an error never has the text in it, which may contain a
    /// password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let full = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let expected = || EXPECTED.to_owned();
        let url: Uri = full.parse().map_err(|_| expected())?;
        let authority = url.authority().ok_or_else(expected)?;
        let text = authority.as_str();
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, text),
        };
        let port = place.strip_prefix(authority.host()).unwrap_or_default();
        let is_port = matches!(port, "" | ":") || authority.port_u16().is_some();
        if authority.host().is_empty() || !is_port {
            return Err(expected());
        }
        match (url.scheme_str(), user) {
            (Some("http" | "https"), None) => Ok(Self {
                url,
                authorization: None,
            }),
            (Some("http" | "https"), Some(user)) => Ok(Self {
                authorization: Some(authorization(user).ok_or_else(expected)?),
                url: without_user(url).ok_or_else(expected)?,
            }),
            (Some("tcp" | "udp"), None) if url.port_u16().is_none() => Err(
                "the port is missing: expected a URL such as tcp://shop.example:5432".to_owned(),
            ),
            (Some("tcp" | "udp"), None) if url.path_and_query().is_none_or(|path| path == "/") => {
                Ok(Self {
                    url,
                    authorization: None,
                })
            }
            _ => Err(expected()),
        }
    }

    /// Parses the argument of the command.
    pub(crate) fn argument() -> impl TypedValueParser<Value = Self> {
        Argument
    }
}

/// As [`RequestUrl::parse`]; a message about an invalid URL shows no user information.
#[derive(Clone)]
struct Argument;

impl TypedValueParser for Argument {
    type Value = RequestUrl;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<RequestUrl, clap::Error> {
        let text = value
            .to_str()
            .ok_or_else(|| clap::Error::new(ErrorKind::InvalidUtf8).with_cmd(command))?;
        RequestUrl::parse(text).map_err(|reason| {
            let shown = hidden(text);
            let message = format!(
                "invalid value '{shown}' for '<URL>': {reason}\n\nFor more information, try '--help'.\n"
            );
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

/// The text with everything hidden that may be user information, also where the text is not a URL.
fn hidden(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let separator = if scheme.is_empty() { "" } else { "://" };
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}{separator}(hidden)@{rest}"),
        None => text.to_owned(),
    }
}

/// Basic credentials (RFC 7617). A user without a colon has an empty password.
fn authorization(user: &str) -> Option<HeaderValue> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let credentials = [&*decoded(name), b":", &*decoded(password)].concat();
    let encoded = BASE64_STANDARD.encode(credentials);
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn without_user(url: Uri) -> Option<Uri> {
    let mut parts = url.into_parts();
    let authority = parts.authority.take()?;
    let (_, host) = authority.as_str().rsplit_once('@')?;
    parts.authority = Some(host.parse::<Authority>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn parsed(text: &str) -> (String, String) {
        let RequestUrl { url, authorization } = RequestUrl::parse(text).unwrap();
        let value = authorization.map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        (url.to_string(), value)
    }

    #[test]
    fn user_information_becomes_a_field() {
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        assert_eq!(
            parsed("http://a:b@shop.example:8080/x?y"),
            ("http://shop.example:8080/x?y".to_owned(), basic("a:b"))
        );
        assert_eq!(
            parsed("a%40b:c%3A@shop.example"),
            ("http://shop.example/".to_owned(), basic("a@b:c:"))
        );
        assert_eq!(parsed("https://a@shop.example/").1, basic("a:"));
        assert_eq!(parsed("shop.example/a@b").1, "");
    }

    #[test]
    fn ports_of_services_need_no_path() {
        assert_eq!(
            parsed("tcp://shop.example:5432").0,
            "tcp://shop.example:5432/"
        );
        for wrong in [
            "tcp://shop.example",
            "udp://a:b@shop.example:53",
            "tcp://shop.example:5432/a",
            "ftp://shop.example/",
            "http://",
            "http:///a",
            "http://a:x/",
            "http://a:99999/",
            "",
        ] {
            assert!(RequestUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn messages_hide_user_information() {
        for text in [
            "http://u:secret@host:x/",
            "u:secret@host:x",
            "ftp://u:sec/ret@host/",
        ] {
            assert!(RequestUrl::parse(text).is_err(), "{text}");
            let shown = hidden(text);
            assert!(!shown.contains("sec") && shown.contains("host"), "{shown}");
        }
        assert_eq!(hidden("ftp://host/"), "ftp://host/");
    }
}
