//! A certificate from files.

use std::path::PathBuf;
use std::time::Duration;

use headgate_compile::certificate_from_pem;
use headgate_table::PrivateBytes;

use super::{Output, ServingCertificate, WebhookCertificateError};
use crate::causes::causes;

/// Between two looks. A mounted Secret changes by a swap of symbolic links, which watching the files would not show.
const LOOK: Duration = Duration::from_secs(10);

/// Reads two files again and again.
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    output: Output,
    trouble: Option<String>,
}

impl Files {
    pub(super) fn new(certificate: PathBuf, key: PathBuf, output: Output) -> Self {
        Self {
            certificate,
            key,
            output,
            trouble: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.read().await {
                Ok(serving) => {
                    self.trouble = None;
                    self.output
                        .publish(serving, &self.certificate.display().to_string());
                }
                Err(error) => self.failed(&error),
            }
            tokio::time::sleep(LOOK).await;
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
            // Also when the one file is new already and the other is not yet.
            Err(source) => Err(WebhookCertificateError::Unusable {
                from: from.into(),
                source,
            }),
        }
    }

    fn failed(&mut self, error: &WebhookCertificateError) {
        let error = causes(error);
        if self.trouble.as_ref() != Some(&error) {
            tracing::warn!(error, "no new certificate for the admission webhook");
            self.trouble = Some(error);
        }
    }
}

async fn contents(file: PathBuf) -> Result<Vec<u8>, WebhookCertificateError> {
    let read = tokio::fs::read(&file).await;
    read.map_err(|source| WebhookCertificateError::File { file, source })
}
