//! A watch on an API server, and its batches.

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_apiserver::ApiServer;
use headgate_cluster::{ConnectOptions, Timing, Watch, WatchMetrics, WatchOptions, connect};
use headgate_compile::{Batch, Kind, Name, ObjectRef, Snapshot};
use headgate_testkit::PATIENCE;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// A watch, and what it reported.
pub(crate) struct World {
    known: BTreeSet<ObjectRef>,
    /// Objects that were deleted.
    pub(crate) deleted: Vec<ObjectRef>,
    pub(crate) last: Option<Batch>,
    pub(crate) watch: Watch,
    pub(crate) registry: Registry,
    pub(crate) runtime: Runtime,
}

/// Shorter than in production, where tests would wait.
pub(crate) fn timing() -> Timing {
    Timing {
        first_retry: Duration::from_millis(5),
        longest_retry: Duration::from_millis(100),
        longest_retry_after: Duration::from_millis(100),
        response_timeout: Duration::from_millis(500),
        initial_events_timeout: Duration::from_millis(500),
        ..Timing::default()
    }
}

pub(crate) fn options() -> WatchOptions {
    WatchOptions {
        timing: timing(),
        ..WatchOptions::default()
    }
}

impl World {
    pub(crate) fn new(api: &ApiServer) -> Self {
        Self::with(api, options())
    }

    pub(crate) fn with(api: &ApiServer, options: WatchOptions) -> Self {
        let connect = ConnectOptions {
            apiserver: Some(api.url()),
            ..ConnectOptions::default()
        };
        Self::connected(&connect, options)
    }

    pub(crate) fn connected(to: &ConnectOptions, options: WatchOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let registry = Registry::new();
        let metrics = WatchMetrics::new(&headgate_cluster::CommonLabels::new()).unwrap();
        metrics.register(&registry).unwrap();
        let watch = runtime.block_on(async {
            let connected = connect(to).await.unwrap();
            Watch::start(connected.client, options, metrics)
        });
        Self {
            known: BTreeSet::new(),
            deleted: Vec::new(),
            last: None,
            watch,
            registry,
            runtime,
        }
    }

    /// A world after the first batch.
    pub(crate) fn ready(api: &ApiServer, options: WatchOptions) -> Self {
        let mut world = Self::with(api, options);
        world.batch();
        world
    }

    /// The objects, as of the last batch.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        self.watch.snapshot()
    }

    /// The next batch.
    pub(crate) fn batch(&mut self) -> Batch {
        let batch = self.batch_within(PATIENCE);
        batch.unwrap_or_else(|| panic!("no batch within {PATIENCE:?}"))
    }

    /// The next batch, unless it takes longer than `time`.
    pub(crate) fn batch_within(&mut self, time: Duration) -> Option<Batch> {
        let Self { runtime, watch, .. } = self;
        let batch = runtime.block_on(async { timeout(time, watch.changes()).await });
        let batch = batch.ok()?;
        for object in changed(&batch) {
            if self.snapshot().object(&object).is_some() {
                self.known.insert(object);
            } else if self.known.remove(&object) {
                self.deleted.push(object);
            }
        }
        self.last = Some(batch.clone());
        Some(batch)
    }

    /// Takes batches until `holds` is true.
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        while !holds(self) {
            assert!(
                self.batch_within(PATIENCE).is_some(),
                "waited in vain for {what}"
            );
        }
    }

    /// Whether no batch arrives for some time.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.batch_within(Duration::from_millis(150)).is_none()
    }

    /// Lets the watch work until an external condition holds.
    pub(crate) fn work_until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = std::time::Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
            self.batch_within(Duration::from_millis(5));
        }
    }

    pub(crate) fn has(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.snapshot()
            .object(&reference(kind, namespace, name))
            .is_some()
    }

    /// Lets the watch work until a metric is at least so much.
    pub(crate) fn until_metric(&mut self, name: &str, label: &str, value: f64) {
        let start = std::time::Instant::now();
        while self.metric(name, label) < value {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {name}");
            self.batch_within(Duration::from_millis(5));
        }
    }

    /// A metric's value; `label` is any of its labels' values.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.into_iter().flat_map(|family| family.get_metric());
        let metrics = metrics.filter(|metric| {
            let mut labels = metric.get_label().iter();
            label.is_empty() || labels.any(|pair| pair.value() == label)
        });
        let values =
            metrics.map(|metric| metric.get_gauge().get_value() + metric.get_counter().get_value());
        values.sum()
    }
}

/// The changed objects; with a changed slice also its Service.
pub(crate) fn changed(batch: &Batch) -> BTreeSet<ObjectRef> {
    batch.changes.objects().cloned().collect()
}

pub(crate) fn reference(kind: Kind, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        kind,
        name: Name::new(namespace, name),
    }
}

pub(crate) fn ingress(name: &str, service: &str) -> Value {
    ingress_in("shop", name, service)
}

pub(crate) fn ingress_in(namespace: &str, name: &str, service: &str) -> Value {
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"rules": [{
            "host": format!("{name}.example"),
            "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
        }]},
    })
}

/// An Ingress that refers to a Secret.
pub(crate) fn secured(name: &str, secret: &str) -> Value {
    let mut ingress = ingress(name, "web");
    ingress["spec"]["tls"] = json!([{"secretName": secret}]);
    ingress
}

pub(crate) fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": [{"port": 80}]},
    })
}

pub(crate) fn slice(namespace: &str, name: &str, service: &str) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4", "ports": [{"port": 8080}],
        "endpoints": [{"addresses": ["127.0.0.9"]}],
    })
}

pub(crate) fn secret(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"tls.crt": "Y2VydA==", "tls.key": "a2V5"},
    })
}

pub(crate) fn config_map(namespace: &str, name: &str, data: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace}, "data": data,
    })
}
