//! The routes of a host (ingress-nginx reference 2.1, 2.3–2.6).

use std::collections::HashMap;
use std::sync::Arc;

use headgate_table::{
    CATCH_ALL, Closed, Host, HostBehaviour, HttpsRedirect, Origin, PathIndex, PathKind, Policy,
    Rewrite, Route, Slot, Split, Target, Template, UpstreamId,
};

use super::canary::Canaries;
use super::{Member, Surroundings};
use crate::finding::{Finding, Severity};
use crate::ingress::{Backend, FIRST_PORT, PathRule};

/// Compiles the routes of `host`: those of its primaries, oldest first, with the canaries among `members`.
pub(super) fn compile(
    host: &str,
    members: &[&Member],
    primaries: &[&Member],
    around: &mut Surroundings<'_>,
    previous: Option<&Host>,
    findings: &mut Vec<Finding>,
) -> PathIndex {
    let mut builder = Builder {
        host,
        canaries: Canaries::new(host, members),
        slots: Slots::of(previous),
        around,
        findings,
        regex_mode: primaries.iter().any(|member| wants_regex(host, member)),
    };
    let declared = builder.declared(primaries);
    let root = match declared.iter().position(|(_, rule)| is_root(rule)) {
        Some(at) => declared
            .get(at)
            .map(|(member, rule)| builder.route(member, rule)),
        None => None,
    };
    let root = match catch_all(host, primaries) {
        Some(member) => builder.catch_all_root(member),
        None => root.unwrap_or_else(|| builder.default_root(primaries)),
    };
    let routes: Vec<_> = declared
        .into_iter()
        .filter(|(_, rule)| !is_root(rule))
        .map(|(member, rule)| (member, builder.route(member, rule)))
        .collect();
    let index = if builder.regex_mode {
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

/// Whether an Ingress puts the whole host into regex mode: by `use-regex`, or a rewrite that changes some path of it.
fn wants_regex(host: &str, member: &Member) -> bool {
    let routing = &member.ingress.annotations.routing;
    if routing.use_regex == Some(true) {
        return member.ingress.rules(host).is_some();
    }
    let Some(target) = &routing.rewrite_target else {
        return false;
    };
    let Some(rules) = member.ingress.rules(host) else {
        return false;
    };
    rules.paths.iter().any(|rule| *rule.path != **target)
}

/// The oldest Ingress that takes over the root of the catch-all with a default backend alone.
fn catch_all<'a>(host: &str, primaries: &[&'a Member]) -> Option<&'a Member> {
    if host != CATCH_ALL {
        return None;
    }
    primaries
        .iter()
        .copied()
        .find(|member| member.ingress.is_catch_all())
}

fn is_root(rule: &PathRule) -> bool {
    &*rule.path == "/" && rule.kind == PathKind::Prefix
}

fn literal_index(root: Arc<Route>, routes: Vec<(&Member, Arc<Route>)>) -> PathIndex {
    PathIndex::literal(root, routes.into_iter().map(|(_, route)| route).collect())
}

struct Builder<'a, 'b> {
    host: &'a str,
    canaries: Canaries<'a>,
    slots: Slots,
    around: &'a mut Surroundings<'b>,
    findings: &'a mut Vec<Finding>,
    regex_mode: bool,
}

impl<'a> Builder<'a, '_> {
    /// All paths in the order of their Ingresses' age. Of the same path and kind, the first stays.
    fn declared(&mut self, primaries: &[&'a Member]) -> Vec<(&'a Member, &'a PathRule)> {
        let mut seen: HashMap<(&str, PathKind), &Member> = HashMap::new();
        let mut declared = Vec::new();
        for member in primaries {
            for rule in member
                .ingress
                .rules(self.host)
                .into_iter()
                .flat_map(|rules| &rules.paths)
            {
                // Outside regex mode `/a` and `/a/` are the same prefix of whole segments.
                let key = match rule.kind {
                    PathKind::Prefix if !self.regex_mode && rule.path.len() > 1 => {
                        rule.path.strip_suffix('/').unwrap_or(&rule.path)
                    }
                    _ => &*rule.path,
                };
                match seen.get(&(key, rule.kind)) {
                    None => {
                        seen.insert((key, rule.kind), member);
                        declared.push((*member, rule));
                    }
                    Some(owner) => {
                        let message = format!(
                            "host {} path {} ({:?}) is already served by {}; ignored here",
                            self.host, rule.path, rule.kind, owner.ingress.name
                        );
                        self.findings.push(member.ingress.finding(
                            Severity::Error,
                            "spec.rules",
                            message,
                        ));
                    }
                }
            }
        }
        declared
    }

    fn route(&mut self, member: &'a Member, rule: &'a PathRule) -> Arc<Route> {
        let target = self.target(member, &rule.path, rule.kind, &rule.backend);
        let origin = origin(member, Some(&rule.backend));
        self.finish(member, &rule.path, rule.kind, origin, target)
    }

    /// The root of a host that no Ingress declares one for: the default backend, under all annotations of the Ingress
    /// that created the host, so that an unmatched path is as protected as the others.
    fn default_root(&mut self, primaries: &[&'a Member]) -> Arc<Route> {
        let path: Arc<str> = "/".into();
        // The catch-all host is nobody's, however many Ingresses add paths to it.
        let creator = primaries.first().filter(|_| self.host != CATCH_ALL);
        let Some(member) = creator else {
            let target = self.default_backend();
            return Arc::new(Route {
                path: path.clone(),
                kind: PathKind::Prefix,
                origin: Arc::new(Origin {
                    namespace: "".into(),
                    ingress: "".into(),
                    service: "".into(),
                    port: "".into(),
                }),
                policy: self.around.plain_policy.clone(),
                https: HttpsRedirect::Never,
                rewrite: None,
                target,
                sets_affinity_cookie: false,
                slot: self.slots.take(&path, PathKind::Prefix, ""),
            });
        };
        let target = match &member.ingress.default_backend {
            Some(backend) => self.target(member, &path, PathKind::Prefix, backend),
            None => self
                .closed(member)
                .unwrap_or_else(|| self.default_backend()),
        };
        let origin = origin(member, member.ingress.default_backend.as_ref());
        self.finish(member, &path, PathKind::Prefix, origin, target)
    }

    /// The root of the catch-all for an Ingress that has only a default backend: its annotations but redirects and rewrites.
    fn catch_all_root(&mut self, member: &'a Member) -> Arc<Route> {
        let Some(backend) = &member.ingress.default_backend else {
            return self.default_root(&[]);
        };
        let primary = member.ingress.upstream(backend);
        let canary = self.canaries.of_catch_all(&primary, self.findings);
        let split = Split {
            primary,
            canary,
            fallback: fallback(member),
        };
        let target = self.closed(member).unwrap_or(Target::Forward(split));
        let policy = match &member.policy.redirect {
            None => member.policy.clone(),
            Some(_) => Arc::new(Policy {
                redirect: None,
                ..Policy::clone(&member.policy)
            }),
        };
        Arc::new(Route {
            path: "/".into(),
            kind: PathKind::Prefix,
            origin: origin(member, Some(backend)),
            policy,
            https: HttpsRedirect::Never,
            rewrite: None,
            target,
            sets_affinity_cookie: member.ingress.annotations.affinity.is_some(),
            slot: self
                .slots
                .take("/", PathKind::Prefix, &member.ingress.name.name),
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
            slot: self.slots.take(path, kind, &origin.ingress),
            origin,
            policy: member.policy.clone(),
            https: self.https(member, path),
            rewrite: self.rewrite(member, path),
            target,
            sets_affinity_cookie: member.ingress.annotations.affinity.is_some(),
        })
    }

    fn target(&mut self, member: &Member, path: &str, kind: PathKind, backend: &Backend) -> Target {
        if let Some(closed) = self.closed(member) {
            return closed;
        }
        let primary = member.ingress.upstream(backend);
        let canary = self.canaries.of_path(path, kind, &primary, self.findings);
        Target::Forward(Split {
            primary,
            canary,
            fallback: fallback(member),
        })
    }

    fn closed(&self, member: &Member) -> Option<Target> {
        member
            .closed
            .clone()
            .map(|reason| Target::Closed(Closed { reason }))
    }

    fn default_backend(&self) -> Target {
        if let Some(reason) = &self.around.settings.closed {
            return Target::Closed(Closed {
                reason: reason.as_str().into(),
            });
        }
        let name = self.around.options.default_backend.as_ref();
        Target::DefaultBackend(
            name.map(|name| UpstreamId::new(&name.namespace, &name.name, FIRST_PORT)),
        )
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
            .filter(|target| *target != path)?;
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
                self.report(
                    member,
                    "metadata.annotations[rewrite-target]",
                    format!("{error}; the path is not rewritten"),
                );
                return None;
            }
        };
        // A path that is no expression has no route either; that is told where the index is made.
        let pattern = self.around.patterns.get(path).ok()?;
        let redirect = target.starts_with("http://") || target.starts_with("https://");
        Some(Arc::new(Rewrite {
            pattern,
            target: target_template,
            redirect,
            forwarded_prefix,
        }))
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
                match self.around.patterns.get(&format!("^{text}")) {
                    Ok(pattern) => entries.push((text, pattern, route.clone())),
                    Err(error) => {
                        let message = format!(
                            "path {} of host {} is not a regular expression: {error}; not served",
                            route.path, self.host
                        );
                        self.report(member, "spec.rules", message);
                        break;
                    }
                }
            }
        }
        PathIndex::regex(root, entries)
    }

    fn report(&mut self, member: &Member, field: &str, message: String) {
        self.findings
            .push(member.ingress.finding(Severity::Error, field, message));
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

fn fallback(member: &Member) -> Option<UpstreamId> {
    member
        .ingress
        .fallback()
        .map(|backend| member.ingress.upstream(&backend))
}

fn origin(member: &Member, backend: Option<&Backend>) -> Arc<Origin> {
    let name = &member.ingress.name;
    let (service, port) = match backend {
        Some(backend) => (backend.service.clone(), backend.port.clone()),
        None => ("".into(), "".into()),
    };
    Arc::new(Origin {
        namespace: name.namespace.clone(),
        ingress: name.name.clone(),
        service,
        port,
    })
}

/// The run-time state of a host's former routes, for the routes that take their place.
struct Slots(HashMap<(Arc<str>, PathKind, Arc<str>), Slot>);

impl Slots {
    fn of(previous: Option<&Host>) -> Self {
        let paths = previous.and_then(|host| match &host.behaviour {
            HostBehaviour::Routes { paths, .. } => Some(paths),
            HostBehaviour::Redirect { .. } => None,
        });
        let routes = paths.map(PathIndex::routes).unwrap_or_default();
        let slots = routes.into_iter().map(|route| {
            (
                (route.path.clone(), route.kind, route.origin.ingress.clone()),
                route.slot.clone(),
            )
        });
        Self(slots.collect())
    }

    fn take(&mut self, path: &str, kind: PathKind, ingress: &str) -> Slot {
        if self.0.is_empty() {
            return Slot::default();
        }
        self.0
            .remove(&(path.into(), kind, ingress.into()))
            .unwrap_or_default()
    }
}
