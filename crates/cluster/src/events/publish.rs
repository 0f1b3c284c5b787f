//! Writing an Event to the API server.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::notice::EventContent;
use super::{EventError, EventOptions};
use crate::field_manager::FIELD_MANAGER;

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Namespace of Events about cluster-scoped objects.
const CLUSTER_SCOPED: &str = "default";

/// Writes Events.
pub(super) struct Publisher {
    client: Client,
    options: EventOptions,
}

impl Publisher {
    pub(super) fn new(client: Client, options: EventOptions) -> Self {
        Self { client, options }
    }

    /// Writes the Event under this name, which occurred `count` times; one that occurred once is created. Returns the count
    /// that the API server has then.
    pub(super) async fn publish(
        &self,
        content: &EventContent,
        name: &str,
        count: i32,
    ) -> Result<i32, EventError> {
        if count > 1 {
            let result = self.update_series(content, name, count).await;
            // The Event was deleted or has expired.
            if !matches!(&result, Err(error) if error.code() == Some(404)) {
                return result.map(|_| count);
            }
        }
        match self.create(content, name).await {
            // Another replica wrote it, or this one before a restart.
            Err(error) if error.code() == Some(409) => self.add_to_series(content, name).await,
            result => result.map(|_| 1),
        }
    }

    /// Counts one more occurrence of an existing Event. An empty patch reads it: the role has no `get`.
    async fn add_to_series(&self, content: &EventContent, name: &str) -> Result<i32, EventError> {
        let present = self.patch(content, name, &json!({})).await?;
        let count = present.series.map_or(1, |series| series.count);
        let count = count.saturating_add(1);
        self.update_series(content, name, count).await?;
        Ok(count)
    }

    async fn create(&self, content: &EventContent, name: &str) -> Result<Event, EventError> {
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let event = self.event(content, name);
        self.bounded(content, self.api(content).create(&params, &event))
            .await
    }

    async fn update_series(
        &self,
        content: &EventContent,
        name: &str,
        count: i32,
    ) -> Result<Event, EventError> {
        let now = MicroTime(Timestamp::now());
        let series = json!({"series": {"count": count, "lastObservedTime": now}});
        self.patch(content, name, &series).await
    }

    async fn patch(
        &self,
        content: &EventContent,
        name: &str,
        merge: &Value,
    ) -> Result<Event, EventError> {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(content);
        let merge = Patch::Merge(merge);
        self.bounded(content, api.patch(name, &params, &merge))
            .await
    }

    fn event(&self, content: &EventContent, name: &str) -> Event {
        let regarding = &content.regarding;
        let namespace = Some(regarding.name.namespace.to_string()).filter(|name| !name.is_empty());
        Event {
            action: Some(content.reason.as_str().to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(
                    namespace
                        .clone()
                        .unwrap_or_else(|| CLUSTER_SCOPED.to_owned()),
                ),
                ..ObjectMeta::default()
            },
            note: Some(content.note.to_string()),
            reason: Some(content.reason.as_str().to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(regarding.api_version.to_owned()),
                kind: Some(regarding.kind.to_owned()),
                name: Some(regarding.name.name.to_string()),
                namespace,
                uid: regarding.uid.as_deref().map(str::to_owned),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(self.options.controller.to_string()),
            reporting_instance: Some(self.options.instance.to_string()),
            type_: Some(
                if content.is_warning {
                    "Warning"
                } else {
                    "Normal"
                }
                .to_owned(),
            ),
            ..Event::default()
        }
    }

    fn api(&self, content: &EventContent) -> Api<Event> {
        let namespace = &*content.regarding.name.namespace;
        let namespace = if namespace.is_empty() {
            CLUSTER_SCOPED
        } else {
            namespace
        };
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn bounded(
        &self,
        content: &EventContent,
        request: impl Future<Output = Result<Event, kube::Error>>,
    ) -> Result<Event, EventError> {
        let reason = content.reason.as_str();
        let object = || format!("{} {}", content.regarding.kind, content.regarding.name).into();
        match tokio::time::timeout(TIMEOUT, request).await {
            Ok(Ok(event)) => Ok(event),
            Ok(Err(source)) => Err(EventError::Api {
                reason,
                object: object(),
                source: Box::new(source),
            }),
            Err(_) => Err(EventError::Timeout {
                reason,
                object: object(),
            }),
        }
    }
}
