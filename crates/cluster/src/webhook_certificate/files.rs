//! A certificate from files.

use std::path::PathBuf;
use std::time::Duration;

use headgate_compile::certificate_from_pem;
use headgate_table::PrivateBytes;

use super::{Output, ServingCertificate, WebhookCertificateError};
use crate::causes::causes;

/// Between two reads. Not by inotify: a mounted Secret changes by a swap of symbolic links, which that would miss.
const INTERVAL: Duration = Duration::from_secs(10);

/// Reads certificate and key periodically.
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    output: Output,
    last_failure: Option<String>,
}

impl Files {
    pub(super) fn new(certificate: PathBuf, key: PathBuf, output: Output) -> Self {
        Self {
            certificate,
            key,
            output,
            last_failure: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.read().await {
                Ok(serving) => {
                    self.last_failure = None;
                    self.output
                        .publish(serving, &self.certificate.display().to_string());
                }
                Err(error) => self.failed(&error),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn read(&self) -> Result<ServingCertificate, WebhookCertificateError> {
        let serving = ServingCertificate {
            chain_pem: contents(self.certificate.clone()).await?,
            key_pem: PrivateBytes(contents(self.key.clone()).await?),
        };
        let from = self.certificate.display().to_string();
        match certificate_from_pem(&serving.chain_pem, &serving.key_pem, &from) {
            Ok(_) => Ok(serving),
            // Also when only one of the files has been replaced yet.
            Err(source) => Err(WebhookCertificateError::Unusable {
                from: from.into(),
                source,
            }),
        }
    }

    fn failed(&mut self, error: &WebhookCertificateError) {
        let error = causes(error);
        if self.last_failure.as_ref() != Some(&error) {
            tracing::warn!(
                error,
                "cannot use the certificate files of the admission webhook"
            );
            self.last_failure = Some(error);
        }
    }
}

async fn contents(file: PathBuf) -> Result<Vec<u8>, WebhookCertificateError> {
    let read = tokio::fs::read(&file).await;
    read.map_err(|source| WebhookCertificateError::File { file, source })
}
