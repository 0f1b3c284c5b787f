//! What would happen to a request, and why: the phases of the pipeline themselves, without a connection.
//!
//! They run on a worker that exists for one request, so the explanation is what the data plane does. Only what acts on others
//! is left out: nothing is sent, no limit is counted, no service is asked, and nothing is logged.

mod backends;
mod effects;
mod losers;
mod route;
mod stage;
mod stream;

use std::sync::Arc;
use std::{io, thread};

use headgate_table::{Host, HostTls, RoutingTable, VirtualHosts};
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response};

use self::stage::{Announced, Stage};
use self::stream::Transport;
use super::Arrived;
use super::exchange::Exchange;
use crate::body::Body;
use crate::explanation::{
    ChosenHost, ChosenListener, ExplainRequest, Explanation, Outcome, Step, StepResult,
};
use crate::grpc::GRPC_STATUS;
use crate::request::{Parsed, RequestTarget, path};
use crate::respond::LocalResponse;

/// Why a request cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The system refuses a thread or an event queue.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A step panicked. The message of the panic is in the log.
    #[error("a step failed")]
    Panicked,
}

/// Explains what would happen to a request with `table`. Blocks until it is decided, which takes milliseconds.
///
/// # Errors
/// When no thread can be started, or when it fails.
pub fn explain(
    table: &Arc<RoutingTable>,
    request: &ExplainRequest,
) -> Result<Explanation, ExplainError> {
    // State of a worker never leaves its thread, and the caller may be on a runtime, on which another cannot block.
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("explain".to_owned());
        let thread = thread.spawn_scoped(scope, || of_request(table, request));
        let thread = thread.map_err(ExplainError::Thread)?;
        thread.join().map_err(|_| ExplainError::Panicked)?
    })
}

fn of_request(
    table: &Arc<RoutingTable>,
    request: &ExplainRequest,
) -> Result<Explanation, ExplainError> {
    if let Some(transport) = Transport::of(&request.url) {
        return Ok(stream::of_port(table, request, transport));
    }
    let mut explanation = Explanation::default();
    let Some(stage) = Stage::new(table, request) else {
        losers::listeners(table, request, &mut explanation.losers);
        return Ok(explanation);
    };
    explanation.listener = Some(ChosenListener {
        address: stage.listener.address,
        scheme: if stage.is_tls { "https" } else { "http" },
    });
    losers::same_port(stage.others(), &mut explanation.losers);
    if let Some(forwarded) = stage.forwarded() {
        stream::of_tls(&stage, forwarded, &mut explanation);
        return Ok(explanation);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(ExplainError::Thread)?;
    let downstream = stage.downstream();
    let table = downstream.table();
    let head = stage.head();
    let mut exchange = Exchange::begin(&downstream, &table, (&head, stage.announced()));
    exchange.record.discard();
    let mut dry = Dry {
        explanation,
        head: stage.head(),
        verifies_passwords: request.verifies_passwords,
        blocks: table.settings.blocked.is_some(),
    };
    if let Err(response) = runtime.block_on(dry.run(&mut exchange, &stage)) {
        dry.respond(&mut exchange, response);
    }
    Ok(dry.explanation)
}

/// An explanation in progress.
struct Dry {
    explanation: Explanation,
    /// The head of the request, as it was sent.
    head: Parts,
    verifies_passwords: bool,
    /// There is a block list.
    blocks: bool,
}

impl Dry {
    /// All phases up to the one that would send.
    async fn run(
        &mut self,
        exchange: &mut Exchange<'_>,
        stage: &Stage<'_>,
    ) -> Result<(), LocalResponse> {
        let head = stage.head();
        let target = RequestTarget::of(&head).map_err(|error| exchange.malformed(error))?;
        let name = target.name().map_err(|error| exchange.malformed(error))?;
        let path = path::canonical(target.raw_path());
        let path = path.map_err(|error| exchange.malformed(error.into()))?;
        self.explanation.path = String::from_utf8_lossy(&path).into_owned();
        let body = Announced(stage.announced());
        let arrived = Arrived::new(exchange, (&target, &name, &path), head, body)?;
        let (hosts, first) = (arrived.hosts, arrived.hosts.find(arrived.parsed.name));
        self.host((hosts, first), &arrived.parsed, stage);
        let routed = arrived.route(self)?;
        if !Arc::ptr_eq(routed.hosts, hosts) {
            let losers = &mut self.explanation.losers;
            losers.retain(|loser| loser.address.is_some());
            self.host((routed.hosts, routed.host), &routed.context.parsed, stage);
            let because = "no route of this listener matches".to_owned();
            self.explanation
                .losers
                .push(losers::host(&first.name, because));
        }
        self.route(&routed);
        let admitted = routed.admit(self).await?;
        self.forward(&admitted);
        Ok(())
    }

    fn host(
        &mut self,
        (hosts, host): (&VirtualHosts, &Host),
        parsed: &Parsed<'_>,
        stage: &Stage<'_>,
    ) {
        let certificate = stage.is_tls.then(|| match &host.tls {
            HostTls::Own(own) => own.source.clone(),
            HostTls::Default | HostTls::None => stage.certificate(),
        });
        self.explanation.host = Some(ChosenHost {
            because: losers::why_host(hosts, host, parsed.name).to_owned(),
            name: host.name.clone(),
            requested: parsed.name.to_owned(),
            is_regex: losers::is_regex(host),
            certificate,
        });
        losers::hosts(hosts, host, parsed.name, &mut self.explanation.losers);
        losers::paths(host, parsed.path, &self.head, &mut self.explanation.losers);
    }

    /// Records a step that decides.
    fn decided<T>(
        &mut self,
        name: &'static str,
        result: Result<T, LocalResponse>,
        detail: impl Into<String>,
    ) -> Result<T, LocalResponse> {
        let decides = if result.is_err() {
            StepResult::Responds
        } else {
            StepResult::Passes
        };
        self.push(name, decides, detail.into());
        result
    }

    fn push(&mut self, name: &'static str, result: StepResult, detail: String) {
        // A step that responded is the last one.
        if !self.has_responded() {
            self.explanation.steps.push(Step {
                name,
                result,
                detail,
            });
        }
    }

    fn has_responded(&self) -> bool {
        let last = self.explanation.steps.last();
        last.is_some_and(|last| last.result == StepResult::Responds)
    }

    fn respond(&mut self, exchange: &mut Exchange<'_>, response: LocalResponse) {
        let page = exchange.error_page.take();
        let replaced = response.replaceable().filter(|_| page.is_some());
        let fault = exchange.record.reason.take().or_else(|| response.error());
        let detail = fault.map(|fault| format!("{} {}", fault.reason, fault.detail));
        let detail = detail.unwrap_or_default().trim_end().to_owned();
        self.push("refused", StepResult::Responds, detail);
        self.explanation.outcome = match response {
            LocalResponse::Close => Outcome::Closed,
            response => outcome(&exchange.response(response)),
        };
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
    }
}

fn outcome(response: &Response<Body>) -> Outcome {
    let field = |name: HeaderName| {
        let value = response.headers().get(name).map(HeaderValue::as_bytes);
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    Outcome::Response {
        status: response.status().as_u16(),
        location: field(LOCATION),
        grpc_status: field(GRPC_STATUS),
    }
}
