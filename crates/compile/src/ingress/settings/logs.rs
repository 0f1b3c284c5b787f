//! The access log.

use std::path::PathBuf;

use super::read::Source;

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
