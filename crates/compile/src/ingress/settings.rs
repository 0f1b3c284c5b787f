//! The ConfigMap: one registry of every key, and the settings it parses to.
//!
//! Settings are total: a value of the wrong type leaves its key at the default with a warning, an unknown key is named,
//! and a key that protects and can't be honoured closes every route.

pub(crate) mod client;
mod docs;
pub(crate) mod logs;
mod process;
mod read;
mod registry;
pub(crate) mod security;
pub(crate) mod tls;
pub(crate) mod upstream;

pub use client::{Client, ForwardedHeaders, LimitDefaults};
pub use docs::settings_markdown;
pub use logs::{AccessLog, LogTarget};
pub use registry::{Setting, all, find};
pub use security::{AccessDefaults, AnnotationRules, HeaderRules};
pub use tls::{Hsts, RedirectDefaults, TlsSettings};
pub use upstream::UpstreamDefaults;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::ingress::registry::{Denial, Problem};
use read::Source;

/// All settings of the ConfigMap that are honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What annotations may do.
    pub annotations: AnnotationRules,
    /// Address lists of all routes.
    pub access: AccessDefaults,
    /// Headers of all routes.
    pub headers: HeaderRules,
    /// TLS towards clients.
    pub tls: TlsSettings,
    /// Redirects.
    pub redirects: RedirectDefaults,
    /// `Some` when answers over https carry Strict-Transport-Security.
    pub hsts: Option<Hsts>,
    /// Client addresses and forwarded headers.
    pub forwarded: ForwardedHeaders,
    /// HTTP with clients.
    pub client: Client,
    /// What limits count by and answer.
    pub limits: LimitDefaults,
    /// HTTP with backends.
    pub upstream: UpstreamDefaults,
    /// The access log.
    pub access_log: AccessLog,
    /// Time for requests in flight at a stop; 240 s by default.
    pub shutdown_timeout: Duration,
    /// Connections of one worker; derived from the limit of open files when `None`.
    pub max_worker_connections: Option<NonZeroU32>,
    /// Why every route answers 503.
    pub closed: Option<Denial>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::parse(&BTreeMap::new()).0
    }
}

impl Settings {
    /// Parses the data of the ConfigMap.
    pub fn parse(data: &BTreeMap<String, String>) -> (Self, Vec<Problem>) {
        let mut source = Source::new(data);
        let mut settings = Self {
            annotations: AnnotationRules::read(&mut source),
            access: AccessDefaults::read(&source),
            headers: HeaderRules::read(&mut source),
            tls: TlsSettings::read(&mut source),
            redirects: RedirectDefaults::read(&mut source),
            hsts: Hsts::read(&mut source),
            forwarded: ForwardedHeaders::read(&mut source),
            client: Client::read(&mut source),
            limits: LimitDefaults::read(&mut source),
            upstream: UpstreamDefaults::read(&mut source),
            access_log: AccessLog::read(&source),
            shutdown_timeout: source.get(&process::WORKER_SHUTDOWN_TIMEOUT),
            max_worker_connections: NonZeroU32::new(source.count(&process::MAX_WORKER_CONNECTIONS)),
            closed: None,
        };
        let outcome = source.finish();
        settings.closed = outcome.denied;
        (settings, outcome.problems)
    }
}

#[cfg(test)]
mod tests;
