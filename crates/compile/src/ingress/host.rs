//! One host: the rules of all Ingresses that name it, as one compiled form.
//!
//! A host is compiled from its own Ingresses, oldest first, and nothing else but the settings and which other hosts
//! exist, so that hosts are independent and an unchanged one is shared between tables.

mod canary;
mod routes;
mod tls;

use std::sync::Arc;

use headgate_table::{AppRoot, CATCH_ALL, Host, HostBehaviour, HostTls, Pattern, Policy};

use crate::build::certificates::Certificates;
use crate::build::interned::Interned;
use crate::build::service_port::Transport;
use crate::build::upstreams::Upstreams;
use crate::finding::{Finding, Severity};
use crate::ingress::annotations::Denial;
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::settings::Settings;
use crate::{Options, Snapshot};

/// An Ingress in service, with the policy of its routes.
pub(crate) struct Member {
    pub(crate) ingress: Arc<ParsedIngress>,
    pub(crate) policy: Arc<Policy>,
    /// How the endpoints of its backends are spoken to.
    pub(crate) transport: Transport,
    pub(crate) closed: Option<Denial>,
}

/// What a host is compiled with.
pub(crate) struct Surroundings<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) settings: &'a Settings,
    pub(crate) options: &'a Options,
    pub(crate) certificates: &'a mut Certificates,
    pub(crate) patterns: &'a mut Interned<Pattern>,
    pub(crate) upstreams: &'a mut Upstreams,
    /// Policy of routes that no Ingress made.
    pub(crate) plain_policy: &'a Arc<Policy>,
    /// Whether some Ingress, canaries aside, defines this host.
    pub(crate) defines: &'a dyn Fn(&str) -> bool,
}

/// A compiled host and what came up.
pub(crate) struct CompiledHost {
    /// `None` when nothing is served under that name.
    pub(crate) host: Option<Arc<Host>>,
    /// Aliases that its Ingress asks for, also those that it does not get because another host has the name.
    pub(crate) wished: Vec<Arc<str>>,
    /// Aliases that are regular expressions.
    pub(crate) regex_names: Vec<Pattern>,
    pub(crate) findings: Vec<Finding>,
}

/// Compiles `host` from its members, oldest first. `counterpart` are the members of the same host with or without `www.`.
pub(crate) fn compile(
    host: &Arc<str>,
    members: &[&Member],
    counterpart: &[&Member],
    around: &mut Surroundings<'_>,
    previous: Option<&Host>,
) -> CompiledHost {
    let primaries: Vec<&Member> = members
        .iter()
        .copied()
        .filter(|member| !member.ingress.is_canary())
        .collect();
    let mut findings = Vec::new();
    if primaries.is_empty() && &**host != CATCH_ALL {
        canary::Canaries::new(host, members).unmatched(&mut findings);
        return CompiledHost {
            host: redirect_host(host, counterpart, around),
            wished: Vec::new(),
            regex_names: Vec::new(),
            findings,
        };
    }
    let compiled = routes::compile(host, members, &primaries, around, previous, &mut findings);
    let tls = tls::choose(host, &primaries, around, &mut findings);
    let aliases = aliases(host, &primaries, around, &mut findings);
    if wants_www(&primaries) && (around.defines)(&www_counterpart(host)) {
        let owner = primaries
            .iter()
            .find(|member| member.ingress.annotations.redirects.from_to_www == Some(true));
        findings.extend(owner.map(|member| {
            let message = format!(
                "host {} is defined by an Ingress, so there is no redirect from it",
                www_counterpart(host)
            );
            member
                .ingress
                .annotation_finding(Severity::Warning, "from-to-www-redirect", message)
        }));
    }
    let host = Host {
        name: host.clone(),
        aliases: aliases.exact.into(),
        tls,
        behaviour: HostBehaviour::Routes {
            app_root: app_root(host, &primaries),
            paths: compiled,
        },
    };
    CompiledHost {
        host: Some(Arc::new(host)),
        wished: aliases.wished,
        regex_names: aliases.regex,
        findings,
    }
}

/// Whether `host` with these Ingresses, canaries aside and oldest first, reads all its paths as regular expressions.
pub(crate) fn in_regex_mode(host: &str, primaries: &[&Member]) -> bool {
    routes::in_regex_mode(host, primaries)
}

/// The catch-all host as it is before there is any Ingress.
pub(crate) fn catch_all(around: &mut Surroundings<'_>) -> Arc<Host> {
    let mut findings = Vec::new();
    let paths = routes::compile(CATCH_ALL, &[], &[], around, None, &mut findings);
    let behaviour = HostBehaviour::Routes {
        app_root: None,
        paths,
    };
    Arc::new(Host {
        name: CATCH_ALL.into(),
        aliases: Arc::default(),
        tls: HostTls::None,
        behaviour,
    })
}

/// `www.x` for `x`, `x` for `www.x`.
pub(crate) fn www_counterpart(host: &str) -> String {
    host.strip_prefix("www.")
        .map_or_else(|| format!("www.{host}"), str::to_owned)
}

/// Whether any of a host's Ingresses asks for the redirect from its `www.` counterpart.
pub(crate) fn wants_www(members: &[&Member]) -> bool {
    let wants = |member: &&Member| member.ingress.annotations.redirects.from_to_www == Some(true);
    members
        .iter()
        .filter(|member| !member.ingress.is_canary())
        .any(wants)
}

/// A host that only redirects to its counterpart.
fn redirect_host(
    host: &Arc<str>,
    counterpart: &[&Member],
    around: &mut Surroundings<'_>,
) -> Option<Arc<Host>> {
    let to: Arc<str> = www_counterpart(host).into();
    if &*to == CATCH_ALL || to.starts_with("*.") || !wants_www(counterpart) {
        return None;
    }
    let primaries: Vec<&Member> = counterpart
        .iter()
        .copied()
        .filter(|member| !member.ingress.is_canary())
        .collect();
    // What is wrong with the certificate is told with the host that it belongs to.
    let tls = match tls::choose(&to, &primaries, around, &mut Vec::new()) {
        HostTls::Own(own) if !own.covers(host) => HostTls::Default,
        tls => tls,
    };
    Some(Arc::new(Host {
        name: host.clone(),
        aliases: Arc::default(),
        tls,
        behaviour: HostBehaviour::Redirect { to },
    }))
}

/// The application's root: of several, the one with the longest path in this host.
fn app_root(host: &str, primaries: &[&Member]) -> Option<AppRoot> {
    let roots = primaries.iter().filter_map(|member| {
        let root = member.ingress.annotations.routing.app_root.as_deref()?;
        let longest = member
            .ingress
            .rules(host)?
            .paths
            .iter()
            .map(|path| path.path.len())
            .max()
            .unwrap_or(1);
        Some((longest, root))
    });
    // The oldest of equals.
    let best = roots.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, root)| AppRoot { path: root.into() })
}

#[derive(Default)]
struct Aliases {
    exact: Vec<Arc<str>>,
    regex: Vec<Pattern>,
    wished: Vec<Arc<str>>,
}

/// The aliases of the first Ingress that has some; a name that is a host already stays with that host.
fn aliases(
    host: &str,
    primaries: &[&Member],
    around: &Surroundings<'_>,
    findings: &mut Vec<Finding>,
) -> Aliases {
    let mut aliases = Aliases::default();
    let first = primaries
        .iter()
        .find(|member| !member.ingress.annotations.routing.server_aliases.is_empty());
    let Some(member) = first else { return aliases };
    let mut report = |message: String| {
        findings.push(member.ingress.annotation_finding(
            Severity::Warning,
            "server-alias",
            message,
        ));
    };
    for alias in &member.ingress.annotations.routing.server_aliases {
        if let Some(source) = alias.strip_prefix('~') {
            // nginx compares regex names without regard to case; requests come here in lower case.
            match Pattern::case_insensitive(source) {
                Ok(pattern) => aliases.regex.push(pattern),
                Err(error) => report(format!(
                    "\"{alias}\" is not a regular expression: {error}; left out"
                )),
            }
            continue;
        }
        let alias = alias.to_ascii_lowercase();
        if alias == host {
            continue;
        }
        let name: Arc<str> = alias.into();
        aliases.wished.push(name.clone());
        if (around.defines)(&name) {
            report(format!("\"{name}\" is the host of an Ingress; left out"));
        } else {
            aliases.exact.push(name);
        }
    }
    aliases
}
