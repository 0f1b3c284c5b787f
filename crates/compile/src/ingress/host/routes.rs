//! The routes of a host (ingress-nginx reference 2.1, 2.3–2.6).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use headgate_table::{
    CATCH_ALL, Closed, Host, HostBehaviour, HttpsRedirect, Origin, PathIndex, PathKind, Pattern,
    PatternError, Policy, Rewrite, Route, Slot, Split, Target, Template, UpstreamKey,
};

use super::canary::{self, Canaries};
use super::{Member, Surroundings};
use crate::Kind;
use crate::build::service_port::{FIRST_PORT, ServicePort, Transport};
use crate::build::upstreams::UpstreamDraft;
use crate::finding::{Finding, Severity};
use crate::ingress::parsed::{Backend, PathRule};

/// Compiles the routes of `host`: those of its primaries, oldest first, with the canaries among `members`.
pub(super) fn compile(
    host: &str,
    members: &[&Member],
    primaries: &[&Member],
    around: &mut Surroundings<'_>,
    previous: Option<&Host>,
    findings: &mut Vec<Finding>,
) -> PathIndex {
    let closed = closed_for_all(host, primaries, findings);
    let declared = declared(host, primaries, findings);
    let root = Root::of(host, primaries, &declared);
    let regex_mode = is_regex_mode(&root, &declared);
    let declared = if regex_mode {
        declared
    } else {
        without_slash_twins(host, declared, findings)
    };
    let mut builder = Builder {
        host,
        canaries: Canaries::new(host, members),
        slots: Slots::of(previous),
        around,
        findings,
        closed,
        regex_mode,
        last_origin: None,
    };
    let root = match root {
        Root::CatchAll(member) => builder.catch_all_root(member, primaries, &declared),
        Root::Declared(member, rule) => builder.route(member, rule),
        Root::Creator(member) => builder.default_root(member),
        Root::Nobody => builder.built_in_root(),
    };
    let routes: Vec<_> = declared
        .into_iter()
        .filter(|(_, rule)| !is_root(rule))
        .map(|(member, rule)| (member, builder.route(member, rule)))
        .collect();
    let index = if regex_mode {
        builder.regex_index(root, routes)
    } else {
        literal_index(root, routes)
    };
    let Builder {
        canaries, findings, ..
    } = builder;
    canaries.unmatched(findings);
    index
}

/// Whether the paths of `host` are regular expressions, all of them.
pub(super) fn in_regex_mode(host: &str, primaries: &[&Member]) -> bool {
    let declared = declared(host, primaries, &mut Vec::new());
    is_regex_mode(&Root::of(host, primaries, &declared), &declared)
}

fn is_regex_mode(root: &Root<'_>, declared: &[Declared<'_>]) -> bool {
    let wanted = |(member, rule): &Declared<'_>| wants_regex(member, &rule.path);
    root.wants_regex(declared) || declared.iter().any(wanted)
}

/// A path and the Ingress that declares it.
type Declared<'a> = (&'a Member, &'a PathRule);

/// Who has the root of a host.
enum Root<'a> {
    /// The oldest Ingress with nothing but a default backend takes over the root of the catch-all.
    CatchAll(&'a Member),
    /// The Ingress that declares `/`.
    Declared(&'a Member, &'a PathRule),
    /// The Ingress that created the host.
    Creator(&'a Member),
    /// The catch-all host is nobody's, however many Ingresses add paths to it.
    Nobody,
}

impl<'a> Root<'a> {
    fn of(host: &str, primaries: &[&'a Member], declared: &[Declared<'a>]) -> Self {
        let is_catch_all = host == CATCH_ALL;
        let alone = primaries
            .iter()
            .find(|member| is_catch_all && member.ingress.is_catch_all());
        if let Some(member) = alone {
            return Self::CatchAll(member);
        }
        if let Some((member, rule)) = declared.iter().find(|(_, rule)| is_root(rule)) {
            return Self::Declared(member, rule);
        }
        match primaries.first() {
            Some(member) if !is_catch_all => Self::Creator(member),
            _ => Self::Nobody,
        }
    }

    /// The default location of a host has all annotations of its creator, `use-regex` and rewrites among them; but a
    /// rewrite to the very path that the creator declares is meant to change nothing. A declared root counts among the
    /// declared paths, and a catch-all's is never rewritten.
    fn wants_regex(&self, declared: &[Declared<'_>]) -> bool {
        let Self::Creator(creator) = self else {
            return false;
        };
        let mut own = declared
            .iter()
            .filter(|(member, _)| member.ingress.name == creator.ingress.name)
            .peekable();
        match own.peek() {
            None => wants_regex(creator, "/"),
            Some(_) => own.any(|(_, rule)| wants_regex(creator, &rule.path)),
        }
    }
}

/// Whether a location puts its host into regex mode: by `use-regex`, or a rewrite that changes its path.
fn wants_regex(member: &Member, path: &str) -> bool {
    let routing = &member.ingress.annotations.routing;
    let rewrites = routing
        .rewrite_target
        .as_deref()
        .is_some_and(|target| target != path);
    rewrites || routing.use_regex == Some(true)
}

/// Why all routes of a host are closed: an Ingress of it asks for a protection of the whole host that cannot be given.
fn closed_for_all(
    host: &str,
    primaries: &[&Member],
    findings: &mut Vec<Finding>,
) -> Option<Arc<str>> {
    let (owner, annotation) = primaries
        .iter()
        .find_map(|member| Some((member, member.ingress.closes_hosts.as_ref()?)))?;
    let reason = format!(
        "{annotation} of Ingress {} protects all of host {host} and is not honoured",
        owner.ingress.name
    );
    let others = primaries
        .iter()
        .filter(|member| member.ingress.closes_hosts.is_none());
    findings.extend(others.map(|member| {
        let message = format!("{reason}; the routes answer 503");
        member
            .ingress
            .finding(Severity::Error, "spec.rules", message)
    }));
    Some(reason.into())
}

/// All paths in the order of their Ingresses' age. Of the same path and kind, the first stays.
fn declared<'a>(
    host: &str,
    primaries: &[&'a Member],
    findings: &mut Vec<Finding>,
) -> Vec<Declared<'a>> {
    let all = primaries.iter().copied().flat_map(|member| {
        let rules = member.ingress.rules(host).into_iter();
        rules
            .flat_map(|rules| &rules.paths)
            .map(move |rule| (member, rule))
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
    let mut seen: HashMap<(&str, PathKind), &Member> = HashMap::new();
    let mut first = Vec::new();
    for (member, rule) in all {
        match seen.entry((key(rule), rule.kind)) {
            Entry::Vacant(free) => {
                free.insert(member);
                first.push((member, rule));
            }
            Entry::Occupied(owner) => {
                findings.push(conflict(host, member, rule, owner.get()));
            }
        }
    }
    first
}

fn conflict(host: &str, member: &Member, rule: &PathRule, owner: &Member) -> Finding {
    let message = format!(
        "host {host} path {} ({:?}) is already served by {}; ignored here",
        rule.path, rule.kind, owner.ingress.name
    );
    member
        .ingress
        .finding(Severity::Error, "spec.rules", message)
}

fn is_root(rule: &PathRule) -> bool {
    &*rule.path == "/" && rule.kind == PathKind::Prefix
}

fn literal_index(root: Arc<Route>, routes: Vec<(&Member, Arc<Route>)>) -> PathIndex {
    let routes = routes.into_iter();
    PathIndex::literal(root, routes.map(|(_, route)| route.into()).collect())
}

struct Builder<'a, 'b> {
    host: &'a str,
    canaries: Canaries<'a>,
    slots: Slots,
    around: &'a mut Surroundings<'b>,
    findings: &'a mut Vec<Finding>,
    /// Why every route is closed, if they are.
    closed: Option<Arc<str>>,
    regex_mode: bool,
    last_origin: Option<Arc<Origin>>,
}

impl<'a> Builder<'a, '_> {
    /// Paths of one Service share their origin.
    fn origin(&mut self, member: &Member, backend: &Backend) -> Arc<Origin> {
        let same = |last: &&Arc<Origin>| {
            Arc::ptr_eq(&last.service, &backend.service)
                && Arc::ptr_eq(&last.port, &backend.port)
                && last.name == member.ingress.name.name
        };
        match self.last_origin.as_ref().filter(same) {
            Some(last) => last.clone(),
            None => self
                .last_origin
                .insert(origin(member, Some(backend)))
                .clone(),
        }
    }

    fn route(&mut self, member: &'a Member, rule: &'a PathRule) -> Arc<Route> {
        let target = self.target(member, &rule.path, rule.kind, &rule.backend);
        let origin = self.origin(member, &rule.backend);
        self.finish(member, &rule.path, rule.kind, origin, target)
    }

    /// The root of a host that no Ingress declares one for: the default backend, under all annotations of the Ingress
    /// that created the host, so that an unmatched path is as protected as the others.
    fn default_root(&mut self, member: &'a Member) -> Arc<Route> {
        let path: Arc<str> = "/".into();
        let target = match &member.ingress.default_backend {
            Some(backend) => self.target(member, &path, PathKind::Prefix, backend),
            None => self
                .closed(member, &path)
                .unwrap_or_else(|| self.default_backend(&member.transport)),
        };
        let origin = origin(member, member.ingress.default_backend.as_ref());
        self.finish(member, &path, PathKind::Prefix, origin, target)
    }

    /// The root of the catch-all while no Ingress has taken it.
    fn built_in_root(&mut self) -> Arc<Route> {
        let origin = Arc::new(Origin {
            kind: "",
            namespace: "".into(),
            name: "".into(),
            service: "".into(),
            port: "".into(),
        });
        let closed = self.closed.clone();
        Arc::new(Route {
            path: "/".into(),
            kind: PathKind::Prefix,
            policy: self.around.plain_policy.clone(),
            https: HttpsRedirect::Never,
            rewrite: None,
            target: closed.map_or_else(
                || self.default_backend(&Transport::default()),
                |reason| Target::Closed(Closed { reason }),
            ),
            sets_affinity_cookie: false,
            slot: self.slots.take("/", PathKind::Prefix, &origin),
            origin,
        })
    }

    /// The root of the catch-all for an Ingress that has only a default backend: its annotations but redirects and
    /// rewrites. Others that want the root are told.
    fn catch_all_root(
        &mut self,
        member: &'a Member,
        primaries: &[&Member],
        declared: &[Declared<'_>],
    ) -> Arc<Route> {
        let Some(backend) = &member.ingress.default_backend else {
            return self.built_in_root();
        };
        let roots = declared.iter().filter(|(_, rule)| is_root(rule));
        self.findings
            .extend(roots.map(|(late, rule)| conflict(self.host, late, rule, member)));
        let late = primaries
            .iter()
            .filter(|late| late.ingress.is_catch_all() && late.ingress.name != member.ingress.name);
        self.findings.extend(late.map(|late| {
            let message = format!(
                "the default backend of {} is older and answers; ignored here",
                member.ingress.name
            );
            late.ingress
                .finding(Severity::Error, "spec.defaultBackend", message)
        }));
        let policy = match &member.policy.redirect {
            None => member.policy.clone(),
            Some(_) => Arc::new(Policy {
                redirect: None,
                ..Policy::clone(&member.policy)
            }),
        };
        let origin = origin(member, Some(backend));
        Arc::new(Route {
            path: "/".into(),
            kind: PathKind::Prefix,
            policy,
            https: HttpsRedirect::Never,
            rewrite: None,
            target: self.target(member, "/", PathKind::Prefix, backend),
            sets_affinity_cookie: member.ingress.annotations.affinity.is_some(),
            slot: self.slots.take("/", PathKind::Prefix, &origin),
            origin,
        })
    }

    fn finish(
        &mut self,
        member: &'a Member,
        path: &Arc<str>,
        kind: PathKind,
        origin: Arc<Origin>,
        target: Target,
    ) -> Arc<Route> {
        Arc::new(Route {
            path: path.clone(),
            kind,
            slot: self.slots.take(path, kind, &origin),
            origin,
            policy: member.policy.clone(),
            https: self.https(member, path),
            rewrite: self.rewrite(member, path),
            target,
            sets_affinity_cookie: member.ingress.annotations.affinity.is_some(),
        })
    }

    fn target(&mut self, member: &Member, path: &str, kind: PathKind, backend: &Backend) -> Target {
        let canaries = self.canaries.of(path, kind, backend, self.findings);
        if let Some(closed) = self.closed(member, path) {
            return closed;
        }
        let transport = &member.transport;
        let namespace = &member.ingress.name.namespace;
        let primary = self.upstream(backend.service_port(namespace), transport);
        let others = canaries.iter().map(|canary| {
            let namespace = &canary.member.ingress.name.namespace;
            self.upstream(canary.backend.service_port(namespace), transport)
        });
        let others = others.collect();
        let fallback = member.ingress.fallback();
        let fallback =
            fallback.map(|backend| self.upstream(backend.service_port(namespace), transport));
        let primary = headgate_table::Backend::upstream_only(primary);
        let split = Split::new(primary)
            .with_alternatives(canary::alternatives(&canaries, others, self.findings))
            .with_fallback(fallback);
        Target::Forward(split)
    }

    /// The upstream that speaks to `port` by `transport`: that of the route's own Ingress, whoever declares the backend.
    fn upstream(&mut self, port: ServicePort, transport: &Transport) -> UpstreamKey {
        let key = port.id().upstream(transport);
        let transport = transport.clone();
        self.around
            .upstreams
            .acquire(&key, || UpstreamDraft { port, transport });
        key
    }

    /// Exempt from authentication are paths of the Ingress, not of requests (ingress-nginx reference 1.7).
    fn closed(&self, member: &Member, path: &str) -> Option<Target> {
        let exempt = &self.around.settings.redirects.no_auth_locations;
        let is_exempt = || exempt.iter().any(|exempt| path.starts_with(&**exempt));
        let own = member.closed.as_ref();
        let own = own.filter(|denial| !(denial.only_authentication && is_exempt()));
        let reason = own
            .map(|denial| denial.reason.clone())
            .or_else(|| self.closed.clone())?;
        Some(Target::Closed(Closed { reason }))
    }

    fn default_backend(&mut self, transport: &Transport) -> Target {
        if let Some(denial) = &self.around.settings.closed {
            return Target::Closed(Closed {
                reason: denial.reason.clone(),
            });
        }
        let name = self.around.options.default_backend.clone();
        let port = name.map(|name| ServicePort::new(name, FIRST_PORT.into()));
        Target::DefaultBackend(port.map(|port| self.upstream(port, transport)))
    }

    /// Exempt are paths of the Ingress, not of requests (ingress-nginx reference 4.6).
    fn https(&self, member: &Member, path: &str) -> HttpsRedirect {
        let (own, defaults) = (
            &member.ingress.annotations.redirects,
            &self.around.settings.redirects,
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

    fn rewrite(&mut self, member: &Member, path: &str) -> Option<Arc<Rewrite>> {
        let target = member
            .ingress
            .annotations
            .routing
            .rewrite_target
            .as_deref()
            .filter(|target| *target != path && self.regex_mode)?;
        let parsed = Template::parse(target);
        let prefix = member
            .ingress
            .annotations
            .headers
            .x_forwarded_prefix
            .as_deref()
            .map(Template::parse)
            .transpose();
        let (target_template, forwarded_prefix) = match (parsed, prefix) {
            (Ok(target), Ok(prefix)) => (target, prefix),
            (Err(error), _) | (_, Err(error)) => {
                self.findings.push(member.ingress.annotation_finding(
                    Severity::Error,
                    "rewrite-target",
                    format!("{error}; the path is not rewritten"),
                ));
                return None;
            }
        };
        // A path that is no expression has no route either; that is told where the index is made.
        let pattern = self.pattern(path).ok()?;
        let redirect = target.starts_with("http://") || target.starts_with("https://");
        Some(Arc::new(Rewrite {
            pattern,
            target: target_template,
            redirect,
            forwarded_prefix,
        }))
    }

    /// Paths are searched without regard to case; thousands of hosts share `/api(/|$)(.*)`.
    fn pattern(&mut self, source: &str) -> Result<Arc<Pattern>, PatternError> {
        let make = || Pattern::case_insensitive(source);
        self.around.patterns.get(source, make)
    }

    fn regex_index(
        &mut self,
        root: Arc<Route>,
        routes: Vec<(&'a Member, Arc<Route>)>,
    ) -> PathIndex {
        let exact: Vec<Arc<str>> = routes
            .iter()
            .filter(|(_, route)| route.kind == PathKind::Exact)
            .map(|(_, route)| route.path.clone())
            .collect();
        let mut entries = Vec::new();
        for (member, route) in routes {
            for text in searched(&route, member, &exact) {
                match self.pattern(&format!("^{text}")) {
                    Ok(pattern) => entries.push((text, pattern, route.clone().into())),
                    Err(error) => {
                        let message = format!(
                            "path {} of host {} is not a regular expression: {error}; not served",
                            route.path, self.host
                        );
                        self.findings.push(member.ingress.finding(
                            Severity::Error,
                            "spec.rules",
                            message,
                        ));
                        break;
                    }
                }
            }
        }
        PathIndex::regex(root, entries)
    }
}

/// The texts under which a route is searched in regex mode: a plain prefix both with a final slash and without, where no
/// exact path is the same; anything else as written (ingress-nginx reference 2.4).
fn searched(route: &Route, member: &Member, exact: &[Arc<str>]) -> Vec<Arc<str>> {
    let verbatim = route.kind == PathKind::Exact
        || member.ingress.annotations.routing.use_regex == Some(true)
        || route.rewrite.is_some();
    if verbatim {
        return vec![route.path.clone()];
    }
    let with_slash: Arc<str> = if route.path.ends_with('/') {
        route.path.clone()
    } else {
        format!("{}/", route.path).into()
    };
    if exact.contains(&route.path) || with_slash == route.path {
        return vec![with_slash];
    }
    vec![with_slash, route.path.clone()]
}

fn origin(member: &Member, backend: Option<&Backend>) -> Arc<Origin> {
    let name = &member.ingress.name;
    let (service, port) = match backend {
        Some(backend) => (backend.service.clone(), backend.port.clone()),
        None => ("".into(), "".into()),
    };
    Arc::new(Origin {
        kind: Kind::Ingress.as_str(),
        namespace: name.namespace.clone(),
        name: name.name.clone(),
        service,
        port,
    })
}

/// The run-time state of a host's former routes, for the routes that take their place: the same path, of the same Ingress.
struct Slots(HashMap<SlotKey, Slot>);

type SlotKey = (Arc<str>, PathKind, Arc<str>, Arc<str>);

impl Slots {
    fn of(previous: Option<&Host>) -> Self {
        let paths = previous.and_then(|host| match &host.behaviour {
            HostBehaviour::Routes { paths, .. } => Some(paths),
            HostBehaviour::Redirect { .. } => None,
        });
        let routes = paths.into_iter().flat_map(PathIndex::routes);
        let slots = routes.map(|route| {
            let key = Self::key(&route.path, route.kind, &route.origin);
            (key, route.slot.clone())
        });
        Self(slots.collect())
    }

    fn key(path: &str, kind: PathKind, origin: &Origin) -> SlotKey {
        (
            path.into(),
            kind,
            origin.namespace.clone(),
            origin.name.clone(),
        )
    }

    fn take(&mut self, path: &str, kind: PathKind, origin: &Origin) -> Slot {
        if self.0.is_empty() {
            return Slot::default();
        }
        self.0
            .remove(&Self::key(path, kind, origin))
            .unwrap_or_default()
    }
}
