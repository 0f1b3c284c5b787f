//! Tasks beside the reconciler: leader election, statuses, Events and the admission webhook.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use headgate_cluster::Statuses;
use headgate_cluster::events::{EventOptions, Events, Notices, Reporter};
use headgate_cluster::gateway_services::{GatewayServiceOptions, GatewayServiceWriter};
use headgate_cluster::gateway_status::{GatewayStatusInput, GatewayStatusWriter, ObservedStatuses};
use headgate_cluster::lease::{Elector, Leadership, LeaseOptions};
use headgate_cluster::status::{Address, AddressSource, StatusInput, StatusOptions, StatusWriter};
use headgate_cluster::webhook::{Running, Webhook};
use headgate_cluster::webhook_certificate::{
    CertificateSource, ManagedOptions, ServingCertificate, WebhookCertificate,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::gateways::Gateways;
use super::metrics::Metrics;
use super::reviewer::Reviewer;
use crate::app::Serving;
use crate::config::{self, Cluster};
use crate::reconciler::Query;

/// The reporting controller of Events.
const CONTROLLER: &str = "headgate";

/// Maximum wait for the webhook's first certificate before serving.
const CERTIFICATE: Duration = Duration::from_secs(5);

pub(super) struct Tasks {
    client: kube::Client,
    statuses: Option<StoppableTask>,
    gateway_statuses: Option<StoppableTask>,
    gateways: Option<StoppableTask>,
    election: Option<StoppableTask>,
    webhook: Option<Running>,
    certificate: Option<watch::Receiver<Option<Arc<ServingCertificate>>>>,
}

/// A task with a stop signal, which it follows with some last work.
struct StoppableTask {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Tasks {
    pub(super) fn new(client: kube::Client) -> Self {
        Self {
            client,
            statuses: None,
            gateway_statuses: None,
            gateways: None,
            election: None,
            webhook: None,
            certificate: None,
        }
    }

    /// Starts the writer of Events and, if enabled, leader election.
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
            self.election = Some(StoppableTask::spawn(|stop| elector.run(stop)));
            leadership
        });
        let reporter = leadership
            .clone()
            .map_or(Reporter::Always, Reporter::Leader);
        tokio::spawn(events.run(reporter));
        (notices, leadership)
    }

    /// Starts the writer of statuses, if enabled.
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
        self.statuses = Some(StoppableTask::spawn(|stop| {
            writer.run(inputs, leadership, stop)
        }));
        Some(input)
    }

    /// Starts the writer of statuses of the Gateway API for the controller of this name, if statuses are enabled.
    pub(super) fn gateway_statuses(
        &mut self,
        cluster: &Cluster,
        controller: Arc<str>,
        observed: Arc<ObservedStatuses>,
        leadership: watch::Receiver<Leadership>,
        metrics: &Metrics,
    ) -> Option<mpsc::UnboundedSender<GatewayStatusInput>> {
        cluster.status.as_ref()?;
        let metrics = metrics.gateway_status.clone();
        let writer = GatewayStatusWriter::new(self.client.clone(), controller, observed, metrics);
        let (input, inputs) = mpsc::unbounded_channel();
        self.gateway_statuses = Some(StoppableTask::spawn(|stop| {
            writer.run(inputs, leadership, stop)
        }));
        Some(input)
    }

    /// Starts the writer of the Services of Gateways, if enabled.
    pub(super) fn gateways(
        &mut self,
        serving: &Serving,
        cluster: &Cluster,
        leadership: watch::Receiver<Leadership>,
    ) -> Option<Gateways> {
        let controller = &serving.options.gateway.as_ref()?.controller;
        let services = cluster.gateways.as_ref()?;
        let options = GatewayServiceOptions {
            controller: controller.clone(),
            record: services.record.clone(),
            range: services.range.clone(),
            endpoints: services.endpoints.clone(),
        };
        let gateways = Gateways::new(&options);
        let inputs = gateways.inputs();
        let writer = GatewayServiceWriter::new(self.client.clone(), options);
        self.gateways = Some(StoppableTask::spawn(|stop| {
            writer.run(inputs, leadership, stop)
        }));
        Some(gateways)
    }

    /// Starts the admission webhook.
    pub(super) fn webhook(
        &mut self,
        webhook: &config::Webhook,
        queries: mpsc::Sender<Query>,
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
            .start(Reviewer { queries }, serving, metrics.webhook.clone())
            .context("starting the admission webhook")?;
        self.webhook = Some(running);
        Ok(())
    }

    /// The address of the admission webhook, if there is one.
    pub(super) fn webhook_address(&self) -> Option<SocketAddr> {
        self.webhook.as_ref().map(Running::address)
    }

    /// Waits until the webhook, if there is one, has a certificate, so that a replica is not ready while reviews of every
    /// Ingress fail; but not for long, because traffic matters more.
    pub(super) async fn webhook_ready(&mut self) {
        let Some(mut certificate) = self.certificate.take() else {
            return;
        };
        let present = certificate.wait_for(Option::is_some);
        if tokio::time::timeout(CERTIFICATE, present).await.is_err() {
            tracing::warn!("the admission webhook has no certificate yet; serving without it");
        }
    }

    /// Drains the webhook: the API server moves its connections to other replicas, while it still gets responses.
    pub(super) fn drain(&self) {
        if let Some(webhook) = &self.webhook {
            webhook.drain();
        }
    }

    /// Stops the tasks. Statuses are cleared before the lease is released.
    pub(super) async fn stop(&mut self) {
        if let Some(webhook) = self.webhook.take() {
            webhook.stop().await;
        }
        let tasks = [
            self.gateway_statuses.take(),
            self.gateways.take(),
            self.statuses.take(),
            self.election.take(),
        ];
        for task in tasks.into_iter().flatten() {
            task.stop().await;
        }
    }
}

impl StoppableTask {
    fn spawn<F>(task: impl FnOnce(Stopped) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(task(Box::pin(async move {
            // A dropped sender stops the task too.
            let _ = stopped.await;
        })));
        Self { stop, task }
    }

    async fn stop(self) {
        // Fails if the task ended by itself.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a task of the controller failed");
        }
    }
}

/// Resolves when the task must stop.
type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

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
