//! The zone of this pod, from the labels of its node. Nothing waits for it.

use std::sync::Arc;
use std::time::Instant;

use headgate_compile::Name;
use kube::Api;
use tokio::time::sleep;

use super::message::{Message, Update};
use super::reflector::Shared;
use crate::causes::causes;
use crate::pods::{Node, Pod};

const ZONE: &str = "topology.kubernetes.io/zone";

/// Retries until the zone is known. The zone of a node never changes.
pub(super) async fn find(pod: Name, shared: Shared) {
    let mut is_first = true;
    loop {
        match read(&pod, &shared).await {
            Ok(zone) => {
                tracing::info!(%zone, "preferring endpoints for this zone");
                let message = Message {
                    arrived: Instant::now(),
                    update: Update::Zone(Some(zone)),
                };
                // Fails when the hub is dropped.
                let _ = shared.out.send(message).await;
                return;
            }
            Err(error) if std::mem::take(&mut is_first) => {
                tracing::warn!(
                    %error,
                    "cannot read the zone of the node; using endpoints of all zones until then"
                );
            }
            Err(error) => tracing::debug!(%error, "still cannot read the zone of the node"),
        }
        sleep(shared.timing.zone).await;
    }
}

async fn read(pod: &Name, shared: &Shared) -> Result<Arc<str>, String> {
    let failed = |what: String| move |error: kube::Error| format!("{what}: {}", causes(&error));
    let pods: Api<Pod> = Api::namespaced(shared.client.clone(), &pod.namespace);
    let found = pods.get(&pod.name).await;
    let found = found.map_err(failed(format!("reading Pod {pod}")))?;
    let node = found
        .node()
        .ok_or_else(|| format!("Pod {pod} has no node"))?;
    let nodes: Api<Node> = Api::all(shared.client.clone());
    let found = nodes.get(node).await;
    let found = found.map_err(failed(format!("reading Node {node}")))?;
    let zone = found.label(ZONE);
    zone.map(Into::into)
        .ok_or_else(|| format!("Node {node} has no label {ZONE}"))
}
