//! What HeadgatePolicies configure of the rules of a route. The API's own fields and filters come before them.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::{
    Affinity, BackendProtocol, Balance, Closed, ErrorPages, Forwarding, Pattern, Policy,
    Resilience, Rewrite, Slot,
};
use http::StatusCode;

use super::backend::POOL;
use crate::build::{
    ArmDraft, BackendDraft, ServicePort, SplitDraft, Transport, UpstreamDraft, UpstreamPolicy,
};
use crate::finding::{Finding, Severity, Subject as About};
use crate::ingress::annotations::{Annotation, IngressAnnotations, Rules};
use crate::ingress::closed::Denial;
use crate::ingress::family::auth::AUTH_URL;
use crate::ingress::family::errors::{self, RoutePages};
use crate::ingress::family::resilience::Overrides;
use crate::ingress::family::routing::{REWRITE_TARGET, SERVICE_UPSTREAM};
use crate::ingress::family::{affinity, balance, limits, resilience};
use crate::ingress::parsed::rules;
use crate::ingress::policy;
use crate::ingress::settings::Settings;
use crate::ingress::subject::Subject;
use crate::policies::{Values, field_name};
use crate::{Kind, Name, ObjectRef, Options};

/// The status of rules that cannot be served as configured.
const CLOSED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// The annotations that configure upstreams.
const OF_UPSTREAMS: &[&[&Annotation]] = &[
    affinity::ROWS,
    balance::ROWS,
    resilience::ROWS,
    &[SERVICE_UPSTREAM.row()],
];

/// What policies configure of the requests of a rule.
#[derive(Debug)]
pub(crate) struct Applied {
    policy: Arc<Policy>,
    annotations: IngressAnnotations,
    transport: Transport,
    pool: Pool,
    fallback: Option<ServicePort>,
    /// The policy that rewrites paths.
    rewrites: Option<Name>,
    /// Why the rule responds with an error.
    pub(super) closed: Option<Closed>,
    pub(super) error_pages: Option<Arc<ErrorPages>>,
    pub(super) findings: Vec<Finding>,
    /// Secrets and ConfigMaps that it depends on.
    pub(super) uses: Vec<ObjectRef>,
    /// Upstreams besides those of backends.
    pub(super) upstreams: Vec<UpstreamDraft>,
}

/// The upstreams of Service ports that are configured alike.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    /// Contains everything by which they differ.
    pub(super) name: Arc<str>,
    pub(super) settings: Arc<UpstreamSettings>,
}

/// How upstreams are configured; what is not set is as in the settings.
#[derive(Debug, Default)]
pub(crate) struct UpstreamSettings {
    balance: Option<Balance>,
    affinity: Option<Arc<Affinity>>,
    resilience: Option<Overrides>,
    cluster_address: bool,
}

/// The part of a route that values are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) route: &'a ObjectRef,
    /// The rule, if it has a policy of its own.
    pub(crate) rule: Option<&'a str>,
}

/// What values are applied with.
pub(crate) struct Inputs<'a> {
    pub(crate) policy: policy::Inputs<'a>,
    pub(crate) options: &'a Options,
    /// Counters by the identities of limits; those of the former version of the route.
    pub(crate) counters: &'a mut BTreeMap<String, Slot>,
}

/// The defaults of what policies leave out: those of routes without any policy, which the keys of the ConfigMap do not change,
/// and its restrictions of annotations.
pub(crate) fn defaults(own: &Settings) -> Settings {
    let mut settings = Settings::default();
    settings.annotations.clone_from(&own.annotations);
    settings.data_plane.location = own.data_plane.location;
    settings.tracing.clone_from(&own.tracing);
    settings.tracing.enabled = false;
    settings.upstream.forwarding = super::http::forwarding();
    settings
}

/// Applies the values of `scope`.
pub(crate) fn apply(values: &Values, scope: Scope<'_>, inputs: &mut Inputs<'_>) -> Applied {
    let settings = inputs.policy.settings;
    let rules = Rules {
        policies: values,
        closed: CLOSED,
        ..rules(settings, inputs.options)
    };
    let annotations = IngressAnnotations::parse(&rules, &BTreeMap::new());
    let limited = values.identity(&[limits::ROWS]);
    let kind = scope.route.kind.as_str();
    let uid = format!("{kind}/{}/{limited}", scope.rule.unwrap_or_default());
    let subject = Subject {
        kind: scope.route.kind,
        name: &scope.route.name,
        uid: &uid,
        annotations: &annotations,
        values,
        prefix: rules.prefix,
        hosts: &[],
        closed: CLOSED,
    };
    let id = format!("{}/{uid}", scope.route.name);
    let counters = inputs.counters.entry(id).or_default().clone();
    let mut built = policy::build(subject, &mut inputs.policy, Some(counters));
    let mut findings: Vec<Finding> = annotations
        .problems
        .iter()
        .map(|problem| subject.problem(problem))
        .collect();
    findings.append(&mut built.findings);
    findings.extend(errors::finding(subject, inputs.options));
    let reason = built.closed.map(|denial| denial.reason);
    let reason = reason.or_else(|| {
        let (finding, reason) = at_host(subject)?;
        findings.push(finding);
        Some(reason)
    });
    let external = annotations.external_auth.as_deref();
    let mirror = annotations.mirror.as_deref();
    let upstreams = external.and_then(|service| service.service());
    let upstreams = upstreams
        .into_iter()
        .chain(errors::own_upstream(subject))
        .chain(mirror.and_then(|mirror| mirror.service()));
    Applied {
        error_pages: error_pages(subject, &built.policy, settings, inputs.options),
        policy: built.policy,
        transport: built.transport,
        pool: pool(values, &annotations),
        fallback: subject.fallback(),
        rewrites: values
            .get(REWRITE_TARGET.entry().name)
            .map(|value| value.policy.clone()),
        closed: reason.map(|reason| Closed {
            reason,
            status: CLOSED,
        }),
        findings,
        uses: built.uses,
        upstreams: upstreams.collect(),
        annotations,
    }
}

/// The finding about an authentication service at the host of the request, and the reason to close the rule: a rule is for all
/// hosts of its route.
fn at_host(subject: Subject<'_>) -> Option<(Finding, Arc<str>)> {
    const REASON: &str = "\"$host\" in its host is possible for Ingresses alone; write the host";
    let external = subject.annotations.external_auth.as_deref()?;
    external.is_at_host().then(|| {
        let name = AUTH_URL.entry().name;
        let message = Denial::message(REASON, subject.closed);
        let finding = subject.annotation_finding(Severity::Error, name, message);
        (finding, format!("{name}: {REASON}").into())
    })
}

fn error_pages(
    subject: Subject<'_>,
    policy: &Policy,
    settings: &Settings,
    options: &Options,
) -> Option<Arc<ErrorPages>> {
    let authentication = policy.authentication.as_ref();
    let service = authentication.and_then(|authentication| authentication.external.as_ref());
    let signs_in = service.is_some_and(|service| service.sign_in.is_some());
    if subject.annotations.errors.is_none() && !signs_in {
        return None;
    }
    RoutePages::of(subject, signs_in, settings, options).declared
}

fn pool(values: &Values, annotations: &IngressAnnotations) -> Pool {
    let identity = values.identity(OF_UPSTREAMS);
    let name = match identity.is_empty() {
        true => POOL.to_owned(),
        false => format!("{POOL} {identity}"),
    };
    let affinity = annotations.affinity.as_deref();
    Pool {
        name: name.into(),
        settings: Arc::new(UpstreamSettings {
            balance: annotations.balance.as_deref().cloned(),
            affinity: affinity.map(|affinity| Arc::new(affinity.clone())),
            resilience: annotations.resilience.as_deref().cloned(),
            cluster_address: annotations.routing.service_upstream.unwrap_or(false),
        }),
    }
}

impl Applied {
    /// Its counters, by their identity.
    pub(super) fn counters(&self) -> Option<(String, Slot)> {
        let limits = self.policy.limits.as_ref()?;
        Some((limits.id.to_string(), limits.slot.clone()))
    }

    /// The pool of its upstreams.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Whether responses set the cookie of session affinity.
    pub(super) fn sets_affinity_cookie(&self) -> bool {
        self.pool.settings.affinity.is_some()
    }

    /// How requests are forwarded, before what a rule itself says.
    pub(super) fn forwarding(&self) -> Forwarding {
        Forwarding::clone(&self.policy.forwarding)
    }

    /// The policy of a rule: what the rule itself says, `own`, comes first.
    pub(super) fn policy(&self, own: Policy) -> Policy {
        let of_policies = Policy::clone(&self.policy);
        Policy {
            redirect: own.redirect,
            cors: own.cors.or(of_policies.cors),
            session: own.session,
            authorization: own.authorization,
            hsts: false,
            forwarding: own.forwarding,
            ..of_policies
        }
    }

    /// The rewrite of paths that match `pattern`, for a match without expression that of every path.
    ///
    /// # Errors
    /// The finding about a name in it that is neither a variable nor a group of the pattern.
    pub(super) fn rewrite(
        &self,
        pattern: Option<&Arc<Pattern>>,
    ) -> Result<Option<Rewrite>, Finding> {
        let target = self.annotations.routing.rewrite_target.as_deref();
        let every = || Pattern::new("^").ok().map(Arc::new);
        let (Some(target), Some(pattern)) = (target, pattern.cloned().or_else(every)) else {
            return Ok(None);
        };
        let (Some(unknown), Some(policy)) = (target.unknown_name(&pattern), &self.rewrites) else {
            return Ok(target.rewrite(pattern));
        };
        let message = format!(
            "${unknown} is neither a variable nor a group of the path {}; the rule responds with 500",
            pattern.source()
        );
        Err(Finding {
            severity: Severity::Error,
            subject: About::Object(ObjectRef {
                kind: Kind::HeadgatePolicy,
                name: policy.clone(),
            }),
            field: format!("spec.{}", field_name(REWRITE_TARGET.entry().name)).into(),
            message: message.into(),
        })
    }

    /// The backends of a rule, in the pool of its upstreams, with its fallback.
    pub(super) fn backends(&self, split: SplitDraft) -> SplitDraft {
        let service = |port: &ServicePort| {
            let transport = self.transport.clone().in_pool(self.pool.name.clone());
            BackendDraft::service(port.clone(), transport)
        };
        let mut split = split;
        let others = split
            .alternatives
            .iter_mut()
            .map(|other| &mut other.backend);
        for backend in others.chain([&mut split.primary]) {
            if let ArmDraft::Service(_, transport) = &mut backend.arm {
                *transport = self.transport(transport);
            }
        }
        split.fallback = self.fallback.as_ref().map(service);
        split
    }

    /// The connections to a backend, of which its Service and policies for it have said `known`.
    fn transport(&self, known: &Transport) -> Transport {
        use BackendProtocol::{Grpc, Grpcs, Http};
        let is_known = match (known.protocol(), self.transport.protocol()) {
            (Http, _) | (Grpc, Grpcs) => known.tls().is_some(),
            _ => true,
        };
        let transport = if is_known { known } else { &self.transport };
        transport.clone().in_pool(self.pool.name.clone())
    }
}

impl UpstreamSettings {
    /// The policy of upstreams, from that of the settings.
    pub(super) fn over(&self, plain: UpstreamPolicy, defaults: &Arc<Resilience>) -> UpstreamPolicy {
        let own = self.resilience.as_ref();
        UpstreamPolicy {
            balance: self.balance.clone().unwrap_or(plain.balance),
            affinity: self.affinity.clone(),
            resilience: own.map_or_else(|| defaults.clone(), |own| own.over(defaults)),
            cluster_address: self.cluster_address,
            ..plain
        }
    }
}
