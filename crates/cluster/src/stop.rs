//! Stops a workload of this controller before its permissions are deleted: its last replica clears the statuses of Ingresses
//! while it still may.

use std::time::Duration;

use headgate_compile::Name;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde::Deserialize as _;
use serde_json::json;

use crate::causes::causes;
use crate::field_manager::FIELD_MANAGER;
use crate::pods::Pod;

/// Between two checks of whether Pods are left.
const INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A label that no node has.
const NOWHERE: &str = "headgate.invalid/stopped";

/// A workload whose Pods can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// Scaled to zero.
    Deployment,
    /// Gets a node selector that matches no node.
    DaemonSet,
}

/// Why a workload was not stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The API server refused a request or is unreachable.
    #[error("{action} {object}: {cause}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// Kind, namespace and name.
        object: Box<str>,
        /// Why it failed.
        cause: String,
        /// Status code of the response, if there was one.
        code: Option<u16>,
    },
    /// The workload selects Pods by expressions, or not at all.
    #[error("{object} has no spec.selector.matchLabels, so its Pods are not known")]
    Selector {
        /// Kind, namespace and name.
        object: Box<str>,
    },
    /// Pods are left.
    #[error("Pods of {object} are left after {} s: statuses of Ingresses may keep addresses", .after.as_secs())]
    Timeout {
        /// Kind, namespace and name.
        object: Box<str>,
        /// The timeout.
        after: Duration,
    },
}

/// Stops the Pods of a workload and waits until they are gone, at most for `limit`. A workload that does not exist is stopped.
///
/// # Errors
/// When the API server refuses a request, or Pods are left.
pub async fn stop_workload(
    client: &Client,
    kind: WorkloadKind,
    name: &Name,
    limit: Duration,
) -> Result<(), StopError> {
    let stopping = Stopping { client, kind, name };
    let selector = match stopping.stop().await {
        Ok(selector) => selector,
        Err(StopError::Api {
            code: Some(404), ..
        }) => return Ok(()),
        Err(error) => return Err(error),
    };
    tracing::info!(workload = %stopping.object(), "stopped; waiting for its Pods to end");
    let gone = async {
        while stopping.has_pods(&selector).await? {
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(())
    };
    match tokio::time::timeout(limit, gone).await {
        Ok(result) => result,
        Err(_) => Err(StopError::Timeout {
            object: stopping.object(),
            after: limit,
        }),
    }
}

struct Stopping<'a> {
    client: &'a Client,
    kind: WorkloadKind,
    name: &'a Name,
}

impl Stopping<'_> {
    /// Returns the label selector of the Pods.
    async fn stop(&self) -> Result<String, StopError> {
        let (client, namespace) = (self.client.clone(), &*self.name.namespace);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let selector = match self.kind {
            // The subresource needs no permission to change anything else.
            WorkloadKind::Deployment => {
                let api: Api<Deployment> = Api::namespaced(client, namespace);
                let patch = Patch::Merge(json!({"spec": {"replicas": 0}}));
                let scaled = api.patch_scale(&self.name.name, &params, &patch);
                let scale = self.bounded("scaling", scaled).await?;
                scale.status.and_then(|status| status.selector)
            }
            WorkloadKind::DaemonSet => {
                let kind = ApiResource::erase::<DaemonSet>(&());
                let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &kind);
                let selector = json!({"nodeSelector": {NOWHERE: "true"}});
                let patch = Patch::Merge(json!({"spec": {"template": {"spec": selector}}}));
                let stopped = api.patch(&self.name.name, &params, &patch);
                let stopped = self.bounded("changing", stopped).await?;
                let selector = &stopped.data["spec"]["selector"];
                LabelSelector::deserialize(selector)
                    .ok()
                    .and_then(|selector| labels(&selector))
            }
        };
        let selector = selector.filter(|selector| !selector.is_empty());
        selector.ok_or_else(|| StopError::Selector {
            object: self.object(),
        })
    }

    /// Whether a Pod of the selector has not ended.
    async fn has_pods(&self, selector: &str) -> Result<bool, StopError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.name.namespace);
        let params = ListParams::default().labels(selector);
        let pods = self
            .bounded("listing Pods of", api.list(&params))
            .await?
            .items;
        Ok(!pods.iter().all(Pod::has_ended))
    }

    fn object(&self) -> Box<str> {
        let kind = match self.kind {
            WorkloadKind::Deployment => "Deployment",
            WorkloadKind::DaemonSet => "DaemonSet",
        };
        format!("{kind} {}", self.name).into()
    }

    async fn bounded<T>(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, StopError> {
        let failed = |cause, code| StopError::Api {
            action,
            object: self.object(),
            cause,
            code,
        };
        match tokio::time::timeout(TIMEOUT, request).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let code = match &error {
                    kube::Error::Api(status) => Some(status.code),
                    _ => None,
                };
                Err(failed(causes(&error), code))
            }
            Err(_) => Err(failed("no response in time".to_owned(), None)),
        }
    }
}

/// A selector of labels as text; `None` if it has expressions, which this controller's workloads do not have.
fn labels(selector: &LabelSelector) -> Option<String> {
    if selector
        .match_expressions
        .as_ref()
        .is_some_and(|all| !all.is_empty())
    {
        return None;
    }
    let labels = selector.match_labels.iter().flatten();
    let terms: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Some(terms.join(","))
}
