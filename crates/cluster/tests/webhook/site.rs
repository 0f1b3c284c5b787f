//! A webhook with a scripted validator.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use headgate_cluster::webhook::{Bound, Running, Unavailable, Validator, Webhook, WebhookMetrics};
use headgate_cluster::webhook_certificate::ServingCertificate;
use headgate_compile::{Review, Reviewed};
use headgate_table::PrivateBytes;
use headgate_testkit::{Authority, Issued, Request, Response, Tls, wait};
use prometheus::{Registry, TextEncoder};
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) const PATH: &str = "/networking/v1/ingresses";

/// Decides by the name of the object.
struct Scripted {
    reviews: Arc<AtomicUsize>,
    open: watch::Receiver<bool>,
}

impl Validator for Scripted {
    async fn review(&self, object: Reviewed) -> Result<Review, Unavailable> {
        self.reviews.fetch_add(1, Ordering::SeqCst);
        let name = object.name().name;
        let mut review = Review {
            selected: *name != *"other-class",
            tested: 7,
            ..Review::default()
        };
        match &*name {
            "deny" => review.denied = Some("deny: no".into()),
            "warn" => review.warnings = vec!["one".into(), "two".into()],
            "unavailable" => return Err(Unavailable::NotReady),
            "panic" => panic!("as scripted"),
            "wait" => {
                let mut open = self.open.clone();
                // Keeps the object meanwhile, as a validator with a queue does.
                open.wait_for(|open| *open)
                    .await
                    .map_err(|_| Unavailable::Stopping)?;
                drop(object);
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
    reviews: Arc<AtomicUsize>,
    open: watch::Sender<bool>,
    registry: Registry,
}

impl Site {
    /// A site with a certificate.
    pub(crate) fn new() -> Self {
        let site = Self::without_certificate();
        site.issue();
        // The webhook reads the certificate on another thread.
        wait::until("a handshake", || site.try_send(&Request::get("/")).ok());
        site
    }

    pub(crate) fn without_certificate() -> Self {
        Self::with(|bound| bound)
    }

    /// A site with a certificate that accepts only clients of the CAs in `file`.
    pub(crate) fn with_client_ca(file: &Path) -> Self {
        let site = Self::with(|bound| bound.with_client_ca(file.to_owned()));
        site.issue();
        site
    }

    fn with(options: impl FnOnce(Bound) -> Bound) -> Self {
        let (certificate, serving) = watch::channel(None);
        let (open, is_open) = watch::channel(false);
        let reviews = Arc::new(AtomicUsize::new(0));
        let validator = Scripted {
            reviews: reviews.clone(),
            open: is_open,
        };
        let common = HashMap::from([("controller_class".to_owned(), "c".to_owned())]);
        let metrics = Arc::new(WebhookMetrics::new(&common).unwrap());
        let registry = Registry::new();
        metrics.register(&registry).unwrap();
        let bound = Webhook::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let running = options(bound).start(validator, serving, metrics).unwrap();
        Self {
            running,
            certificate,
            authority: Authority::new(),
            reviews,
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

    /// Waits until the validator was called so many times.
    pub(crate) fn until_reviews(&self, count: usize) {
        wait::until("the reviews", || {
            (self.reviews.load(Ordering::SeqCst) >= count).then_some(())
        });
    }

    /// Finishes reviews of Ingresses named `wait`.
    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn drain(&self) {
        self.running.drain();
    }

    /// Stops the webhook on another thread; the returned function is [`Self::open`].
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

pub(crate) fn review(operation: &str, object: Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": { "group": "networking.k8s.io", "version": "v1", "kind": "Ingress" },
            "resource": { "group": "networking.k8s.io", "version": "v1", "resource": "ingresses" },
            "operation": operation,
            "userInfo": { "username": "user" },
            "dryRun": false,
            "object": object,
            "oldObject": null,
        },
    })
}
