//! Why routes are closed (503): a configured protection cannot be honoured. The reasons of an Ingress itself, of the settings and
//! of other Ingresses of its host are combined here.

use std::sync::Arc;

use headgate_table::Closed;

use crate::finding::{Finding, Severity};
use crate::ingress::annotations::{self, IngressAnnotations, Protection};
use crate::ingress::host::AttachedIngress;
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::registry::Key;
use crate::ingress::settings::Settings;

/// The consequence in the message of a finding that closes routes.
const CONSEQUENCE: &str = "the routes respond with 503";

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
            reason: format!("{name}: {reason}").into(),
            only_authentication,
        });
        denial.only_authentication &= only_authentication;
    }

    /// The message of the finding about `reason`.
    pub(crate) fn message(reason: &str) -> String {
        format!("{reason}; {CONSEQUENCE}")
    }

    fn closed(&self) -> Closed {
        Closed {
            reason: self.reason.clone(),
        }
    }
}

/// Why the routes of one Ingress are closed: by its annotations, by the settings, or because its policy cannot be built.
pub(crate) struct Closing<'a> {
    ingress: &'a ParsedIngress,
    pub(crate) denial: Option<Denial>,
    pub(crate) findings: Vec<Finding>,
}

impl<'a> Closing<'a> {
    /// By the annotations of `ingress` and the settings. The reason of the Ingress comes before that of the settings.
    pub(crate) fn new(ingress: &'a ParsedIngress, settings: &Settings) -> Self {
        let exempt = ingress.annotations.global_auth == Some(false);
        let global = settings.closed.as_ref();
        let global = global.filter(|denial| !(denial.only_authentication && exempt));
        let denial = match (ingress.annotations.denied.as_ref(), global) {
            (Some(own), Some(global)) => Some(Denial {
                only_authentication: own.only_authentication && global.only_authentication,
                ..own.clone()
            }),
            (own, global) => own.or(global).cloned(),
        };
        Self {
            ingress,
            denial,
            findings: Vec::new(),
        }
    }

    /// The value that an annotation configures; an error closes the routes, which must not be served without it.
    pub(crate) fn unless<V, T: Default>(&mut self, key: &Key<V>, built: Result<T, String>) -> T {
        built.unwrap_or_else(|reason| {
            let annotation = key.entry().name;
            Denial::add(&mut self.denial, annotation, &reason, false);
            self.findings.push(self.ingress.annotation_finding(
                Severity::Error,
                annotation,
                Denial::message(&reason),
            ));
            T::default()
        })
    }
}

/// An annotation that protects all paths of the hosts of its Ingress, including paths of other Ingresses, and that cannot be
/// honoured (behaviour.md 1.8).
pub(crate) fn broken_for_hosts(annotations: &IngressAnnotations, prefix: &str) -> Option<Arc<str>> {
    let problems = annotations.problems.iter();
    let errors = problems.filter(|problem| problem.severity == Severity::Error);
    let mut names =
        errors.filter_map(|problem| problem.field.strip_prefix(prefix)?.strip_prefix('/'));
    let broken = names.find(|name| {
        let row = annotations::find(name);
        row.is_some_and(|row| row.entry.protects == Some(Protection::Hosts))
    })?;
    Some(broken.into())
}

/// Why the routes of a host are closed.
pub(crate) struct HostClosing<'a> {
    settings: &'a Settings,
    /// The reason for all routes of the host, of any Ingress.
    all: Option<Arc<str>>,
}

impl<'a> HostClosing<'a> {
    /// By the primary Ingresses of `host`: one with a protection of the whole host that is not honoured closes the routes of all,
    /// which is a finding of the others.
    pub(crate) fn new(
        host: &str,
        primaries: &[&AttachedIngress],
        settings: &'a Settings,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let broken = primaries
            .iter()
            .find_map(|attached| Some((attached, attached.ingress.closes_hosts.as_ref()?)));
        let Some((owner, annotation)) = broken else {
            let all = None;
            return Self { settings, all };
        };
        let reason = format!(
            "{annotation} of Ingress {} protects all of host {host} and is not honoured",
            owner.ingress.name
        );
        let others = primaries
            .iter()
            .filter(|attached| attached.ingress.closes_hosts.is_none());
        findings.extend(others.map(|attached| {
            let message = Denial::message(&reason);
            let ingress = &attached.ingress;
            ingress.finding(Severity::Error, "spec.rules", message)
        }));
        let all = Some(reason.into());
        Self { settings, all }
    }

    /// Why the route of an Ingress for `path` is closed.
    pub(crate) fn route(&self, attached: &AttachedIngress, path: &str) -> Option<Closed> {
        let own = attached.closed.as_ref();
        let own = own.filter(|denial| !(denial.only_authentication && self.is_exempt(path)));
        own.map(Denial::closed).or_else(|| self.all())
    }

    /// Whether `path` is exempt from authentication. Exemptions apply to paths of the Ingress, not of requests
    /// (behaviour.md 1.7).
    pub(crate) fn is_exempt(&self, path: &str) -> bool {
        let mut exempt = self.settings.no_auth_locations.iter();
        exempt.any(|exempt| path.starts_with(&**exempt))
    }

    /// Why routes without an Ingress are closed.
    pub(crate) fn all(&self) -> Option<Closed> {
        let reason = self.all.clone()?;
        Some(Closed { reason })
    }

    /// Why the default backend is closed.
    pub(crate) fn default_backend(&self) -> Option<Closed> {
        self.settings.closed.as_ref().map(Denial::closed)
    }
}
