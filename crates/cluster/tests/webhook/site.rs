//! A webhook with a scripted judge.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use headgate_cluster::webhook::{Bound, Judge, Running, Unavailable, Webhook, WebhookMetrics};
use headgate_cluster::webhook_certificate::ServingCertificate;
use headgate_compile::Review;
use headgate_table::PrivateBytes;
use headgate_testkit::{Authority, Issued, Request, Response, Tls, wait};
use k8s_openapi::api::networking::v1::Ingress;
use prometheus::{Registry, TextEncoder};
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) const PATH: &str = "/networking/v1/ingresses";

/// Decides by the name of the Ingress.
struct Scripted {
    asked: Arc<AtomicUsize>,
    open: watch::Receiver<bool>,
}

impl Judge for Scripted {
    async fn review(&self, ingress: Ingress) -> Result<Review, Unavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let name = ingress.metadata.name.as_deref().unwrap_or_default();
        let mut review = Review {
            ours: name != "foreign",
            tested: 7,
            ..Review::default()
        };
        match name {
            "deny" => review.denied = Some("deny: no".into()),
            "warn" => review.warnings = vec!["one".into(), "two".into()],
            "gone" => return Err(Unavailable::NotReady),
            "panic" => panic!("the judge was asked to"),
            "wait" => {
                let mut open = self.open.clone();
                // The object is held for as long, as a judge in a queue would.
                open.wait_for(|open| *open)
                    .await
                    .map_err(|_| Unavailable::Stopping)?;
                drop(ingress);
            }
            _ => {}
        }
        Ok(review)
    }
}

pub(crate) struct Site {
    running: Running,
    pub(crate) certificate: watch::Sender<Option<Arc<ServingCertificate>>>,
    pub(crate) authority: Authority,
    asked: Arc<AtomicUsize>,
    open: watch::Sender<bool>,
    registry: Registry,
}

impl Site {
    /// With a certificate.
    pub(crate) fn new() -> Self {
        let site = Self::without_certificate();
        site.issue();
        // The certificate is taken on another thread.
        wait::until("a handshake", || site.try_send(&Request::get("/")).ok());
        site
    }

    pub(crate) fn without_certificate() -> Self {
        Self::with(|bound| bound)
    }

    /// With a certificate, and answers only for those that the file tells.
    pub(crate) fn for_clients_of(file: &Path) -> Self {
        let site = Self::with(|bound| bound.for_clients_of(file.to_owned()));
        site.issue();
        site
    }

    fn with(options: impl FnOnce(Bound) -> Bound) -> Self {
        let (certificate, given) = watch::channel(None);
        let (open, is_open) = watch::channel(false);
        let asked = Arc::new(AtomicUsize::new(0));
        let judge = Scripted {
            asked: asked.clone(),
            open: is_open,
        };
        let common = HashMap::from([("controller_class".to_owned(), "c".to_owned())]);
        let metrics = Arc::new(WebhookMetrics::new(&common).unwrap());
        let registry = Registry::new();
        metrics.register(&registry).unwrap();
        let bound = Webhook::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let running = options(bound).start(judge, given, metrics).unwrap();
        Self {
            running,
            certificate,
            authority: Authority::new(),
            asked,
            open,
            registry,
        }
    }

    /// Gives the webhook another certificate.
    pub(crate) fn issue(&self) -> Issued {
        let issued = self.authority.issue(&["webhook.ns.svc"]);
        let certificate = ServingCertificate {
            chain_pem: issued.certificate.clone().into_bytes(),
            key_pem: PrivateBytes(issued.key.clone().into_bytes()),
        };
        self.certificate.send_replace(Some(Arc::new(certificate)));
        issued
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub(crate) fn post(&self, body: impl Into<Vec<u8>>) -> Response {
        self.send(&Request::post(PATH, body))
    }

    pub(crate) fn send(&self, request: &Request) -> Response {
        self.try_send(request).unwrap()
    }

    pub(crate) fn try_send(&self, request: &Request) -> std::io::Result<Response> {
        request.clone().over(&tls()).try_send(self.address())
    }

    pub(crate) fn metrics(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap()
    }

    pub(crate) fn until_asked(&self, times: usize) {
        wait::until("the judge to be asked", || {
            (self.asked.load(Ordering::SeqCst) >= times).then_some(())
        });
    }

    /// Lets reviews named `wait` go on.
    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn leave(&self) {
        self.running.leave();
    }

    /// Stops the webhook on another thread; the first of the two lets reviews go on.
    pub(crate) fn stop(self) -> (impl FnOnce(), JoinHandle<()>) {
        let Self { running, open, .. } = self;
        let stopping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(running.stop());
        });
        let open = move || {
            open.send_replace(true);
        };
        (open, stopping)
    }
}

pub(crate) fn tls() -> Tls {
    Tls::name("webhook.ns.svc").alpn(&["h2", "http/1.1"])
}

pub(crate) fn ingress(name: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "namespace": "ns", "name": name },
        "spec": { "rules": [{ "host": "a.example" }] },
    })
}

pub(crate) fn question(operation: &str, object: Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": { "group": "networking.k8s.io", "version": "v1", "kind": "Ingress" },
            "resource": { "group": "networking.k8s.io", "version": "v1", "resource": "ingresses" },
            "operation": operation,
            "userInfo": { "username": "somebody" },
            "dryRun": false,
            "object": object,
            "oldObject": null,
        },
    })
}
