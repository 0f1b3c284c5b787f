//! Reads the running ingress-nginx, once and without writing: its workloads, and the values of its Helm release.

use headgate_compile::{Name, Workload};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};

use crate::causes::causes;

/// Objects of one page of a list.
const PAGE: u32 = 500;
/// Labels that the charts and manifests of ingress-nginx give its workloads, tried before all workloads are listed.
const LABELS: &str = "app.kubernetes.io/name=ingress-nginx";

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("listing {what}: {cause}")]
pub struct ReadError {
    what: &'static str,
    cause: String,
    /// Whether the API server responded: it refused the request, and other requests may be allowed.
    pub is_refusal: bool,
}

impl ReadError {
    fn new(what: &'static str, error: &kube::Error) -> Self {
        Self {
            what,
            cause: causes(error),
            is_refusal: matches!(error, kube::Error::Api(_)),
        }
    }
}

/// The workloads of ingress-nginx, sorted.
///
/// # Errors
/// When Deployments or DaemonSets cannot be listed.
pub async fn workloads(client: &Client) -> Result<Vec<Workload>, ReadError> {
    let labelled = listed(client, Some(LABELS)).await?;
    if !labelled.is_empty() {
        return Ok(labelled);
    }
    listed(client, None).await
}

async fn listed(client: &Client, labels: Option<&str>) -> Result<Vec<Workload>, ReadError> {
    let mut found = Vec::new();
    for (what, kind) in [
        ("Deployments", ApiResource::erase::<Deployment>(&())),
        ("DaemonSets", ApiResource::erase::<DaemonSet>(&())),
    ] {
        each(client, labels, (what, &kind), |object| {
            let object = serde_json::to_value(object);
            found.extend(
                object
                    .ok()
                    .and_then(|object| Workload::read(&kind.kind, object)),
            );
        })
        .await?;
    }
    found.sort();
    Ok(found)
}

/// Calls `take` with each object of a kind in all namespaces, page by page.
async fn each(
    client: &Client,
    labels: Option<&str>,
    (what, kind): (&'static str, &ApiResource),
    mut take: impl FnMut(DynamicObject),
) -> Result<(), ReadError> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), kind);
    let mut page = ListParams::default().limit(PAGE);
    if let Some(labels) = labels {
        page = page.labels(labels);
    }
    loop {
        let list = api
            .list(&page)
            .await
            .map_err(|error| ReadError::new(what, &error))?;
        let next = list.metadata.continue_.filter(|token| !token.is_empty());
        list.items.into_iter().for_each(&mut take);
        match next {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// The stored form of a Helm release: the key `release` of its newest Secret. `None` if Helm stores it elsewhere.
///
/// # Errors
/// When Secrets of its namespace cannot be listed.
pub async fn helm_release(client: &Client, release: &Name) -> Result<Option<Vec<u8>>, ReadError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &release.namespace);
    let labels = format!("owner=helm,status=deployed,name={}", release.name);
    let list = api.list(&ListParams::default().labels(&labels)).await;
    let list = list.map_err(|error| ReadError::new("Secrets of Helm", &error))?;
    let version = |secret: &Secret| -> u64 {
        let labels = secret.metadata.labels.as_ref();
        let version = labels.and_then(|labels| labels.get("version")?.parse().ok());
        version.unwrap_or_default()
    };
    let newest = list.items.into_iter().max_by_key(version);
    let data = newest.and_then(|secret| secret.data?.remove("release"));
    Ok(data.map(|data| data.0))
}
