//! caBundle of the webhook configuration.

use headgate_compile::Name;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingWebhook, ValidatingWebhookConfiguration,
};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::WebhookCertificateError;
use super::error::bounded;
use super::judge::certificates;
use crate::field_manager::FIELD_MANAGER;

/// Reads and writes the configuration, and of it only the webhooks that are behind our Service.
pub(super) struct Configuration {
    api: Api<ValidatingWebhookConfiguration>,
    name: Box<str>,
    service: Name,
}

/// The configuration as it was read.
pub(super) struct Observed {
    version: Option<String>,
    /// Those behind our Service: where they stand, and which bundle they have.
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

    /// None when there is no configuration.
    pub(super) async fn read(&self) -> Result<Option<Observed>, WebhookCertificateError> {
        match self.bounded("reading", self.api.get(&self.name)).await {
            Ok(configuration) => Ok(Some(self.observed(configuration))),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether all of ours have this bundle now: not if somebody else changed the configuration since it was read.
    pub(super) async fn update(
        &self,
        observed: &Observed,
        bundle: &[u8],
    ) -> Result<bool, WebhookCertificateError> {
        let wrong = observed
            .webhooks
            .iter()
            .filter(|(_, present)| present != bundle);
        let encoded = serde_json::to_value(k8s_openapi::ByteString(bundle.to_vec()));
        let encoded = encoded.unwrap_or_default();
        let mut operations: Vec<Value> = wrong
            .map(|(at, _)| {
                let path = format!("/webhooks/{at}/clientConfig/caBundle");
                json!({"op": "add", "path": path, "value": encoded})
            })
            .collect();
        if operations.is_empty() {
            return Ok(true);
        }
        // A version that is not the present one makes it a conflict.
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

    fn observed(&self, configuration: ValidatingWebhookConfiguration) -> Observed {
        let webhooks = configuration.webhooks.into_iter().flatten().enumerate();
        let ours = webhooks.filter(|(_, webhook)| self.is_ours(webhook));
        Observed {
            version: configuration.metadata.resource_version,
            webhooks: ours
                .map(|(at, webhook)| {
                    let bundle = webhook.client_config.ca_bundle;
                    (at, bundle.map(|bundle| bundle.0).unwrap_or_default())
                })
                .collect(),
        }
    }

    fn is_ours(&self, webhook: &ValidatingWebhook) -> bool {
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
    /// Whether all of ours trust this authority.
    pub(super) fn trusts(&self, authority: &CertificateDer<'_>) -> bool {
        let mut bundles = self.webhooks.iter().map(|(_, bundle)| certificates(bundle));
        bundles.all(|bundle| bundle.iter().any(|certificate| certificate == authority))
    }
}
