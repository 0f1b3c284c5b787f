//! Mirroring.

use std::sync::Arc;

use headgate_table as table;
use headgate_table::{FieldEdits, FieldTemplate, MirrorPath, Phase, Template};
use http::HeaderValue;

use crate::build::{UpstreamDraft, UrlAddress};
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, OnInvalid, Reader, When, differences, keys, types};

// It protects nothing: what cannot be used is left out, with a finding.
keys! { Annotation {
    MIRROR_TARGET: String =
        annotation("mirror-target", types::chars(Class::Regex), "URL that gets a copy of each request.")
            .ingress().risk(Risk::High)
            .differs(differences![
                When::Set =>
                    "Copies are bounded in number, never delay the request, and carry no X-Forwarded fields or passwords of the client; in ingress-nginx the connection waits for the mirror.",
                When::Has(&["$uri"]) =>
                    "$uri is the path of the request; in ingress-nginx /_mirror-UID.",
            ]);
    MIRROR_HOST: String =
        annotation("mirror-host", types::chars(Class::Regex), "Host header of the copies; by default that of the URL.")
            .ingress().risk(Risk::High).needs(&[MIRROR_TARGET.row()]);
    MIRROR_REQUEST_BODY: bool =
        annotation("mirror-request-body", types::ON_OFF, "Whether copies have the body.")
            .default("on").ingress().needs(&[MIRROR_TARGET.row()])
            .differs(differences![
                When::Is(&["off"]) =>
                    "Neither body nor Content-Length is sent; ingress-nginx announces the missing body.",
            ]);
} }

/// Variables that begin with a slash, so that they may follow a host.
const PATHS: [&str; 3] = ["request_uri", "uri", "document_uri"];

/// The mirror of an Ingress.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mirror {
    address: UrlAddress,
    policy: Arc<table::Mirror>,
}

impl Mirror {
    /// `None` without `mirror-target`, or if it cannot be used.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let (address, path) = reader.parsed(&MIRROR_TARGET, target)?;
        let own = reader.parsed(&MIRROR_HOST, field);
        let host = match own.map_or_else(|| field(address.host()), Ok) {
            Ok(host) => host,
            Err(reason) => {
                reader.reject(&MIRROR_TARGET, OnInvalid::Ignore, &reason);
                return None;
            }
        };
        let policy = table::Mirror {
            target: address.target(),
            host: Some(host),
            path,
            body: reader.or_default(&MIRROR_REQUEST_BODY),
            share: None,
            edits: FieldEdits::default(),
        };
        Some(Self {
            address,
            policy: Arc::new(policy),
        })
    }

    /// The upstream of the mirror, if it is that of a Service port.
    pub(crate) fn service(&self) -> Option<UpstreamDraft> {
        self.address.service()
    }

    pub(crate) fn policy(&self) -> Arc<table::Mirror> {
        self.policy.clone()
    }
}

/// # Errors
/// Why the URL cannot be used.
fn target(url: &str) -> Result<(UrlAddress, MirrorPath), String> {
    let (address, rest) = match url.split_at_checked(end_of_host(url)) {
        Some((address, path)) if !path.is_empty() => (UrlAddress::split(address)?.0, path),
        _ => UrlAddress::split(url)?,
    };
    if rest.is_empty() {
        return Ok((address, MirrorPath::Same));
    }
    let separator = if rest.starts_with(['/', '$']) {
        ""
    } else {
        "/"
    };
    let text = format!("{separator}{rest}");
    let template = Template::parse(&text).map_err(|error| error.to_string())?;
    let path = match template.as_text() {
        Some(text) => MirrorPath::Fixed(text.into()),
        None => MirrorPath::Template(template),
    };
    Ok((address, path))
}

/// Where a variable that is a path follows the host without a slash; the end of the text if none does.
fn end_of_host(url: &str) -> usize {
    let start = url.find("://").map_or(0, |at| at + 3);
    let authority = url.get(start..).unwrap_or_default();
    let end = authority.find(['/', '?']).unwrap_or(authority.len());
    let variable = authority.find('$').filter(|at| *at < end);
    let is_path = |at: &usize| {
        let name = authority.get(at + 1..).unwrap_or_default();
        let name = name.strip_prefix('{').unwrap_or(name);
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = name.find(|c| !word(c)).unwrap_or(name.len());
        PATHS.contains(&name.get(..length).unwrap_or_default())
    };
    variable.filter(is_path).map_or(url.len(), |at| start + at)
}

/// A value of `Host`.
fn field(text: &str) -> Result<FieldTemplate, String> {
    let value = HeaderValue::from_str(text.trim());
    let value = value.map_err(|_| "it is no field value".to_owned())?;
    FieldTemplate::parse(&value, Phase::Request).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn parts(url: &str) -> (String, String, MirrorPath) {
        let (address, path) = target(url).unwrap();
        let key = address.target().key().as_str().to_owned();
        (address.host().to_owned(), key, path)
    }

    #[test]
    fn a_target_is_an_address_and_a_path() {
        let template = |text| MirrorPath::Template(Template::parse(text).unwrap());
        for (url, host, key, path) in [
            (
                "http://m.example",
                "m.example",
                "http://m.example:80",
                MirrorPath::Same,
            ),
            (
                "http://m.example/",
                "m.example",
                "http://m.example:80",
                MirrorPath::Fixed("/".into()),
            ),
            (
                "https://m.example:8443/a?b=c",
                "m.example",
                "https://m.example:8443",
                MirrorPath::Fixed("/a?b=c".into()),
            ),
            (
                "http://m.example?b",
                "m.example",
                "http://m.example:80",
                MirrorPath::Fixed("/?b".into()),
            ),
            (
                "https://m.example/$request_uri",
                "m.example",
                "https://m.example:443",
                template("/$request_uri"),
            ),
            (
                "http://m.a.svc$request_uri",
                "m.a.svc",
                "a/m/80",
                template("$request_uri"),
            ),
            (
                "http://m:81${uri}?x",
                "m",
                "http://m:81",
                template("${uri}?x"),
            ),
        ] {
            assert_eq!(parts(url), (host.to_owned(), key.to_owned(), path), "{url}");
        }
    }

    #[test]
    fn targets_that_cannot_be_used() {
        for url in [
            "m.example",
            "/mirror",
            "ftp://m.example/",
            "http://$host/x",
            "http://m.$http_x/x",
            "http://m$urix/",
            "http://m/$nonsense",
            "http://m/(.*)$",
        ] {
            assert!(target(url).is_err(), "{url}");
        }
    }
}
