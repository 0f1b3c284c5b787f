//! The Secret that stores the certificate.

use headgate_compile::Name;
use headgate_table::PrivateBytes;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};

use super::WebhookCertificateError;
use super::error::bounded;
use super::evaluate::Stored;
use crate::field_manager::FIELD_MANAGER;

pub(super) struct SecretStore {
    api: Api<Secret>,
    name: Name,
}

impl SecretStore {
    pub(super) fn new(client: Client, name: Name) -> Self {
        Self {
            api: Api::namespaced(client, &name.namespace),
            name,
        }
    }

    /// `None` when the Secret does not exist.
    pub(super) async fn read(&self) -> Result<Option<Secret>, WebhookCertificateError> {
        match self.bounded("reading", self.api.get(&self.name.name)).await {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// False after a conflict: another client created or changed the Secret since `before` was read.
    pub(super) async fn write(
        &self,
        before: Option<Secret>,
        stored: &Stored,
    ) -> Result<bool, WebhookCertificateError> {
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let result = match before {
            Some(mut secret) => {
                secret.metadata.managed_fields = None;
                fill(&mut secret, stored);
                let replaced = self.api.replace(&self.name.name, &params, &secret);
                self.bounded("writing", replaced).await
            }
            None => {
                let secret = self.first(stored);
                self.bounded("creating", self.api.create(&params, &secret))
                    .await
            }
        };
        match result {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn first(&self, stored: &Stored) -> Secret {
        let mut secret = Secret {
            metadata: ObjectMeta {
                namespace: Some(self.name.namespace.to_string()),
                name: Some(self.name.name.to_string()),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        fill(&mut secret, stored);
        secret
    }

    async fn bounded(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<Secret, kube::Error>>,
    ) -> Result<Secret, WebhookCertificateError> {
        let object = format!("Secret {}", self.name);
        bounded(action, object, request).await
    }
}

/// The content of the Secret; empty values count as absent, as charts may create them.
pub(super) fn stored(secret: &Secret) -> Stored {
    let value = |key: &str| {
        let value = secret.data.as_ref()?.get(key)?;
        (!value.0.is_empty()).then(|| value.0.clone())
    };
    Stored {
        authorities: value("ca.crt"),
        authority_key: value("ca.key").map(PrivateBytes),
        chain: value("tls.crt"),
        key: value("tls.key").map(PrivateBytes),
    }
}

fn fill(secret: &mut Secret, stored: &Stored) {
    let data = secret.data.get_or_insert_default();
    let values = [
        ("ca.crt", stored.authorities.as_ref()),
        ("ca.key", stored.authority_key.as_ref().map(|key| &key.0)),
        ("tls.crt", stored.chain.as_ref()),
        ("tls.key", stored.key.as_ref().map(|key| &key.0)),
    ];
    for (key, value) in values {
        if let Some(value) = value {
            data.insert(key.to_owned(), ByteString(value.clone()));
        }
    }
}
