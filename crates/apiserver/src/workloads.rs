//! Workloads that are ready at once, for clients that wait for them (see [`super::Options::play_workloads`]).

use std::sync::Arc;

use serde_json::{Value, json};

use super::clock;
use super::kinds::Kind;
use super::prepare::Object;
use super::shared::{Shared, State};
use super::stored::Stored;

/// Makes a workload ready, if that option is set, and returns its state.
pub(crate) fn play(
    shared: &Shared,
    state: &mut State,
    kind: &Kind,
    stored: Arc<Stored>,
) -> Arc<Stored> {
    if !shared.options.play_workloads {
        return stored;
    }
    let mut object = stored.object();
    let Some(status) = ready_status(kind.kind, &object) else {
        return stored;
    };
    let known = object
        .get("status")
        .map(|status| &status["observedGeneration"]);
    if known.is_some_and(|known| *known == status["observedGeneration"]) {
        return stored;
    }
    object.insert("status".to_owned(), status);
    state.store.put(kind.storage(), object)
}

fn ready_status(kind: &str, object: &Object) -> Option<Value> {
    let generation = &object.get("metadata")?["generation"];
    let replicas = object
        .get("spec")
        .map_or(Value::Null, |spec| spec["replicas"].clone());
    let now = clock::now();
    let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason, "lastTransitionTime": now, "lastUpdateTime": now});
    let mut status = match kind {
        "Deployment" => json!({
            "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
            "conditions": [
                condition("Available", "MinimumReplicasAvailable"),
                condition("Progressing", "NewReplicaSetAvailable"),
            ],
        }),
        "StatefulSet" => json!({
            "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "currentReplicas": replicas,
            "currentRevision": "1", "updateRevision": "1",
        }),
        "DaemonSet" => json!({
            "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 1, "numberReady": 1,
            "numberAvailable": 1, "numberMisscheduled": 0,
        }),
        "Job" => json!({
            "succeeded": 1, "startTime": now, "completionTime": now, "conditions": [condition("Complete", "CompletionsReached")],
        }),
        "Pod" => pod(object, &now),
        _ => return None,
    };
    status["observedGeneration"] = generation.clone();
    Some(status)
}

fn pod(object: &Object, now: &str) -> Value {
    let once = object
        .get("spec")
        .is_some_and(|spec| spec["restartPolicy"] == "Never");
    if once {
        return json!({"phase": "Succeeded", "startTime": now});
    }
    let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": now});
    json!({"phase": "Running", "startTime": now, "conditions": [ready]})
}
