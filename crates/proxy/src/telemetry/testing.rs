//! Fixtures for the tests of log and metrics.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_table::{Origin, Slot};
use http::{Method, StatusCode, Uri, Version};

use super::observation::{Observation, RouteLabels};
use crate::config::{AccessLog, Config, LocationFiles, MetricLabels};
use crate::upstream::{Attempt, Attempts, Progress};

/// The labels and the slot of a route.
pub(super) struct TestRoute {
    pub(super) origin: Arc<Origin>,
    pub(super) path: Arc<str>,
    pub(super) slot: Slot,
}

impl TestRoute {
    pub(super) fn new(path: &str) -> Self {
        let origin = Origin {
            kind: "Ingress",
            namespace: "shop".into(),
            name: "web".into(),
            service: "front".into(),
            port: "80".into(),
        };
        Self {
            origin: Arc::new(origin),
            path: path.into(),
            slot: Slot::default(),
        }
    }

    pub(super) fn labels(&self) -> RouteLabels<'_> {
        RouteLabels {
            origin: &self.origin,
            path: &self.path,
            slot: &self.slot,
        }
    }
}

/// Owns what an observation borrows.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) host: Arc<str>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) subrequests: RefCell<Vec<Attempts>>,
    pub(super) end: Instant,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: Method::GET,
            target: Uri::from_static("/a?b=c"),
            host: "shop.example".into(),
            attempts: Vec::new(),
            subrequests: RefCell::default(),
            end: Instant::now(),
        }
    }
}

impl Request {
    /// A request with a response of status 200, 100 bytes of head and 12 of body after 3 ms.
    pub(super) fn seen(&self) -> Observation<'_> {
        Observation {
            end: self.end,
            duration: Duration::from_millis(3),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            method: &self.method,
            target: &self.target,
            version: Version::HTTP_11,
            referer: None,
            user_agent: None,
            authorization: None,
            request_id: None,
            request_length: 77,
            status: 200,
            head_bytes_sent: 100,
            body_bytes_sent: 12,
            route: None,
            host: Some(&self.host),
            host_is_literal: true,
            upstream: None,
            alternative: None,
            attempts: &self.attempts,
            subrequests: &self.subrequests,
            default_backend: false,
            unlogged: false,
            refused_by: None,
            over_budget: false,
            reason: None,
            complete: true,
            details: None,
            span: None,
            operation: None,
        }
    }
}

/// An attempt at 127.0.0.1 that began `before` milliseconds before the end of the request and took `time`, if it ended.
pub(super) fn attempt(end: Instant, before: u64, time: Option<u64>) -> Attempt {
    let progress = Progress::default();
    progress.response.set(time.map(Duration::from_millis));
    progress.bytes.set(time.unwrap_or(0));
    Attempt {
        endpoint: (Ipv4Addr::LOCALHOST, 8080).into(),
        start: end
            .checked_sub(Duration::from_millis(before))
            .unwrap_or(end),
        connect: time.map(|_| Duration::ZERO),
        header: time.map(|_| Duration::from_millis(1)),
        status: time.map(|_| StatusCode::OK),
        fault: None,
        span: None,
        progress: Rc::new(progress),
    }
}

pub(super) fn config() -> Config {
    Config {
        bind: Vec::new(),
        http_port: 0,
        https_port: 0,
        workers: 2,
        loopback_upstreams: true,
        max_connections: 100,
        response_buffers: Config::RESPONSE_BUFFERS,
        request_buffers: Config::REQUEST_BUFFERS,
        memory: None,
        completes_chains: false,
        locations: LocationFiles::default(),
        access_log: AccessLog::Stdout,
        stream_log: AccessLog::Stdout,
        tracing: crate::TracingEnvironment::default(),
        labels: MetricLabels {
            namespace: "ns".into(),
            class: "example.com/headgate".into(),
            pod: "pod-1".into(),
        },
        metrics_per_host: true,
        metrics_per_undefined_host: false,
        counts_all_hosts: false,
        status_classes: false,
        excluded_metrics: Vec::new(),
        commit: "unknown",
        buckets: crate::config::Buckets::default(),
    }
}
