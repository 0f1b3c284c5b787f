//! The options of a call: protocol, TLS, timeouts, retries.

use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    BackendProtocol, ConnectionHeader, Forwarding, HttpVersion, PoolSettings, Retry, Upstream,
    UpstreamTls,
};

use super::fastcgi::Params;
use super::tls::TlsIdentity;
use crate::trace::RequestSpan;

/// Read buffer of an HTTP/1 connection, bytes: a slow client costs some four times that.
const READ_BUFFER: usize = 64 << 10;
/// The same where larger heads are allowed; no head is larger, whatever the options say.
const LARGEST_BUFFER: usize = 256 << 10;

/// The options of a call: those of a route's [`Forwarding`] to an upstream, or of a call that belongs to no route. The
/// defaults are those of [`Forwarding`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallOptions<'c> {
    /// Default HTTP/1.1.
    pub(crate) protocol: Protocol,
    /// Default plain text.
    pub(crate) security: Security<'c>,
    /// `Connection` of an HTTP/1 request; default: `close` if an HTTP/1.1 connection may not be kept.
    pub(crate) connection_header: Option<ConnectionHeader>,
    /// Bound on connecting, TLS and the first resolution of a name included; default 5 s.
    pub(crate) connect_timeout: Duration,
    /// Bound between two writes; default 60 s.
    pub(crate) send_timeout: Duration,
    /// Bound between two reads; default 60 s.
    pub(crate) read_timeout: Duration,
    /// Bound on one attempt, up to the head of its response; default none.
    pub(crate) attempt_timeout: Option<Duration>,
    /// When another endpoint is tried; default: three attempts in all, on errors and timeouts.
    pub(crate) retry: Retry,
    /// Largest head of a response, bytes; default 4 KiB.
    pub(crate) response_head_limit: usize,
    /// Read the body of an HTTP/1 response ahead of its consumer, unless the endpoint says otherwise; default false.
    pub(crate) read_ahead: bool,
    /// How much of a body that is read ahead may be in a file, bytes; default 1 GiB. Zero: memory only.
    pub(crate) file_limit: u64,
    /// The span of the request that the call is part of, if it is exported: each attempt has one of its own. Default: none.
    pub(crate) span: Option<&'c RequestSpan>,
    /// The head requests an upgrade and the caller accepts a 101; default false. Never with HTTP/2 and FastCGI.
    pub(crate) upgrade: bool,
    /// The parameters of a FastCGI request, which are sent instead of the head; the request of another protocol has none.
    pub(crate) fastcgi: Option<&'c Params>,
}

/// The protocol of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// One request per connection, and every body with its length.
    Http10,
    Http11,
    Http2,
    /// One request per connection, and every body with its length.
    FastCgi,
}

/// Plain text or TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Security<'c> {
    Plain,
    /// TLS under these settings; without settings, nothing is verified and no name is sent.
    Tls(Option<&'c Arc<UpstreamTls>>),
}

impl Default for CallOptions<'_> {
    fn default() -> Self {
        let forwarding = Forwarding::default();
        Self {
            protocol: Protocol::Http11,
            security: Security::Plain,
            connection_header: None,
            connect_timeout: forwarding.connect_timeout,
            send_timeout: forwarding.send_timeout,
            read_timeout: forwarding.read_timeout,
            attempt_timeout: forwarding.attempt_timeout,
            retry: forwarding.retry,
            response_head_limit: forwarding.response_head_limit,
            read_ahead: false,
            file_limit: forwarding.response_file_limit,
            span: None,
            upgrade: false,
            fastcgi: None,
        }
    }
}

impl<'c> CallOptions<'c> {
    /// The options of `forwarding` to `upstream`. `https`: the client's connection is TLS.
    pub(crate) fn of(forwarding: &Forwarding, upstream: &'c Upstream, https: bool) -> Self {
        let protocol = match forwarding.http_version {
            _ if upstream.protocol.is_grpc() => Protocol::Http2,
            _ if upstream.protocol == BackendProtocol::FastCgi => Protocol::FastCgi,
            HttpVersion::Http10 => Protocol::Http10,
            HttpVersion::Http11 => Protocol::Http11,
        };
        let security = if upstream.protocol.tls(https) {
            Security::Tls(upstream.tls.as_ref())
        } else {
            Security::Plain
        };
        Self {
            protocol,
            security,
            connection_header: forwarding.connection_header,
            connect_timeout: forwarding.connect_timeout,
            send_timeout: forwarding.send_timeout,
            read_timeout: forwarding.read_timeout,
            attempt_timeout: forwarding.attempt_timeout,
            retry: forwarding.retry,
            response_head_limit: forwarding.response_head_limit,
            read_ahead: forwarding.buffer_response,
            file_limit: forwarding.response_file_limit,
            span: None,
            upgrade: false,
            fastcgi: None,
        }
    }

    /// Whether the head of a request announces the length of its body, which must be known before.
    pub(super) fn needs_length(&self) -> bool {
        matches!(self.protocol, Protocol::Http10 | Protocol::FastCgi)
    }

    pub(super) fn is_http2(&self) -> bool {
        self.protocol == Protocol::Http2
    }

    /// Whether a connection may be kept after the response.
    pub(super) fn keeps(&self, pool: &PoolSettings) -> bool {
        let closes = self.connection_header == Some(ConnectionHeader::Close);
        match self.protocol {
            Protocol::Http2 => true,
            Protocol::Http11 => pool.idle > 0 && !closes,
            Protocol::Http10 | Protocol::FastCgi => false,
        }
    }

    /// The TLS identity of connections to `upstream`; `None`: plain text.
    pub(super) fn identity(&self, upstream: &Upstream) -> Option<TlsIdentity> {
        match self.security {
            Security::Plain => None,
            Security::Tls(settings) => Some(TlsIdentity::new(settings, upstream)),
        }
    }

    /// Read buffer of an HTTP/1 connection, bytes; the head of a response must fit.
    pub(super) fn buffer(&self) -> usize {
        self.response_head_limit.clamp(READ_BUFFER, LARGEST_BUFFER)
    }
}
