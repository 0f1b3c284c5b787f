//! Text with variables, parsed once: hash keys, header values, rewrite targets.

use std::fmt;

use http::HeaderName;

/// Text with variables, e.g. `$request_uri` or `user-$http_x_user`. The data plane evaluates it for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    source: String,
}

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Literal text.
    Text(String),
    /// `$1`..`$9`: a capture group of the matched path; empty if the group does not exist.
    Capture(usize),
    /// A named variable or named capture group.
    Variable(Variable),
}

/// A variable of a template, named as in nginx log formats. Any other name is [`Variable::Named`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `$remote_addr`: the client address as text.
    RemoteAddr,
    /// `$binary_remote_addr`: the client address as bytes; as a key, equal to `$remote_addr`.
    BinaryRemoteAddr,
    /// `$remote_port`: the client's port.
    RemotePort,
    /// `$host`: the canonical host of the request, without port.
    Host,
    /// `$http_host` is [`Variable::Header`]; `$best_http_host`: the Host header as forwarded.
    BestHttpHost,
    /// `$request_uri`: the raw path and query.
    RequestUri,
    /// `$uri` and `$document_uri`: the decoded, normalised path.
    Uri,
    /// `$args` and `$query_string`: the raw query.
    Args,
    /// `$is_args`: `?` when there is a query.
    IsArgs,
    /// `$request_method`.
    RequestMethod,
    /// `$scheme`: the scheme of the listener.
    Scheme,
    /// `$pass_access_scheme`: the scheme after forwarded header fields are applied.
    PassAccessScheme,
    /// `$server_port`: the port of the listener.
    ServerPort,
    /// `$pass_server_port`: the port sent to the upstream.
    PassServerPort,
    /// `$server_name`: the configured name of the host.
    ServerName,
    /// `$server_protocol`, such as `HTTP/1.1`.
    ServerProtocol,
    /// `$request_id` and `$req_id`.
    RequestId,
    /// `$content_length`.
    ContentLength,
    /// `$content_type`.
    ContentType,
    /// `$namespace` of the matched route's object.
    Namespace,
    /// `$ingress_name` of the matched route's object.
    ObjectName,
    /// `$service_name` of the matched route.
    ServiceName,
    /// `$service_port` of the matched route.
    ServicePort,
    /// `$location_path` of the matched route.
    LocationPath,
    /// `$proxy_upstream_name`, `<namespace>-<service>-<port>`; `$proxy_host` is the same name.
    ProxyUpstreamName,
    /// `$http_<name>`: a request header.
    Header(HeaderName),
    /// `$cookie_<name>`.
    Cookie(String),
    /// `$arg_<name>`: a query argument.
    Arg(String),
    /// Any other name: a named capture group of the path's regex, else empty.
    Named(String),
}

/// Why text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` without `}`.
    #[error("\"${{\" without \"}}\"")]
    Unclosed,
    /// A `$` without a name after it.
    #[error("\"$\" is not followed by a variable name")]
    NoName,
    /// `$http_<name>` where the name is not a valid field name.
    #[error("variable \"${0}\" does not name a header")]
    Header(String),
}

impl Template {
    /// Parses `$name`, `${name}` and `$1`..`$9` in `source`; everything else is literal.
    ///
    /// # Errors
    /// A `$` without a variable name after it, an unclosed `${`, or `$http_` without a valid field name.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some(at) = rest.find('$') {
            let (text, after) = rest.split_at(at);
            push_text(&mut pieces, text);
            let (name, after) = name(after.get(1..).unwrap_or_default())?;
            pieces.push(piece(name)?);
            rest = after;
        }
        push_text(&mut pieces, rest);
        Ok(Self {
            pieces,
            source: source.to_owned(),
        })
    }

    /// A template of literal `text`, in which `$` has no meaning.
    pub fn literal(text: &str) -> Self {
        let mut pieces = Vec::new();
        push_text(&mut pieces, text);
        Self {
            pieces,
            source: text.to_owned(),
        }
    }

    /// `$binary_remote_addr`: the default key of limits.
    pub fn binary_remote_addr() -> Self {
        let pieces = vec![Piece::Variable(Variable::BinaryRemoteAddr)];
        Self {
            pieces,
            source: "$binary_remote_addr".to_owned(),
        }
    }

    /// The parts in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The source text of the template.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The variable, if the template consists of exactly one.
    pub fn only_variable(&self) -> Option<&Variable> {
        match self.pieces.as_slice() {
            [Piece::Variable(variable)] => Some(variable),
            _ => None,
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// Splits the variable name at the start of `text` from what follows it.
fn name(text: &str) -> Result<(&str, &str), TemplateError> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').ok_or(TemplateError::Unclosed);
    }
    // A capture is one digit: `$10` is group 1 and the text "0".
    let end = if text.starts_with(|c: char| c.is_ascii_digit()) {
        1
    } else {
        text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(text.len())
    };
    if end == 0 {
        Err(TemplateError::NoName)
    } else {
        Ok(text.split_at(end))
    }
}

fn piece(name: &str) -> Result<Piece, TemplateError> {
    if let [digit @ b'0'..=b'9'] = name.as_bytes() {
        return Ok(Piece::Capture(usize::from(digit - b'0')));
    }
    Ok(Piece::Variable(variable(name)?))
}

fn variable(name: &str) -> Result<Variable, TemplateError> {
    if let Some(header) = name.strip_prefix("http_") {
        let header = header.replace('_', "-");
        return HeaderName::from_bytes(header.as_bytes())
            .map(Variable::Header)
            .map_err(|_| TemplateError::Header(name.to_owned()));
    }
    if let Some(cookie) = name.strip_prefix("cookie_") {
        return Ok(Variable::Cookie(cookie.to_owned()));
    }
    if let Some(arg) = name.strip_prefix("arg_") {
        return Ok(Variable::Arg(arg.to_owned()));
    }
    Ok(match name {
        "remote_addr" | "the_real_ip" => Variable::RemoteAddr,
        "binary_remote_addr" => Variable::BinaryRemoteAddr,
        "remote_port" => Variable::RemotePort,
        "host" => Variable::Host,
        "best_http_host" => Variable::BestHttpHost,
        "request_uri" => Variable::RequestUri,
        "uri" | "document_uri" => Variable::Uri,
        "args" | "query_string" => Variable::Args,
        "is_args" => Variable::IsArgs,
        "request_method" => Variable::RequestMethod,
        "scheme" => Variable::Scheme,
        "pass_access_scheme" => Variable::PassAccessScheme,
        "server_port" => Variable::ServerPort,
        "pass_server_port" | "pass_port" => Variable::PassServerPort,
        "server_name" => Variable::ServerName,
        "server_protocol" => Variable::ServerProtocol,
        "request_id" | "req_id" => Variable::RequestId,
        "content_length" => Variable::ContentLength,
        "content_type" => Variable::ContentType,
        "namespace" => Variable::Namespace,
        "ingress_name" => Variable::ObjectName,
        "service_name" => Variable::ServiceName,
        "service_port" => Variable::ServicePort,
        "location_path" => Variable::LocationPath,
        "proxy_upstream_name" | "proxy_host" => Variable::ProxyUpstreamName,
        other => Variable::Named(other.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn text_captures_and_variables_in_order() {
        let template = Template::parse("/$1-${host}/x$http_x_user").unwrap();
        assert_eq!(
            template.pieces(),
            [
                Piece::Text("/".into()),
                Piece::Capture(1),
                Piece::Text("-".into()),
                Piece::Variable(Variable::Host),
                Piece::Text("/x".into()),
                Piece::Variable(Variable::Header(HeaderName::from_static("x-user"))),
            ]
        );
    }

    #[test]
    fn a_capture_is_one_digit() {
        assert_eq!(
            Template::parse("$10").unwrap().pieces(),
            [Piece::Capture(1), Piece::Text("0".into())]
        );
    }

    #[test]
    fn broken_text_is_refused() {
        assert_eq!(Template::parse("a$"), Err(TemplateError::NoName));
        assert_eq!(Template::parse("${host"), Err(TemplateError::Unclosed));
        assert_eq!(
            Template::parse("$http_"),
            Err(TemplateError::Header("http_".into()))
        );
    }

    #[test]
    fn a_literal_keeps_its_dollars() {
        assert_eq!(
            Template::literal("a$b").pieces(),
            [Piece::Text("a$b".into())]
        );
    }
}
