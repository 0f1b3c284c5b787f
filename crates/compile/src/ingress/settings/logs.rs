//! Logs, tracing and geolocation of clients.

use std::path::PathBuf;

use headgate_table::AccessLogSettings;

use super::read::Source;
use super::registry::{Setting, inert, not_yet, setting};
use crate::ingress::registry::{keys, types};

const FORMAT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
\"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr \
$upstream_response_length $upstream_response_time $upstream_status $req_id";

const STREAM_FORMAT: &str =
    "[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time";

keys! { Setting {
    LOG_FORMAT_UPSTREAM: String =
        not_yet("log-format-upstream", types::RAW, FORMAT, "Format of the access log.");
    LOG_FORMAT_ESCAPE_JSON: bool =
        not_yet("log-format-escape-json", types::BOOL, "false", "Escapes values in the access log for JSON.");
    LOG_FORMAT_ESCAPE_NONE: bool =
        not_yet("log-format-escape-none", types::BOOL, "false", "Does not escape values in the access log.");
    LOG_FORMAT_STREAM: String =
        not_yet("log-format-stream", types::RAW, STREAM_FORMAT, "Format of the access log of TCP and UDP sessions.");
    ACCESS_LOG_PATH: String =
        setting("access-log-path", types::RAW, "/var/log/nginx/access.log",
            "Path of the access log; the default means stdout.");
    HTTP_ACCESS_LOG_PATH: String =
        setting("http-access-log-path", types::RAW, "", "Path of the access log of HTTP; overrides access-log-path.");
    STREAM_ACCESS_LOG_PATH: String =
        not_yet("stream-access-log-path", types::RAW, "", "Path of the access log of TCP and UDP; overrides access-log-path.");
    ACCESS_LOG_PARAMS: String = inert("access-log-params", "", "The log is written in batches.");
    DISABLE_ACCESS_LOG: bool = setting("disable-access-log", types::BOOL, "false", "No access log.");
    DISABLE_HTTP_ACCESS_LOG: bool = setting("disable-http-access-log", types::BOOL, "false", "No access log of HTTP.");
    DISABLE_STREAM_ACCESS_LOG: bool =
        not_yet("disable-stream-access-log", types::BOOL, "false", "No access log of TCP and UDP.");
    ENABLE_ACCESS_LOG_FOR_DEFAULT_BACKEND: bool =
        setting("enable-access-log-for-default-backend", types::BOOL, "false",
            "Also logs requests to the default backend.");
    ENABLE_AUTH_ACCESS_LOG: bool =
        not_yet("enable-auth-access-log", types::BOOL, "false", "Also logs requests to auth-url.");
    SKIP_ACCESS_LOG_URLS: Vec<String> =
        setting("skip-access-log-urls", types::LIST, "", "Requests with exactly one of these paths (with query) are not logged.");
    ERROR_LOG_PATH: String = inert("error-log-path", "/var/log/nginx/error.log", "Errors are written to stderr.");
    ERROR_LOG_LEVEL: String = inert("error-log-level", "notice", "The flag -v sets the level.");
    ENABLE_SYSLOG: bool = not_yet("enable-syslog", types::BOOL, "false", "Sends logs to syslog.");
    SYSLOG_HOST: String = not_yet("syslog-host", types::RAW, "", "Host of syslog.");
    SYSLOG_PORT: i64 = not_yet("syslog-port", types::INT, "514", "Port of syslog.");
    DEBUG_CONNECTIONS: String = inert("debug-connections", "", "Debug logs of single clients are not supported.");
    ENABLE_OPENTELEMETRY: bool = not_yet("enable-opentelemetry", types::BOOL, "false", "Traces requests.");
    OPENTELEMETRY_TRUST_INCOMING_SPAN: bool =
        not_yet("opentelemetry-trust-incoming-span", types::BOOL, "true", "Continues the client's trace.");
    OPENTELEMETRY_OPERATION_NAME: String = not_yet("opentelemetry-operation-name", types::RAW, "", "Name of the span.");
    OPENTELEMETRY_CONFIG: String =
        inert("opentelemetry-config", "/etc/ingress-controller/telemetry/opentelemetry.toml",
            "A file of the nginx module.");
    OTLP_COLLECTOR_HOST: String = not_yet("otlp-collector-host", types::RAW, "", "Host of the collector.");
    OTLP_COLLECTOR_PORT: String = not_yet("otlp-collector-port", types::RAW, "4317", "Port of the collector.");
    OTEL_SERVICE_NAME: String = not_yet("otel-service-name", types::RAW, "nginx", "Name of the service in traces.");
    OTEL_SAMPLER: String = not_yet("otel-sampler", types::RAW, "AlwaysOn", "Which requests are traced.");
    OTEL_SAMPLER_RATIO: String = not_yet("otel-sampler-ratio", types::RAW, "0.01", "Share of traced requests.");
    OTEL_SAMPLER_PARENT_BASED: bool =
        not_yet("otel-sampler-parent-based", types::BOOL, "true", "The client's trace decides.");
    OTEL_MAX_QUEUESIZE: i64 = not_yet("otel-max-queuesize", types::INT, "2048", "Maximum number of spans in the queue.");
    OTEL_SCHEDULE_DELAY_MILLIS: i64 =
        not_yet("otel-schedule-delay-millis", types::INT, "5000", "Milliseconds between two exports.");
    OTEL_MAX_EXPORT_BATCH_SIZE: i64 = not_yet("otel-max-export-batch-size", types::INT, "512", "Maximum number of spans in one export.");
    USE_GEOIP2: bool = not_yet("use-geoip2", types::BOOL, "false", "Looks up the location of clients.");
    GEOIP2_AUTORELOAD_IN_MINUTES: i64 =
        not_yet("geoip2-autoreload-in-minutes", types::INT, "0", "Minutes between reloads of the location database.");
} }

/// The access log of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Where it is written (`http-access-log-path`, else `access-log-path`); default stdout.
    pub target: LogTarget,
}

/// Where a log is written.
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
    /// The paths that are links to output streams in the image of ingress-nginx mean those streams.
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
        let own = source.text(&HTTP_ACCESS_LOG_PATH);
        let path = if own.is_empty() {
            source.text(&ACCESS_LOG_PATH)
        } else {
            own
        };
        Self {
            target: LogTarget::from_path(path),
        }
    }
}

/// Which requests are logged.
pub(super) fn access_log(source: &Source<'_>) -> AccessLogSettings {
    AccessLogSettings {
        enabled: !source.get(&DISABLE_ACCESS_LOG) && !source.get(&DISABLE_HTTP_ACCESS_LOG),
        default_backend: source.get(&ENABLE_ACCESS_LOG_FOR_DEFAULT_BACKEND),
        skip: source.get(&SKIP_ACCESS_LOG_URLS).into(),
    }
}
