//! Why routes are closed (503): a configured protection cannot be honoured. The reasons of an Ingress itself and of the
//! settings are combined here.

use std::sync::Arc;

use headgate_table::Closed;
use http::StatusCode;

use crate::finding::{Finding, Severity};
use crate::ingress::host::AttachedIngress;
use crate::ingress::registry::{Key, printable};
use crate::ingress::settings::Settings;
use crate::ingress::subject::Subject;

/// Why routes are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: Arc<str>,
    /// Only authentication is missing, so paths that are exempt from it stay open (`no-auth-locations`, behaviour.md 1.7).
    only_authentication: bool,
}

impl Denial {
    /// Adds a reason. The first one is kept; exempt paths stay open only if every reason is missing authentication.
    pub(crate) fn add(to: &mut Option<Self>, name: &str, reason: &str, only_authentication: bool) {
        let denial = to.get_or_insert_with(|| Self {
            reason: printable(format!("{name}: {reason}")).into(),
            only_authentication,
        });
        denial.only_authentication &= only_authentication;
    }

    /// All of these. The first reason is kept; exempt paths stay open only if every one is missing authentication.
    fn all<'a>(denials: impl IntoIterator<Item = Option<&'a Self>>) -> Option<Self> {
        let denials = denials.into_iter().flatten().cloned();
        denials.reduce(|first, other| Self {
            only_authentication: first.only_authentication && other.only_authentication,
            ..first
        })
    }

    /// The message of the finding about `reason`, which closes routes with this status.
    pub(crate) fn message(reason: &str, status: StatusCode) -> String {
        format!("{reason}; the routes respond with {}", status.as_u16())
    }

    /// What a route of this denial is.
    pub(crate) fn closed(&self) -> Closed {
        Closed::unavailable(self.reason.clone())
    }
}

/// Why the routes of one object are closed: by its annotations, by the settings, or because its policy cannot be built.
pub(crate) struct Closing<'a> {
    subject: Subject<'a>,
    pub(crate) denial: Option<Denial>,
    pub(crate) findings: Vec<Finding>,
}

impl<'a> Closing<'a> {
    /// By the annotations of `subject` and the settings. The reason of the object comes before that of the settings.
    pub(crate) fn new(subject: Subject<'a>, settings: &Settings) -> Self {
        let exempt = subject.annotations.global_auth == Some(false);
        let own = subject.annotations.denied.as_ref();
        let global = settings.closed.as_ref();
        let global = global.filter(|denial| !(denial.only_authentication && exempt));
        let is_off = subject.annotations.firewall == Some(false);
        let firewall = settings.firewall.as_ref().filter(|_| !is_off);
        Self {
            subject,
            denial: Denial::all([own, global, firewall]),
            findings: Vec::new(),
        }
    }

    /// The value that an annotation configures; an error closes the routes, which must not be served without it.
    pub(crate) fn unless<V, T: Default>(&mut self, key: &Key<V>, built: Result<T, String>) -> T {
        built.unwrap_or_else(|reason| {
            let annotation = key.entry().name;
            Denial::add(&mut self.denial, annotation, &reason, false);
            self.findings.push(self.subject.annotation_finding(
                Severity::Error,
                annotation,
                Denial::message(&reason, self.subject.closed),
            ));
            T::default()
        })
    }
}

/// Why the routes of a host are closed.
pub(crate) struct HostClosing<'a> {
    settings: &'a Settings,
    /// Why every route of the host is.
    host: Option<Closed>,
}

impl<'a> HostClosing<'a> {
    /// `host` is why every route of the host is closed.
    pub(crate) fn new(settings: &'a Settings, host: Option<Closed>) -> Self {
        Self { settings, host }
    }

    /// Why the route of an Ingress for `path` is closed.
    pub(crate) fn route(&self, attached: &AttachedIngress, path: &str) -> Option<Closed> {
        let own = attached.closed.as_ref();
        let own = own.filter(|denial| !(denial.only_authentication && self.is_exempt(path)));
        own.map(Denial::closed).or_else(|| self.host.clone())
    }

    /// Whether `path` is exempt from authentication. Exemptions apply to paths of the Ingress, not of requests
    /// (behaviour.md 1.7).
    pub(crate) fn is_exempt(&self, path: &str) -> bool {
        let mut exempt = self.settings.no_auth_locations.iter();
        exempt.any(|exempt| path.starts_with(&**exempt))
    }

    /// Why built-in routes are closed: no Ingress defines what the snippets of the settings read.
    pub(crate) fn built_in(&self) -> Option<Closed> {
        self.settings.undefined.as_ref().map(Denial::closed)
    }

    /// Why the default backend is closed.
    pub(crate) fn default_backend(&self) -> Option<Closed> {
        let closed = self.settings.closed.as_ref();
        let closed = closed.or(self.settings.firewall.as_ref());
        closed.map(Denial::closed).or_else(|| self.host.clone())
    }
}
