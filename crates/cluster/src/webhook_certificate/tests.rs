#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headgate_compile::Name;
use http::Method;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls_pki_types::{ServerName, UnixTime};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::evaluate::certificates;
use super::{
    CertificateSource, ManagedOptions, ServingCertificate, WebhookCertificate,
    WebhookCertificateMetrics,
};
use crate::fake::{Failure, Fake};

const SECRETS: &str = "/api/v1/namespaces/ingress/secrets";
const SECRET: &str = "/api/v1/namespaces/ingress/secrets/webhook";
const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/gate";
const DAYS: i64 = 24 * 3600;
/// Longer than between two reconciliations.
const INTERVAL: Duration = Duration::from_secs(100);

struct Cluster {
    fake: Fake,
    /// Seconds since the epoch.
    now: Arc<AtomicI64>,
}

type Serving = watch::Receiver<Option<Arc<ServingCertificate>>>;

impl Cluster {
    fn new() -> Self {
        let cluster = Self {
            fake: Fake::default(),
            now: Arc::new(AtomicI64::new(1_790_000_000)),
        };
        let webhook = |name: &str, service: &str| {
            json!({"name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None", "aFieldOfTomorrow": true,
                "clientConfig": {"service": {"namespace": "ingress", "name": service, "path": "/x"}}})
        };
        let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "gate"},
            "webhooks": [webhook("other.example", "other"), webhook("gate.example", "gate")]});
        cluster.fake.put(CONFIGURATION, configuration);
        cluster
    }

    fn start(&self) -> Serving {
        let options = ManagedOptions {
            secret: Name::new("ingress", "webhook"),
            configuration: Some("gate".into()),
            service: Name::new("ingress", "gate"),
        };
        let source = CertificateSource::Managed(options);
        let metrics = WebhookCertificateMetrics::new(&HashMap::new()).unwrap();
        let now = self.now.clone();
        let clock = Arc::new(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap());
        let task = WebhookCertificate::new(self.fake.client(), source, metrics).with_clock(clock);
        let serving = task.serving();
        tokio::spawn(task.run());
        serving
    }

    fn pass(&self, days: i64) {
        self.now.fetch_add(days * DAYS, Ordering::SeqCst);
    }

    fn bundle(&self, webhook: usize) -> Vec<u8> {
        let configuration = self.fake.get(CONFIGURATION).unwrap();
        let bundle = &configuration["webhooks"][webhook]["clientConfig"]["caBundle"];
        STANDARD
            .decode(bundle.as_str().unwrap_or_default())
            .unwrap()
    }

    /// As the API server does when it calls the webhook.
    fn trusts(&self, serving: &ServingCertificate) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&self.bundle(1)));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let chain = certificates(&serving.chain_pem);
        let name = ServerName::try_from("gate.ingress.svc").unwrap();
        let seconds = u64::try_from(self.now.load(Ordering::SeqCst)).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier
            .verify_server_cert(&chain[0], &chain[1..], &name, &[], now)
            .map(drop)
    }

    fn writes(&self, path: &str) -> usize {
        let requests = self.fake.take_requests().into_iter();
        requests
            .filter(|one| one.path.starts_with(path) && one.method != Method::GET)
            .count()
    }
}

fn now(serving: &Serving) -> Arc<ServingCertificate> {
    serving.borrow().clone().unwrap()
}

async fn first(serving: &mut Serving) -> Arc<ServingCertificate> {
    serving
        .wait_for(Option::is_some)
        .await
        .unwrap()
        .clone()
        .unwrap()
}

fn secret(values: &[(&str, &str)]) -> Value {
    let data: HashMap<&str, String> = values
        .iter()
        .map(|(key, value)| (*key, STANDARD.encode(value)))
        .collect();
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "ingress", "name": "webhook", "labels": {"kept": "yes"}}, "data": data})
}

#[tokio::test(start_paused = true)]
async fn the_first_replica_issues_the_certificate_and_updates_ca_bundle() {
    let cluster = Cluster::new();
    let mut serving = cluster.start();
    let certificate = first(&mut serving).await;
    tokio::time::sleep(INTERVAL).await;
    cluster.trusts(&certificate).unwrap();
    assert_eq!(cluster.bundle(0), b"", "a webhook of another Service");
    let configuration = cluster.fake.get(CONFIGURATION).unwrap();
    assert_eq!(configuration["webhooks"][1]["aFieldOfTomorrow"], true);
    cluster.fake.take_requests();
    tokio::time::sleep(INTERVAL * 10).await;
    assert_eq!(cluster.writes("/"), 0);
    assert!(!format!("{certificate:?}").contains("PRIVATE"));
}

#[tokio::test(start_paused = true)]
async fn replicas_that_start_together_serve_the_same_certificate() {
    let cluster = Cluster::new();
    let mut replicas: Vec<Serving> = (0..5).map(|_| cluster.start()).collect();
    let mut all = Vec::new();
    for replica in &mut replicas {
        all.push(first(replica).await);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    tokio::time::sleep(INTERVAL).await;
    cluster.trusts(&all[0]).unwrap();
    assert_eq!(cluster.fake.under(SECRETS).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_another_replica_about_ca_bundle_is_no_failure() {
    let cluster = Cluster::new();
    let mut conflicts = 2;
    cluster.fake.fail_if(move |request| {
        let conflicts_now = request.method == Method::PATCH && conflicts > 0;
        conflicts -= i32::from(conflicts_now);
        conflicts_now.then_some(Failure::Status(409))
    });
    let mut serving = cluster.start();
    let certificate = first(&mut serving).await;
    // Before the first wait after a failure.
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.trusts(&certificate).unwrap();
}

#[tokio::test(start_paused = true)]
async fn certificates_and_authorities_are_renewed_without_a_gap() {
    let cluster = Cluster::new();
    let mut one = cluster.start();
    let mut two = cluster.start();
    let initial = (first(&mut one).await, first(&mut two).await);
    tokio::time::sleep(INTERVAL).await;
    let authority = cluster.bundle(1);
    let (mut serving, mut authorities) = (1, 1);
    let mut last = (initial.0, authority);
    for _ in 0..(3650 / 10) {
        cluster.pass(10);
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_secs(15)).await;
            cluster.trusts(&now(&one)).unwrap();
            cluster.trusts(&now(&two)).unwrap();
        }
        let present = (now(&one), cluster.bundle(1));
        serving += usize::from(present.0 != last.0);
        authorities += usize::from(present.1 != last.1);
        last = present;
    }
    assert!(
        (55..70).contains(&serving),
        "{serving} certificates in ten years"
    );
    assert_eq!(
        authorities, 3,
        "in ten years a second one is added, and the first expires"
    );
    cluster.pass(1300);
    tokio::time::sleep(INTERVAL * 3).await;
    assert!(
        certificates(&cluster.bundle(1)).len() <= 2,
        "expired ones are dropped"
    );
    cluster.trusts(&now(&two)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_another_owner_is_used_and_never_written() {
    let cluster = Cluster::new();
    let authority = headgate_testkit::Authority::new();
    let issued = authority.issue(&["gate.ingress.svc"]);
    let filled = [
        ("tls.crt", issued.certificate.as_str()),
        ("tls.key", issued.key.as_str()),
        ("ca.crt", &authority.pem()),
    ];
    cluster.fake.put(SECRET, secret(&filled));
    let mut serving = cluster.start();
    let certificate = first(&mut serving).await;
    assert_eq!(certificate.chain_pem, issued.certificate.as_bytes());
    tokio::time::sleep(INTERVAL).await;
    cluster.trusts(&certificate).unwrap();
    cluster.pass(3650);
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(cluster.writes(SECRETS), 0);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_secret_of_another_owner_is_not_overwritten() {
    let cluster = Cluster::new();
    cluster.fake.put(
        SECRET,
        secret(&[("tls.crt", "no certificate"), ("tls.key", "no key")]),
    );
    let serving = cluster.start();
    tokio::time::sleep(INTERVAL * 5).await;
    assert!(serving.borrow().is_none());
    assert_eq!(cluster.writes("/"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_empty_secret_is_filled_and_a_broken_managed_one_is_replaced() {
    for values in [
        &[("tls.crt", ""), ("tls.key", "")][..],
        &[("ca.key", "broken"), ("ca.crt", "broken"), ("tls.crt", "x")][..],
    ] {
        let cluster = Cluster::new();
        cluster.fake.put(SECRET, secret(values));
        let mut serving = cluster.start();
        let certificate = first(&mut serving).await;
        tokio::time::sleep(INTERVAL).await;
        cluster.trusts(&certificate).unwrap();
        let kept = &cluster.fake.get(SECRET).unwrap()["metadata"]["labels"]["kept"];
        assert_eq!(kept, "yes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_is_restored_and_a_changed_ca_bundle_corrected() {
    let cluster = Cluster::new();
    let mut one = cluster.start();
    let two = cluster.start();
    let certificate = first(&mut one).await;
    tokio::time::sleep(INTERVAL).await;
    cluster.fake.remove(SECRET);
    cluster.fake.modify(CONFIGURATION, |configuration| {
        configuration["webhooks"][1]["clientConfig"]["caBundle"] = "".into();
    });
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(now(&one), certificate);
    assert_eq!(now(&two), certificate);
    cluster.trusts(&certificate).unwrap();
    assert_eq!(cluster.fake.under(SECRETS).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_configuration_there_is_still_a_certificate() {
    let cluster = Cluster::new();
    cluster.fake.fail_if(|request| {
        request
            .path
            .contains("validatingwebhook")
            .then_some(Failure::Status(403))
    });
    let mut serving = cluster.start();
    first(&mut serving).await;
    cluster.fake.heal();
    tokio::time::sleep(INTERVAL).await;
    cluster.trusts(&now(&serving)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_certificate_survives_an_outage_of_the_api_server() {
    let cluster = Cluster::new();
    let mut serving = cluster.start();
    let certificate = first(&mut serving).await;
    cluster.fake.fail_if(|_| Some(Failure::Status(503)));
    tokio::time::sleep(INTERVAL * 10).await;
    assert_eq!(now(&serving), certificate);
}

#[tokio::test(start_paused = true)]
async fn files_are_read_again_and_a_broken_pair_keeps_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let authority = headgate_testkit::Authority::new();
    let (old, new) = (
        authority.issue(&["a.example"]),
        authority.issue(&["b.example"]),
    );
    let (certificate, key) = (
        directory.path().join("tls.crt"),
        directory.path().join("tls.key"),
    );
    std::fs::write(&certificate, &old.certificate).unwrap();
    std::fs::write(&key, &old.key).unwrap();
    let source = CertificateSource::Files {
        certificate: certificate.clone(),
        key: key.clone(),
    };
    let metrics = WebhookCertificateMetrics::new(&HashMap::new()).unwrap();
    let task = WebhookCertificate::new(Fake::default().client(), source, metrics);
    let mut serving = task.serving();
    tokio::spawn(task.run());
    assert_eq!(
        first(&mut serving).await.chain_pem,
        old.certificate.as_bytes()
    );
    std::fs::write(&certificate, &new.certificate).unwrap();
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(
        now(&serving).chain_pem,
        old.certificate.as_bytes(),
        "its key is not replaced yet"
    );
    std::fs::write(&key, &new.key).unwrap();
    serving.changed().await.unwrap();
    assert_eq!(now(&serving).chain_pem, new.certificate.as_bytes());
}
