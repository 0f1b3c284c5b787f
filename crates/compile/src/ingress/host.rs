//! One host: merges the rules of all its Ingresses.
//!
//! The only inputs of a host are its own Ingresses, oldest first, the settings, and which other hosts exist. So hosts are
//! independent, and tables share an unchanged one.

mod canary;
mod clients;
mod error_pages;
mod passthrough;
mod routes;
mod snippets;
mod tls;

use std::sync::Arc;

use headgate_table::{CATCH_ALL, HostCiphers, HostClients, HostTls, Pattern, Policy, TlsSettings};

use crate::build::certificates::Certificates;
use crate::build::interned::Interned;
use crate::build::{
    BackendDraft, BehaviourDraft, HostDraft, PathOrder, RouteDraft, Transport, Universe,
};
use crate::finding::{Finding, Severity};
use crate::ingress::closed::Denial;
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::policy::snippets::Undefined;
use crate::ingress::settings::Settings;
use crate::{Options, Snapshot};

/// A served Ingress, with the policy of its routes.
pub(crate) struct AttachedIngress {
    pub(crate) ingress: Arc<ParsedIngress>,
    pub(crate) policy: Arc<Policy>,
    /// The protocol and TLS settings of the endpoints of its backends.
    pub(crate) transport: Transport,
    /// Which clients its hosts serve, judged by their certificates.
    pub(crate) clients: HostClients,
    pub(crate) closed: Option<Denial>,
    /// What its snippets read that nothing defines on a host without a server-snippet.
    pub(crate) undefined: Option<Arc<Undefined>>,
}

/// Inputs of a host besides its Ingresses.
pub(crate) struct Inputs<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) settings: &'a Settings,
    pub(crate) options: &'a Options,
    pub(crate) certificates: &'a mut Certificates,
    pub(crate) patterns: &'a mut Interned<Pattern>,
    /// The universe of hosts of Ingresses.
    pub(crate) universe: &'a Universe,
    /// `spec.rules`, shared by all drafts.
    pub(crate) rules_field: &'a Arc<str>,
    /// Policy of built-in routes.
    pub(crate) plain_policy: &'a Arc<Policy>,
    /// Whether a primary Ingress defines this host.
    pub(crate) defines: &'a dyn Fn(&str) -> bool,
}

/// A host compiled from its Ingresses.
pub(crate) struct IngressHost {
    /// `None` if the host is not served.
    pub(crate) served: Option<ServedHost>,
    /// Gets the TLS connections for the host undecrypted, if they are passed through.
    pub(crate) passthrough: Option<BackendDraft>,
    /// Aliases in the annotation of its Ingress, including those that belong to another host.
    pub(crate) claimed: Vec<Arc<str>>,
    /// Aliases that are regular expressions.
    pub(crate) regex_names: Vec<Pattern>,
    pub(crate) findings: Vec<Finding>,
}

/// A host with its routes, in their order.
pub(crate) struct ServedHost {
    pub(crate) host: HostDraft,
    pub(crate) root: Option<RouteDraft<()>>,
    pub(crate) routes: Vec<RouteDraft<()>>,
}

/// Compiles `host` from the Ingresses attached to it, oldest first. `counterpart` are those attached to its `www.` counterpart.
pub(crate) fn draft(
    host: &Arc<str>,
    attached: &[&AttachedIngress],
    counterpart: &[&AttachedIngress],
    inputs: &mut Inputs<'_>,
) -> IngressHost {
    let primaries: Vec<&AttachedIngress> = attached
        .iter()
        .copied()
        .filter(|attached| !attached.ingress.is_canary())
        .collect();
    let mut findings = Vec::new();
    if primaries.is_empty() && &**host != CATCH_ALL {
        canary::Canaries::new(host, attached).unmatched(&mut findings);
        let redirect = redirect_host(host, counterpart, inputs);
        return IngressHost {
            served: redirect.map(|host| ServedHost {
                host,
                root: None,
                routes: Vec::new(),
            }),
            passthrough: None,
            claimed: Vec::new(),
            regex_names: Vec::new(),
            findings,
        };
    }
    let snippets = snippets::HostSnippets::of(host, &primaries, inputs, &mut findings);
    let script = snippets.script.clone();
    let members = routes::Members {
        attached,
        primaries: &primaries,
        snippets,
    };
    let routes = routes::draft(host, members, inputs, &mut findings);
    let tls = tls::choose(host, &primaries, inputs, &mut findings);
    let aliases = aliases(host, &primaries, inputs, &mut findings);
    findings.extend(www_finding(host, &primaries, inputs));
    let draft = HostDraft {
        name: host.clone(),
        aliases: aliases.exact,
        tls,
        clients: clients::choose(host, &primaries, &mut findings),
        ciphers: ciphers(&primaries, &inputs.settings.data_plane.tls),
        script,
        behaviour: BehaviourDraft::Routes {
            app_root: routes.app_root,
            order: if routes.regex {
                PathOrder::Expressions
            } else {
                PathOrder::Literal
            },
        },
    };
    IngressHost {
        served: Some(ServedHost {
            host: draft,
            root: Some(routes.root),
            routes: routes.others,
        }),
        passthrough: passthrough::choose(host, attached, &mut findings),
        claimed: aliases.claimed,
        regex_names: aliases.regex,
        findings,
    }
}

/// The finding if a redirect from the host's counterpart is configured, but an Ingress defines the counterpart.
fn www_finding(host: &str, primaries: &[&AttachedIngress], inputs: &Inputs<'_>) -> Option<Finding> {
    let counterpart = www_counterpart(host);
    if !redirects_www(primaries) || !(inputs.defines)(&counterpart) {
        return None;
    }
    let mut owners = primaries.iter();
    let owner =
        owners.find(|attached| attached.ingress.annotations.redirects.from_to_www == Some(true))?;
    let message =
        format!("host {counterpart} is defined by an Ingress, so there is no redirect from it");
    let ingress = &owner.ingress;
    Some(ingress.annotation_finding(Severity::Warning, "from-to-www-redirect", message))
}

/// The findings about paths that an Ingress loses to an older one of `attached`, as in ingress-nginx.
pub(crate) fn lost_paths(host: &str, attached: &[&AttachedIngress]) -> Vec<Finding> {
    let primaries = attached.iter().copied();
    let primaries: Vec<_> = primaries
        .filter(|attached| !attached.ingress.is_canary())
        .collect();
    routes::lost(host, &primaries)
}

/// Whether `host` with these primary Ingresses, oldest first, is in regex mode.
pub(crate) fn in_regex_mode(host: &str, primaries: &[&AttachedIngress]) -> bool {
    routes::in_regex_mode(host, primaries)
}

/// `www.x` for `x`, and `x` for `www.x`.
pub(crate) fn www_counterpart(host: &str) -> String {
    host.strip_prefix("www.")
        .map_or_else(|| format!("www.{host}"), str::to_owned)
}

/// Whether any of a host's Ingresses configures the redirect from its `www.` counterpart.
pub(crate) fn redirects_www(attached: &[&AttachedIngress]) -> bool {
    let redirects = |attached: &&AttachedIngress| {
        attached.ingress.annotations.redirects.from_to_www == Some(true)
    };
    attached
        .iter()
        .filter(|attached| !attached.ingress.is_canary())
        .any(redirects)
}

/// A host that only redirects to its counterpart.
fn redirect_host(
    host: &Arc<str>,
    counterpart: &[&AttachedIngress],
    inputs: &mut Inputs<'_>,
) -> Option<HostDraft> {
    let to: Arc<str> = www_counterpart(host).into();
    if &*to == CATCH_ALL || to.starts_with("*.") || !redirects_www(counterpart) {
        return None;
    }
    let primaries: Vec<&AttachedIngress> = counterpart
        .iter()
        .copied()
        .filter(|attached| !attached.ingress.is_canary())
        .collect();
    // Problems of the certificate are findings of the counterpart.
    let tls = match tls::choose(&to, &primaries, inputs, &mut Vec::new()) {
        HostTls::Own(own) if !own.covers(host) => HostTls::Default,
        tls => tls,
    };
    Some(HostDraft {
        name: host.clone(),
        aliases: Vec::new(),
        tls,
        clients: HostClients::Any,
        ciphers: HostCiphers::default(),
        script: None,
        behaviour: BehaviourDraft::Redirect(to),
    })
}

/// The cipher suites of the first Ingress that sets them, and the order of the first that sets one.
fn ciphers(primaries: &[&AttachedIngress], defaults: &TlsSettings) -> HostCiphers {
    let own = || {
        primaries
            .iter()
            .map(|attached| &attached.ingress.annotations.ciphers)
    };
    HostCiphers {
        names: own()
            .find_map(|ciphers| ciphers.names.clone())
            .filter(|names| *names != defaults.ciphers),
        client_order: own()
            .find_map(|ciphers| ciphers.client_order)
            .filter(|client_order| *client_order != defaults.client_order),
    }
}

#[derive(Default)]
struct Aliases {
    exact: Vec<Arc<str>>,
    regex: Vec<Pattern>,
    claimed: Vec<Arc<str>>,
}

/// The aliases of the first Ingress with aliases; a name that is a host of an Ingress stays with that host.
fn aliases(
    host: &str,
    primaries: &[&AttachedIngress],
    inputs: &Inputs<'_>,
    findings: &mut Vec<Finding>,
) -> Aliases {
    let mut aliases = Aliases::default();
    let first = primaries.iter().find_map(|attached| {
        let aliases = attached.ingress.annotations.routing.server_aliases.as_ref();
        Some((attached, aliases?))
    });
    let Some((attached, configured)) = first else {
        return aliases;
    };
    aliases.regex.clone_from(&configured.expressions);
    for name in configured.names.iter().filter(|name| ***name != *host) {
        aliases.claimed.push(name.clone());
        if (inputs.defines)(name) {
            let message = format!("\"{name}\" is the host of an Ingress; left out");
            findings.push(attached.ingress.annotation_finding(
                Severity::Warning,
                "server-alias",
                message,
            ));
        } else {
            aliases.exact.push(name.clone());
        }
    }
    aliases
}
