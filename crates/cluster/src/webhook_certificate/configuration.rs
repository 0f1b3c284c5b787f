//! caBundle of the webhook configuration.

use std::time::Duration;

use futures_util::StreamExt as _;
use headgate_compile::Name;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingWebhook, ValidatingWebhookConfiguration,
};
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::WebhookCertificateError;
use super::error::bounded;
use super::evaluate::certificates;
use crate::field_manager::FIELD_MANAGER;

/// `timeoutSeconds` of a watch.
const WATCH_SECONDS: u32 = 290;
/// Between two watches.
const REWATCH: Duration = Duration::from_secs(5);

/// Reads the configuration, and writes only webhooks that call this controller's Service.
pub(super) struct Configuration {
    api: Api<ValidatingWebhookConfiguration>,
    name: Box<str>,
    service: Name,
}

/// The observed configuration.
pub(super) struct Observed {
    version: Option<String>,
    /// Index and caBundle of the webhooks that call this controller's Service.
    webhooks: Vec<(usize, Vec<u8>)>,
}

impl Configuration {
    pub(super) fn new(client: Client, name: Box<str>, service: Name) -> Self {
        Self {
            api: Api::all(client),
            name,
            service,
        }
    }

    /// `None` when the configuration does not exist.
    pub(super) async fn read(&self) -> Result<Option<Observed>, WebhookCertificateError> {
        match self.bounded("reading", self.api.get(&self.name)).await {
            Ok(configuration) => Ok(Some(self.observed(configuration))),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets caBundle of this controller's webhooks. False after a conflict with another client's change since the read.
    pub(super) async fn update(
        &self,
        observed: &Observed,
        bundle: &[u8],
    ) -> Result<bool, WebhookCertificateError> {
        let outdated = observed
            .webhooks
            .iter()
            .filter(|(_, present)| present != bundle);
        let encoded = serde_json::to_value(k8s_openapi::ByteString(bundle.to_vec()));
        let encoded = encoded.unwrap_or_default();
        let mut operations: Vec<Value> = outdated
            .map(|(index, _)| {
                let path = format!("/webhooks/{index}/clientConfig/caBundle");
                json!({"op": "add", "path": path, "value": encoded})
            })
            .collect();
        if operations.is_empty() {
            return Ok(true);
        }
        // An outdated version makes the patch a conflict.
        operations.push(
            json!({"op": "add", "path": "/metadata/resourceVersion", "value": observed.version}),
        );
        let Ok(patch) = serde_json::from_value(Value::Array(operations)) else {
            return Ok(false);
        };
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch: Patch<()> = Patch::Json(patch);
        let patched = self.api.patch(&self.name, &params, &patch);
        match self.bounded("writing", patched).await {
            Ok(_) => {
                tracing::info!(configuration = %self.name, "updated caBundle of the webhook configuration");
                Ok(true)
            }
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Resolves when caBundle of one of this controller's webhooks is another one. Never if the watch is refused.
    pub(super) async fn bundle_changed(&self, bundle: &[u8]) {
        let params = WatchParams::default()
            .fields(&format!("metadata.name={}", self.name))
            .timeout(WATCH_SECONDS)
            .disable_bookmarks();
        loop {
            // From version 0 a watch begins with the present object.
            let Ok(events) = self.api.watch(&params, "0").await else {
                return std::future::pending().await;
            };
            let mut events = std::pin::pin!(events);
            while let Some(Ok(event)) = events.next().await {
                if let WatchEvent::Added(present) | WatchEvent::Modified(present) = event
                    && !self.observed(present).has(bundle)
                {
                    return;
                }
            }
            tokio::time::sleep(REWATCH).await;
        }
    }

    fn observed(&self, configuration: ValidatingWebhookConfiguration) -> Observed {
        let webhooks = configuration.webhooks.into_iter().flatten().enumerate();
        let own = webhooks.filter(|(_, webhook)| self.calls_service(webhook));
        Observed {
            version: configuration.metadata.resource_version,
            webhooks: own
                .map(|(index, webhook)| {
                    let bundle = webhook.client_config.ca_bundle;
                    (index, bundle.map(|bundle| bundle.0).unwrap_or_default())
                })
                .collect(),
        }
    }

    fn calls_service(&self, webhook: &ValidatingWebhook) -> bool {
        let service = webhook.client_config.service.as_ref();
        service.is_some_and(|service| {
            service.namespace == *self.service.namespace && service.name == *self.service.name
        })
    }

    async fn bounded(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<ValidatingWebhookConfiguration, kube::Error>>,
    ) -> Result<ValidatingWebhookConfiguration, WebhookCertificateError> {
        let object = format!("ValidatingWebhookConfiguration {}", self.name);
        bounded(action, object, request).await
    }
}

impl Observed {
    fn has(&self, bundle: &[u8]) -> bool {
        let mut webhooks = self.webhooks.iter();
        webhooks.all(|(_, present)| present == bundle)
    }

    /// Whether caBundle of all of this controller's webhooks has this CA.
    pub(super) fn trusts(&self, authority: &CertificateDer<'_>) -> bool {
        let mut bundles = self.webhooks.iter().map(|(_, bundle)| certificates(bundle));
        bundles.all(|bundle| bundle.iter().any(|certificate| certificate == authority))
    }
}
