//! Reconciles the certificate in a Secret: read, evaluate, write, update caBundle.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use rustls_pki_types::CertificateDer;

use super::configuration::{Configuration, Observed};
use super::evaluate::{self, Action, Context, Stored};
use super::secret::{self, SecretStore};
use super::{Clock, ManagedOptions, Output, ServingCertificate, WebhookCertificateError};
use crate::causes::causes;

/// Between two successful reconciliations.
const INTERVAL: Duration = Duration::from_secs(60);
/// First and longest wait after failures; it doubles.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Most attempts at writing when other clients write at the same time.
const ATTEMPTS: usize = 5;
/// Without a configuration to observe, a new CA counts as trusted after this many reconciliations: about a day.
const RECONCILIATIONS_UNTIL_TRUSTED: u32 = 24 * 60;

/// The certificate that is issued here.
pub(super) struct Managed {
    options: ManagedOptions,
    store: SecretStore,
    configuration: Option<Configuration>,
    clock: Clock,
    output: Output,
    /// The last content read, to restore the Secret if it is deleted: replicas still serve with it.
    last: Option<Stored>,
    reconciliations: u32,
    last_failure: Option<String>,
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
            reconciliations: 0,
            last_failure: None,
        }
    }

    pub(super) async fn run(mut self) {
        let mut wait = BACK_OFF.0;
        // Before changes by another client are noticed again: longer and longer if it keeps changing caBundle.
        let mut pause = Duration::ZERO;
        loop {
            let spread = 1.0 + fastrand::f64() / 5.0;
            match self.reconcile().await {
                Ok(bundle) => {
                    self.recovered();
                    wait = BACK_OFF.0;
                    let changed = async {
                        tokio::time::sleep(pause).await;
                        self.bundle_changed(bundle.as_deref()).await;
                    };
                    tokio::select! {
                        () = tokio::time::sleep(INTERVAL.mul_f64(spread)) => pause = Duration::ZERO,
                        () = changed => pause = (pause * 2).clamp(BACK_OFF.0, BACK_OFF.1),
                    }
                }
                Err(error) => {
                    self.failed(&error);
                    tokio::time::sleep(wait.mul_f64(spread)).await;
                    wait = (wait * 2).min(BACK_OFF.1);
                }
            }
        }
    }

    /// Resolves when caBundle is no longer this one. Every change of an Ingress is refused then, so that this does not wait
    /// for the next interval.
    async fn bundle_changed(&self, bundle: Option<&[u8]>) {
        match (&self.configuration, bundle) {
            (Some(configuration), Some(bundle)) => configuration.bundle_changed(bundle).await,
            (_, _) => std::future::pending().await,
        }
    }

    /// Returns caBundle.
    async fn reconcile(&mut self) -> Result<Option<Vec<u8>>, WebhookCertificateError> {
        self.reconciliations = self.reconciliations.saturating_add(1);
        for _ in 0..ATTEMPTS {
            if let Some(bundle) = self.attempt().await? {
                return Ok(bundle);
            }
        }
        Err(WebhookCertificateError::Contended {
            object: "the ValidatingWebhookConfiguration".into(),
        })
    }

    /// `None` after a conflict about the configuration: replicas that start together all write it.
    async fn attempt(&mut self) -> Result<Option<Option<Vec<u8>>>, WebhookCertificateError> {
        // A failed read of the configuration must not prevent the webhook from having a certificate.
        let observed = match &self.configuration {
            Some(configuration) => Some(configuration.read().await),
            None => None,
        };
        let present = observed
            .as_ref()
            .and_then(|observed| observed.as_ref().ok()?.as_ref());
        let (serving, bundle) = self.reconcile_secret(present).await?;
        let source = format!("Secret {}", self.options.secret);
        self.output.publish(serving, &source);
        if let (Some(configuration), Some(bundle)) = (&self.configuration, &bundle) {
            let observed = observed.transpose()?.flatten();
            if let Some(observed) = observed
                && !configuration.update(&observed, bundle).await?
            {
                return Ok(None);
            }
        }
        Ok(Some(bundle))
    }

    /// Writes the Secret if needed; returns the certificate to serve with, and caBundle.
    async fn reconcile_secret(
        &mut self,
        observed: Option<&Observed>,
    ) -> Result<(ServingCertificate, Option<Vec<u8>>), WebhookCertificateError> {
        for _ in 0..ATTEMPTS {
            let secret = self.store.read().await?;
            match self.evaluate(secret.as_ref(), observed)? {
                Action::Use(serving, bundle) => {
                    self.last = secret.as_ref().map(secret::stored);
                    return Ok((serving, bundle));
                }
                Action::Write(stored) => {
                    // Read again and evaluated in the next pass: another replica may have been first.
                    self.store.write(secret, &stored).await?;
                }
            }
        }
        Err(WebhookCertificateError::Contended {
            object: format!("Secret {}", self.options.secret).into(),
        })
    }

    fn evaluate(
        &self,
        secret: Option<&Secret>,
        observed: Option<&Observed>,
    ) -> Result<Action, WebhookCertificateError> {
        let context = Context {
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
            Some(last) if stored == Stored::default() => Ok(Action::Write(last.clone())),
            _ => evaluate::evaluate(&stored, &context, |authority| {
                self.trusts(observed, authority)
            }),
        }
    }

    fn trusts(&self, observed: Option<&Observed>, authority: &CertificateDer<'_>) -> bool {
        match (&self.configuration, observed) {
            (Some(_), Some(observed)) => observed.trusts(authority),
            (Some(_), None) => false,
            (None, _) => self.reconciliations > RECONCILIATIONS_UNTIL_TRUSTED,
        }
    }

    fn failed(&mut self, error: &WebhookCertificateError) {
        let error = causes(error);
        if self.last_failure.as_ref() == Some(&error) {
            tracing::debug!(
                error,
                "reconciling the certificate of the admission webhook still fails"
            );
        } else {
            tracing::warn!(
                error,
                "reconciling the certificate of the admission webhook failed"
            );
            self.last_failure = Some(error);
        }
    }

    fn recovered(&mut self) {
        if self.last_failure.take().is_some() {
            tracing::info!("reconciled the certificate of the admission webhook again");
        }
    }
}
