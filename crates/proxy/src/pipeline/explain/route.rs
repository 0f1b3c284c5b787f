//! The steps of a host and of a route in words.

use std::fmt::Write as _;

use headgate_table::{BackendProtocol, Host, HostClients, HttpsRedirect, Rewrite, Satisfy, Target};

use super::stage::Announced;
use super::{Dry, losers};
use crate::explanation::{Outcome, StepResult};
use crate::pipeline::observer::{Decision, HostDecision, Observer};
use crate::pipeline::rewrite::Rewritten;
use crate::pipeline::scripted::Rewrites;
use crate::pipeline::{Admitted, Routed};
use crate::respond::LocalResponse;

type RoutedDry<'r, 't> = Routed<'r, 't, Announced>;

impl Observer<Announced> for Dry {
    fn decided_by_host<T>(
        &mut self,
        result: Result<T, LocalResponse>,
        decision: HostDecision,
        host: &Host,
    ) -> Result<T, LocalResponse> {
        let is_configured = match decision {
            HostDecision::BlockList => self.blocks,
            HostDecision::ClientCertificate => host.clients.requested().is_some(),
            HostDecision::ClientSubject => !matches!(host.clients, HostClients::Any),
            HostDecision::Script => true,
            HostDecision::Redirect | HostDecision::AppRoot | HostDecision::BuiltIn => false,
        };
        if !is_configured && result.is_ok() {
            return result;
        }
        match &host.clients {
            HostClients::Refused(refused) if decision == HostDecision::ClientSubject => {
                self.decided("refused clients", result, &*refused.reason)
            }
            _ => self.decided(name_of_host(decision), result, ""),
        }
    }

    fn decided<T>(
        &mut self,
        result: Result<T, LocalResponse>,
        decision: Decision,
        routed: &RoutedDry<'_, '_>,
    ) -> Result<T, LocalResponse> {
        if decision == Decision::Password && self.leaves_password(routed) {
            return result;
        }
        match text(decision, routed, result.is_ok()) {
            Some((name, detail)) => Self::decided(self, name, result, detail),
            None => result,
        }
    }

    fn moved(&mut self, routed: &RoutedDry<'_, '_>) {
        self.route(routed);
    }
}

fn name_of_host(decision: HostDecision) -> &'static str {
    match decision {
        HostDecision::ClientCertificate => "client certificate",
        HostDecision::BlockList => "block list",
        HostDecision::ClientSubject => "client subject",
        HostDecision::Script => "server snippet",
        HostDecision::Redirect => "redirect to www",
        HostDecision::AppRoot => "app root",
        HostDecision::BuiltIn => "built-in path",
    }
}

/// The name of a step and its detail; `None` if the route does not configure it.
fn text(
    decision: Decision,
    routed: &RoutedDry<'_, '_>,
    passes: bool,
) -> Option<(&'static str, String)> {
    let route = routed.route;
    let policy = &route.policy;
    match decision {
        Decision::BodySize => {
            let limit = policy.forwarding.body_limit;
            let unlimited = || "unlimited".to_owned();
            let detail = limit.map_or_else(unlimited, |limit| format!("at most {limit} bytes"));
            Some(("body size", detail))
        }
        Decision::Closed => match &route.target {
            Target::Closed(closed) => Some(("closed route", closed.reason.to_string())),
            Target::Forward(_) | Target::DefaultBackend(_) => None,
        },
        Decision::FinalSlash => {
            let detail = || "the path of the route has one".to_owned();
            routed.lacks_slash.then(|| ("final slash", detail()))
        }
        Decision::Cors => policy.cors.is_some().then(|| ("CORS", String::new())),
        Decision::Script => policy.script.is_some().then(|| ("snippet", script(routed))),
        Decision::Redirect => policy
            .redirect
            .is_some()
            .then(|| ("redirect", String::new())),
        Decision::Rewrite(rewrites) => Some(("rewrite", rewrite(routed, rewrites)?)),
        Decision::Https => Some(("redirect to https", https(route.https).to_owned())),
        Decision::Addresses => {
            let listed = if passes { "allowed" } else { "not allowed" };
            let detail = format!("{} is {listed}", routed.context.client());
            Some(("addresses", detail))
        }
        Decision::Vouched => {
            let client = routed.context.client();
            let detail = format!("{client} is allowed, which is enough (satisfy: any)");
            Some(("addresses", detail))
        }
        Decision::Password => {
            let is_enough = passes && policy.satisfy == Satisfy::Any;
            let detail = is_enough.then_some("one check is enough (satisfy: any)");
            Some(("password", detail.unwrap_or_default().to_owned()))
        }
    }
}

fn script(routed: &RoutedDry<'_, '_>) -> String {
    let locals = routed.context.locals.as_deref();
    match locals.and_then(|locals| locals.path.as_deref()) {
        Some(path) => format!("the path is {}", String::from_utf8_lossy(path)),
        None => String::new(),
    }
}

fn rewrite(routed: &RoutedDry<'_, '_>, rewrites: Rewrites) -> Option<String> {
    let pattern = match routed.route.rewrite.as_deref()? {
        Rewrite::Pattern(rewrite) => Some(&rewrite.pattern),
        Rewrite::Path(_) => None,
    };
    let mut detail = pattern.map_or_else(String::new, |pattern| format!("{} ", pattern.source()));
    if rewrites == Rewrites::No {
        detail.push_str("does not apply after the break of the snippet");
        return Some(detail);
    }
    let expands = pattern.is_none_or(|pattern| pattern.captures(routed.context.path()).is_some());
    match routed.rewrite(rewrites) {
        _ if !expands => detail.push_str("does not match, so the path stays"),
        Ok(Rewritten {
            target: Some(target),
            ..
        }) => {
            // Writing to a string does not fail.
            let _ = write!(detail, "to {target}");
        }
        Ok(_) | Err(_) => detail.push_str("matches"),
    }
    Some(detail)
}

fn https(redirect: HttpsRedirect) -> &'static str {
    match redirect {
        HttpsRedirect::Never => "never",
        HttpsRedirect::WhenHostHasTls => "if the host has a certificate",
        HttpsRedirect::Always => "always",
    }
}

impl Dry {
    /// Notes the route, perhaps instead of the one that a script has left, and the paths that lost against it.
    pub(super) fn route(&mut self, routed: &RoutedDry<'_, '_>) {
        self.explanation.route = Some(routed.route.clone());
        self.host_of_route(routed);
        let losers = &mut self.explanation.losers;
        losers.retain(|loser| loser.kind != losers::PATH);
        losers::paths(routed.host, routed.context.path(), &self.head, losers);
    }

    /// Notes the host of the route, if no route of the host for the name serves the request but one of a wider host does.
    fn host_of_route(&mut self, routed: &RoutedDry<'_, '_>) {
        let host = routed.host;
        let Some(chosen) = &mut self.explanation.host else {
            return;
        };
        if chosen.name == host.name {
            return;
        }
        chosen.name = host.name.clone();
        chosen.because = "no narrower host serves the request".to_owned();
        chosen.is_regex = losers::is_regex(host);
        let losers = &mut self.explanation.losers;
        losers.retain(|loser| loser.kind != losers::HOST);
        let name = routed.context.parsed.name;
        losers::narrower(routed.hosts, host, name, losers);
        losers::hosts(routed.hosts, host, name, losers);
    }

    /// The request as the backend gets it.
    pub(super) fn forward(&mut self, admitted: &Admitted<'_, '_, Announced>) {
        let policy = &admitted.route.policy;
        let of_backend = admitted.chosen.edits.map(|filters| &filters.mirrors);
        if policy.mirror.is_some() || of_backend.is_some_and(|mirrors| !mirrors.is_empty()) {
            let detail = "a copy is sent; its response is dropped".to_owned();
            self.push("mirror", StepResult::Passes, detail);
        }
        if policy.tracing.is_some() {
            let detail = "a span is sent if the sampler picks the request".to_owned();
            self.push("tracing", StepResult::Depends, detail);
        }
        let context = &admitted.context;
        if let Some(protocol) = protocol(context.protocol()) {
            self.push("protocol", StepResult::Passes, protocol.to_owned());
        }
        let target = admitted.rewritten.target.as_ref().map(ToString::to_string);
        let target = target.unwrap_or_else(|| context.raw_target().into_owned());
        self.explanation.outcome = Outcome::Forwarded { target };
    }
}

/// The protocol of the backend, unless it is plain HTTP/1.1.
fn protocol(protocol: BackendProtocol) -> Option<&'static str> {
    match protocol {
        BackendProtocol::Http => None,
        BackendProtocol::Https => Some("HTTP/1.1 over TLS"),
        BackendProtocol::AutoHttp => Some("HTTP/1.1, over TLS if the client uses https"),
        BackendProtocol::Grpc => Some("gRPC"),
        BackendProtocol::Grpcs => Some("gRPC over TLS"),
        BackendProtocol::FastCgi => Some("FastCGI"),
    }
}
