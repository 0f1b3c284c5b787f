//! From the text of a snippet to its directives.

use super::directive::{Directive, LocationPath, Placed};
use super::fields::Edit;
use super::harmless::is_harmless;
use super::place::Place;
use super::syntax::{self, Written};
use super::values::shown;
use super::{Remark, Snippet, address, conditions, fields, forward, responses, rewrites};
use crate::Severity;

/// A snippet as read: what is understood, what is not, and whether that closes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) snippet: Snippet,
    pub(crate) remarks: Vec<Remark>,
    /// Why what the snippet is written for must not be served.
    pub(crate) closed: Option<String>,
}

/// Reads `text`, which is written in `place`.
pub(crate) fn read(text: &str, place: Place) -> Reading {
    read_beside(text, place, &[])
}

/// The same beside servers of these ports.
pub(crate) fn read_beside(text: &str, place: Place, ports: &[u16]) -> Reading {
    let mut reader = Reader {
        ports,
        remarks: Vec::new(),
        closed: None,
    };
    match syntax::parse(text) {
        Ok(written) => {
            let directives = reader.all(&written, place);
            Reading {
                snippet: Snippet {
                    directives,
                    key: None,
                },
                remarks: reader.remarks,
                closed: reader.closed,
            }
        }
        Err(error) => Reading {
            closed: Some(error.to_string()),
            ..Reading::default()
        },
    }
}

struct Reader<'a> {
    /// Ports of HTTP and HTTPS.
    ports: &'a [u16],
    remarks: Vec<Remark>,
    closed: Option<String>,
}

impl Reader<'_> {
    fn all(&mut self, written: &[Written], place: Place) -> Vec<Placed> {
        let mut all = Vec::new();
        for written in written {
            match self.one(written, place) {
                Ok(placed) => {
                    self.remark(&placed);
                    all.push(placed);
                }
                Err(reason) => self.reject(written, &reason),
            }
        }
        all
    }

    /// Says what a directive does not do.
    fn remark(&mut self, placed: &Placed) {
        if placed.directive == Directive::OtherPorts {
            let message = format!(
                "line {}: {}: its port is not served here; routes are not affected",
                placed.line, placed.name
            );
            self.remarks.push(Remark {
                severity: Severity::Warning,
                message,
                key: None,
            });
        }
    }

    /// Reports a directive that is not honoured, and closes if it could restrict.
    fn reject(&mut self, written: &Written, reason: &str) {
        let message = format!("line {}: {}: {reason}", written.line, shown(&written.name));
        if is_harmless(&written.name) {
            self.remarks.push(Remark {
                severity: Severity::Warning,
                message: format!("{message}; the rest is served without it"),
                key: None,
            });
        } else {
            self.closed.get_or_insert(message);
        }
    }

    fn one(&mut self, written: &Written, place: Place) -> Result<Placed, String> {
        let Some((name, kind)) = known(&written.name) else {
            return Err("not supported".to_owned());
        };
        if !kind.allowed(place) {
            return Err(format!("nginx does not allow it in {place}"));
        }
        if written.block.is_some() != kind.has_block() {
            let expected = if kind.has_block() {
                "expected"
            } else {
                "unexpected"
            };
            return Err(format!("{expected} block"));
        }
        Ok(Placed {
            line: written.line,
            name,
            directive: self.directive(kind, written, place)?,
        })
    }

    fn directive(
        &mut self,
        kind: Kind,
        written: &Written,
        place: Place,
    ) -> Result<Directive, String> {
        let arguments = written.arguments.as_slice();
        match kind {
            Kind::SetOutput => fields::output(Edit::Set, arguments),
            Kind::ClearOutput => fields::output(Edit::Clear, arguments),
            Kind::SetInput => fields::input(Edit::Set, arguments),
            Kind::ClearInput => fields::input(Edit::Clear, arguments),
            Kind::Add => fields::add(arguments),
            Kind::Expires => fields::expires(arguments),
            Kind::RequestField => fields::request_field(arguments, Directive::RequestField),
            Kind::GrpcField => fields::request_field(arguments, Directive::GrpcField),
            Kind::HttpVersion => forward::http_version(arguments),
            Kind::OtherServer => other_server(written, self.ports),
            Kind::Hide => fields::response_field(arguments).map(Directive::Hide),
            Kind::Pass => fields::response_field(arguments).map(Directive::Pass),
            Kind::DefaultType => responses::default_type(arguments),
            Kind::Return => responses::fixed(arguments),
            Kind::Rewrite => rewrites::rewrite(arguments),
            Kind::Set => rewrites::set(arguments),
            Kind::Break if arguments.is_empty() => Ok(Directive::Break),
            Kind::Break => Err("unexpected words".to_owned()),
            Kind::Allow => address::rule(true, arguments),
            Kind::Deny => address::rule(false, arguments),
            Kind::Forward => forward::forward(&written.name, arguments),
            Kind::Verify => forward::verify(arguments),
            Kind::Gzip => forward::gzip(&written.name, arguments),
            Kind::AccessLog => forward::access_log(arguments),
            Kind::Password => forward::no_password(arguments),
            Kind::Inert => Ok(Directive::Nothing),
            Kind::Map => rewrites::map(written),
            Kind::If => {
                let condition = conditions::condition(arguments)?;
                let inside = place.inside_if().ok_or("unexpected")?;
                Ok(Directive::If(condition, self.block(written, inside)))
            }
            Kind::Location => {
                let path = location(arguments)?;
                Ok(Directive::Location(
                    path,
                    self.block(written, Place::OwnLocation),
                ))
            }
        }
    }

    fn block(&mut self, written: &Written, place: Place) -> Vec<Placed> {
        self.all(written.block.as_deref().unwrap_or_default(), place)
    }
}

fn location(arguments: &[String]) -> Result<LocationPath, String> {
    let expression = |source: &str, insensitive: bool| {
        let compile = if insensitive {
            headgate_table::Pattern::case_insensitive
        } else {
            headgate_table::Pattern::new
        };
        let compiled =
            compile(source).map_err(|error| format!("\"{}\": {error}", shown(source)))?;
        Ok(LocationPath::Expression(compiled))
    };
    let prefix = |path: &str, before_expressions| LocationPath::Prefix {
        path: path.to_owned(),
        before_expressions,
    };
    match arguments {
        [modifier, path] => match modifier.as_str() {
            "=" => Ok(LocationPath::Exact(path.clone())),
            "^~" => Ok(prefix(path, true)),
            "~" => expression(path, false),
            "~*" => expression(path, true),
            other => Err(format!("\"{}\" is not a modifier", shown(other))),
        },
        [path] => {
            // The modifier may be written without a space.
            if let Some(path) = path.strip_prefix("^~") {
                return Ok(prefix(path, true));
            }
            if let Some(path) = path.strip_prefix('=') {
                return Ok(LocationPath::Exact(path.to_owned()));
            }
            if let Some(source) = path.strip_prefix("~*") {
                return expression(source, true);
            }
            if let Some(source) = path.strip_prefix('~') {
                return expression(source, false);
            }
            if !path.starts_with('/') {
                return Err(format!("\"{}\" does not begin with a slash", shown(path)));
            }
            Ok(prefix(path, false))
        }
        _ => Err("expected a path, perhaps with a modifier before it".to_owned()),
    }
}

/// A server of other ports, which are not served here. One of `ports` would take requests from hosts.
fn other_server(written: &Written, ports: &[u16]) -> Result<Directive, String> {
    let inner = written.block.as_deref().unwrap_or_default();
    let mut listens = inner
        .iter()
        .filter(|inner| inner.name == "listen")
        .peekable();
    let is_other = |listen: &Written| {
        let address = listen.arguments.first().map_or("", String::as_str);
        let port = address.rsplit(':').next().unwrap_or_default();
        port.parse::<u16>().is_ok_and(|port| !ports.contains(&port))
    };
    if listens.peek().is_none() || !listens.all(is_other) {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let ports = ports.join(" or ");
        return Err(format!("a server of port {ports} is not supported"));
    }
    Ok(Directive::OtherPorts)
}

/// How a directive is read, and where nginx allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SetOutput,
    ClearOutput,
    SetInput,
    ClearInput,
    Add,
    Expires,
    RequestField,
    GrpcField,
    HttpVersion,
    /// `server` of another port.
    OtherServer,
    Hide,
    Pass,
    DefaultType,
    Return,
    Rewrite,
    Set,
    Break,
    If,
    Location,
    Allow,
    Deny,
    Forward,
    Verify,
    Gzip,
    AccessLog,
    Password,
    Map,
    /// Describes what the proxy does anyway.
    Inert,
}

impl Kind {
    fn has_block(self) -> bool {
        matches!(
            self,
            Self::If | Self::Location | Self::Map | Self::OtherServer
        )
    }

    fn allowed(self, place: Place) -> bool {
        match self {
            Self::Map | Self::OtherServer => place == Place::Http,
            Self::Location => place == Place::Server,
            Self::If => place.is_block() && place != Place::Http,
            Self::Return | Self::Rewrite | Self::Set | Self::Break => place != Place::Http,
            Self::SetOutput
            | Self::ClearOutput
            | Self::SetInput
            | Self::ClearInput
            | Self::Add
            | Self::Expires
            | Self::Gzip
            | Self::AccessLog => place != Place::ServerIf,
            Self::RequestField
            | Self::GrpcField
            | Self::HttpVersion
            | Self::Hide
            | Self::Pass
            | Self::DefaultType
            | Self::Allow
            | Self::Deny
            | Self::Forward
            | Self::Verify
            | Self::Password
            | Self::Inert => place.is_block(),
        }
    }
}

/// The spelling and the kind of a directive.
fn known(name: &str) -> Option<(&'static str, Kind)> {
    KNOWN.iter().find(|(known, _)| *known == name).copied()
}

const KNOWN: &[(&str, Kind)] = &[
    ("more_set_headers", Kind::SetOutput),
    ("more_clear_headers", Kind::ClearOutput),
    ("more_set_input_headers", Kind::SetInput),
    ("more_clear_input_headers", Kind::ClearInput),
    ("add_header", Kind::Add),
    ("expires", Kind::Expires),
    ("proxy_set_header", Kind::RequestField),
    ("grpc_set_header", Kind::GrpcField),
    ("proxy_http_version", Kind::HttpVersion),
    ("server", Kind::OtherServer),
    ("proxy_hide_header", Kind::Hide),
    ("proxy_pass_header", Kind::Pass),
    ("default_type", Kind::DefaultType),
    ("return", Kind::Return),
    ("rewrite", Kind::Rewrite),
    ("set", Kind::Set),
    ("break", Kind::Break),
    ("if", Kind::If),
    ("location", Kind::Location),
    ("allow", Kind::Allow),
    ("deny", Kind::Deny),
    ("proxy_connect_timeout", Kind::Forward),
    ("proxy_send_timeout", Kind::Forward),
    ("proxy_read_timeout", Kind::Forward),
    ("proxy_buffering", Kind::Forward),
    ("proxy_request_buffering", Kind::Forward),
    ("proxy_buffer_size", Kind::Forward),
    ("client_max_body_size", Kind::Forward),
    ("client_body_buffer_size", Kind::Forward),
    ("proxy_ssl_server_name", Kind::Forward),
    ("proxy_ssl_name", Kind::Forward),
    ("proxy_ssl_verify", Kind::Verify),
    ("gzip", Kind::Gzip),
    ("gzip_types", Kind::Gzip),
    ("gzip_min_length", Kind::Gzip),
    ("gzip_comp_level", Kind::Gzip),
    ("access_log", Kind::AccessLog),
    ("auth_basic", Kind::Password),
    ("map", Kind::Map),
    ("chunked_transfer_encoding", Kind::Inert),
    ("proxy_buffers", Kind::Inert),
    ("proxy_busy_buffers_size", Kind::Inert),
    ("proxy_ssl_session_reuse", Kind::Inert),
    ("proxy_socket_keepalive", Kind::Inert),
    ("sendfile", Kind::Inert),
    ("tcp_nodelay", Kind::Inert),
    ("tcp_nopush", Kind::Inert),
    ("log_not_found", Kind::Inert),
    ("map_hash_bucket_size", Kind::Inert),
    ("map_hash_max_size", Kind::Inert),
    ("variables_hash_max_size", Kind::Inert),
    ("variables_hash_bucket_size", Kind::Inert),
    ("proxy_headers_hash_max_size", Kind::Inert),
    ("proxy_headers_hash_bucket_size", Kind::Inert),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_that_would_act_unnoticed_are_refused() {
        for (text, place) in [
            ("set $limit_rate 4k;", Place::Location),
            ("set $Limit_Rate 4k;", Place::Location),
            ("more_clear_input_headers Con*;", Place::Location),
            ("grpc_set_header Content-Length 1;", Place::Location),
            ("fastcgi_param REMOTE_USER admin;", Place::Location),
            ("limit_req zone=a;", Place::Location),
            ("server { listen 8080; }", Place::Http),
            ("server { listen 127.0.0.1:8443; }", Place::Http),
            ("server { }", Place::Http),
        ] {
            assert!(
                read_beside(text, place, &[8080, 8443]).closed.is_some(),
                "{text}"
            );
        }
        for (text, place) in [
            ("more_clear_headers X-Con*;", Place::Location),
            ("limit_req_status 429;", Place::Location),
            ("server { listen 80; }", Place::Http),
        ] {
            assert_eq!(
                read_beside(text, place, &[8080, 8443]).closed,
                None,
                "{text}"
            );
        }
    }
}
