//! Building hosts from drafts: routes in their order, conflicts, and references to upstreams.

use std::sync::Arc;

use headgate_table::{
    Alternative, Alternatives, Arm, Backend, Candidate, Host, HostBehaviour, HttpsRedirect, Origin,
    PathIndex, PathKind, Route, Split, Target, UpstreamKey,
};

use super::draft::{
    ArmDraft, BackendDraft, BehaviourDraft, HostDraft, PathDraft, PathOrder, RouteDraft,
    SplitDraft, TargetDraft,
};
use super::slots::Slots;
use super::upstreams::{UpstreamDraft, Upstreams};
use crate::ObjectRef;

/// A path that two routes declare under the same conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The host.
    pub host: Arc<str>,
    /// The path.
    pub path: Arc<str>,
    /// How it matches.
    pub kind: PathKind,
    /// The object whose route is skipped.
    pub loser: Option<ObjectRef>,
    /// The field that declares the skipped route.
    pub field: Arc<str>,
    /// The object whose route serves.
    pub winner: Option<ObjectRef>,
}

/// Builds the host of `draft`. `root` serves what none of `routes` matches. `former` is the previous host of that name: its
/// run-time state is carried over, and the caller releases its references to `upstreams`.
pub(super) fn build<P: Ord>(
    draft: HostDraft,
    root: Option<RouteDraft<P>>,
    mut routes: Vec<RouteDraft<P>>,
    former: Option<&Host>,
    upstreams: &mut Upstreams,
) -> (Host, Vec<Conflict>) {
    let HostDraft {
        name,
        aliases,
        tls,
        clients,
        ciphers,
        script,
        behaviour,
    } = draft;
    let mut conflicts = Vec::new();
    let behaviour = match (behaviour, root) {
        (BehaviourDraft::Redirect(to), _) => HostBehaviour::Redirect { to },
        (BehaviourDraft::Routes { app_root, order }, root) => {
            routes.sort_by(|one, other| one.precedence.cmp(&other.precedence));
            let mut builder = Builder {
                host: &name,
                slots: Slots::of(former),
                upstreams,
                last_origin: None,
                conflicts: &mut conflicts,
            };
            let root = builder.root(root.as_ref(), &routes);
            let paths = match order {
                PathOrder::Literal => builder.literal_index(root, &routes),
                PathOrder::Expressions => builder.regex_index(root, &routes),
                PathOrder::Specific => builder.specific_index(root, &routes),
            };
            HostBehaviour::Routes { app_root, paths }
        }
    };
    let host = Host {
        name,
        aliases: aliases.into(),
        tls,
        clients,
        ciphers,
        script,
        behaviour,
    };
    (host, conflicts)
}

/// Every upstream of the routes of a host, once per reference.
pub(super) fn upstreams(host: &Host) -> impl Iterator<Item = &UpstreamKey> {
    let paths = match &host.behaviour {
        HostBehaviour::Routes { paths, .. } => Some(paths),
        HostBehaviour::Redirect { .. } => None,
    };
    let mut routes: Vec<&Arc<Route>> = paths.into_iter().flat_map(PathIndex::routes).collect();
    // A route has several entries in regex mode.
    if paths.is_some_and(PathIndex::is_regex) {
        routes.sort_by_key(|route| Arc::as_ptr(route));
        routes.dedup_by(|one, other| Arc::ptr_eq(one, other));
    }
    routes.into_iter().flat_map(|route| {
        let (split, default) = match &route.target {
            Target::Forward(split) => (Some(split), None),
            Target::DefaultBackend(key) => (None, key.as_ref()),
            Target::Closed(_) => (None, None),
        };
        split.into_iter().flat_map(Split::upstreams).chain(default)
    })
}

struct Builder<'a> {
    host: &'a Arc<str>,
    slots: Slots,
    upstreams: &'a mut Upstreams,
    last_origin: Option<Arc<Origin>>,
    conflicts: &'a mut Vec<Conflict>,
}

impl Builder<'_> {
    /// The route for what no other matches: `root`, else the one for `/` among `routes`, else the built-in 404.
    fn root<P>(&mut self, root: Option<&RouteDraft<P>>, routes: &[RouteDraft<P>]) -> Arc<Route> {
        let explicit = root.and_then(|draft| Some((draft, draft.matches.first()?)));
        let declared = || {
            let paths = routes.iter().flat_map(paths);
            paths.into_iter().find(|(_, path)| is_root(path))
        };
        match explicit.or_else(declared) {
            Some((draft, path)) => self.route(draft, path),
            None => built_in_root(&mut self.slots),
        }
    }

    fn literal_index<P>(&mut self, root: Arc<Route>, routes: &[RouteDraft<P>]) -> PathIndex {
        let declared: Vec<_> = routes.iter().flat_map(paths).collect();
        PathIndex::literal(root, self.literal_candidates(declared))
    }

    fn specific_index<P>(&mut self, root: Arc<Route>, routes: &[RouteDraft<P>]) -> PathIndex {
        let declared = routes.iter().flat_map(paths);
        let (literal, expressions): (Vec<_>, Vec<_>) =
            declared.partition(|(_, path)| path.expressions.is_empty());
        let mut candidates = Vec::with_capacity(expressions.len());
        for (draft, path) in expressions {
            let route = self.route(draft, path);
            let conditions = &path.conditions;
            candidates.extend(path.expressions.iter().map(|(_, pattern)| {
                let candidate = Candidate {
                    route: route.clone(),
                    conditions: conditions.clone(),
                };
                (pattern.clone(), candidate)
            }));
        }
        PathIndex::specific(root, self.literal_candidates(literal), candidates)
    }

    /// Those of literal paths that are reachable.
    fn literal_candidates<P>(
        &mut self,
        declared: Vec<(&RouteDraft<P>, &PathDraft)>,
    ) -> Vec<Candidate> {
        let winners = self.winners(&declared);
        let mut candidates = Vec::with_capacity(declared.len());
        for ((draft, path), wins) in declared.into_iter().zip(winners) {
            if wins && !is_root(path) {
                candidates.push(Candidate {
                    route: self.route(draft, path),
                    conditions: path.conditions.clone(),
                });
            }
        }
        candidates
    }

    /// Which of the paths serve. A path is unreachable after the same path without conditions or with equal conditions.
    fn winners<P>(&mut self, declared: &[(&RouteDraft<P>, &PathDraft)]) -> Vec<bool> {
        let key = |index: usize| {
            declared
                .get(index)
                .map(|(_, path)| (path.kind, literal_key(path)))
        };
        let mut order: Vec<usize> = (0..declared.len()).collect();
        order.sort_by(|one, other| key(*one).cmp(&key(*other)));
        let mut wins = vec![true; declared.len()];
        for same in order.chunk_by(|one, other| key(*one) == key(*other)) {
            for (rank, index) in same.iter().enumerate() {
                let Some((loser, path)) = declared.get(*index) else {
                    continue;
                };
                let before = same.iter().take(rank);
                let mut before = before.filter_map(|index| declared.get(*index));
                let winner = before.find(|(_, other)| {
                    other.conditions.is_empty() || other.conditions == path.conditions
                });
                let Some((winner, _)) = winner else { continue };
                if let Some(wins) = wins.get_mut(*index) {
                    *wins = false;
                }
                self.conflicts.push(Conflict {
                    host: self.host.clone(),
                    path: path.path.clone(),
                    kind: path.kind,
                    loser: loser.owner.clone(),
                    field: loser.field.clone(),
                    winner: winner.owner.clone(),
                });
            }
        }
        wins
    }

    fn regex_index<P>(&mut self, root: Arc<Route>, routes: &[RouteDraft<P>]) -> PathIndex {
        let mut entries = Vec::with_capacity(routes.len());
        for (draft, path) in routes.iter().flat_map(paths) {
            if path.expressions.is_empty() {
                continue;
            }
            let route = self.route(draft, path);
            entries.extend(path.expressions.iter().map(|(text, pattern)| {
                let candidate = Candidate {
                    route: route.clone(),
                    conditions: path.conditions.clone(),
                };
                (text.clone(), pattern.clone(), candidate)
            }));
        }
        PathIndex::regex(root, entries)
    }

    fn route<P>(&mut self, draft: &RouteDraft<P>, path: &PathDraft) -> Arc<Route> {
        let origin = self.origin(draft);
        Arc::new(Route {
            path: path.path.clone(),
            kind: path.kind,
            slot: self.slots.take(&path.path, path.kind, &origin),
            origin,
            rule: draft.rule.clone(),
            policy: draft.policy.policy.clone(),
            https: draft.policy.https,
            rewrite: draft.policy.rewrite.clone(),
            error_pages: draft.policy.error_pages.clone(),
            target: self.target(&draft.target),
            sets_affinity_cookie: draft.policy.sets_affinity_cookie,
        })
    }

    /// Routes of one object with the same Service port share their origin.
    fn origin<P>(&mut self, draft: &RouteDraft<P>) -> Arc<Origin> {
        let (service, port) = draft
            .names
            .as_ref()
            .map_or((None, None), |(service, port)| (Some(service), Some(port)));
        let owner = draft.owner.as_ref();
        let same = |last: &&Arc<Origin>| {
            service.is_some_and(|service| Arc::ptr_eq(service, &last.service))
                && port.is_some_and(|port| Arc::ptr_eq(port, &last.port))
                && owner.is_some_and(|owner| {
                    Arc::ptr_eq(&owner.name.name, &last.name)
                        && Arc::ptr_eq(&owner.name.namespace, &last.namespace)
                })
        };
        if let Some(last) = self.last_origin.as_ref().filter(same) {
            return last.clone();
        }
        let text = |text: Option<&Arc<str>>| text.cloned().unwrap_or_default();
        let origin = Arc::new(Origin {
            kind: owner.map_or("", |owner| owner.kind.as_str()),
            namespace: text(owner.map(|owner| &owner.name.namespace)),
            name: text(owner.map(|owner| &owner.name.name)),
            service: text(service),
            port: text(port),
        });
        self.last_origin.insert(origin).clone()
    }

    fn target(&mut self, target: &TargetDraft) -> Target {
        match target {
            TargetDraft::Split(draft) => Target::Forward(split(draft, self.upstreams)),
            TargetDraft::DefaultBackend(backend) => {
                let backend = backend
                    .as_ref()
                    .map(|draft| self::backend(draft, self.upstreams));
                let key = backend.and_then(|backend| backend.upstream().cloned());
                Target::DefaultBackend(key)
            }
            TargetDraft::Closed(closed) => Target::Closed(closed.clone()),
        }
    }
}

/// The split of `draft`, whose upstreams are acquired.
pub(super) fn split(draft: &SplitDraft, upstreams: &mut Upstreams) -> Split {
    let primary = backend(&draft.primary, upstreams);
    let others = draft.alternatives.iter().map(|other| Alternative {
        backend: backend(&other.backend, upstreams),
        weight: other.weight,
        unavailable: other.unavailable,
    });
    let others: Vec<Alternative> = others.collect();
    let fallback = draft
        .fallback
        .as_ref()
        .map(|draft| backend(draft, upstreams));
    let fallback = fallback.and_then(|backend| backend.upstream().cloned());
    let split = Split::new(primary)
        .with_alternatives(Alternatives::new(others, draft.rules.clone(), draft.total))
        .with_fallback(fallback);
    if draft.independent {
        split.independent()
    } else {
        split
    }
}

/// The backend of `draft`, whose upstream is acquired.
fn backend(draft: &BackendDraft, upstreams: &mut Upstreams) -> Backend {
    let arm = match &draft.arm {
        ArmDraft::Status(status) => Arm::Status(*status),
        ArmDraft::Service(port, transport) => {
            let key = port.id().upstream(transport);
            upstreams.acquire(&key, || UpstreamDraft {
                port: port.clone(),
                transport: transport.clone(),
            });
            Arm::Upstream(key)
        }
    };
    Backend {
        arm,
        edits: draft.edits.clone(),
    }
}

fn paths<P>(draft: &RouteDraft<P>) -> impl Iterator<Item = (&RouteDraft<P>, &PathDraft)> {
    draft.matches.iter().map(move |path| (draft, path))
}

fn is_root(path: &PathDraft) -> bool {
    path.kind == PathKind::Prefix && &*path.path == "/" && path.conditions.is_empty()
}

/// Prefixes match whole segments, so a final slash makes no difference.
fn literal_key(path: &PathDraft) -> &str {
    match path.kind {
        PathKind::Exact | PathKind::Expression => &path.path,
        PathKind::Prefix => path.path.strip_suffix('/').unwrap_or(&path.path),
    }
}

/// 404 for everything.
fn built_in_root(slots: &mut Slots) -> Arc<Route> {
    let origin = Arc::new(Origin {
        kind: "",
        namespace: Arc::default(),
        name: Arc::default(),
        service: Arc::default(),
        port: Arc::default(),
    });
    let path: Arc<str> = "/".into();
    Arc::new(Route {
        slot: slots.take(&path, PathKind::Prefix, &origin),
        path,
        kind: PathKind::Prefix,
        origin,
        rule: None,
        policy: Arc::default(),
        https: HttpsRedirect::Never,
        rewrite: None,
        error_pages: None,
        target: Target::DefaultBackend(None),
        sets_affinity_cookie: false,
    })
}
