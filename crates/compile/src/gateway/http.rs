//! Rules of HTTPRoutes: what they match, and what is done with the requests (gateway-api.md 3).

mod authorization;
mod cors;
mod filters;
mod matches;
pub(super) mod session;
mod timing;

use std::cmp::Reverse;
use std::sync::Arc;

use headgate_table::{
    Authorization, CallTarget, Closed, CorsRules, Forwarding, HttpsRedirect, Mirror, MirrorPath,
    Policy, RouteRule, Session,
};
use http::StatusCode;
use smallvec::smallvec;

use self::filters::Filters;
pub(super) use self::timing::duration;
use super::applied::Applied;
use super::backend::{self, Backends, Idle, Inputs, Referrer, Weighted};
use super::condition::Problem;
use super::route::{CompiledRoute, Serves};
use super::seniority::Seniority;
use crate::build::{
    ArmDraft, BackendDraft, PathDraft, RouteDraft, RoutePolicy, SplitDraft, TargetDraft,
    UpstreamDraft,
};
use crate::objects::custom::{Custom, HttpRouteSpec, HttpRule, SessionPersistence};
use crate::{Kind, ObjectRef};

/// Which of several routes with the same path of a host is tried first: the one that demands more, then the more senior
/// (gateway-api.md 3.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Precedence {
    demands: Demands,
    seniority: Arc<Seniority>,
    rule: usize,
    index: usize,
}

/// What a match demands besides the path; more comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Demands {
    method: Reverse<bool>,
    headers: Reverse<usize>,
    query: Reverse<usize>,
}

/// The rules of an HTTPRoute; without any, one for everything.
pub(crate) fn rules(spec: &HttpRouteSpec) -> Vec<HttpRule> {
    let whole = || vec![HttpRule::default()];
    spec.rules.clone().unwrap_or_else(whole)
}

/// Compiles the rules of a route of `kind`: an HTTPRoute, or a GRPCRoute as HTTP rules.
pub(crate) fn compile<S>(
    route: &Custom<S>,
    kind: Kind,
    rules: &[HttpRule],
    inputs: Inputs<'_>,
) -> CompiledRoute {
    let mut compiler = Compiler {
        owner: ObjectRef {
            kind,
            name: route.name.clone(),
        },
        uid: route.uid.clone(),
        seniority: Arc::new(Seniority::of(route)),
        inputs,
        drafts: Vec::new(),
        compiled: CompiledRoute::default(),
    };
    // What a match means that cannot be read is not known, so the other rules could serve what it would protect.
    let unreadable = rules.iter().find_map(|rule| matches::of(rule).err());
    let mut served = 0;
    for (index, rule) in rules.iter().enumerate() {
        let declared = Declared::of(index, rule, &route.name.namespace);
        match &unreadable {
            Some(problem) => compiler.close(&declared, rule, problem.clone()),
            None => served += usize::from(compiler.rule(&declared, rule)),
        }
    }
    let mut compiled = compiler.compiled;
    compiled.serves = Serves::Requests(compiler.drafts);
    if served == 0 {
        compiled.refused = compiled.partially.take();
    }
    compiled.services.sort();
    compiled.services.dedup();
    compiled
}

/// What the drafts of a rule say of it.
struct Declared {
    rule: Arc<RouteRule>,
    field: Arc<str>,
    names: Option<(Arc<str>, Arc<str>)>,
}

impl Declared {
    fn of(index: usize, rule: &HttpRule, namespace: &str) -> Self {
        // The Service that the others are alternatives of: the first with a weight.
        let references = || rule.backend_refs.iter().map(|one| &one.backend);
        let weighted = references().find(|reference| reference.weight != Some(0));
        let service = weighted.or_else(|| references().next());
        let elsewhere = service.and_then(|service| service.namespace.as_deref());
        Self {
            rule: Arc::new(RouteRule {
                index,
                name: rule.name.as_deref().map(Into::into),
                namespace: elsewhere
                    .filter(|elsewhere| *elsewhere != namespace)
                    .map(Into::into),
            }),
            field: format!("spec.rules[{index}]").into(),
            names: service.map(|service| {
                let port = service
                    .port
                    .map_or_else(String::new, |port| port.to_string());
                ((&*service.name).into(), port.into())
            }),
        }
    }
}

struct Compiler<'a> {
    owner: ObjectRef,
    /// Files have none.
    uid: Option<Box<str>>,
    seniority: Arc<Seniority>,
    inputs: Inputs<'a>,
    drafts: Vec<RouteDraft<Precedence>>,
    compiled: CompiledRoute,
}

impl Compiler<'_> {
    /// Adds the drafts of a rule. Returns whether it is served as written.
    fn rule(&mut self, declared: &Declared, rule: &HttpRule) -> bool {
        let index = declared.rule.index;
        let referrer = Referrer {
            kind: self.owner.kind,
            namespace: &self.owner.name.namespace.clone(),
        };
        let references = rule.backend_refs.iter().map(|one| &one.backend);
        let services = references.map(|reference| referrer.service(reference));
        self.compiled.services.extend(services);
        let applied = self.inputs.applied.get(index).and_then(Option::as_deref);
        let (policy, target) = match self.served(index, rule, referrer, applied) {
            Ok(served) => served,
            Err(problem) => {
                self.close(declared, rule, problem);
                return false;
            }
        };
        for (order, one) in matches::readable(rule).into_iter().enumerate() {
            let (mut policy, mut target) = (policy.clone(), target.clone());
            if let (None, Some(applied)) = (&policy.rewrite, applied) {
                let pattern = one.expressions.first().map(|(_, pattern)| pattern);
                match applied.rewrite(pattern) {
                    Ok(rewrite) => policy.rewrite = rewrite.map(Arc::new),
                    Err(finding) => {
                        target = closed(finding.message.clone());
                        self.compiled.findings.push(finding);
                    }
                }
            }
            let draft = self.draft((declared, order), one, policy, target);
            self.drafts.push(draft);
        }
        true
    }

    /// How the requests of a rule are handled, and where they go.
    fn served(
        &mut self,
        index: usize,
        rule: &HttpRule,
        referrer: Referrer<'_>,
        applied: Option<&Applied>,
    ) -> Result<(RoutePolicy, TargetDraft), Problem> {
        let prefix = matches::prefix(rule);
        let filters = Filters::of(&rule.filters, prefix, referrer)?;
        let session = self.session(index, rule)?;
        let of_policies = applied.map_or_else(forwarding, Applied::forwarding);
        let forwarding = timing::with_timing(rule, filters.forwarding(of_policies))?;
        let authorization = match self.authorization(&filters, referrer) {
            Ok(authorization) => authorization,
            Err(problem) => {
                let unresolved = &mut self.compiled.unresolved;
                *unresolved = unresolved.take().or_else(|| Some(problem.clone()));
                return Ok((closed_policy(), closed((&*problem.message).into())));
            }
        };
        let mut weighted = Vec::with_capacity(rule.backend_refs.len());
        let mirrors = self.mirrors(&filters, &filters, referrer);
        for reference in &rule.backend_refs {
            let own = Filters::of(&reference.filters, prefix, referrer)?;
            let mut all = mirrors.clone();
            all.extend(self.mirrors(&own, &filters, referrer));
            weighted.push(Weighted {
                reference: &reference.backend,
                edits: filters.edits_with(&own, all)?,
            });
        }
        // A session may go on where new ones do not begin.
        let idle = match session {
            Some(_) => Idle::Kept,
            None => Idle::LeftOut,
        };
        let backends = Backends::of(weighted.into_iter(), idle, referrer, self.inputs);
        let unresolved = &mut self.compiled.unresolved;
        *unresolved = unresolved.take().or(backends.problem);
        let split = backends
            .split
            .unwrap_or_else(|| SplitDraft::new(internal_error()));
        let policy = Policy {
            redirect: filters.redirect,
            cors: filters.cors.map(|cors| Arc::new(CorsRules::Fetch(cors))),
            session: session.map(Arc::new),
            authorization,
            hsts: false,
            forwarding: Arc::new(forwarding),
            ..Policy::default()
        };
        // A session of the rule itself takes the place of the affinity of a policy.
        let has_session = policy.session.is_some();
        let sets_affinity_cookie = applied.is_some_and(Applied::sets_affinity_cookie);
        let policy = RoutePolicy {
            policy: Arc::new(match applied {
                Some(applied) => applied.policy(policy),
                None => policy,
            }),
            https: HttpsRedirect::Never,
            rewrite: filters.rewrite.map(Arc::new),
            error_pages: applied.and_then(|applied| applied.error_pages.clone()),
            sets_affinity_cookie: sets_affinity_cookie && !has_session,
        };
        let target = match applied.map(|applied| (applied, &applied.closed)) {
            None => TargetDraft::Split(split),
            Some((applied, None)) => TargetDraft::Split(applied.backends(split)),
            Some((_, Some(closed))) => TargetDraft::Closed(closed.clone()),
        };
        Ok((policy, target))
    }

    /// The service that decides whether requests are allowed.
    ///
    /// # Errors
    /// It cannot be resolved, so no request is.
    fn authorization(
        &mut self,
        filters: &Filters,
        referrer: Referrer<'_>,
    ) -> Result<Option<Arc<Authorization>>, Problem> {
        let Some(asked) = &filters.authorization else {
            return Ok(None);
        };
        let service = referrer.service(&asked.service);
        self.compiled.services.push(service);
        let (port, transport) = referrer.resolve(&asked.service, self.inputs)?;
        let transport = match asked.is_call() {
            true => backend::for_calls(&transport),
            false => transport,
        };
        let upstream = UpstreamDraft { port, transport };
        let authorization = Authorization {
            target: CallTarget::Upstream(upstream.key()),
            protocol: asked.protocol.clone(),
            body_limit: asked.body_limit,
        };
        self.compiled.mirrors.push(upstream);
        Ok(Some(Arc::new(authorization)))
    }

    fn session(&self, index: usize, rule: &HttpRule) -> Result<Option<Session>, Problem> {
        let own = rule.session_persistence.as_ref();
        let Some(spec) = own.or_else(|| self.session_of_backends(rule)) else {
            return Ok(None);
        };
        let name = format!("{}/{index}", self.owner);
        let id = match &self.uid {
            Some(uid) => format!("{uid}/{index}").into(),
            None => name.as_str().into(),
        };
        session::session(spec, id, &name).map(Some)
    }

    /// The session that a policy of the first backend with one asks for.
    fn session_of_backends(&self, rule: &HttpRule) -> Option<&SessionPersistence> {
        let referrer = Referrer {
            kind: self.owner.kind,
            namespace: &self.owner.name.namespace,
        };
        let backends = rule.backend_refs.iter().map(|one| &one.backend);
        let mut services = backends.filter(|one| one.is_service());
        services.find_map(|backend| {
            let policy = self.inputs.traffic.of(&referrer.service(backend))?;
            policy.session.as_ref()
        })
    }

    /// The mirrors of `filters`, with the edits of the rule. One that cannot be resolved is left out.
    fn mirrors(
        &mut self,
        filters: &Filters,
        rule: &Filters,
        referrer: Referrer<'_>,
    ) -> Vec<Arc<Mirror>> {
        let mut mirrors = Vec::with_capacity(filters.mirrors.len());
        for (reference, share) in &filters.mirrors {
            self.compiled.services.push(referrer.service(reference));
            match referrer.resolve(reference, self.inputs) {
                Ok((port, transport)) => {
                    let upstream = UpstreamDraft { port, transport };
                    mirrors.push(Arc::new(Mirror {
                        target: CallTarget::Upstream(upstream.key()),
                        host: None,
                        path: MirrorPath::Same,
                        body: true,
                        share: *share,
                        edits: rule.request_edits(),
                    }));
                    self.compiled.mirrors.push(upstream);
                }
                Err(problem) => {
                    let unresolved = &mut self.compiled.unresolved;
                    *unresolved = unresolved.take().or(Some(problem));
                }
            }
        }
        mirrors
    }

    /// A rule that cannot be served as written responds with 500 to what it matches.
    fn close(&mut self, declared: &Declared, rule: &HttpRule, problem: Problem) {
        let (policy, closed) = (closed_policy(), closed((&*problem.message).into()));
        for (order, one) in matches::readable(rule).into_iter().enumerate() {
            let draft = self.draft((declared, order), one, policy.clone(), closed.clone());
            self.drafts.push(draft);
        }
        let partially = &mut self.compiled.partially;
        *partially = partially.take().or(Some(problem));
    }

    fn draft(
        &self,
        (declared, index): (&Declared, usize),
        path: PathDraft,
        policy: RoutePolicy,
        target: TargetDraft,
    ) -> RouteDraft<Precedence> {
        let conditions = &path.conditions;
        let demands = Demands {
            method: Reverse(conditions.method.is_some()),
            headers: Reverse(conditions.headers.len()),
            query: Reverse(conditions.query.len()),
        };
        RouteDraft {
            universes: smallvec![],
            hosts: smallvec![],
            matches: smallvec![path],
            precedence: Precedence {
                demands,
                seniority: self.seniority.clone(),
                rule: declared.rule.index,
                index,
            },
            policy,
            target,
            owner: Some(self.owner.clone()),
            field: declared.field.clone(),
            rule: Some(declared.rule.clone()),
            names: declared.names.clone(),
        }
    }
}

fn closed_policy() -> RoutePolicy {
    RoutePolicy {
        policy: Arc::default(),
        https: HttpsRedirect::Never,
        rewrite: None,
        error_pages: None,
        sets_affinity_cookie: false,
    }
}

fn closed(reason: Arc<str>) -> TargetDraft {
    TargetDraft::Closed(Closed {
        reason,
        status: StatusCode::INTERNAL_SERVER_ERROR,
    })
}

fn internal_error() -> BackendDraft {
    BackendDraft {
        arm: ArmDraft::Status(StatusCode::INTERNAL_SERVER_ERROR),
        edits: None,
    }
}

/// Bodies are neither bounded nor read ahead: the API does not ask for it.
pub(super) fn forwarding() -> Forwarding {
    Forwarding {
        body_limit: None,
        buffer_request: false,
        response_head_limit: 32 << 10,
        ..Forwarding::default()
    }
}
