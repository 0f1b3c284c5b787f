//! The vocabulary of variables, named as in nginx (behaviour.md 3.1).

use std::fmt;

use http::HeaderName;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, UPGRADE};

use super::{GeoVariable, TraceVariable};

/// When a variable is known. Later phases know everything of the former ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From the request and its route.
    Request,
    /// With the head of the response.
    Response,
    /// When the response has ended.
    Log,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "with the request",
            Self::Response => "with the response",
            Self::Log => "in the log",
        })
    }
}

/// A variable. The data plane matches on it in full, so that none is silently empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `$remote_addr` and `$the_real_ip`: the client address as text.
    RemoteAddr,
    /// `$binary_remote_addr`: the client address as bytes; as a key, equal to `$remote_addr`.
    BinaryRemoteAddr,
    /// `$remote_port`: the client's port.
    RemotePort,
    /// `$realip_remote_addr`: the peer of the connection, before real-IP processing.
    PeerAddr,
    /// `$realip_remote_port`.
    PeerPort,
    /// `$proxy_protocol_addr`: the source address of the PROXY header.
    ProxyProtocolAddr,
    /// `$proxy_protocol_port`.
    ProxyProtocolPort,
    /// `$proxy_protocol_server_addr`: the destination address of the PROXY header.
    ProxyProtocolServerAddr,
    /// `$proxy_protocol_server_port`.
    ProxyProtocolServerPort,
    /// `$proxy_add_x_forwarded_for`: the client's list with the client address appended.
    ProxyAddForwardedFor,
    /// `$host`: the canonical host of the request, without port.
    Host,
    /// `$best_http_host`: the Host header as forwarded. `$http_host` is [`Variable::Header`].
    BestHttpHost,
    /// `$request`: the request line as HTTP/1 writes it.
    RequestLine,
    /// `$request_uri`: the raw path and query.
    RequestUri,
    /// `$escaped_request_uri`: the raw path and query, percent-encoded as a part of a query.
    EscapedRequestUri,
    /// `$uri` and `$document_uri`: the decoded, normalised path.
    Uri,
    /// `$fastcgi_script_name`: `$uri` as a FastCGI endpoint gets it, with the index of a directory.
    FastCgiScriptName,
    /// `$args` and `$query_string`: the raw query.
    Args,
    /// `$is_args`: `?` when there is a query.
    IsArgs,
    /// `$request_method`.
    RequestMethod,
    /// `$scheme`: the scheme of the listener.
    Scheme,
    /// `$https`: `on` for TLS.
    Https,
    /// `$pass_access_scheme`: the scheme after forwarded header fields are applied.
    PassAccessScheme,
    /// `$server_addr`: the proxy's address on the connection.
    ServerAddr,
    /// `$server_port`: the port of the listener.
    ServerPort,
    /// `$pass_server_port` and `$pass_port`: the port sent to the upstream.
    PassServerPort,
    /// `$server_name`: the configured name of the host.
    ServerName,
    /// `$server_protocol`, such as `HTTP/1.1`.
    ServerProtocol,
    /// `$http2`: `h2`, `h2c`, or empty.
    Http2,
    /// `$request_id` and `$req_id`.
    RequestId,
    /// `$content_length`.
    ContentLength,
    /// `$content_type`.
    ContentType,
    /// `$remote_user`: the user of Basic credentials.
    RemoteUser,
    /// `$connection_upgrade`: `upgrade` if the client sent `Upgrade`.
    ConnectionUpgrade,
    /// `$connection`: serial number of the connection.
    Connection,
    /// `$connection_requests`: requests on the connection so far.
    ConnectionRequests,
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
    /// `$proxy_upstream_name` and `$proxy_host`, `<namespace>-<service>-<port>`.
    ProxyUpstreamName,
    /// `$proxy_alternative_upstream_name`: the alternative, such as a canary, that serves.
    ProxyAlternativeUpstreamName,
    /// `$msec`: the time, seconds with milliseconds.
    Msec,
    /// `$time_iso8601`.
    TimeIso8601,
    /// `$time_local`, such as `12/Mar/2026:10:00:00 +0000`.
    TimeLocal,
    /// `$hostname` of the machine.
    Hostname,
    /// `$pid` of the process.
    Pid,
    /// `$geoip2_*`: the location of the client.
    Geo(GeoVariable),
    /// `$opentelemetry_*`: the trace of the request.
    Trace(TraceVariable),
    /// `$ssl_*`.
    Tls(TlsVariable),
    /// `$http_<name>`: a request header.
    Header(HeaderName),
    /// `$cookie_<name>`.
    Cookie(String),
    /// `$arg_<name>`: a query argument.
    Arg(String),
    /// `$status` of the response.
    Status,
    /// `$request_length`: bytes received, head and body.
    RequestLength,
    /// `$request_time`: seconds since the head was complete.
    RequestTime,
    /// `$sent_http_<name>`: a header field of the response.
    SentHeader(HeaderName),
    /// `$upstream_*`.
    Upstream(UpstreamVariable),
    /// `$body_bytes_sent`.
    BodyBytesSent,
    /// `$bytes_sent`: approximately, with the head.
    BytesSent,
    /// `$request_completion`: `OK`, or empty if the response was cut.
    RequestCompletion,
    /// One that nginx has and that is always empty or constant here, such as `$gzip_ratio` and `$pipe`.
    Constant(&'static str),
}

/// TLS of the client's connection; empty without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVariable {
    /// `$ssl_protocol`, such as `TLSv1.3`.
    Protocol,
    /// `$ssl_cipher` by OpenSSL name.
    Cipher,
    /// `$ssl_server_name`: the server name of the handshake.
    ServerName,
    /// `$ssl_alpn_protocol`, such as `h2`.
    Alpn,
    /// `$ssl_session_reused`: `r` or `.`.
    SessionReused,
    /// `$ssl_ciphers`: what the client offers, by OpenSSL name or number.
    Ciphers,
    /// `$ssl_curve`: the key exchange, such as `X25519`.
    Curve,
    /// `$ssl_curves`: what the client offers, by name or number.
    Curves,
    /// `$ssl_client_*`.
    Client(ClientVariable),
}

/// The client's certificate; empty without one that was verified for the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientVariable {
    /// `$ssl_client_verify`: `SUCCESS`, `FAILED:reason`, or `NONE` without a certificate.
    Verify,
    /// `$ssl_client_s_dn`: the subject (RFC 2253).
    Subject,
    /// `$ssl_client_i_dn`: the issuer.
    Issuer,
    /// `$ssl_client_s_dn_legacy`: the subject as `/O=shop/CN=alice`.
    SubjectLegacy,
    /// `$ssl_client_i_dn_legacy`.
    IssuerLegacy,
    /// `$ssl_client_serial`, hex in upper case.
    Serial,
    /// `$ssl_client_fingerprint`: SHA-1, hex.
    Fingerprint,
    /// `$ssl_client_v_start`, such as `Nov  9 10:00:00 2026 GMT`.
    Start,
    /// `$ssl_client_v_end`.
    End,
    /// `$ssl_client_v_remain`: whole days that it is still valid for.
    Remain,
    /// `$ssl_client_raw_cert`: PEM.
    RawCertificate,
    /// `$ssl_client_cert`: PEM with a tab at the start of each line but the first.
    Certificate,
    /// `$ssl_client_escaped_cert`: PEM, percent-encoded.
    EscapedCertificate,
}

/// The attempts at endpoints; several are a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamVariable {
    /// `$upstream_addr`.
    Addr,
    /// `$upstream_status`.
    Status,
    /// `$upstream_connect_time`, seconds.
    ConnectTime,
    /// `$upstream_header_time`, seconds.
    HeaderTime,
    /// `$upstream_response_time`, seconds.
    ResponseTime,
    /// `$upstream_response_length` and `$upstream_bytes_received`: bytes of the body.
    ResponseLength,
    /// `$upstream_http_<name>`: a header field of the last response.
    Header(HeaderName),
    /// `$upstream_cookie_<name>`: a cookie that the last response sets.
    Cookie(String),
}

impl Variable {
    /// From when on it is known.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Status
            | Self::RequestLength
            | Self::RequestTime
            | Self::SentHeader(_)
            | Self::ProxyAlternativeUpstreamName
            | Self::Upstream(_) => Phase::Response,
            Self::BodyBytesSent | Self::BytesSent | Self::RequestCompletion => Phase::Log,
            _ => Phase::Request,
        }
    }

    /// The field of the client's request that it is made from.
    pub fn request_field(&self) -> Option<HeaderName> {
        Some(match self {
            Self::Header(name) => name.clone(),
            Self::Cookie(_) => COOKIE,
            Self::ContentLength => CONTENT_LENGTH,
            Self::ContentType => CONTENT_TYPE,
            Self::RemoteUser => AUTHORIZATION,
            Self::ConnectionUpgrade => UPGRADE,
            Self::ProxyAddForwardedFor => HeaderName::from_static("x-forwarded-for"),
            _ => return None,
        })
    }
}
