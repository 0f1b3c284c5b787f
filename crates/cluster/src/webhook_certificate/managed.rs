//! Keeping a certificate in a Secret: read, judge, write, update caBundle, and again.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use rustls_pki_types::CertificateDer;

use super::configuration::{Configuration, Observed};
use super::judge::{self, Around, Stored, Verdict};
use super::secret::{self, SecretStore};
use super::{Clock, ManagedOptions, Output, ServingCertificate, WebhookCertificateError};
use crate::causes::causes;

/// Between two looks when all is well.
const LOOK: Duration = Duration::from_secs(60);
/// Waits after failures: doubled from the one to the other.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// So often it is tried to write before others who write are given time.
const ATTEMPTS: usize = 5;
/// Without a configuration to look at, a new authority is taken to be trusted after so many looks.
const LOOKS_UNTIL_TRUSTED: u32 = 24 * 60;

/// The certificate that is made here.
pub(super) struct Managed {
    options: ManagedOptions,
    store: SecretStore,
    configuration: Option<Configuration>,
    clock: Clock,
    output: Output,
    /// What was last read, to put it back if the Secret is deleted: replicas go on to show what it held.
    last: Option<Stored>,
    looks: u32,
    trouble: Option<String>,
}

impl Managed {
    pub(super) fn new(
        client: Client,
        options: ManagedOptions,
        clock: Clock,
        output: Output,
    ) -> Self {
        let store = SecretStore::new(client.clone(), options.secret.clone());
        let configuration = options
            .configuration
            .clone()
            .map(|name| Configuration::new(client, name, options.service.clone()));
        Self {
            options,
            store,
            configuration,
            clock,
            output,
            last: None,
            looks: 0,
            trouble: None,
        }
    }

    pub(super) async fn run(mut self) {
        let mut wait = BACK_OFF.0;
        loop {
            let spread = 1.0 + fastrand::f64() / 5.0;
            match self.look().await {
                Ok(()) => {
                    self.recovered();
                    wait = BACK_OFF.0;
                    tokio::time::sleep(LOOK.mul_f64(spread)).await;
                }
                Err(error) => {
                    self.failed(&error);
                    tokio::time::sleep(wait.mul_f64(spread)).await;
                    wait = (wait * 2).min(BACK_OFF.1);
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), WebhookCertificateError> {
        self.looks = self.looks.saturating_add(1);
        // A configuration that cannot be read must not keep the webhook from having a certificate.
        let observed = match &self.configuration {
            Some(configuration) => Some(configuration.read().await),
            None => None,
        };
        let present = observed
            .as_ref()
            .and_then(|observed| observed.as_ref().ok()?.as_ref());
        let (serving, bundle) = self.settle(present).await?;
        let source = format!("Secret {}", self.options.secret);
        self.output.publish(serving, &source);
        if let (Some(configuration), Some(bundle)) = (&self.configuration, &bundle) {
            let observed = observed.transpose()?.flatten();
            let Some(observed) = observed else {
                return Ok(());
            };
            if !configuration.update(&observed, bundle).await? {
                return Err(WebhookCertificateError::Contended {
                    object: "the ValidatingWebhookConfiguration".into(),
                });
            }
        }
        Ok(())
    }

    /// Brings the Secret into order; what to show and what is to be trusted.
    async fn settle(
        &mut self,
        observed: Option<&Observed>,
    ) -> Result<(ServingCertificate, Option<Vec<u8>>), WebhookCertificateError> {
        for _ in 0..ATTEMPTS {
            let secret = self.store.read().await?;
            match self.judge(secret.as_ref(), observed)? {
                Verdict::Use(serving, bundle) => {
                    self.last = secret.as_ref().map(secret::stored);
                    return Ok((serving, bundle));
                }
                Verdict::Write(stored) => {
                    // What was written is read back and judged like another's.
                    self.store.write(secret, &stored).await?;
                }
            }
        }
        Err(WebhookCertificateError::Contended {
            object: format!("Secret {}", self.options.secret).into(),
        })
    }

    fn judge(
        &self,
        secret: Option<&Secret>,
        observed: Option<&Observed>,
    ) -> Result<Verdict, WebhookCertificateError> {
        let around = Around {
            secret: &self.options.secret,
            service: &self.options.service,
            now: (self.clock)(),
        };
        let stored = secret.map(secret::stored).unwrap_or_default();
        let managed = self
            .last
            .as_ref()
            .filter(|last| last.authority_key.is_some());
        match managed {
            Some(last) if stored == Stored::default() => Ok(Verdict::Write(last.clone())),
            _ => judge::judge(&stored, &around, |authority| {
                self.trusts(observed, authority)
            }),
        }
    }

    fn trusts(&self, observed: Option<&Observed>, authority: &CertificateDer<'_>) -> bool {
        match (&self.configuration, observed) {
            (Some(_), Some(observed)) => observed.trusts(authority),
            (Some(_), None) => false,
            (None, _) => self.looks > LOOKS_UNTIL_TRUSTED,
        }
    }

    fn failed(&mut self, error: &WebhookCertificateError) {
        let error = causes(error);
        if self.trouble.as_ref() == Some(&error) {
            tracing::debug!(
                error,
                "the certificate of the admission webhook is still not in order"
            );
        } else {
            tracing::warn!(
                error,
                "the certificate of the admission webhook is not in order"
            );
            self.trouble = Some(error);
        }
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("the certificate of the admission webhook is in order again");
        }
    }
}
