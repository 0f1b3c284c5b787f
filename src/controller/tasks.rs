//! What runs beside the reconciler: the election, statuses, Events and the admission webhook.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use headgate_cluster::Statuses;
use headgate_cluster::events::{EventOptions, Events, Notices, Reporter};
use headgate_cluster::lease::{Elector, Leadership, LeaseOptions};
use headgate_cluster::status::{Address, AddressSource, StatusInput, StatusOptions, StatusWriter};
use headgate_cluster::webhook::{Running, Webhook};
use headgate_cluster::webhook_certificate::{
    CertificateSource, ManagedOptions, ServingCertificate, WebhookCertificate,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::metrics::Metrics;
use super::reviewer::Reviewer;
use crate::config::{self, Cluster};
use crate::reconciler::Question;

/// Who writes Events, as their readers see it.
const CONTROLLER: &str = "headgate";

/// Serving waits this long for the webhook's first certificate.
const CERTIFICATE: Duration = Duration::from_secs(5);

/// The tasks, with what ends them.
pub(super) struct Tasks {
    client: kube::Client,
    statuses: Option<Ending>,
    election: Option<Ending>,
    webhook: Option<Running>,
    certificate: Option<watch::Receiver<Option<Arc<ServingCertificate>>>>,
}

/// A task that finishes something when it is told to end.
struct Ending {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Tasks {
    /// None yet.
    pub(super) fn new(client: kube::Client) -> Self {
        Self {
            client,
            statuses: None,
            election: None,
            webhook: None,
            certificate: None,
        }
    }

    /// Starts to write Events and to take part in the election, if there is one.
    pub(super) fn events_and_election(
        &mut self,
        cluster: &Cluster,
        metrics: &Metrics,
    ) -> (Notices, Option<watch::Receiver<Leadership>>) {
        let identity: Arc<str> = cluster.pod.name.clone();
        let options = EventOptions {
            controller: CONTROLLER.into(),
            instance: identity.clone(),
            sync: cluster.sync_events,
        };
        let (events, notices) = Events::new(self.client.clone(), options, metrics.events.clone());
        let leadership = cluster.election.as_ref().map(|election| {
            let options = LeaseOptions {
                lease: election.lease.clone(),
                identity,
                ttl: election.ttl,
            };
            let elector = Elector::new(self.client.clone(), options, metrics.lease.clone())
                .with_notices(notices.clone());
            let leadership = elector.leadership();
            self.election = Some(Ending::spawn(|end| elector.run(end)));
            leadership
        });
        let teller = leadership
            .clone()
            .map_or(Reporter::Always, Reporter::Leader);
        tokio::spawn(events.run(teller));
        (notices, leadership)
    }

    /// Starts to write statuses, unless that is switched off.
    pub(super) fn statuses(
        &mut self,
        cluster: &Cluster,
        observations: Arc<Statuses>,
        leadership: watch::Receiver<Leadership>,
        metrics: &Metrics,
    ) -> Option<mpsc::UnboundedSender<StatusInput>> {
        let status = cluster.status.as_ref()?;
        let options = StatusOptions {
            source: source(status),
            interval: status.interval,
            clear_on_shutdown: status.clear,
            pod: cluster.pod.clone(),
        };
        let writer = StatusWriter::new(
            self.client.clone(),
            options,
            observations,
            metrics.status.clone(),
        );
        let (input, inputs) = mpsc::unbounded_channel();
        self.statuses = Some(Ending::spawn(|end| writer.run(inputs, leadership, end)));
        Some(input)
    }

    /// Starts the admission webhook.
    pub(super) fn webhook(
        &mut self,
        webhook: &config::Webhook,
        questions: mpsc::Sender<Question>,
        metrics: &Metrics,
    ) -> Result<()> {
        let mut bound = Webhook::bind(webhook.address)
            .with_context(|| format!("--validating-webhook {}", webhook.address))?;
        if let Some(authorities) = &webhook.clients {
            bound = bound.with_client_ca(authorities.clone());
        }
        let certificate = WebhookCertificate::new(
            self.client.clone(),
            certificate(&webhook.certificate),
            metrics.certificate.clone(),
        );
        let serving = certificate.serving();
        self.certificate = Some(serving.clone());
        tokio::spawn(certificate.run());
        let running = bound
            .start(Reviewer { questions }, serving, metrics.webhook.clone())
            .context("starting the admission webhook")?;
        self.webhook = Some(running);
        Ok(())
    }

    /// Waits until the webhook, if there is one, can be asked, so that a replica is not ready while it would refuse every
    /// Ingress; but not for long, because requests matter more.
    pub(super) async fn admitting(&mut self) {
        let Some(mut certificate) = self.certificate.take() else {
            return;
        };
        let shown = certificate.wait_for(Option::is_some);
        if tokio::time::timeout(CERTIFICATE, shown).await.is_err() {
            tracing::warn!("the admission webhook has no certificate yet; serving without it");
        }
    }

    /// Has the API server take its connections elsewhere, while it still is answered.
    pub(super) fn leave(&self) {
        if let Some(webhook) = &self.webhook {
            webhook.drain();
        }
    }

    /// Ends them: statuses are cleared where they should be before the lease is given back.
    pub(super) async fn stop(&mut self) {
        if let Some(webhook) = self.webhook.take() {
            webhook.stop().await;
        }
        let tasks = [self.statuses.take(), self.election.take()];
        for task in tasks.into_iter().flatten() {
            task.end().await;
        }
    }
}

impl Ending {
    fn spawn<F>(task: impl FnOnce(Ended) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(task(Box::pin(async move {
            // A sender that is gone means the same.
            let _ = ended.await;
        })));
        Self { end, task }
    }

    async fn end(self) {
        // It may have ended by itself.
        let _ = self.end.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a task of the controller failed");
        }
    }
}

/// Resolves when a task is to end.
type Ended = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn source(status: &config::Status) -> AddressSource {
    if !status.addresses.is_empty() {
        let addresses = status.addresses.iter();
        AddressSource::Fixed(addresses.map(|text| Address::parse(text)).collect())
    } else if status.service.is_some() {
        AddressSource::Service
    } else {
        AddressSource::Nodes {
            internal: status.internal,
        }
    }
}

fn certificate(source: &config::WebhookCertificate) -> CertificateSource {
    match source {
        config::WebhookCertificate::Files { certificate, key } => CertificateSource::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        },
        config::WebhookCertificate::Managed {
            secret,
            configuration,
            service,
        } => CertificateSource::Managed(ManagedOptions {
            secret: secret.clone(),
            configuration: configuration.as_deref().map(Into::into),
            service: service.clone(),
        }),
    }
}
