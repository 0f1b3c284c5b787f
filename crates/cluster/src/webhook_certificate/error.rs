//! Failures of issuing, reading and writing the webhook's certificate.

use std::path::PathBuf;
use std::time::Duration;

use headgate_compile::CertificateError;

/// Why there is no certificate, or it was not renewed.
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
    /// The content is not a certificate with its key.
    #[error("{from}")]
    Unusable {
        /// The files or the Secret.
        from: Box<str>,
        /// Why it cannot be used.
        source: CertificateError,
    },
    /// A Secret of another owner lacks the certificate or its key.
    #[error(
        "Secret {secret} has no ca.key, so it is not managed here, and lacks tls.crt or tls.key; add them, or empty the Secret to have it managed"
    )]
    Incomplete {
        /// The Secret.
        secret: Box<str>,
    },
    /// The API server refused the request or is unreachable.
    #[error("{action} {object}")]
    Api {
        /// `reading`, `creating` or `writing`.
        action: &'static str,
        /// Kind and name.
        object: Box<str>,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// No response in time.
    #[error("{action} {object}: no response in time")]
    Timeout {
        /// `reading`, `creating` or `writing`.
        action: &'static str,
        /// Kind and name.
        object: Box<str>,
    },
    /// Other clients kept writing at the same time.
    #[error("writing {object}: conflict at every attempt")]
    Contended {
        /// Kind and name.
        object: Box<str>,
    },
    /// A certificate could not be issued.
    #[error("issuing a certificate")]
    Issue(#[source] rcgen::Error),
}

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The response to a request about `object`, with a timeout.
pub(super) async fn bounded<T>(
    action: &'static str,
    object: String,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, WebhookCertificateError> {
    let object = object.into();
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(source)) => Err(WebhookCertificateError::Api {
            action,
            object,
            source: Box::new(source),
        }),
        Err(_) => Err(WebhookCertificateError::Timeout { action, object }),
    }
}

impl WebhookCertificateError {
    /// The status code of the API server's response.
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
