//! Settings of the whole data plane, from the controller's ConfigMap.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::{
    BlockList, Compression, ErrorPages, FieldTemplate, IpSet, PrivateBytes, StreamSettings,
    Template, TracingSettings, VariableMaps,
};

/// Settings of the whole data plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which client address and forwarded header fields are trusted.
    pub forwarded: ForwardedTrust,
    /// Requests that every host refuses; default none.
    pub blocked: Option<Arc<BlockList>>,
    /// Limits on clients.
    pub client: ClientLimits,
    /// TLS towards clients.
    pub tls: TlsSettings,
    /// Staple OCSP responses; default false.
    pub ocsp: bool,
    /// `Strict-Transport-Security`.
    pub hsts: Option<Hsts>,
    /// Idle connections to endpoints.
    pub pool: PoolSettings,
    /// Access log.
    pub access_log: AccessLogSettings,
    /// TCP and UDP sessions.
    pub streams: StreamSettings,
    /// Status of redirects to https and between `www.` and bare hosts; default 308.
    pub redirect_status: StatusCode,
    /// Status of a request over its rate limit; default 503.
    pub limit_status: StatusCode,
    /// Status of a request over its concurrency limit; default 503.
    pub limit_connections_status: StatusCode,
    /// The key under which limits count clients; default `$binary_remote_addr`.
    pub limit_key: Template,
    /// Accept HTTP/2 from clients; default true.
    pub http2: bool,
    /// Generate `X-Request-ID` when the client sent none; default true.
    pub generate_request_id: bool,
    /// Send `X-Original-URI`; default false.
    pub add_original_uri: bool,
    /// Look up the location of clients for `$geoip2_*`; default false: they are empty.
    pub location: bool,
    /// Forward header fields whose name contains an underscore; default false.
    pub underscores_in_headers: bool,
    /// Forward header fields whose names have other characters than letters, digits and hyphens; default false.
    pub invalid_headers: bool,
    /// Headers added to every upstream request, with variables.
    pub request_headers: Arc<[(HeaderName, Template)]>,
    /// Headers added to every response, with variables.
    pub response_headers: Arc<[(HeaderName, FieldTemplate)]>,
    /// Headers removed from upstream responses.
    pub hidden_headers: Arc<[HeaderName]>,
    /// Show the server's name in `Server` and in error pages; default false.
    pub server_tokens: bool,
    /// Pass the upstream's `Server`; default false.
    pub backend_server_header: bool,
    /// Replacement of error responses to requests that reach no route; default none.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// Compression of responses; default none.
    pub compression: Option<Arc<Compression>>,
    /// Sampling and export of traces, of routes that are traced.
    pub tracing: Arc<TracingSettings>,
    /// Query DNS for IPv4 addresses only; default false.
    pub ipv4_only_names: bool,
    /// Peers that get the page of connection counters; default 127.0.0.1 and ::1.
    pub counter_clients: IpSet,
    /// `Content-Type` of responses of the proxy without content; default `text/html`.
    pub default_type: HeaderValue,
    /// Variables that configuration defines; default none.
    pub maps: Arc<VariableMaps>,
    /// Time for requests in flight to end at shutdown; default 240 s.
    pub drain: Duration,
    /// Path on which the catch-all host responds with 200 without a backend (`--health-check-path`).
    pub health_path: Arc<str>,
}

/// Which header fields about the client are trusted, and from which peers (behaviour.md 3.2 and 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedTrust {
    /// Trust X-Forwarded-Proto, -Port, -Host and the client address; default false.
    pub use_forwarded_headers: bool,
    /// Trust only the client address; default false.
    pub real_ip: bool,
    /// Append to the incoming list instead of replacing it; default false.
    pub append: bool,
    /// Header field with the client address; default `x-forwarded-for`.
    pub for_header: HeaderName,
    /// Header field with the original host, forwarded as X-Original-Forwarded-Host; default `x-forwarded-host`.
    pub host_header: HeaderName,
    /// Trusted proxies; default all of IPv4.
    pub trusted: IpSet,
    /// Connections begin with a PROXY header, v1 or v2; default false.
    pub proxy_protocol: bool,
    /// Timeout for that header; default 5 s.
    pub proxy_protocol_timeout: Duration,
}

/// Limits on the size and speed of what clients send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Timeout for the head of a request, also for its first byte on a new connection; default 30 s.
    pub head_timeout: Duration,
    /// Timeout between two reads of a request body; default 60 s.
    pub body_timeout: Duration,
    /// Timeout between two writes of a response; default 60 s.
    pub write_timeout: Duration,
    /// Timeout for the TLS handshake and for the first byte of a connection without TLS; default 10 s. See
    /// [`ClientLimits::first_byte_timeout`].
    pub handshake_timeout: Duration,
    /// Timeout of an idle keep-alive connection; default 75 s. Zero: close after each response.
    pub keep_alive: Duration,
    /// Maximum requests on one connection; default 1000.
    pub keep_alive_requests: u64,
    /// Age of a connection after which it is closed at the next response; default 1 h.
    pub connection_age: Duration,
    /// Longest request line; default 8 KiB. Beyond: 414.
    pub request_line: usize,
    /// Longest header field; default 8 KiB. Beyond: 431.
    pub header_field: usize,
    /// Largest head; default 32 KiB. Beyond: 431.
    pub head: usize,
    /// Maximum number of header fields; default 100. Beyond: 431.
    pub header_count: usize,
    /// Maximum HTTP/2 streams on one connection; default 128.
    pub http2_streams: u32,
    /// Maximum client connections, times the number of workers; default as many as there may be files.
    pub worker_connections: Option<NonZeroU32>,
    /// Least average of a body that is received before it is sent, bytes a second; default 128. `None`: any.
    pub body_min_rate: Option<NonZeroU32>,
    /// Maximum of all temporary files, bytes; default half of what is free when the process starts.
    pub temporary_files: Option<NonZeroU64>,
    /// Maximum connections of one client address; default any number.
    pub connections_per_client: Option<NonZeroU32>,
    /// Maximum connections of the process in their TLS handshake; default a quarter of the connections that there may be.
    pub handshakes: Option<NonZeroU32>,
    /// How long tasks of a worker may wait until they run; default 1 s. Beyond, load is shed. `None`: any time.
    pub queue_time: Option<Duration>,
}

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Accept TLS 1.2; default true.
    pub tls12: bool,
    /// Accept TLS 1.3; default true.
    pub tls13: bool,
    /// TLS 1.2 cipher suites by OpenSSL name, in order; default forward-secret AEAD suites. Empty: the defaults of the library.
    pub ciphers: Arc<[String]>,
    /// The client's order of suites takes precedence, not the server's; default false.
    pub client_order: bool,
    /// Key exchange groups, in order; empty (default): those of the library.
    pub groups: Arc<[KeyExchange]>,
    /// Keep sessions for resumption; default true.
    pub session_cache: bool,
    /// Memory for sessions, bytes, default 10 MiB; each counts one KiB.
    pub session_cache_size: u64,
    /// How long a session can be resumed; default 10 minutes.
    pub session_timeout: Duration,
    /// Issue session tickets; default false.
    pub session_tickets: bool,
    /// The key of tickets, 48 or 80 random bytes that replicas share; `None`: one of this process, changed from time to time.
    pub ticket_key: Option<PrivateBytes>,
    /// Refuse handshakes for unknown hosts; default false.
    pub reject_unknown: bool,
}

/// A group for the key exchange of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyExchange {
    /// `X25519MLKEM768`
    X25519MlKem768,
    /// `X25519`
    X25519,
    /// `prime256v1`
    P256,
    /// `secp384r1`
    P384,
}

/// `Strict-Transport-Security` on https responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// The field value.
    pub value: HeaderValue,
}

/// Idle connections to endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Idle connections that a worker keeps; default 320. Zero: one request per connection.
    pub idle: usize,
    /// Timeout of an idle connection; default 60 s.
    pub idle_timeout: Duration,
    /// Maximum requests on one connection; default 10,000.
    pub requests: u64,
    /// Maximum age of a connection; default 1 h.
    pub age: Duration,
}

/// Access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Write it; default true.
    pub enabled: bool,
    /// Also for requests served by the default backend; default false.
    pub default_backend: bool,
    /// Also for requests to authentication services; default false.
    pub subrequests: bool,
    /// Raw path and query of requests that are not logged.
    pub skip: Arc<[String]>,
    /// The format of a line; `None`: the default one (behaviour.md 10).
    pub format: Option<Arc<LogFormat>>,
    /// Write a line of the program's log for every error response that the proxy makes; default true.
    pub errors: bool,
}

/// A format of access-log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    /// The text of a line.
    pub template: Template,
    /// How values are escaped.
    pub escape: LogEscape,
}

/// How values in log lines are escaped, as in nginx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogEscape {
    /// `"`, `\` and all but printable ASCII as `\xHH`; an empty value is `-`.
    #[default]
    Hex,
    /// As in JSON strings; an empty value is empty.
    Json,
    /// Not at all, except that line breaks cannot end a line; an empty value is empty.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            forwarded: ForwardedTrust::default(),
            blocked: None,
            client: ClientLimits::default(),
            tls: TlsSettings::default(),
            ocsp: false,
            hsts: Some(Hsts {
                value: HeaderValue::from_static("max-age=31536000; includeSubDomains"),
            }),
            pool: PoolSettings::default(),
            access_log: AccessLogSettings {
                enabled: true,
                default_backend: false,
                subrequests: false,
                skip: Arc::default(),
                format: None,
                errors: true,
            },
            streams: StreamSettings::default(),
            redirect_status: StatusCode::PERMANENT_REDIRECT,
            limit_status: StatusCode::SERVICE_UNAVAILABLE,
            limit_connections_status: StatusCode::SERVICE_UNAVAILABLE,
            limit_key: Template::binary_remote_addr(),
            http2: true,
            generate_request_id: true,
            add_original_uri: false,
            location: false,
            underscores_in_headers: false,
            invalid_headers: false,
            request_headers: Arc::default(),
            response_headers: Arc::default(),
            hidden_headers: Arc::default(),
            server_tokens: false,
            backend_server_header: false,
            error_pages: None,
            compression: None,
            tracing: Arc::default(),
            ipv4_only_names: false,
            counter_clients: ["127.0.0.1/32".parse(), "::1/128".parse()]
                .into_iter()
                .flatten()
                .collect(),
            default_type: HeaderValue::from_static("text/html"),
            maps: Arc::default(),
            drain: Duration::from_secs(240),
            health_path: "/healthz".into(),
        }
    }
}

impl Default for ForwardedTrust {
    fn default() -> Self {
        Self {
            use_forwarded_headers: false,
            real_ip: false,
            append: false,
            for_header: HeaderName::from_static("x-forwarded-for"),
            host_header: HeaderName::from_static("x-forwarded-host"),
            trusted: IpSet::new("0.0.0.0/0".parse()),
            proxy_protocol: false,
            proxy_protocol_timeout: Duration::from_secs(5),
        }
    }
}

impl ClientLimits {
    /// Timeout for the first byte of a connection and for its TLS handshake: no longer than that for a head, because nginx
    /// has one timeout for all of them.
    pub fn first_byte_timeout(&self) -> Duration {
        self.handshake_timeout.min(self.head_timeout)
    }
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            keep_alive_requests: 1000,
            connection_age: Duration::from_secs(3600),
            request_line: 8 << 10,
            header_field: 8 << 10,
            head: 32 << 10,
            header_count: 100,
            http2_streams: 128,
            worker_connections: None,
            body_min_rate: NonZeroU32::new(128),
            temporary_files: None,
            connections_per_client: None,
            handshakes: None,
            queue_time: Some(Duration::from_secs(1)),
        }
    }
}

/// The default list of cipher suites for TLS 1.2 (behaviour.md 4.4). Those with DHE are not supported, and skipped.
pub const DEFAULT_CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256";

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
            ciphers: DEFAULT_CIPHERS
                .split(':')
                .filter(|name| !name.starts_with("DHE-"))
                .map(str::to_owned)
                .collect(),
            client_order: false,
            groups: Arc::default(),
            session_cache: true,
            session_cache_size: 10 << 20,
            session_timeout: Duration::from_secs(600),
            session_tickets: false,
            ticket_key: None,
            reject_unknown: false,
        }
    }
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            idle: 320,
            idle_timeout: Duration::from_secs(60),
            requests: 10_000,
            age: Duration::from_secs(3600),
        }
    }
}
