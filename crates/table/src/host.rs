//! A host and its TLS.

use std::sync::Arc;

use crate::{Certificate, PathIndex, Pattern};

/// Name of the host that takes requests for every unknown host.
pub const CATCH_ALL: &str = "_";

/// The rules of one host. Shared between tables while nothing that it is made of changes.
#[derive(Clone, Debug)]
pub struct Host {
    /// `shop.example`, `*.shop.example` or `_`; lower-case.
    pub name: Arc<str>,
    /// Other names: exact ones and `*.x` of any depth. Regex names are in the table.
    pub aliases: Arc<[Arc<str>]>,
    /// Its certificate.
    pub tls: HostTls,
    /// What it does.
    pub behaviour: HostBehaviour,
}

/// The certificate situation of a host.
#[derive(Clone, Debug, PartialEq)]
pub enum HostTls {
    /// No TLS configured: a wildcard host's or the catch-all's certificate serves.
    None,
    /// TLS configured without a usable certificate: the default one serves, and redirects to https apply.
    Default,
    /// Its own.
    Own(Arc<Certificate>),
}

/// What a host does with requests.
#[derive(Clone, Debug)]
pub enum HostBehaviour {
    /// Serves routes.
    Routes {
        /// `GET /` is redirected to a path of the application.
        app_root: Option<AppRoot>,
        /// The routes. There is always one for `/`.
        paths: PathIndex,
    },
    /// Redirects everything to another host (`from-to-www-redirect`).
    Redirect {
        /// That host.
        to: Arc<str>,
    },
}

/// Redirect of the root to a path of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRoot {
    /// Where to; begins with `/`.
    pub path: Arc<str>,
}

/// A host reached by names that match a regular expression (`server-alias: ~...`).
#[derive(Clone, Debug)]
pub struct RegexName {
    /// Searched in the lower-case host name without port.
    pub pattern: Pattern,
    /// Whose alias it is.
    pub host: Arc<Host>,
}
