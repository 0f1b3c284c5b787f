//! The routes of a host (behaviour.md 2.1, 2.3–2.6).

mod expressions;
mod reach;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use headgate_table::{Authentication, BackendProtocol, CATCH_ALL, HttpsRedirect, PathKind, Policy};
use smallvec::smallvec;

use super::canary::{self, Canaries};
use super::error_pages::HostPages;
use super::snippets::{self, HostSnippets};
use super::{AttachedIngress, Inputs};
use crate::build::service_port::FIRST_PORT;
use crate::build::{
    BackendDraft, PathDraft, RouteDraft, RoutePolicy, ServicePort, SplitDraft, TargetDraft,
    Transport,
};
use crate::finding::{Finding, Severity};
use crate::ingress::closed::HostClosing;
use crate::ingress::family::auth::AUTH_URL;
use crate::ingress::parsed::{Backend, PathRule, is_root};
use crate::{Kind, ObjectRef};

/// The routes of a host in their order.
pub(super) struct Routes {
    /// Serves what no other route matches.
    pub(super) root: RouteDraft<()>,
    pub(super) others: Vec<RouteDraft<()>>,
    /// The host is in regex mode.
    pub(super) regex: bool,
}

/// The Ingresses of a host, oldest first.
pub(super) struct Members<'a> {
    pub(super) attached: &'a [&'a AttachedIngress],
    /// Those that are no canaries.
    pub(super) primaries: &'a [&'a AttachedIngress],
    pub(super) snippets: HostSnippets<'a>,
}

/// The routes of `host`: those of its primaries, with the canaries among all.
pub(super) fn draft(
    host: &Arc<str>,
    members: Members<'_>,
    inputs: &mut Inputs<'_>,
    findings: &mut Vec<Finding>,
) -> Routes {
    let Members {
        attached,
        primaries,
        snippets,
    } = members;
    let settings = inputs.settings;
    let closing = HostClosing::new(settings, snippets.closed.clone());
    let declared = declared(host, primaries, findings);
    let root = Root::of(host, primaries, &declared);
    let regex = is_regex_mode(&root, &declared);
    let declared = if regex {
        reach::by_another(host, &declared, findings);
        declared
    } else {
        reach::literal(host, &declared, findings);
        without_slash_twins(host, declared, findings)
    };
    let mut drafter = Drafter {
        has_declared_root: matches!(root, Root::Declared(..)),
        host,
        canaries: Canaries::new(host, attached),
        exact: exact_paths(&declared),
        pages: HostPages::new(settings, inputs.options),
        inputs,
        findings,
        closing,
        snippets,
        regex,
    };
    let root = match root {
        Root::CatchAll(attached) => drafter.catch_all_root(attached, primaries, &declared),
        Root::Declared(attached, rule) => drafter.route(attached, rule),
        Root::Creator(attached) => drafter.default_root(attached),
        Root::BuiltIn => drafter.built_in_root(),
    };
    let others = declared.iter().filter(|(_, rule)| !is_root(rule));
    let others: Vec<RouteDraft<()>> = others
        .map(|(attached, rule)| drafter.route(attached, rule))
        .collect();
    let Drafter {
        canaries, findings, ..
    } = drafter;
    if regex {
        reach::shadowed(host, &others, &declared, findings);
    }
    canaries.unmatched(findings);
    Routes {
        root,
        others,
        regex,
    }
}

/// Whether `host` is in regex mode, in which all its paths are regular expressions.
pub(super) fn in_regex_mode(host: &str, primaries: &[&AttachedIngress]) -> bool {
    let declared = declared(host, primaries, &mut Vec::new());
    is_regex_mode(&Root::of(host, primaries, &declared), &declared)
}

fn is_regex_mode(root: &Root<'_>, declared: &[Declared<'_>]) -> bool {
    let is_regex = |(attached, rule): &Declared<'_>| is_regex(attached, &rule.path);
    root.is_regex(declared) || declared.iter().any(is_regex)
}

/// A path and the Ingress that declares it.
pub(super) type Declared<'a> = (&'a AttachedIngress, &'a PathRule);

/// The path `/` of a host, of the oldest Ingress that declares it.
pub(super) fn root<'a>(host: &str, primaries: &[&'a AttachedIngress]) -> Option<Declared<'a>> {
    let declared = declared(host, primaries, &mut Vec::new());
    declared.into_iter().find(|(_, rule)| is_root(rule))
}

/// Which Ingress owns the root of a host.
enum Root<'a> {
    /// The oldest Ingress with only a default backend owns the root of the catch-all.
    CatchAll(&'a AttachedIngress),
    /// The Ingress that declares `/`.
    Declared(&'a AttachedIngress, &'a PathRule),
    /// The Ingress that created the host.
    Creator(&'a AttachedIngress),
    /// The catch-all host has no creator, even if Ingresses add paths to it.
    BuiltIn,
}

impl<'a> Root<'a> {
    fn of(host: &str, primaries: &[&'a AttachedIngress], declared: &[Declared<'a>]) -> Self {
        let is_catch_all = host == CATCH_ALL;
        let alone = primaries
            .iter()
            .find(|attached| is_catch_all && attached.ingress.is_catch_all());
        if let Some(attached) = alone {
            return Self::CatchAll(attached);
        }
        if let Some((attached, rule)) = declared.iter().find(|(_, rule)| is_root(rule)) {
            return Self::Declared(attached, rule);
        }
        match primaries.first() {
            Some(attached) if !is_catch_all => Self::Creator(attached),
            _ => Self::BuiltIn,
        }
    }

    /// Whether the root puts the host into regex mode. The default location of a host has all annotations of its creator,
    /// including `use-regex` and rewrites; but a rewrite to the very path that the creator declares changes nothing. A declared
    /// root is one of the declared paths, and the root of the catch-all is never rewritten.
    fn is_regex(&self, declared: &[Declared<'_>]) -> bool {
        let Self::Creator(creator) = self else {
            return false;
        };
        let mut own = declared
            .iter()
            .filter(|(attached, _)| attached.ingress.name == creator.ingress.name)
            .peekable();
        match own.peek() {
            None => is_regex(creator, "/"),
            Some(_) => own.any(|(_, rule)| is_regex(creator, &rule.path)),
        }
    }
}

/// Whether a location puts its host into regex mode: by `use-regex`, or a rewrite that changes its path.
fn is_regex(attached: &AttachedIngress, path: &str) -> bool {
    attached.ingress.annotations.routing.is_regex(path)
}

/// All paths in the order of their Ingresses' age. Of the same path and kind, the first is kept.
fn declared<'a>(
    host: &str,
    primaries: &[&'a AttachedIngress],
    findings: &mut Vec<Finding>,
) -> Vec<Declared<'a>> {
    let all = primaries.iter().copied().flat_map(|attached| {
        let rules = attached.ingress.rules(host).into_iter();
        rules
            .flat_map(|rules| &rules.paths)
            .map(move |rule| (attached, rule))
    });
    first_of_each(host, all, |rule| &rule.path, findings)
}

/// Outside regex mode `/a` and `/a/` are the same prefix of whole segments.
fn without_slash_twins<'a>(
    host: &str,
    declared: Vec<Declared<'a>>,
    findings: &mut Vec<Finding>,
) -> Vec<Declared<'a>> {
    let key = |rule: &'a PathRule| match rule.kind {
        PathKind::Prefix if rule.path.len() > 1 => {
            rule.path.strip_suffix('/').unwrap_or(&rule.path)
        }
        _ => &*rule.path,
    };
    first_of_each(host, declared.into_iter(), key, findings)
}

fn first_of_each<'a>(
    host: &str,
    all: impl Iterator<Item = Declared<'a>>,
    key: impl Fn(&'a PathRule) -> &'a str,
    findings: &mut Vec<Finding>,
) -> Vec<Declared<'a>> {
    let mut seen: HashMap<(&str, PathKind), &AttachedIngress> = HashMap::new();
    let mut first = Vec::new();
    for (attached, rule) in all {
        match seen.entry((key(rule), rule.kind)) {
            Entry::Vacant(vacant) => {
                vacant.insert(attached);
                first.push((attached, rule));
            }
            Entry::Occupied(owner) => {
                findings.push(conflict(host, attached, rule, owner.get()));
            }
        }
    }
    first
}

fn conflict(
    host: &str,
    attached: &AttachedIngress,
    rule: &PathRule,
    owner: &AttachedIngress,
) -> Finding {
    let message = format!(
        "host {host} path {} ({:?}) is already served by {}; ignored here",
        rule.path, rule.kind, owner.ingress.name
    );
    attached
        .ingress
        .finding(Severity::Error, "spec.rules", message)
}

/// The exact paths: in regex mode, a prefix of the same text has only its form with a final slash.
fn exact_paths(declared: &[Declared<'_>]) -> Vec<Arc<str>> {
    let exact = declared
        .iter()
        .filter(|(_, rule)| rule.kind == PathKind::Exact);
    exact.map(|(_, rule)| rule.path.clone()).collect()
}

struct Drafter<'a, 'b> {
    host: &'a Arc<str>,
    canaries: Canaries<'a>,
    exact: Vec<Arc<str>>,
    pages: HostPages<'a, 'b>,
    inputs: &'a mut Inputs<'b>,
    findings: &'a mut Vec<Finding>,
    closing: HostClosing<'b>,
    snippets: HostSnippets<'a>,
    regex: bool,
    /// An Ingress declares the Prefix `/`.
    has_declared_root: bool,
}

impl<'a> Drafter<'a, '_> {
    fn route(&mut self, attached: &'a AttachedIngress, rule: &'a PathRule) -> RouteDraft<()> {
        let target = self.target(attached, &rule.path, rule.kind, &rule.backend);
        self.finish(attached, &rule.path, rule.kind, Some(&rule.backend), target)
    }

    /// The root of a host without a declared one: the default backend, with all annotations of the Ingress that created the
    /// host, so that an unmatched path is as protected as the others.
    fn default_root(&mut self, attached: &'a AttachedIngress) -> RouteDraft<()> {
        let path: Arc<str> = "/".into();
        let target = match &attached.ingress.default_backend {
            Some(backend) => self.target(attached, &path, PathKind::Prefix, backend),
            None => match self.closing.route(attached, &path) {
                Some(closed) => TargetDraft::Closed(closed),
                None => self.default_backend(&attached.transport),
            },
        };
        let names = attached.ingress.default_backend.as_ref();
        let mut root = self.finish(attached, &path, PathKind::Prefix, names, target);
        // Cookies are only for declared paths.
        root.policy.sets_affinity_cookie = false;
        root
    }

    /// The root of the catch-all if no Ingress owns it.
    fn built_in_root(&self) -> RouteDraft<()> {
        let target = self.default_backend(&Transport::default());
        let policy = RoutePolicy {
            policy: self.inputs.plain_policy.clone(),
            https: HttpsRedirect::Never,
            rewrite: None,
            error_pages: self.pages.global(),
            sets_affinity_cookie: false,
        };
        let path = PathDraft::literal("/".into(), PathKind::Prefix);
        RouteDraft {
            owner: None,
            names: None,
            ..self.draft(path, policy, target)
        }
    }

    /// The root of the catch-all for an Ingress with only a default backend: with its annotations except redirects and rewrites.
    /// Other Ingresses that declare the root get a finding.
    fn catch_all_root(
        &mut self,
        attached: &'a AttachedIngress,
        primaries: &[&AttachedIngress],
        declared: &[Declared<'_>],
    ) -> RouteDraft<()> {
        let Some(backend) = &attached.ingress.default_backend else {
            return self.built_in_root();
        };
        let roots = declared.iter().filter(|(_, rule)| is_root(rule));
        self.findings
            .extend(roots.map(|(late, rule)| conflict(self.host, late, rule, attached)));
        let late = primaries.iter().filter(|late| {
            late.ingress.is_catch_all() && late.ingress.name != attached.ingress.name
        });
        self.findings.extend(late.map(|late| {
            let message = format!(
                "the default backend of {} is older and serves; ignored here",
                attached.ingress.name
            );
            late.ingress
                .finding(Severity::Error, "spec.defaultBackend", message)
        }));
        let own = self.snippets.policy(attached, self.inputs);
        let policy = match &own.redirect {
            None => own,
            Some(_) => Arc::new(Policy {
                redirect: None,
                ..Policy::clone(&own)
            }),
        };
        let target = self.target(attached, "/", PathKind::Prefix, backend);
        let policy = RoutePolicy {
            policy,
            https: HttpsRedirect::Never,
            rewrite: None,
            error_pages: self
                .pages
                .of(attached, self.closing.is_exempt("/"), &target),
            sets_affinity_cookie: false,
        };
        let path = PathDraft::literal("/".into(), PathKind::Prefix);
        self.owned(attached, Some(backend), path, policy, target)
    }

    fn finish(
        &mut self,
        attached: &'a AttachedIngress,
        path: &Arc<str>,
        kind: PathKind,
        names: Option<&Backend>,
        target: TargetDraft,
    ) -> RouteDraft<()> {
        let mut policy = RoutePolicy {
            policy: self.policy(attached, path),
            https: self.https(attached, path),
            rewrite: self.rewrite(attached, path),
            error_pages: self
                .pages
                .of(attached, self.closing.is_exempt(path), &target),
            sets_affinity_cookie: attached.ingress.annotations.affinity.is_some(),
        };
        let mut draft = PathDraft::literal(path.clone(), kind);
        if self.regex {
            draft.expressions = self.expressions(attached, &draft, policy.rewrite.is_some());
            snippets::keep_groups(&mut policy.policy, &draft);
        }
        self.owned(attached, names, draft, policy, target)
    }

    /// The policy of an Ingress for `path`, which may be exempt from authentication.
    fn policy(&mut self, attached: &AttachedIngress, path: &str) -> Arc<Policy> {
        let policy = &self.snippets.policy(attached, self.inputs);
        let Some(authentication) = &policy.authentication else {
            return policy.clone();
        };
        let authentication = if self.closing.is_exempt(path) {
            None
        } else {
            match self.own_service(attached, authentication) {
                None => return policy.clone(),
                own => own,
            }
        };
        Arc::new(Policy {
            authentication,
            ..Policy::clone(policy)
        })
    }

    /// `authentication` by the service at this host, if its URL contains `$host`.
    fn own_service(
        &mut self,
        attached: &AttachedIngress,
        authentication: &Authentication,
    ) -> Option<Arc<Authentication>> {
        let service = authentication.external.as_ref()?;
        let annotations = &attached.ingress.annotations;
        let own = annotations.external_auth.as_deref();
        let configured = own.or(self.inputs.settings.global_auth.as_ref())?;
        let Some(at_host) = configured.for_host(service, self.host) else {
            let message = format!(
                "\"$host\" in its host needs rules with a full host name; requests to host {} get 500",
                self.host
            );
            let ingress = &attached.ingress;
            let finding =
                ingress.annotation_finding(Severity::Error, AUTH_URL.entry().name, message);
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
            return None;
        };
        (!Arc::ptr_eq(&at_host, service)).then(|| {
            Arc::new(Authentication {
                external: Some(at_host),
                ..authentication.clone()
            })
        })
    }

    /// A route of an Ingress, whose path refers to the Service of `names`.
    fn owned(
        &self,
        attached: &AttachedIngress,
        names: Option<&Backend>,
        path: PathDraft,
        policy: RoutePolicy,
        target: TargetDraft,
    ) -> RouteDraft<()> {
        let owner = ObjectRef {
            kind: Kind::Ingress,
            name: attached.ingress.name.clone(),
        };
        RouteDraft {
            owner: Some(owner),
            names: names.map(|backend| (backend.service.clone(), backend.port.clone())),
            ..self.draft(path, policy, target)
        }
    }

    /// The routes are already in order, so all have the same precedence.
    fn draft(&self, path: PathDraft, policy: RoutePolicy, target: TargetDraft) -> RouteDraft<()> {
        RouteDraft {
            universes: smallvec![self.inputs.universe.clone()],
            hosts: smallvec![self.host.clone()],
            matches: smallvec![path],
            precedence: (),
            policy,
            target,
            owner: None,
            field: self.inputs.rules_field.clone(),
            names: None,
        }
    }

    fn target(
        &mut self,
        attached: &AttachedIngress,
        path: &str,
        kind: PathKind,
        backend: &Backend,
    ) -> TargetDraft {
        let canaries = self.canaries.of(path, kind, backend, self.findings);
        if let Some(closed) = self.closing.route(attached, path) {
            return TargetDraft::Closed(closed);
        }
        let transport = &attached.transport;
        let namespace = &attached.ingress.name.namespace;
        let service = |backend: &Backend| {
            BackendDraft::service(backend.service_port(namespace), transport.clone())
        };
        let mut split = SplitDraft::new(service(backend));
        split.fallback = attached.ingress.fallback().as_ref().map(service);
        canary::add_canaries(&canaries, transport, &mut split, self.findings);
        TargetDraft::Split(split)
    }

    fn default_backend(&self, transport: &Transport) -> TargetDraft {
        if let Some(closed) = self.closing.default_backend() {
            return TargetDraft::Closed(closed);
        }
        // The default backend is one of HTTP.
        let http = Transport::default();
        let transport = match transport.protocol() {
            BackendProtocol::FastCgi => &http,
            _ => transport,
        };
        let name = self.inputs.options.default_backend.clone();
        let port = name.map(|name| ServicePort::new(name, FIRST_PORT.into()));
        let backend = port.map(|port| BackendDraft::service(port, transport.clone()));
        TargetDraft::DefaultBackend(backend)
    }

    /// Exemptions apply to paths of the Ingress, not of requests (behaviour.md 4.6).
    fn https(&self, attached: &AttachedIngress, path: &str) -> HttpsRedirect {
        let (own, defaults) = (
            &attached.ingress.annotations.redirects,
            &self.inputs.settings.redirects,
        );
        if defaults
            .no_tls_locations
            .iter()
            .any(|exempt| path.starts_with(exempt.as_str()))
        {
            HttpsRedirect::Never
        } else if own.force_ssl.unwrap_or(defaults.force_ssl) {
            HttpsRedirect::Always
        } else if own.ssl.unwrap_or(defaults.ssl) {
            HttpsRedirect::WhenHostHasTls
        } else {
            HttpsRedirect::Never
        }
    }
}
