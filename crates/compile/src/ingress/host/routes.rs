//! The routes of a host (behaviour.md 2.1, 2.3–2.6).

mod declared;
mod expressions;
mod reach;

use std::sync::Arc;

use headgate_table::{
    AppRoot, Authentication, BackendProtocol, Closed, HttpsRedirect, PathKind, Policy,
};
use smallvec::smallvec;

use self::declared::{Declared, Root, conflict, is_regex};
pub(super) use self::declared::{in_regex_mode, lost, root};
use super::canary::{self, Canaries};
use super::error_pages::HostPages;
use super::snippets::{self, Here, HostSnippets};
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
use crate::ingress::policy;
use crate::{Kind, ObjectRef};

/// The routes of a host in their order.
pub(super) struct Routes {
    /// Serves what no other route matches.
    pub(super) root: RouteDraft<()>,
    pub(super) others: Vec<RouteDraft<()>>,
    /// The host is in regex mode.
    pub(super) regex: bool,
    pub(super) app_root: Option<AppRoot>,
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
    let declared = declared::declared(host, primaries, findings);
    let root = Root::of(host, primaries, &declared);
    let regex = declared::is_regex_mode(&root, &declared);
    let app_root = declared::app_root(&root, &declared);
    if regex {
        reach::by_another(host, &declared, findings);
    } else {
        reach::literal(host, &declared, findings);
    }
    let declared = declared::served(host, &declared, regex, findings);
    let mut drafter = Drafter {
        has_declared_root: matches!(root, Root::Declared(..)),
        host,
        canaries: Canaries::new(host, attached),
        exact: declared::exact_paths(&declared),
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
        app_root,
    }
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
            None => match self.closed(attached, &path) {
                Some(closed) => TargetDraft::Closed(closed),
                None => self.default_backend(&attached.transport),
            },
        };
        let names = attached.ingress.default_backend.as_ref();
        let mut root = self.finish(attached, &path, PathKind::Prefix, names, target);
        // Cookies are only for declared paths.
        root.policy.sets_affinity_cookie = false;
        if let TargetDraft::DefaultBackend(_) = root.target {
            policy::over_http(&mut root.policy.policy);
        }
        root
    }

    /// The root of the catch-all if no Ingress owns it.
    fn built_in_root(&self) -> RouteDraft<()> {
        let target = match self.closing.built_in() {
            Some(closed) => TargetDraft::Closed(closed),
            None => self.default_backend(&Transport::default()),
        };
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
        let own = self.here(attached).policy;
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

    /// What the snippets of an Ingress and of the host come to.
    fn here(&mut self, attached: &AttachedIngress) -> Here {
        self.snippets
            .here(self.host, attached, (self.inputs, self.findings))
    }

    /// Why the route of an Ingress for `path` is closed.
    fn closed(&mut self, attached: &AttachedIngress, path: &str) -> Option<Closed> {
        let closed = self.closing.route(attached, path);
        let undefined = self.here(attached).closed;
        closed.or(undefined)
    }

    /// The policy of an Ingress for `path`, which may be exempt from authentication.
    fn policy(&mut self, attached: &AttachedIngress, path: &str) -> Arc<Policy> {
        let policy = &self.here(attached).policy;
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
            rule: None,
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
        if let Some(closed) = self.closed(attached, path) {
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
        let transport = match transport.protocol() {
            BackendProtocol::FastCgi => Transport::default(),
            _ => transport.clone(),
        };
        let name = self.inputs.options.default_backend.clone();
        let port = name.map(|name| ServicePort::new(name, FIRST_PORT.into()));
        let backend = port.map(|port| BackendDraft::service(port, transport));
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
