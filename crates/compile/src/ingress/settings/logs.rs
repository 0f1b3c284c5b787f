//! The access log.

use std::path::PathBuf;

use super::read::Source;
use super::registry::{Kind, Setting, inert, not_yet, setting};

const FORMAT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
\"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr \
$upstream_response_length $upstream_response_time $upstream_status $req_id";

const STREAM_FORMAT: &str =
    "[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time";

pub(super) const ENTRIES: &[Setting] = &[
    not_yet(
        "log-format-upstream",
        Kind::Raw,
        FORMAT,
        "Form of a line of the access log.",
    ),
    not_yet(
        "log-format-escape-json",
        Kind::Bool,
        "false",
        "Values in it are escaped for JSON.",
    ),
    not_yet(
        "log-format-escape-none",
        Kind::Bool,
        "false",
        "Values in it are not escaped.",
    ),
    not_yet(
        "log-format-stream",
        Kind::Raw,
        STREAM_FORMAT,
        "Form of a line for a TCP or UDP session.",
    ),
    setting(
        "access-log-path",
        Kind::Raw,
        "/var/log/nginx/access.log",
        "Where the access log goes; the default is stdout.",
    ),
    setting(
        "http-access-log-path",
        Kind::Raw,
        "",
        "Where that of HTTP goes, when not there.",
    ),
    not_yet(
        "stream-access-log-path",
        Kind::Raw,
        "",
        "Where that of TCP and UDP goes, when not there.",
    ),
    inert("access-log-params", "", "The log is written in batches."),
    setting("disable-access-log", Kind::Bool, "false", "No access log."),
    setting(
        "disable-http-access-log",
        Kind::Bool,
        "false",
        "No access log of HTTP.",
    ),
    not_yet(
        "disable-stream-access-log",
        Kind::Bool,
        "false",
        "No access log of TCP and UDP.",
    ),
    setting(
        "enable-access-log-for-default-backend",
        Kind::Bool,
        "false",
        "Also logs what the default backend answers.",
    ),
    not_yet(
        "enable-auth-access-log",
        Kind::Bool,
        "false",
        "Also logs questions to auth-url.",
    ),
    setting(
        "skip-access-log-urls",
        Kind::List,
        "",
        "Requests for exactly these are not logged.",
    ),
    inert(
        "error-log-path",
        "/var/log/nginx/error.log",
        "Errors go to stderr.",
    ),
    inert("error-log-level", "notice", "The flag -v sets the level."),
    not_yet("enable-syslog", Kind::Bool, "false", "Logs go to syslog."),
    not_yet("syslog-host", Kind::Raw, "", "Its host."),
    not_yet("syslog-port", Kind::Int, "514", "Its port."),
    inert(
        "debug-connections",
        "",
        "Debug logs of single clients do not exist here.",
    ),
    not_yet(
        "enable-opentelemetry",
        Kind::Bool,
        "false",
        "Traces requests.",
    ),
    not_yet(
        "opentelemetry-trust-incoming-span",
        Kind::Bool,
        "true",
        "Continues the client's trace.",
    ),
    not_yet(
        "opentelemetry-operation-name",
        Kind::Raw,
        "",
        "Name of the span.",
    ),
    inert(
        "opentelemetry-config",
        "/etc/ingress-controller/telemetry/opentelemetry.toml",
        "A file of the nginx module.",
    ),
    not_yet(
        "otlp-collector-host",
        Kind::Raw,
        "",
        "Host of the collector.",
    ),
    not_yet(
        "otlp-collector-port",
        Kind::Raw,
        "4317",
        "Port of the collector.",
    ),
    not_yet(
        "otel-service-name",
        Kind::Raw,
        "nginx",
        "Name of the service in traces.",
    ),
    not_yet(
        "otel-sampler",
        Kind::Raw,
        "AlwaysOn",
        "Which requests are traced.",
    ),
    not_yet("otel-sampler-ratio", Kind::Raw, "0.01", "Share of them."),
    not_yet(
        "otel-sampler-parent-based",
        Kind::Bool,
        "true",
        "The client's trace decides.",
    ),
    not_yet("otel-max-queuesize", Kind::Int, "2048", "Spans waiting."),
    not_yet(
        "otel-schedule-delay-millis",
        Kind::Int,
        "5000",
        "Time between two exports.",
    ),
    not_yet(
        "otel-max-export-batch-size",
        Kind::Int,
        "512",
        "Spans of one export.",
    ),
    not_yet(
        "use-geoip2",
        Kind::Bool,
        "false",
        "Looks up the place of a client.",
    ),
    not_yet(
        "geoip2-autoreload-in-minutes",
        Kind::Int,
        "0",
        "Reads its database again.",
    ),
];

/// The access log of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Whether there is one (`disable-access-log` and `disable-http-access-log`, both off).
    pub enabled: bool,
    /// Where it goes (`http-access-log-path`, else `access-log-path`; stdout).
    pub target: LogTarget,
    /// Also log what the default backend answers (`enable-access-log-for-default-backend`, off).
    pub default_backend: bool,
    /// Requests for exactly these, query included, are not logged (`skip-access-log-urls`).
    pub skip_urls: Vec<String>,
}

/// Where a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

impl LogTarget {
    /// The paths at which the image of ingress-nginx links to its output streams mean those streams.
    fn from_path(path: &str) -> Self {
        match path {
            "/var/log/nginx/access.log" | "/dev/stdout" => Self::Stdout,
            "/var/log/nginx/error.log" | "/dev/stderr" => Self::Stderr,
            path => Self::File(PathBuf::from(path)),
        }
    }
}

impl AccessLog {
    pub(super) fn read(source: &Source<'_>) -> Self {
        let own = source.text("http-access-log-path");
        let path = if own.is_empty() {
            source.text("access-log-path")
        } else {
            own
        };
        Self {
            enabled: !source.on("disable-access-log") && !source.on("disable-http-access-log"),
            target: LogTarget::from_path(path),
            default_backend: source.on("enable-access-log-for-default-backend"),
            skip_urls: source.list("skip-access-log-urls"),
        }
    }
}
