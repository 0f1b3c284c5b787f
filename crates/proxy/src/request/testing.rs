//! Small requests and routes for this crate's tests.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::borrow::Cow;
use std::sync::Arc;

use headgate_table::{
    Backend, BackendProtocol, Balance, Endpoints, Forwarding, Host, HostBehaviour, HostCiphers,
    HostClients, HostTls, HttpsRedirect, NoEndpoints, Origin, PathIndex, PathKind, Policy, Route,
    Settings, Slot, Split, Target, Upstream, UpstreamKey,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};

use super::{ConnectionInfo, Context, Parsed, RequestTarget, Scheme, path};
use crate::downstream::TlsFacts;

/// A request from 192.0.2.7 to `Shop.example:8080` on the route `/a` of the host `*.example`.
pub(crate) struct Sample {
    head: Parts,
    target: RequestTarget,
    path: Vec<u8>,
    settings: Settings,
    pub(crate) route: Route,
    pub(crate) connection: ConnectionInfo,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) host: Host,
    upstream: Option<Upstream>,
}

impl Sample {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "Shop.example:8080")
            .body(())
            .unwrap();
        let (head, ()) = request.into_parts();
        let target = RequestTarget::of(&head).unwrap();
        let path = path::canonical(target.raw_path())
            .map(Cow::into_owned)
            .unwrap();
        let connection = ConnectionInfo {
            peer: "192.0.2.7:4711".parse().unwrap(),
            proxied_port: None,
            scheme: Scheme::Http,
            port: 8080,
            https_port: 8443,
        };
        Self {
            head,
            target,
            path,
            settings: Settings::default(),
            route: route("/a"),
            connection,
            tls: None,
            host: host(),
            upstream: None,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.head.headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        self
    }

    pub(crate) fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(crate) fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = (*self.route.policy).clone();
        change(&mut policy);
        self.route.policy = Arc::new(policy);
        self
    }

    pub(crate) fn forwarding(self, change: impl FnOnce(&mut Forwarding)) -> Self {
        self.policy(|policy| {
            let mut forwarding = (*policy.forwarding).clone();
            change(&mut forwarding);
            policy.forwarding = Arc::new(forwarding);
        })
    }

    pub(crate) fn context(&self) -> Context<'_> {
        let client = self.connection.client(
            &self.settings.forwarded,
            &self.head.headers,
            self.target.host.as_ref(),
        );
        let parsed = Parsed {
            target: &self.target,
            name: "shop.example",
            path: &self.path,
            connection: self.connection,
            tls: self.tls.as_ref(),
            client,
            downstream: None,
        };
        let headers = self.head.headers.clone();
        let mut context = Context::new(parsed, headers, &self.settings, &self.host, &self.route);
        context.upstream = self.upstream.as_ref();
        context
    }

    pub(crate) fn protocol(mut self, protocol: BackendProtocol) -> Self {
        self.upstream = Some(Upstream {
            protocol,
            ..Self::upstream(Balance::RoundRobin)
        });
        self
    }

    pub(crate) fn upstream(balance: Balance) -> Upstream {
        Upstream {
            key: UpstreamKey::new("shop/web/80"),
            name: "shop/web/80".into(),
            protocol: BackendProtocol::Http,
            tls: None,
            log_name: "shop-web-80".into(),
            endpoints: Endpoints::None(NoEndpoints::NoneReady),
            balance,
            affinity: None,
            client_ip_affinity: None,
            resilience: Arc::default(),
            slot: Slot::default(),
        }
    }
}

pub(crate) fn route(path: &str) -> Route {
    Route {
        path: path.into(),
        kind: PathKind::Prefix,
        rule: None,
        origin: Arc::new(Origin {
            kind: "Ingress",
            namespace: "shop".into(),
            name: "web".into(),
            service: "web".into(),
            port: "80".into(),
        }),
        policy: Arc::new(Policy::default()),
        https: HttpsRedirect::Never,
        rewrite: None,
        error_pages: None,
        target: Target::Forward(Split::new(Backend::upstream_only(UpstreamKey::new(
            "shop/web/80",
        )))),
        sets_affinity_cookie: false,
        slot: Slot::default(),
    }
}

fn host() -> Host {
    Host {
        name: "*.example".into(),
        aliases: Arc::default(),
        tls: HostTls::None,
        clients: HostClients::Any,
        ciphers: HostCiphers::default(),
        script: None,
        behaviour: HostBehaviour::Routes {
            app_root: None,
            paths: PathIndex::literal(Arc::new(route("/")), Vec::new()),
        },
    }
}
