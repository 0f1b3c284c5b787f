//! What can go wrong with the webhook's certificate.

use std::path::PathBuf;
use std::time::Duration;

use headgate_compile::CertificateError;

/// Why there is no certificate, or the present one was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookCertificateError {
    /// A file could not be read.
    #[error("reading {}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// What was read is no certificate with its key.
    #[error("{from}")]
    Unusable {
        /// The files or the Secret.
        from: Box<str>,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// A Secret of somebody else lacks what is needed.
    #[error(
        "Secret {secret} is not managed here (it has no ca.key) and lacks tls.crt or tls.key; fill it, or empty it to have it managed"
    )]
    Incomplete {
        /// The Secret.
        secret: Box<str>,
    },
    /// The API server refused or could not be asked.
    #[error("{action} {object}")]
    Api {
        /// `reading`, `creating` or `writing`.
        action: &'static str,
        /// Kind and name.
        object: Box<str>,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("{action} {object}: no answer in time")]
    Timeout {
        /// What was tried.
        action: &'static str,
        /// Kind and name.
        object: Box<str>,
    },
    /// Others kept writing at the same time.
    #[error("{object} changed each time that it was to be written")]
    Contended {
        /// Kind and name.
        object: Box<str>,
    },
    /// A certificate could not be made.
    #[error("making a certificate")]
    Issue(#[source] rcgen::Error),
}

/// The API server has so long to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer to a request that is about `object`, if it comes in time.
pub(super) async fn bounded<T>(
    action: &'static str,
    object: String,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, WebhookCertificateError> {
    let object = object.into();
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(WebhookCertificateError::Api {
            action,
            object,
            source: Box::new(source),
        }),
        Err(_) => Err(WebhookCertificateError::Timeout { action, object }),
    }
}

impl WebhookCertificateError {
    /// The status code that the API server answered with.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }
}
