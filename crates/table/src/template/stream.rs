//! The format of access-log lines of TCP and UDP sessions, with a vocabulary of its own.

use super::{TemplateError, name};

/// Text with variables of a session, e.g. `$remote_addr $bytes_sent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFormat {
    pieces: Vec<StreamPiece>,
    source: String,
}

/// A part of a [`StreamFormat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamPiece {
    /// Literal text.
    Text(String),
    /// A variable.
    Variable(StreamVariable),
}

/// Declares the variables with their names.
macro_rules! variables {
    ($($variable:ident $($name:literal)|+ $help:literal;)*) => {
        /// A variable of a session, named as in nginx.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StreamVariable {
            $(#[doc = $help] $variable,)*
        }

        impl StreamVariable {
            /// The variable of this name, which is without `$`.
            fn named(name: &str) -> Option<Self> {
                match name {
                    $($($name)|+ => Some(Self::$variable),)*
                    _ => None,
                }
            }
        }
    };
}

variables! {
    RemoteAddr "remote_addr" "The client address, after the PROXY header if it is trusted.";
    RemotePort "remote_port" "The client's port.";
    PeerAddr "realip_remote_addr" "The peer of the connection.";
    PeerPort "realip_remote_port" "The port of the peer.";
    ProxyProtocolAddr "proxy_protocol_addr" "The source address of the PROXY header.";
    ProxyProtocolPort "proxy_protocol_port" "The source port of the PROXY header.";
    ProxyProtocolServerAddr "proxy_protocol_server_addr" "The destination address of the PROXY header.";
    ProxyProtocolServerPort "proxy_protocol_server_port" "The destination port of the PROXY header.";
    ServerAddr "server_addr" "The proxy's address on the connection.";
    ServerPort "server_port" "The port of the listener.";
    Protocol "protocol" "`TCP` or `UDP`.";
    Status "status" "200; 400: no PROXY header; 502: no endpoint could be reached.";
    BytesSent "bytes_sent" "Bytes sent to the client.";
    BytesReceived "bytes_received" "Bytes received from the client.";
    SessionTime "session_time" "Seconds of the session.";
    ProxyUpstreamName "proxy_upstream_name" "The upstream, such as `tcp-<namespace>-<service>-<port>`.";
    UpstreamAddr "upstream_addr" "The endpoints that were tried.";
    UpstreamBytesSent "upstream_bytes_sent" "Bytes sent to the endpoint.";
    UpstreamBytesReceived "upstream_bytes_received" "Bytes received from the endpoint.";
    UpstreamConnectTime "upstream_connect_time" "Seconds to connect to the endpoint.";
    UpstreamFirstByteTime "upstream_first_byte_time" "Seconds to the first byte of the endpoint.";
    UpstreamSessionTime "upstream_session_time" "Seconds of the session with the endpoint.";
    Connection "connection" "Serial number of the session.";
    TimeLocal "time_local" "Such as `12/Mar/2026:10:00:00 +0000`.";
    TimeIso8601 "time_iso8601" "Such as `2026-03-12T10:00:00+00:00`.";
    Msec "msec" "The time in seconds with milliseconds.";
    Hostname "hostname" "The name of the machine.";
    Pid "pid" "The process.";
    Empty "ssl_preread_protocol" | "ssl_preread_server_name" | "ssl_preread_alpn_protocols" | "ssl_protocol"
        | "ssl_cipher" | "ssl_server_name" "Always empty: TLS is not looked into.";
}

impl StreamFormat {
    /// Parses a format, and returns the problems of it. It cannot fail: a variable that does not exist is written as `-`, and
    /// a `$` without name literally.
    pub fn parse(source: &str) -> (Self, Vec<TemplateError>) {
        let mut format = Self {
            pieces: Vec::new(),
            source: source.to_owned(),
        };
        let (mut problems, mut unknown) = (Vec::new(), Vec::new());
        let mut rest = source;
        while let Some(at) = rest.find('$') {
            let (text, after) = rest.split_at(at);
            format.push_text(text);
            let after = after.get(1..).unwrap_or_default();
            rest = match name(after) {
                Ok((name, rest)) => {
                    match StreamVariable::named(name) {
                        Some(variable) => format.pieces.push(StreamPiece::Variable(variable)),
                        None => {
                            unknown.push(name.to_owned());
                            format.push_text("-");
                        }
                    }
                    rest
                }
                Err(error) => {
                    problems.push(error);
                    format.push_text("$");
                    after
                }
            };
        }
        format.push_text(rest);
        if !unknown.is_empty() {
            problems.push(TemplateError::Unknown(unknown));
        }
        (format, problems)
    }

    /// The parts in order.
    pub fn pieces(&self) -> &[StreamPiece] {
        &self.pieces
    }

    /// The source text.
    pub fn source(&self) -> &str {
        &self.source
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces.push(StreamPiece::Text(text.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_of_sessions() {
        let (format, problems) = StreamFormat::parse("[$remote_addr] ${bytes_sent}b $request $");
        let expected = [
            StreamPiece::Text("[".into()),
            StreamPiece::Variable(StreamVariable::RemoteAddr),
            StreamPiece::Text("] ".into()),
            StreamPiece::Variable(StreamVariable::BytesSent),
            StreamPiece::Text("b ".into()),
            StreamPiece::Text("-".into()),
            StreamPiece::Text(" ".into()),
            StreamPiece::Text("$".into()),
        ];
        assert_eq!(format.pieces(), expected);
        let unknown = TemplateError::Unknown(vec!["request".into()]);
        assert_eq!(problems, [TemplateError::NoName, unknown]);
    }
}
