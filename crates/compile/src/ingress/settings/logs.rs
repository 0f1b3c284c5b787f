//! Logs and geolocation of clients.

use std::path::PathBuf;
use std::sync::Arc;

use headgate_table::{AccessLogSettings, LogEscape, LogFormat, Pattern, Template, TemplateError};

use super::read::Source;
use super::registry::{Setting, inert, setting};
use crate::ingress::registry::{Key, When, differences, excerpt, keys, types};

const FORMAT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
\"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr \
$upstream_response_length $upstream_response_time $upstream_status $req_id";

pub(super) const STREAM_FORMAT: &str =
    "[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time";

keys! { Setting {
    LOG_FORMAT_UPSTREAM: String =
        setting("log-format-upstream", types::RAW, FORMAT,
            "Format of the access log; a variable that does not exist is written as -.")
            .differs(differences![
                When::Has(&["$ssl_session_id", "$ssl_early_data"]) =>
                    "$ssl_session_id and $ssl_early_data are empty.",
                When::Has(&["$bytes_sent"]) =>
                    "$bytes_sent is the body and 200 bytes for the head; in ingress-nginx head and body.",
            ]);
    LOG_FORMAT_ESCAPE_JSON: bool =
        setting("log-format-escape-json", types::BOOL, "false", "Escapes values in the access log for JSON.");
    LOG_FORMAT_ESCAPE_NONE: bool =
        setting("log-format-escape-none", types::BOOL, "false",
            "Does not escape values in the access log, but for control characters.")
            .differs(differences![
                When::Set =>
                    "Control characters are written as \\xHH, so that no client can end a line.",
            ]);
    LOG_FORMAT_STREAM: String =
        setting("log-format-stream", types::RAW, STREAM_FORMAT, "Format of the access log of TCP and UDP sessions.");
    ACCESS_LOG_PATH: String =
        setting("access-log-path", types::RAW, "/var/log/nginx/access.log",
            "Path of the access log; the default means stdout.");
    HTTP_ACCESS_LOG_PATH: String =
        setting("http-access-log-path", types::RAW, "", "Path of the access log of HTTP; overrides access-log-path.");
    STREAM_ACCESS_LOG_PATH: String =
        setting("stream-access-log-path", types::RAW, "", "Path of the access log of TCP and UDP; overrides access-log-path.");
    ACCESS_LOG_PARAMS: String =
        inert("access-log-params", "", "Lines are written in blocks of 32 KiB, at the latest after 100 ms, and not compressed.");
    DISABLE_ACCESS_LOG: bool = setting("disable-access-log", types::BOOL, "false", "No access log.");
    DISABLE_HTTP_ACCESS_LOG: bool = setting("disable-http-access-log", types::BOOL, "false", "No access log of HTTP.");
    DISABLE_STREAM_ACCESS_LOG: bool =
        setting("disable-stream-access-log", types::BOOL, "false", "No access log of TCP and UDP.");
    ENABLE_ACCESS_LOG_FOR_DEFAULT_BACKEND: bool =
        setting("enable-access-log-for-default-backend", types::BOOL, "false",
            "Also logs requests to the default backend.");
    ENABLE_AUTH_ACCESS_LOG: bool =
        setting("enable-auth-access-log", types::BOOL, "false", "Also logs requests to auth-url.");
    SKIP_ACCESS_LOG_URLS: Vec<String> =
        setting("skip-access-log-urls", types::LIST, "", "Requests with one of these paths (with query, ignoring case) are not logged; a member that begins with ~ or ~* is a regular expression.");
    ERROR_LOG_PATH: String =
        setting("error-log-path", types::RAW, "/var/log/nginx/error.log",
            "Path of the log of the data plane's messages; the default means stderr. Messages of the control plane are always on stderr.");
    ERROR_LOG_LEVEL: &'static str =
        setting("error-log-level", types::words(&["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"]), "notice",
            "Least severe messages of the data plane. Above notice: no line for each error response that the proxy makes. notice, the default: as the flag -v says; crit and above count as error.")
            .differs(differences![
                When::Is(&["crit", "alert", "emerg"]) =>
                    "crit, alert and emerg count as error.",
            ]);
    ENABLE_SYSLOG: bool =
        setting("enable-syslog", types::BOOL, "false", "Sends the access log and the messages of the data plane to syslog-host, instead of access-log-path and error-log-path.");
    SYSLOG_HOST: String = setting("syslog-host", types::RAW, "", "Host of syslog; UDP.");
    SYSLOG_PORT: i64 = setting("syslog-port", types::INT, "514", "Port of syslog.");
    DEBUG_CONNECTIONS: String = inert("debug-connections", "", "Debug logs of single clients are not supported.");
    USE_GEOIP2: bool =
        setting("use-geoip2", types::BOOL, "false", "Looks up the location of clients for $geoip2_*, in mounted databases.");
    GEOIP2_AUTORELOAD_IN_MINUTES: String =
        inert("geoip2-autoreload-in-minutes", "0", "A changed database is read within seconds.");
} }

/// The access logs of HTTP and of TCP and UDP sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Where it is written (`http-access-log-path`, else `access-log-path`); default stdout.
    pub target: LogTarget,
    /// Where that of TCP and UDP sessions is written (`stream-access-log-path`, else `access-log-path`); default stdout.
    pub stream_target: LogTarget,
    /// The syslog server that is configured, used or not.
    pub(crate) syslog: SyslogServer,
    /// `enable-syslog`, whether or not the server is valid.
    pub(crate) wants_syslog: bool,
}

/// The log of the data plane's own messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorLog {
    /// Where it is written (`error-log-path`); default stderr.
    pub target: LogTarget,
    /// Least severe messages; `None` (`notice`, the default): as the flags of the program say.
    pub level: Option<LogLevel>,
}

/// The level of a log. nginx has more of them, which count as one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `warn`
    Warn,
    /// `error`, `crit`, `alert` and `emerg`
    Error,
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
    /// Syslog over UDP.
    Syslog(SyslogServer),
}

/// A syslog server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogServer {
    /// Name or address.
    pub host: Arc<str>,
    /// UDP port.
    pub port: u16,
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
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let syslog = SyslogServer {
            host: source.text(&SYSLOG_HOST).trim().into(),
            port: syslog_port(source),
        };
        Self {
            target: if uses_syslog(source, &syslog) {
                LogTarget::Syslog(syslog.clone())
            } else {
                LogTarget::from_path(path(source, &HTTP_ACCESS_LOG_PATH))
            },
            stream_target: LogTarget::from_path(path(source, &STREAM_ACCESS_LOG_PATH)),
            syslog,
            wants_syslog: source.get(&ENABLE_SYSLOG),
        }
    }

    /// The log of messages beside this one.
    pub(super) fn error_log(&self, source: &Source<'_>) -> ErrorLog {
        let target = match &self.target {
            LogTarget::Syslog(server) => LogTarget::Syslog(server.clone()),
            _ => match source.text(&ERROR_LOG_PATH) {
                "" => LogTarget::Stderr,
                path => LogTarget::from_path(path),
            },
        };
        let level: &'static str = source.get(&ERROR_LOG_LEVEL);
        let level = match level {
            "notice" => None,
            "debug" => Some(LogLevel::Debug),
            "info" => Some(LogLevel::Info),
            "warn" => Some(LogLevel::Warn),
            _ => Some(LogLevel::Error),
        };
        ErrorLog { target, level }
    }
}

/// Whether locations are looked up.
pub(super) fn location(source: &Source<'_>) -> bool {
    source.get(&USE_GEOIP2)
}

/// Which requests are logged.
pub(super) fn access_log(source: &mut Source<'_>) -> AccessLogSettings {
    let format = log_format(source);
    let level: &'static str = source.get(&ERROR_LOG_LEVEL);
    AccessLogSettings {
        enabled: !source.get(&DISABLE_ACCESS_LOG) && !source.get(&DISABLE_HTTP_ACCESS_LOG),
        default_backend: source.get(&ENABLE_ACCESS_LOG_FOR_DEFAULT_BACKEND),
        subrequests: source.get(&ENABLE_AUTH_ACCESS_LOG),
        skip: skipped(source).into(),
        format,
        errors: ["debug", "info", "notice"].contains(&level),
    }
}

/// What is not logged. An entry with a control character, or with an expression that does not compile, is left out.
fn skipped(source: &mut Source<'_>) -> Vec<String> {
    let skipped = source.each(&SKIP_ACCESS_LOG_URLS, |entry| {
        if entry.contains(char::is_control) {
            return Err(format!("\"{}\" has a control character", excerpt(entry)));
        }
        let expression = entry
            .strip_prefix('~')
            .map(|rest| rest.strip_prefix('*').unwrap_or(rest));
        match expression.map(Pattern::new) {
            Some(Err(error)) => Err(format!(
                "\"{}\" is not a regular expression: {error}",
                excerpt(entry)
            )),
            _ => Ok(entry.to_owned()),
        }
    });
    skipped.unwrap_or_default()
}

/// The path of the log of `own`.
fn path<'s>(source: &'s Source<'_>, own: &Key<String, Setting>) -> &'s str {
    match source.text(own) {
        "" => source.text(&ACCESS_LOG_PATH),
        own => own,
    }
}

fn syslog_port(source: &mut Source<'_>) -> u16 {
    u16::try_from(source.positive(&SYSLOG_PORT)).unwrap_or_else(|_| {
        source.reject(&SYSLOG_PORT, "is not a port");
        514
    })
}

/// Whether `enable-syslog` is on; without a host the log stays where it is.
fn uses_syslog(source: &mut Source<'_>, server: &SyslogServer) -> bool {
    if !source.get(&ENABLE_SYSLOG) {
        return false;
    }
    let valid = !server.host.is_empty() && server.host.chars().all(is_host);
    if !valid {
        let message = "syslog-host must name a host; the access log goes to access-log-path";
        source.error(&ENABLE_SYSLOG, message.to_owned());
    }
    valid
}

fn is_host(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ':' | '[' | ']')
}

/// The format of lines; `None`: the default one.
fn log_format(source: &mut Source<'_>) -> Option<Arc<LogFormat>> {
    let escape = if source.get(&LOG_FORMAT_ESCAPE_NONE) {
        LogEscape::None
    } else if source.get(&LOG_FORMAT_ESCAPE_JSON) {
        LogEscape::Json
    } else {
        LogEscape::Hex
    };
    let text = source.text(&LOG_FORMAT_UPSTREAM);
    if text.is_empty() || (text == FORMAT && escape == LogEscape::Hex) {
        return None;
    }
    let text = format_text(source, &LOG_FORMAT_UPSTREAM);
    let (template, problems) = Template::log_format(&text);
    for problem in problems {
        let consequence = match problem {
            TemplateError::Unknown(_) => "written as -",
            _ => "written as it is",
        };
        source.warn(&LOG_FORMAT_UPSTREAM, &format!("{problem}; {consequence}"));
    }
    if template.reads_location() && !source.get(&USE_GEOIP2) {
        const OFF: &str = "$geoip2_* are empty without use-geoip2";
        source.warn(&LOG_FORMAT_UPSTREAM, OFF);
    }
    Some(Arc::new(LogFormat { template, escape }))
}

/// The text of a format, without escapes and control characters: they would be in every line.
pub(super) fn format_text(source: &mut Source<'_>, key: &Key<String, Setting>) -> String {
    let text = source.text(key);
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let has_control = text.contains(is_control);
    let text = unescaped(&text.replace(is_control, ""));
    if has_control {
        source.warn(key, "control characters are left out");
    }
    text
}

/// The text without the escapes of a quoted string of nginx.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match rest.next() {
            Some(quoted @ ('"' | '\'' | '\\')) => out.push(quoted),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('n') => out.push('\n'),
            other => out.extend(std::iter::once('\\').chain(other)),
        }
    }
    out
}
