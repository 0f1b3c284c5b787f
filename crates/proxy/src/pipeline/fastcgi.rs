//! The parameters of requests to FastCGI endpoints: those that nginx sends by default, the configured ones, and the fields of
//! the request (behaviour.md 1.12).

use headgate_table::{Piece, Template, Variable};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;

use super::spoofable_headers;
use crate::request::Context;
use crate::upstream::{Length, Params};
use crate::values;

/// Path and query that the application gets: those of the client, or rewritten.
pub(super) struct Script {
    /// Decoded.
    path: Vec<u8>,
    /// The path, with the index of a directory.
    name: Vec<u8>,
    query: String,
}

impl Script {
    /// Of a request to `target`; `None`: it is not rewritten.
    pub(super) fn of(context: &Context<'_>, target: Option<&PathAndQuery>) -> Self {
        let (path, query) = match target {
            Some(target) => (
                percent_decode(target.path().as_bytes()).collect(),
                target.query(),
            ),
            None => (context.parsed.path.to_vec(), context.parsed.target.query()),
        };
        let configured = context.route.policy.forwarding.fastcgi.as_ref();
        let index = configured.and_then(|configured| configured.index.as_deref());
        let mut name = path.clone();
        if path.ends_with(b"/") {
            name.extend_from_slice(index.unwrap_or_default().as_bytes());
        }
        Self {
            path,
            name,
            query: query.unwrap_or_default().to_owned(),
        }
    }

    /// The parameters for a request with this head, whose fields are final, and a body of this length.
    pub(super) fn params(&self, context: &Context<'_>, head: &Parts, length: Length) -> Params {
        let mut writer = Writer {
            script: self,
            context,
            value: Vec::with_capacity(64),
            params: Params::default(),
        };
        writer.standard(head, length);
        let configured = context.route.policy.forwarding.fastcgi.as_deref();
        let configured = configured.map_or(&[][..], |configured| &configured.params);
        for (name, template) in configured {
            writer.configured(name, template);
        }
        let is_configured = |name: &str| configured.iter().any(|(other, _)| **other == *name);
        for name in head.headers.keys() {
            if let Some(parameter) = of_field(name, &head.headers)
                && !is_configured(&parameter)
            {
                let value = values::joined(&head.headers, name);
                let value = value.as_deref().unwrap_or_default();
                writer.params.add(parameter.as_bytes(), value);
            }
        }
        writer.params
    }
}

/// The parameter of a field. `None`: it is not passed, because it is for the connection, or because another field would have the
/// same parameter.
fn of_field(name: &HeaderName, headers: &HeaderMap) -> Option<String> {
    let text = name.as_str();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_later = |other: &HeaderName| {
        spoofable_headers::is_spelling(other, name) && other.as_str() < name.as_str()
    };
    let hidden = *name == CONNECTION
        || *name == UPGRADE
        || !text.bytes().all(is_plain) && headers.keys().any(is_later);
    let letter = |byte: u8| match byte.to_ascii_uppercase() {
        letter if letter.is_ascii_alphanumeric() => char::from(letter),
        _ => '_',
    };
    (!hidden).then(|| "HTTP_".chars().chain(text.bytes().map(letter)).collect())
}

/// Collects parameters.
struct Writer<'w, 'c> {
    script: &'w Script,
    context: &'w Context<'c>,
    /// The value in progress.
    value: Vec<u8>,
    params: Params,
}

impl Writer<'_, '_> {
    /// Those of every request, in the order of nginx.
    fn standard(&mut self, head: &Parts, length: Length) {
        let script = self.script;
        let kind = values::joined(&head.headers, &CONTENT_TYPE);
        let empty = head.headers.contains_key(CONTENT_LENGTH);
        let length = match length {
            Length::Exact(length) => length.to_string(),
            Length::None if empty => "0".to_owned(),
            Length::None | Length::Unknown => String::new(),
        };
        self.add("QUERY_STRING", script.query.as_bytes());
        self.add("REQUEST_METHOD", head.method.as_str().as_bytes());
        self.add("CONTENT_TYPE", kind.as_deref().unwrap_or_default());
        self.add("CONTENT_LENGTH", length.as_bytes());
        self.add("SCRIPT_NAME", &script.name);
        self.variable("REQUEST_URI", &Variable::RequestUri);
        self.add("DOCUMENT_URI", &script.path);
        self.add("DOCUMENT_ROOT", DOCUMENT_ROOT);
        self.variable("SERVER_PROTOCOL", &Variable::ServerProtocol);
        self.variable("REQUEST_SCHEME", &Variable::Scheme);
        if self.context.https() {
            self.add("HTTPS", b"on");
        }
        self.add("GATEWAY_INTERFACE", b"CGI/1.1");
        // Applications look for "nginx" in it.
        self.add("SERVER_SOFTWARE", b"nginx/1.27.1");
        for (name, variable) in OF_CONNECTION {
            self.variable(name, variable);
        }
        self.add("REDIRECT_STATUS", b"200");
    }

    fn add(&mut self, name: &str, value: &[u8]) {
        self.params.add(name.as_bytes(), value);
    }

    fn variable(&mut self, name: &str, variable: &Variable) {
        self.value.clear();
        values::write(variable, self.context, &mut self.value);
        self.params.add(name.as_bytes(), &self.value);
    }

    /// A configured one. Its variables of the path and the query are those after a rewrite.
    fn configured(&mut self, name: &str, template: &Template) {
        self.value.clear();
        for piece in template.pieces() {
            let own = match piece {
                Piece::Variable(Variable::FastCgiScriptName) => &self.script.name,
                Piece::Variable(Variable::Uri) => &self.script.path,
                Piece::Variable(Variable::Args) => self.script.query.as_bytes(),
                piece => {
                    self.context.expand_piece(piece, None, &mut self.value);
                    continue;
                }
            };
            self.value.extend_from_slice(own);
        }
        self.params.add(name.as_bytes(), &self.value);
    }
}

/// That of nginx without a configured root, and the value of `$document_root`.
const DOCUMENT_ROOT: &[u8] = b"/usr/local/nginx/html";

const OF_CONNECTION: &[(&str, &Variable)] = &[
    ("REMOTE_ADDR", &Variable::RemoteAddr),
    ("REMOTE_PORT", &Variable::RemotePort),
    ("SERVER_ADDR", &Variable::ServerAddr),
    ("SERVER_PORT", &Variable::ServerPort),
    ("SERVER_NAME", &Variable::ServerName),
];

#[cfg(test)]
mod tests;
