//! Small values for this crate's tests.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    BackendProtocol, Forwarding, HttpVersion, HttpsRedirect, Origin, PathKind, Policy, Retry,
    RetryOn, Route, Slot, Split, Target, UpstreamId,
};

pub(crate) fn policy() -> Policy {
    Policy {
        redirect: None,
        cors: None,
        limits: None,
        access: None,
        response_headers: Arc::default(),
        preserve_trailing_slash: false,
        port_in_redirects: false,
        relative_redirects: false,
        access_log: true,
        forwarding: Arc::new(Forwarding {
            protocol: BackendProtocol::Http,
            connect_timeout: Duration::from_secs(5),
            send_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(60),
            retry: Retry {
                on: RetryOn::default(),
                tries: None,
                timeout: None,
                non_idempotent: false,
            },
            body_limit: Some(1 << 20),
            buffer_request: true,
            body_memory: 8 << 10,
            response_head_limit: 4 << 10,
            buffer_response: false,
            http_version: HttpVersion::Http11,
            host: None,
            connection_header: None,
            tls: None,
            cookie_domain: None,
            cookie_path: None,
            location: None,
        }),
    }
}

pub(crate) fn route(kind: PathKind, path: &str) -> Arc<Route> {
    let name = |text: &str| Arc::from(text);
    Arc::new(Route {
        path: path.into(),
        kind,
        origin: Arc::new(Origin {
            namespace: name("shop"),
            ingress: name("web"),
            service: name("web"),
            port: name("80"),
        }),
        policy: Arc::new(policy()),
        https: HttpsRedirect::Never,
        rewrite: None,
        target: Target::Forward(Split {
            primary: UpstreamId::new("shop", "web", "80"),
            canary: None,
            fallback: None,
        }),
        sets_affinity_cookie: false,
        slot: Slot::default(),
    })
}
