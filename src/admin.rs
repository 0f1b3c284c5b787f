//! The admin port: health, readiness, metrics, and the table and findings for diagnosis. It has its own thread and runtime,
//! so that it responds whatever the load of the data plane. It is read-only.

mod explain;
mod findings;
mod upstreams;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use headgate_compile::{Finding, expiring};
use headgate_proxy::{ResolvedNames, Telemetry};
use headgate_table::TableReader;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use prometheus::{Encoder as _, Registry, TextEncoder};
use serde_json::json;

pub(crate) use self::explain::{Asked, Current, Explainer, Failure};
pub(crate) use self::findings::Findings;
use crate::control_metrics;

/// Time limit for the head of an admin request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept: the usual reason, no free file descriptors, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The state that the admin port serves.
pub(crate) struct State {
    phase: AtomicU8,
    is_stale: AtomicBool,
    registry: Registry,
    findings: Mutex<Findings>,
    /// The last generation of the table that was hashed, and its hash.
    hashed: Mutex<Option<(u64, u64)>>,
    served: OnceLock<Served>,
    /// The bound addresses with the names of their listeners.
    addresses: Vec<(&'static str, SocketAddr)>,
    explainer: Explainer,
}

/// The part of the state that exists from the first table on.
pub(crate) struct Served {
    pub(crate) reader: TableReader,
    /// For metrics that are computed from the table at a scrape.
    pub(crate) telemetry: Arc<Telemetry>,
}

/// Lifecycle of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Nothing is served yet.
    Starting = 0,
    /// The first complete table is served.
    Serving = 1,
    /// A stop was requested; requests in flight finish.
    Draining = 2,
}

impl State {
    pub(crate) fn new(
        addresses: Vec<(&'static str, SocketAddr)>,
        registry: Registry,
        explainer: Explainer,
    ) -> Arc<Self> {
        Arc::new(Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            is_stale: AtomicBool::new(false),
            registry,
            findings: Mutex::default(),
            hashed: Mutex::default(),
            served: OnceLock::new(),
            addresses,
            explainer,
        })
    }

    /// Sets the first table. Later calls have no effect.
    pub(crate) fn set_served(&self, served: Served) {
        self.served.get_or_init(|| served);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Whether the table was compiled from the object cache of an earlier process.
    pub(crate) fn set_stale(&self, is_stale: bool) {
        self.is_stale.store(is_stale, Ordering::Release);
    }

    /// Removes the findings that are gone, and adds those that appeared. Returns all of them.
    pub(crate) fn change_findings(&self, appeared: &[Finding], gone: &[Finding]) -> Findings {
        let mut findings = self.findings.lock();
        findings.change(appeared, gone);
        findings.clone()
    }

    /// Sets the names that the data plane has resolved, for explanations. Later calls have no effect.
    pub(crate) fn set_names(&self, names: ResolvedNames) {
        self.explainer.set_names(names);
    }

    /// What is served; `None` before the first table.
    pub(crate) fn served(&self) -> Option<&Served> {
        self.served.get()
    }

    /// All findings, with those about certificates that have expired or soon will.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let findings = self.findings.lock().clone();
        let findings = findings.iter().cloned();
        findings.chain(expiring_now(self)).collect()
    }

    /// The bound addresses with the names of their listeners.
    pub(crate) fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
    }

    pub(crate) fn explainer(&self) -> &Explainer {
        &self.explainer
    }

    /// What an explanation needs; `None` before the first table.
    pub(crate) fn current(&self) -> Option<Current> {
        self.served.get().map(|served| Current {
            table: served.reader.current(),
            findings: self.findings.lock().clone(),
        })
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Acquire)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }
}

/// Serves the admin port on its own thread; it ends with the process.
pub(crate) fn start(listener: TcpListener, state: Arc<State>, health_path: Arc<str>) -> Result<()> {
    listener
        .set_nonblocking(true)
        .context("preparing the admin port")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the admin port's runtime")?;
    std::thread::Builder::new()
        .name("admin".into())
        .spawn(move || runtime.block_on(accept(listener, state, health_path)))
        .context("starting the admin port's thread")?;
    Ok(())
}

async fn accept(listener: TcpListener, state: Arc<State>, health_path: Arc<str>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot serve the admin port");
            return;
        }
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (state, health_path) = (state.clone(), health_path.clone());
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let (state, health_path) = (state.clone(), health_path.clone());
                async move {
                    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
                    let served = state.served.get().filter(|_| is_read);
                    let response = match (request.uri().path(), served) {
                        ("/debug/explain", Some(_)) => explanation(&request, &state).await,
                        _ => respond(&request, &state, &health_path),
                    };
                    Ok::<_, Infallible>(response)
                }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "admin connection failed");
            }
        });
    }
}

fn respond(request: &Request<Incoming>, state: &State, health_path: &str) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(
            StatusCode::METHOD_NOT_ALLOWED,
            "method not allowed: use GET or HEAD\n",
        );
    }
    match request.uri().path() {
        path if path == health_path || path == "/healthz" => match state.phase() {
            // Probes written for ingress-nginx use this path for readiness too, so it fails while stopping.
            Phase::Draining => text(StatusCode::INTERNAL_SERVER_ERROR, "draining\n"),
            Phase::Starting | Phase::Serving => text(StatusCode::OK, "ok\n"),
        },
        "/readyz" => match state.phase() {
            Phase::Starting => not_yet(),
            Phase::Serving if state.is_stale() => text(
                StatusCode::OK,
                "ok: stale, serving cached objects until the API server responds\n",
            ),
            Phase::Serving => text(StatusCode::OK, "ok\n"),
            Phase::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        },
        "/metrics" => metrics(state),
        "/debug/table" => match state.served.get() {
            Some(served) => table(served, state),
            None => not_yet(),
        },
        "/debug/findings" => {
            let findings = state.findings();
            json_body(&findings.iter().map(crate::output::finding).collect())
        }
        "/debug/explain" => not_yet(),
        _ => text(
            StatusCode::NOT_FOUND,
            "not found: paths are /healthz /readyz /metrics /debug/table /debug/findings /debug/explain\n",
        ),
    }
}

async fn explanation(request: &Request<Incoming>, state: &State) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let Some(current) = state.current() else {
        return not_yet();
    };
    match state.explainer.explain(query, current).await {
        Ok(explained) => json_body(&explained),
        Err((status, reason)) => {
            let mut response = text(status, "");
            *response.body_mut() = Full::from(format!("{reason}\n"));
            response
        }
    }
}

/// Certificates that have expired or soon will: time passes without a new table.
fn expiring_now(state: &State) -> Vec<Finding> {
    let Some(served) = state.served.get() else {
        return Vec::new();
    };
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    expiring(&served.reader.current(), now)
}

fn table(served: &Served, state: &State) -> Response<Full<Bytes>> {
    let table = served.reader.current();
    let mut value = headgate_table::json(&table);
    value["upstreams"] = upstreams::of(&table, state.explainer.names());
    value["addresses"] = state
        .addresses
        .iter()
        .map(|(name, address)| json!({ "name": name, "address": address.to_string() }))
        .collect();
    json_body(&value)
}

fn not_yet() -> Response<Full<Bytes>> {
    text(
        StatusCode::SERVICE_UNAVAILABLE,
        "waiting for the first table\n",
    )
}

/// Before the first table there are only the source's metrics.
fn metrics(state: &State) -> Response<Full<Bytes>> {
    if let Some(served) = state.served.get() {
        let table = served.reader.current();
        control_metrics::refresh(&served.telemetry, &table);
        let mut hashed = state.hashed.lock();
        let current = control_metrics::config_hash(&table, *hashed);
        served.telemetry.set_config_hash(current.1);
        *hashed = Some(current);
    }
    let encoder = TextEncoder::new();
    let mut body = Vec::new();
    if let Err(error) = encoder.encode(&state.registry.gather(), &mut body) {
        tracing::error!(%error, "cannot encode metrics");
        return text(StatusCode::INTERNAL_SERVER_ERROR, "cannot encode metrics\n");
    }
    let mut response = Response::new(Full::from(body));
    if let Ok(kind) = HeaderValue::from_str(encoder.format_type()) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn json_body(value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{value:#}\n")));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
