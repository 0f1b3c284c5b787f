//! `headgate controller`: objects from a Kubernetes API server, and statuses and Events written back.

mod external_names;
mod gateway_statuses;
mod gateways;
mod metrics;
mod reviewer;
mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use headgate_cluster::events::{ConfigChange, Notice, Notices};
use headgate_cluster::lease::Leadership;
use headgate_cluster::status::StatusInput;
use headgate_cluster::{
    CacheOptions, ConnectOptions, Connected, Timing, Watch, WatchOptions, connect,
};
use headgate_compile::{
    Compiled, Finding, Kind, Name, Object, ObjectRef, Options, Origin, Snapshot, Subject, unserved,
};
use headgate_console::model;
use headgate_proxy::ResolvedNames;
use prometheus::Registry;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::external_names::UnresolvedNames;
use self::gateway_statuses::GatewayStatuses;
use self::gateways::Gateways;
pub(crate) use self::metrics::Metrics;
use self::tasks::Tasks;
use crate::app::{self, Serving};
use crate::config::Cluster;
use crate::reconciler::{ClusterState, Feed, Input, Query};

/// Capacity of the queue of queries; senders wait while it is full.
const MAX_QUERIES: usize = 64;

/// Serves the cluster's Ingresses until SIGTERM or SIGINT.
pub(crate) async fn run(serving: Serving, cluster: Cluster) -> Result<()> {
    let api = ConnectOptions {
        apiserver: cluster.api.server.clone(),
        certificate_authority: cluster.api.authority.clone(),
        kubeconfig: cluster.api.kubeconfig.clone(),
    };
    let connected = connect(&api)
        .await
        .context("configuring the connection to the API server")?;
    let controller = Controller::start(&connected, &serving, &cluster)?;
    app::run(serving, controller, |_| ()).await
}

/// The feed of a cluster.
struct Controller {
    watch: Watch,
    metrics: Metrics,
    options: Options,
    pod: Name,
    queries: mpsc::Receiver<Query>,
    notices: Notices,
    statuses: Option<mpsc::UnboundedSender<StatusInput>>,
    gateway_statuses: Option<GatewayStatuses>,
    gateways: Option<Gateways>,
    tasks: Tasks,
    names: UnresolvedNames,
    /// Ingresses and ConfigMaps that changed since the last table.
    changed: Vec<ObjectRef>,
    has_published: bool,
    /// The ConfigMaps of flags that were read.
    known_maps: Vec<Name>,
    /// URL of the API server.
    server: String,
    /// `None`: no leader election.
    leadership: Option<Observed<Leadership>>,
}

/// The last value that another task has set.
type Observed<T> = tokio::sync::watch::Receiver<T>;

impl Controller {
    fn start(connected: &Connected, serving: &Serving, cluster: &Cluster) -> Result<Self> {
        let election = cluster.election.as_ref();
        let name = election.map_or("", |election| &election.lease.name);
        let metrics =
            Metrics::new(&serving.proxy.labels, name).context("naming the controller's metrics")?;
        tracing::info!(server = connected.server, "watching the API server");
        let watch = Watch::start(
            connected.client.clone(),
            watch_options(connected, serving, cluster)?,
            metrics.watch.clone(),
        );
        let (sender, queries) = mpsc::channel(MAX_QUERIES);
        let mut tasks = Tasks::new(connected.client.clone());
        let (notices, leadership) = tasks.events_and_election(cluster, &metrics);
        let gateways = leadership
            .clone()
            .and_then(|leadership| tasks.gateways(serving, cluster, leadership));
        let statuses = leadership
            .clone()
            .and_then(|leadership| tasks.statuses(cluster, watch.statuses(), leadership, &metrics));
        let gateway = serving.options.gateway.as_ref();
        let gateway_statuses = leadership
            .clone()
            .zip(gateway)
            .and_then(|(leadership, gateway)| {
                let controller = gateway.controller.clone();
                let observed = watch.gateway_statuses();
                tasks.gateway_statuses(cluster, controller, observed, leadership, &metrics)
            });
        if let Some(webhook) = &cluster.webhook {
            tasks.webhook(webhook, sender, &metrics)?;
        }
        Ok(Self {
            watch,
            metrics,
            options: serving.options.clone(),
            pod: cluster.pod.clone(),
            queries,
            notices,
            statuses,
            gateway_statuses: gateway_statuses.map(GatewayStatuses::new),
            gateways,
            tasks,
            names: UnresolvedNames::default(),
            changed: Vec::new(),
            has_published: false,
            known_maps: Vec::new(),
            server: connected.server.clone(),
            leadership,
        })
    }

    /// Logs why a changed Ingress is not served, for an operator who looks for it. Most of these are of other controllers.
    fn log_unserved(&self, object: &ObjectRef) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let snapshot = self.watch.snapshot();
        let Some(Object::Ingress(ingress)) = snapshot.object(object) else {
            return;
        };
        if let Some((field, message)) = unserved(ingress, snapshot, &self.options) {
            tracing::debug!(%object, field, "{message}");
        }
    }

    /// Whether a flag names this ConfigMap.
    fn is_of_flag(&self, map: &Name) -> bool {
        let options = &self.options;
        let maps = [
            &options.settings,
            &options.tcp_services,
            &options.udp_services,
        ];
        maps.into_iter().flatten().any(|named| named == map)
    }

    /// The Event about an object that was added or updated.
    fn notice(&mut self, object: ObjectRef, compiled: &Compiled) -> Option<Notice> {
        let uid = uid(self.watch.snapshot().object(&object)?);
        match object.kind {
            Kind::Ingress if compiled.statuses().contains_key(&object.name) => Some(Notice::Sync {
                ingress: object.name,
                uid,
            }),
            Kind::ConfigMap if self.is_of_flag(&object.name) => {
                let is_known = self.known_maps.contains(&object.name);
                if !is_known {
                    self.known_maps.push(object.name.clone());
                }
                Some(Notice::Config {
                    map: object.name,
                    uid,
                    change: if is_known {
                        ConfigChange::Updated
                    } else {
                        ConfigChange::Created
                    },
                })
            }
            _ => None,
        }
    }
}

impl Feed for Controller {
    fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        self.metrics.register(registry)
    }

    fn listening(&self) -> Option<SocketAddr> {
        self.tasks.webhook_address()
    }

    fn cluster(&self) -> Option<ClusterState> {
        let (health, leadership) = (self.watch.health(), self.leadership.clone());
        let (server, pod) = (self.server.clone(), self.pod.name.clone());
        Some(Box::new(move || {
            let health = health.borrow();
            let leadership = leadership.as_ref().map(|leadership| leadership.borrow());
            let (role, leader) = match leadership.as_deref() {
                None => ("none", None),
                Some(now) if now.leader(Instant::now()).is_some() => ("leader", Some(&*pod)),
                Some(now) => ("follower", now.holder()),
            };
            model::Cluster {
                server: server.clone(),
                is_healthy: health.connected && health.problems.is_empty(),
                problems: health.problems.clone(),
                role: role.to_owned(),
                leader: leader.map(str::to_owned),
            }
        }))
    }

    async fn next(&mut self) -> Input {
        loop {
            tokio::select! {
                batch = self.watch.changes() => {
                    if let Some(gateways) = &mut self.gateways {
                        batch.changes.objects().for_each(|object| gateways.changed(object));
                    }
                    let changed = batch.changes.objects();
                    let changed = changed
                        .filter(|object| matches!(object.kind, Kind::Ingress | Kind::ConfigMap));
                    self.changed.extend(changed.cloned());
                    // Losing the batch to cancellation is harmless here: before the first table, only a stop cancels.
                    if !self.has_published && batch.origin == Origin::Live {
                        self.tasks.webhook_ready().await;
                    }
                    return Input::Batch(batch);
                }
                Some(query) = self.queries.recv() => return Input::Query(query),
                () = self.names.tick() => {
                    let snapshot = self.watch.snapshot();
                    if let Some((appeared, gone)) = self.names.difference(snapshot, &self.options) {
                        self.notices.findings(with_uids(&appeared, snapshot), &gone);
                    }
                }
            }
        }
    }

    fn snapshot(&self) -> &Snapshot {
        self.watch.snapshot()
    }

    fn published(&mut self, compiled: &Compiled, appeared: &[Finding], gone: &[Finding]) {
        let input = StatusInput {
            adopted: compiled.adopted().to_vec(),
            released: compiled.released().to_vec(),
        };
        for name in &input.released {
            self.metrics.webhook.forget(&name.namespace, &name.name);
        }
        let is_changed =
            !self.has_published || !input.adopted.is_empty() || !input.released.is_empty();
        if let Some(statuses) = self.statuses.as_ref().filter(|_| is_changed) {
            // Fails only while the process stops: the writer runs until then.
            let _ = statuses.send(input);
        }
        if let Some(statuses) = &mut self.gateway_statuses {
            statuses.published(compiled);
        }
        if let Some(gateways) = &mut self.gateways {
            gateways.published(compiled, self.watch.snapshot(), &self.options);
        }
        self.names.objects_changed();
        let appeared = with_uids(appeared, self.watch.snapshot());
        self.notices.findings(appeared, gone);
        for object in std::mem::take(&mut self.changed) {
            self.log_unserved(&object);
            if let Some(notice) = self.notice(object, compiled) {
                self.notices.push(notice);
            }
        }
        if !std::mem::replace(&mut self.has_published, true) {
            self.notices.push(Notice::Reload {
                pod: self.pod.clone(),
                uid: None,
                problem: None,
            });
        }
    }

    fn serving(&mut self, names: ResolvedNames) {
        self.names.follow(names);
        if let Some(statuses) = &mut self.gateway_statuses {
            statuses.serving();
        }
    }

    fn draining(&mut self) {
        self.tasks.drain();
    }

    async fn stop(&mut self) {
        self.watch.save().await;
        self.tasks.stop().await;
    }
}

/// Findings with the `metadata.uid` of their objects.
fn with_uids(
    findings: &[Finding],
    snapshot: &Snapshot,
) -> impl Iterator<Item = (Finding, Option<Arc<str>>)> {
    findings.iter().map(|finding| {
        let uid = match &finding.subject {
            Subject::Object(object) => snapshot.object(object).and_then(uid),
            Subject::Document { .. } => None,
        };
        (finding.clone(), uid)
    })
}

fn uid(object: &Object) -> Option<Arc<str>> {
    object.uid().map(Into::into)
}

fn watch_options(
    connected: &Connected,
    serving: &Serving,
    cluster: &Cluster,
) -> Result<WatchOptions> {
    let cache = cluster.cache.as_ref().map(|cache| {
        CacheOptions::open(
            cache.directory.clone(),
            cache.key.as_deref(),
            &connected.server,
        )
    });
    let status = cluster.status.as_ref();
    Ok(WatchOptions {
        compile: serving.options.clone(),
        publish_service: status.and_then(|status| status.service.clone()),
        pod: Some(cluster.pod.clone()),
        cache: cache.transpose().context("--cache-dir, --cache-key-file")?,
        timing: Timing {
            resync: cluster.resync,
            ..Timing::default()
        },
    })
}
