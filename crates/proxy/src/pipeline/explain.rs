//! What would happen to a request, and why: the phases of the pipeline themselves, without a connection.
//!
//! They run on a worker that exists for one request, so the explanation is what the data plane does. Only what acts on others
//! is left out: nothing is sent, no limit is counted, no service is asked, and nothing is logged.

mod access;
mod backends;
mod losers;
mod stage;

use std::sync::Arc;

use headgate_table::{HostTls, RoutingTable, Target, VirtualHosts};
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};

use self::stage::{Announced, Stage};
use super::exchange::Exchange;
use super::{Arrived, Routed, blocking, clients, https, redirect, rewrite};
use crate::body::Body;
use crate::explanation::{
    ChosenHost, ChosenListener, ExplainRequest, Explanation, Outcome, Step, StepResult,
};
use crate::request::{Parsed, RequestTarget, path};
use crate::respond::LocalResponse;

/// Explains what would happen to a request with `table`. Blocks until it is decided, which takes milliseconds.
pub fn explain(table: &Arc<RoutingTable>, request: &ExplainRequest) -> Explanation {
    // State of a worker never leaves its thread, and the caller may be on a runtime, on which another cannot block.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| of_request(table, request));
        thread.join().unwrap_or_default()
    })
}

fn of_request(table: &Arc<RoutingTable>, request: &ExplainRequest) -> Explanation {
    let mut explanation = Explanation::default();
    let Some(stage) = Stage::new(table, request) else {
        return explanation;
    };
    explanation.listener = Some(ChosenListener {
        address: stage.listener.address,
        scheme: if stage.is_tls { "https" } else { "http" },
    });
    if let Some(split) = stage.passthrough() {
        explanation.outcome = Outcome::PassedThrough;
        backends::of_stream(&stage, split, &mut explanation);
        return explanation;
    }
    let downstream = stage.downstream();
    let table = downstream.table();
    let head = stage.head();
    let mut exchange = Exchange::begin(&downstream, &table, (&head, stage.announced()));
    exchange.record.discard();
    let mut dry = Dry { explanation };
    if let Err(response) = dry.run(&mut exchange, &stage) {
        dry.respond(&mut exchange, response);
    }
    dry.explanation
}

/// An explanation in progress.
struct Dry {
    explanation: Explanation,
}

impl Dry {
    /// All phases up to the one that would send.
    fn run(&mut self, exchange: &mut Exchange<'_>, stage: &Stage<'_>) -> Result<(), LocalResponse> {
        let head = stage.head();
        let target = RequestTarget::of(&head).map_err(|error| exchange.malformed(error))?;
        let name = target.name().map_err(|error| exchange.malformed(error))?;
        let path = path::canonical(target.raw_path());
        let path = path.map_err(|error| exchange.malformed(error.into()))?;
        self.explanation.path = String::from_utf8_lossy(&path).into_owned();
        let body = Announced(stage.announced());
        let arrived = Arrived::new(exchange, (&target, &name, &path), head, body)?;
        self.host(arrived.hosts, &arrived.parsed, stage);
        self.before_route(&arrived);
        let routed = arrived.route()?;
        self.explanation.route = Some(routed.route.clone());
        self.admit(routed)
    }

    fn host(&mut self, hosts: &Arc<VirtualHosts>, parsed: &Parsed<'_>, stage: &Stage<'_>) {
        let host = hosts.find(parsed.name);
        let certificate = stage.is_tls.then(|| match &host.tls {
            HostTls::Own(own) => own.source.clone(),
            HostTls::Default | HostTls::None => "default".into(),
        });
        self.explanation.host = Some(ChosenHost {
            because: losers::why_host(hosts, host, parsed.name).to_owned(),
            name: host.name.clone(),
            requested: parsed.name.to_owned(),
            is_regex: losers::is_regex(host),
            certificate,
        });
        losers::hosts(hosts, host, parsed.name, &mut self.explanation.losers);
        losers::paths(host, parsed.path, &mut self.explanation.losers);
    }

    /// Steps 1 to 5, which the phase decides as a whole; each of them alone, for its outcome.
    fn before_route<B>(&mut self, arrived: &Arrived<'_, '_, B>) {
        let parsed = &arrived.parsed;
        let host = arrived.hosts.find(parsed.name);
        let mut known = |name, configured, result| {
            if configured {
                self.step(name, result, "");
            }
        };
        let requests = host.clients.requested().is_some();
        known(
            "client certificate",
            requests,
            clients::verify(parsed.tls, host, parsed.name),
        );
        let settings = arrived.exchange.settings();
        let blocked = blocking::check(settings, &arrived.head.headers);
        known("block list", settings.blocked.is_some(), blocked);
        known(
            "client subject",
            requests,
            clients::authorize(parsed.tls, host),
        );
    }

    /// Steps 7 to 14, in the order of the phase.
    fn admit(&mut self, mut routed: Routed<'_, '_, Announced>) -> Result<(), LocalResponse> {
        let route = routed.route;
        let policy = &route.policy;
        let limit = policy.forwarding.body_limit;
        let detail = limit.map_or_else(
            || "unlimited".to_owned(),
            |limit| format!("at most {limit} bytes"),
        );
        let length = routed.check_length();
        self.decided("body size", length, &detail)?;
        if let Target::Closed(closed) = &route.target {
            let reason = closed.reason.to_string();
            let refused = routed.refuse_closed();
            self.decided("closed route", refused, &reason)?;
        }
        let slash = routed.add_slash();
        if routed.lacks_slash {
            self.decided("final slash", slash, "the path of the route has one")?;
        }
        let preflight = routed.respond_to_preflight();
        if policy.cors.is_some() {
            self.decided("CORS", preflight, "")?;
        }
        if policy.redirect.is_some() {
            self.decided("redirect", redirect::of_route(&routed.context), "")?;
        }
        let rewritten = rewrite::rewrite(&routed.context);
        let target = match &rewritten {
            Ok(rewritten) => rewritten.target.as_ref().map(ToString::to_string),
            Err(_) => None,
        };
        let rewritten = rewritten.map(|_| ());
        if let Some(rewrite) = &route.rewrite {
            let matches = match &target {
                Some(target) => format!("to {target}"),
                None => "the expression does not match, so the path stays".to_owned(),
            };
            let detail = format!("{} {matches}", rewrite.pattern.source());
            self.decided("rewrite", rewritten, &detail)?;
        }
        let redirected =
            https::redirect_to_https(&routed.context, routed.exchange.table, routed.hosts);
        self.decided("redirect to https", redirected, https_detail(&routed))?;
        self.backends(&mut routed)?;
        self.limits(&routed);
        access::check(self, &mut routed)?;
        let default = matches!(&route.target, Target::DefaultBackend(_));
        if default && self.explanation.backends.is_empty() {
            return Err(LocalResponse::Page(StatusCode::NOT_FOUND));
        }
        let target = target.unwrap_or_else(|| routed.context.raw_target().into_owned());
        self.explanation.outcome = Outcome::Forwarded { target };
        Ok(())
    }

    fn backends(&mut self, routed: &mut Routed<'_, '_, Announced>) -> Result<(), LocalResponse> {
        let found = backends::of_route(routed, &mut self.explanation);
        let detail = match &routed.route.target {
            Target::DefaultBackend(_) => "the default backend",
            Target::Forward(_) | Target::Closed(_) => "",
        };
        if found.is_err() || !detail.is_empty() {
            return self.decided("backend", found, detail);
        }
        found
    }

    fn limits(&mut self, routed: &Routed<'_, '_, Announced>) {
        let Some(limits) = &routed.route.policy.limits else {
            return;
        };
        if limits.exempt.contains(routed.context.client()) {
            let detail = format!("{} is exempt", routed.context.client());
            return self.push("limits", StepResult::Passes, detail);
        }
        let rates = [&limits.per_second, &limits.per_minute];
        let rates = rates.into_iter().flatten().map(ToString::to_string);
        let connections = limits
            .connections
            .map(|max| format!("{max} requests in flight"));
        let detail: Vec<String> = rates.chain(connections).collect();
        let detail = format!("counted by client: {}", detail.join(", "));
        self.push("limits", StepResult::Depends, detail);
    }

    /// Records a step that decides.
    fn decided(
        &mut self,
        name: &'static str,
        result: Result<(), LocalResponse>,
        detail: &str,
    ) -> Result<(), LocalResponse> {
        let decides = if result.is_err() {
            StepResult::Responds
        } else {
            StepResult::Passes
        };
        self.push(name, decides, detail.to_owned());
        result
    }

    /// Records a step whose response comes from the phase.
    fn step(&mut self, name: &'static str, result: Result<(), LocalResponse>, detail: &str) {
        // The phase returns the same response.
        let _ = self.decided(name, result, detail);
    }

    fn push(&mut self, name: &'static str, result: StepResult, detail: String) {
        let step = Step {
            name,
            result,
            detail,
        };
        // A step that responded is the last one.
        if self
            .explanation
            .steps
            .last()
            .is_none_or(|last| last.result != StepResult::Responds)
        {
            self.explanation.steps.push(step);
        }
    }

    fn respond(&mut self, exchange: &mut Exchange<'_>, response: LocalResponse) {
        let page = exchange.error_page.take();
        let replaced = response.replaceable().filter(|_| page.is_some());
        if let Some(fault) = &exchange.record.reason
            && !self
                .explanation
                .steps
                .iter()
                .any(|step| step.result == StepResult::Responds)
        {
            let detail = format!("{} {}", fault.reason, fault.detail);
            self.push(
                "refused",
                StepResult::Responds,
                detail.trim_end().to_owned(),
            );
        }
        let response = response.response(exchange.settings(), exchange.record.version);
        self.explanation.outcome = outcome(&response);
        if let Some(status) = replaced {
            let detail = format!(
                "custom-http-errors may replace the response of status {}",
                status.as_u16()
            );
            self.explanation.steps.push(Step {
                name: "error page",
                result: StepResult::Depends,
                detail,
            });
        }
        // A response of the host or of the route, which has no step of its own.
        let ends = self
            .explanation
            .steps
            .iter()
            .any(|step| step.result == StepResult::Responds);
        if !ends {
            let detail = if self.explanation.route.is_some() {
                "built-in"
            } else {
                "of the host"
            };
            self.push("response", StepResult::Responds, detail.to_owned());
        }
    }
}

fn outcome(response: &Response<Body>) -> Outcome {
    let location = response.headers().get(LOCATION).map(HeaderValue::as_bytes);
    Outcome::Response {
        status: response.status().as_u16(),
        location: location.map(|location| String::from_utf8_lossy(location).into_owned()),
    }
}

fn https_detail(routed: &Routed<'_, '_, Announced>) -> &'static str {
    use headgate_table::HttpsRedirect;
    match routed.route.https {
        HttpsRedirect::Never => "never",
        HttpsRedirect::WhenHostHasTls => "if the host has a certificate",
        HttpsRedirect::Always => "always",
    }
}
