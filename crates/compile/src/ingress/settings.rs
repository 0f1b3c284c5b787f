//! The ConfigMap: one registry of every key, and the settings it parses to.
//!
//! Parsing never fails: a key with a value of the wrong type keeps its default, with a warning, an unknown key is reported, and a
//! protecting key that cannot be honoured closes every route.

mod addresses;
mod blocking;
pub(crate) mod client;
mod compression;
mod docs;
mod exhaustion;
mod global_auth;
mod headers;
pub(crate) mod logs;
mod process;
mod read;
pub(crate) mod redirects;
mod registry;
pub(crate) mod resilience;
pub(crate) mod security;
pub(crate) mod snippets;
mod streams;
pub(crate) mod tls;
pub(crate) mod tracing;
pub(crate) mod upstream;

pub(crate) use addresses::ListenAddresses;
use compression::Codings;
pub use docs::settings_markdown;
pub(crate) use headers::HeaderMaps;
pub use logs::{AccessLog, ErrorLog, LogLevel, LogTarget, SyslogServer};
pub(crate) use redirects::RedirectDefaults;
pub use registry::{Setting, all, find};
pub(crate) use security::{AccessDefaults, AnnotationRules};
pub(crate) use snippets::SettingsSnippets;
pub(crate) use tracing::TracingDefaults;
pub(crate) use upstream::UpstreamDefaults;

use std::collections::BTreeMap;

use headgate_table as table;

use crate::ingress::closed::Denial;
use crate::ingress::family::errors::GlobalErrors;
use crate::ingress::family::external_auth::ExternalAuth;
use crate::ingress::registry::Problem;
use read::Source;

/// All settings of the ConfigMap that are honoured.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Restrictions of annotations.
    pub(crate) annotations: AnnotationRules,
    pub(crate) access: AccessDefaults,
    pub(crate) header_maps: HeaderMaps,
    pub(crate) redirects: RedirectDefaults,
    pub(crate) upstream: UpstreamDefaults,
    /// Error pages of routes without their own.
    pub(crate) errors: GlobalErrors,
    /// The authentication service of Ingresses without one (`global-auth-url`).
    pub(crate) global_auth: Option<ExternalAuth>,
    /// Prefixes of Ingress paths without authentication (`no-auth-locations`).
    pub(crate) no_auth_locations: Vec<String>,
    /// Tracing of Ingresses without their own.
    pub(crate) tracing: TracingDefaults,
    /// nginx directives for every host and route.
    pub(crate) snippets: SettingsSnippets,
    /// Addresses to listen on.
    pub(crate) listen: ListenAddresses,
    /// Compression, of which the data plane gets what is used.
    codings: Codings,
    /// The access log.
    pub access_log: AccessLog,
    /// The log of the data plane's messages.
    pub error_log: ErrorLog,
    /// Settings of the data plane, without the header fields of other ConfigMaps.
    pub(crate) data_plane: table::Settings,
    /// Why every route responds with 503.
    pub(crate) closed: Option<Denial>,
    /// Why every route does whose Ingress does not switch the firewall off.
    pub(crate) firewall: Option<Denial>,
    /// Why routes do that have no snippets of their own: those here read a variable that nothing defines.
    pub(crate) undefined: Option<Denial>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::parse(&BTreeMap::new()).0
    }
}

impl Settings {
    /// Parses the data of the ConfigMap.
    pub(crate) fn parse(data: &BTreeMap<String, String>) -> (Self, Vec<Problem>) {
        Self::parse_beside(data, &[80, 443])
    }

    /// Parses the data of the ConfigMap of a proxy that serves these ports.
    pub(crate) fn parse_beside(
        data: &BTreeMap<String, String>,
        ports: &[u16],
    ) -> (Self, Vec<Problem>) {
        let mut source = Source::new(data, ports);
        let codings = Codings::read(&mut source);
        let access_log = AccessLog::read(&mut source);
        let snippets = SettingsSnippets::read(&mut source);
        let settings = Self {
            annotations: AnnotationRules::read(&mut source),
            access: AccessDefaults::read(&source),
            header_maps: HeaderMaps::read(&mut source),
            redirects: RedirectDefaults::read(&source),
            upstream: UpstreamDefaults::read(&mut source),
            errors: security::errors(&mut source),
            global_auth: global_auth::read(&mut source),
            no_auth_locations: source.unless_blank(&security::NO_AUTH_LOCATIONS),
            tracing: TracingDefaults::read(&mut source),
            error_log: access_log.error_log(&source),
            access_log,
            listen: ListenAddresses::read(&mut source),
            data_plane: table::Settings {
                compression: codings.used(),
                maps: snippets.maps(),
                ..data_plane(&mut source)
            },
            codings,
            firewall: security::firewall(&mut source),
            snippets,
            closed: None,
            undefined: None,
        };
        let outcome = source.finish();
        let settings = Self {
            closed: outcome.denied,
            ..settings
        };
        (settings, outcome.problems)
    }
}

fn data_plane(source: &mut Source<'_>) -> table::Settings {
    let mut settings = table::Settings {
        forwarded: client::forwarded(source),
        blocked: blocking::read(source),
        client: client::limits(source),
        tls: tls::tls(source),
        ocsp: tls::ocsp(source),
        hsts: tls::hsts(source),
        pool: upstream::pool(source),
        access_log: logs::access_log(source),
        streams: streams::read(source),
        location: logs::location(source),
        tracing: tracing::settings(source).into(),
        redirect_status: redirects::status(source),
        limit_status: client::rate_status(source),
        limit_connections_status: client::connection_status(source),
        limit_key: client::limit_key(source),
        http2: client::http2(source),
        ipv4_only_names: addresses::ipv4_only_names(source),
        default_type: client::default_type(source),
        counter_clients: process::counter_clients(source),
        drain: process::drain(source),
        ..table::Settings::default()
    };
    headers::read(source, &mut settings);
    settings
}

#[cfg(test)]
mod tests;
