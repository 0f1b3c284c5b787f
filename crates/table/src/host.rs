//! A host and its TLS.

use std::sync::Arc;

use crate::{Certificate, HostClients, HostScript, PathIndex, Pattern};

/// Name of the host that serves every unknown host name.
pub const CATCH_ALL: &str = "_";

/// The rules of one host. Tables share it as long as none of its inputs change.
#[derive(Clone, Debug)]
pub struct Host {
    /// `shop.example`, `*.shop.example` or `_`; lower-case.
    pub name: Arc<str>,
    /// Other names: exact ones and `*.x` of any depth. Regex names are in [`VirtualHosts`](crate::VirtualHosts).
    pub aliases: Arc<[Arc<str>]>,
    /// Its certificate.
    pub tls: HostTls,
    /// Which clients it serves, judged by their certificates.
    pub clients: HostClients,
    /// Its cipher suites.
    pub ciphers: HostCiphers,
    /// Runs before the route of a request is known.
    pub script: Option<Arc<HostScript>>,
    /// Serves routes or redirects.
    pub behaviour: HostBehaviour,
}

/// Which certificate a host serves.
#[derive(Clone, Debug, PartialEq)]
pub enum HostTls {
    /// No TLS configured: uses the certificate of a wildcard host or of the catch-all.
    None,
    /// TLS configured without a usable certificate: uses the default one, and redirects to https apply.
    Default,
    /// A certificate of its own.
    Own(Arc<Certificate>),
}

/// The cipher suites of a host, where they differ from the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCiphers {
    /// TLS 1.2 suites by OpenSSL name, in order; `None`: those of the settings.
    pub names: Option<Arc<[String]>>,
    /// Whether the client's order takes precedence; `None`: as in the settings.
    pub client_order: Option<bool>,
}

/// What a host does with requests.
#[derive(Clone, Debug)]
pub enum HostBehaviour {
    /// Serves routes.
    Routes {
        /// `GET /` is redirected to a path of the application.
        app_root: Option<AppRoot>,
        /// The routes. One is always for `/`.
        paths: PathIndex,
    },
    /// Redirects everything to another host (`from-to-www-redirect`).
    Redirect {
        /// The target host.
        to: Arc<str>,
    },
}

/// Redirect of the root to a path of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRoot {
    /// The target path; begins with `/`.
    pub path: Arc<str>,
}

/// A host reached by names that match a regular expression (`server-alias: ~...`).
#[derive(Clone, Debug)]
pub struct RegexName {
    /// Matched, unanchored, against the lower-case host name without port.
    pub pattern: Pattern,
    /// The host that has the alias.
    pub host: Arc<Host>,
}
