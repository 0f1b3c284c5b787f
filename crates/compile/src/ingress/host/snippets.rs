//! The server-snippet of a host (behaviour.md 1.16): that of its first Ingress with one.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::{
    AccessRules, Closed, HostLocation, HostScript, HttpsRedirect, LocationMatch, Origin, PathKind,
    Policy, Route, Script, Slot, Target,
};

use super::{AttachedIngress, Inputs};
use crate::Name;
use crate::build::PathDraft;
use crate::finding::{Finding, Severity};
use crate::ingress::family::snippets::SERVER_SNIPPET;
use crate::ingress::policy::snippets::{self as of_routes, Undefined};
use crate::ingress::snippet::{
    self, Blocks, Built, Directive, LocationPath, Placed, Refusal, Remark, Snippet,
};

/// What the text of a host is, for its routes and for requests before these.
pub(crate) struct HostSnippets<'a> {
    own: Option<&'a Snippet>,
    pub(super) script: Option<Arc<HostScript>>,
    pub(super) closed: Option<Closed>,
    /// Ingresses here that inherit from the host, or read what nothing defines.
    known: BTreeMap<Name, Here>,
}

/// What the snippets of an Ingress come to on one host.
#[derive(Clone)]
pub(super) struct Here {
    pub(super) policy: Arc<Policy>,
    /// Why its routes are closed: they read what nothing defines.
    pub(super) closed: Option<Closed>,
}

impl<'a> HostSnippets<'a> {
    /// Of the first of `primaries` that has one.
    pub(super) fn of(
        host: &str,
        primaries: &[&'a AttachedIngress],
        inputs: &Inputs<'_>,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut none = Self {
            own: None,
            script: None,
            closed: None,
            known: BTreeMap::new(),
        };
        let mut with = primaries.iter().copied().filter_map(|attached| {
            let snippets = attached.ingress.annotations.snippets.as_deref()?;
            Some((attached, snippets.server.as_ref()?))
        });
        let Some((owner, read)) = with.next() else {
            // Problems of the settings' own directives are findings of the settings.
            let built = build(None, inputs);
            none.closed = built.closed.as_ref().map(closed);
            none.script = built.script;
            return none;
        };
        findings.extend(with.map(|(late, _)| {
            let message = format!(
                "host {host} has that of {} already; ignored here",
                owner.ingress.name
            );
            annotation_finding(late, Severity::Warning, message)
        }));
        let snippet = match read {
            Ok(snippet) => snippet,
            Err(reason) => {
                let reason = reason.to_string();
                none.closed = Some(closed(&Refusal { reason, key: None }));
                return none;
            }
        };
        let built = build(Some((owner, snippet)), inputs);
        let remarks = built.remarks.into_iter();
        let remarks = remarks.filter(|remark| remark.key.is_none());
        findings.extend(
            remarks.map(|remark| annotation_finding(owner, remark.severity, remark.message)),
        );
        findings.extend(without_effect(owner, &snippet.directives));
        if let Some(Refusal { reason, key: None }) = &built.closed {
            let message = format!("{reason}; every route of host {host} responds with 503");
            findings.push(annotation_finding(owner, Severity::Error, message));
        }
        Self {
            own: Some(snippet),
            script: built.script,
            closed: built.closed.as_ref().map(closed),
            ..none
        }
    }

    /// What the snippets of `attached` come to on `host`, which is this.
    pub(super) fn here(
        &mut self,
        host: &str,
        attached: &AttachedIngress,
        (inputs, findings): (&Inputs<'_>, &mut Vec<Finding>),
    ) -> Here {
        if self.own.is_none() && attached.undefined.is_none() {
            return Here {
                policy: attached.policy.clone(),
                closed: None,
            };
        }
        let name = &attached.ingress.name;
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let (policy, undefined) = self.build(attached, inputs);
        let undefined = undefined.as_deref();
        findings.extend(
            undefined
                .into_iter()
                .flat_map(|undefined| undefined.findings(&attached.ingress, host)),
        );
        let closed = undefined.and_then(Undefined::closed);
        let here = Here { policy, closed };
        self.known.insert(name.clone(), here.clone());
        here
    }

    fn build(
        &self,
        attached: &AttachedIngress,
        inputs: &Inputs<'_>,
    ) -> (Arc<Policy>, Option<Arc<Undefined>>) {
        if self.own.is_none() {
            return (attached.policy.clone(), attached.undefined.clone());
        }
        let mut built = of_routes::build(attached.ingress.subject(), inputs.settings, self.own);
        let undefined = Undefined::of(&mut built).map(Arc::new);
        let access = &attached.ingress.annotations.access;
        let rules = access.with_rules(
            attached.policy.access.clone(),
            &inputs.settings.access,
            &built,
        );
        let policy = Arc::new(Policy {
            script: built.script.map(Arc::new),
            access: rules,
            ..Policy::clone(&attached.policy)
        });
        (policy, undefined)
    }
}

/// Lets the script of a route in regex mode read the groups of its path.
pub(super) fn keep_groups(policy: &mut Arc<Policy>, path: &PathDraft) {
    let Some(script) = &policy.script else {
        return;
    };
    let patterns = path.expressions.iter().map(|(_, pattern)| pattern.clone());
    let script = Script {
        path_patterns: patterns.collect(),
        ..Script::clone(script)
    };
    *policy = Arc::new(Policy {
        script: Some(Arc::new(script)),
        ..Policy::clone(policy)
    });
}

fn annotation_finding(attached: &AttachedIngress, severity: Severity, message: String) -> Finding {
    let annotation = SERVER_SNIPPET.entry().name;
    attached
        .ingress
        .annotation_finding(severity, annotation, message)
}

fn closed(Refusal { reason, key }: &Refusal) -> Closed {
    let name = key.unwrap_or(SERVER_SNIPPET.entry().name);
    Closed::unavailable(format!("{name}: {reason}").into())
}

/// The script of a host.
#[derive(Default)]
struct BuiltHost {
    script: Option<Arc<HostScript>>,
    remarks: Vec<Remark>,
    /// Why it cannot be honoured.
    closed: Option<Refusal>,
}

/// Builds the script of a host from the directives of an Ingress, if it has any, and those of the settings.
fn build(own: Option<(&AttachedIngress, &Snippet)>, inputs: &Inputs<'_>) -> BuiltHost {
    let settings = inputs.settings;
    let snippet = own.map(|(_, snippet)| snippet);
    let all: Vec<&Snippet> = snippet
        .into_iter()
        .chain(&settings.snippets.server)
        .collect();
    if all.is_empty() {
        return BuiltHost::default();
    }
    let owner = own.map(|(owner, _)| owner.ingress.subject());
    let names = of_routes::names(owner, settings, snippet);
    let http: Vec<&Snippet> = settings.snippets.http.iter().collect();
    let blocks = Blocks {
        http: &http,
        server: &[],
        location: &all,
    };
    let built = snippet::build(blocks, of_routes::around(settings), &names);
    let mut closed = built.closed;
    let mut locations = Vec::new();
    let placed = all.iter().flat_map(|snippet| {
        let directives = snippet.directives.iter();
        directives.map(|placed| (snippet.key, placed))
    });
    for (key, placed) in placed {
        if let Directive::Location(path, inner) = &placed.directive {
            let inner = Snippet {
                directives: inner.clone(),
                key,
            };
            let blocks = Blocks {
                http: &http,
                server: &all,
                location: &[&inner],
            };
            let built = snippet::build(blocks, of_routes::around(settings), &names);
            closed = closed.or_else(|| built.closed.clone());
            locations.push(location(path, built, inputs));
        }
    }
    if let Some(closed) = closed {
        // Its locations and steps would be served without what closes it.
        return BuiltHost {
            script: None,
            remarks: built.remarks,
            closed: Some(closed),
        };
    }
    let script = built.script.unwrap_or_default();
    let does_nothing = script.is_static() && locations.is_empty();
    let script = (!does_nothing).then(|| {
        Arc::new(HostScript {
            script: Script {
                request_fields: Box::default(),
                ..script
            },
            locations: locations.into(),
        })
    });
    BuiltHost {
        script,
        remarks: built.remarks,
        closed: None,
    }
}

fn location(path: &LocationPath, built: Built, inputs: &Inputs<'_>) -> HostLocation {
    let (text, path) = match path {
        LocationPath::Exact(path) => (path.clone(), LocationMatch::Exact(path.as_str().into())),
        LocationPath::Prefix {
            path,
            before_expressions,
        } => {
            let own = LocationMatch::Prefix {
                path: path.as_str().into(),
                before_expressions: *before_expressions,
            };
            (path.clone(), own)
        }
        LocationPath::Expression(pattern) => (
            pattern.source().to_owned(),
            LocationMatch::Expression(pattern.clone()),
        ),
    };
    let access = if built.rules.is_empty() {
        inputs.settings.access.blocked.clone()
    } else {
        Some(Arc::new(AccessRules {
            rules: built.rules.as_slice().into(),
            ..AccessRules::default()
        }))
    };
    let pattern = match &path {
        LocationMatch::Expression(pattern) => Some(Arc::new(pattern.clone())),
        LocationMatch::Exact(_) | LocationMatch::Prefix { .. } => None,
    };
    let script = built.script.map(|script| Script {
        path_patterns: pattern.into_iter().collect(),
        ..script
    });
    let policy = Policy {
        script: script.map(Arc::new),
        access,
        hsts: false,
        ..Policy::clone(inputs.plain_policy)
    };
    HostLocation {
        path,
        route: Arc::new(route(text, policy)),
    }
}

/// Responds with 404 after its script and its address rules, as nginx does for files that do not exist.
fn route(path: String, policy: Policy) -> Route {
    Route {
        path: path.into(),
        kind: PathKind::Prefix,
        rule: None,
        origin: Arc::new(Origin {
            kind: "",
            namespace: Arc::default(),
            name: Arc::default(),
            service: Arc::default(),
            port: Arc::default(),
        }),
        policy: Arc::new(policy),
        https: HttpsRedirect::Never,
        rewrite: None,
        error_pages: None,
        target: Target::DefaultBackend(None),
        slot: Slot::default(),
        sets_affinity_cookie: false,
    }
}

/// Directives that nginx allows in a server and that have no effect there, because every location has its own.
fn without_effect(owner: &AttachedIngress, directives: &[Placed]) -> impl Iterator<Item = Finding> {
    let inert = |placed: &&Placed| {
        matches!(
            placed.directive,
            Directive::RequestField(..) | Directive::GrpcField(..) | Directive::Forward(_)
        )
    };
    let findings: Vec<Finding> = directives
        .iter()
        .filter(inert)
        .map(|placed| {
            let message = format!(
                "line {}: {}: no effect, as in ingress-nginx, because every route has its own; configuration-snippet or an annotation sets it",
                placed.line, placed.name
            );
            annotation_finding(owner, Severity::Warning, message)
        })
        .collect();
    findings.into_iter()
}
