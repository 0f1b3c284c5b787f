//! Certificates of Secrets, read once each, with the last valid one of every Secret kept.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::Certificate;

use crate::build::certificate::{CertificateError, fingerprint, from_secret};
use crate::build::interned::Interned;
use crate::objects::Secret;
use crate::{Name, Snapshot};

/// Certificates by Secret.
#[derive(Default)]
pub(crate) struct Certificates {
    known: HashMap<Name, Known, RandomState>,
    /// Certificates by the digest of their Secret's content: a wildcard certificate that is copied into a hundred
    /// namespaces is parsed and kept once.
    by_content: Interned<Certificate>,
}

struct Known {
    /// What was read; a Secret that is replaced is read again.
    secret: Option<Arc<Secret>>,
    result: Result<Arc<Certificate>, String>,
    last_valid: Option<Arc<Certificate>>,
}

impl Certificates {
    /// The certificate in the Secret `name` as it is now.
    ///
    /// # Errors
    /// Why there is none, in words for a finding.
    pub(crate) fn of(
        &mut self,
        name: &Name,
        snapshot: &Snapshot,
    ) -> Result<Arc<Certificate>, String> {
        self.look(name, snapshot).result.clone()
    }

    /// The certificate to serve: the current one or, while the Secret is broken or gone, the last valid one. With the
    /// reason why the current one cannot be used.
    pub(crate) fn serving(
        &mut self,
        name: &Name,
        snapshot: &Snapshot,
    ) -> (Option<Arc<Certificate>>, Option<String>) {
        let known = self.look(name, snapshot);
        match &known.result {
            Ok(certificate) => (Some(certificate.clone()), None),
            Err(reason) => (known.last_valid.clone(), Some(reason.clone())),
        }
    }

    /// Forgets a Secret that nothing names any more.
    pub(crate) fn forget(&mut self, name: &Name) {
        self.known.remove(name);
    }

    fn look(&mut self, name: &Name, snapshot: &Snapshot) -> &Known {
        let secret = snapshot.get::<Secret>(name);
        let known = self
            .known
            .entry(name.clone())
            .or_insert_with(|| Known::new(name));
        let same = match (secret, &known.secret) {
            (Some(new), Some(old)) => Arc::ptr_eq(new, old),
            (None, None) => true,
            _ => false,
        };
        if !same {
            known.secret = secret.cloned();
            known.result = match secret {
                None => Err(format!("there is no Secret {name}")),
                Some(secret) => read(secret, name, &mut self.by_content)
                    .map_err(|error| format!("Secret {name} {error}")),
            };
            if let Ok(certificate) = &known.result {
                known.last_valid = Some(certificate.clone());
            }
        }
        known
    }
}

impl Known {
    fn new(name: &Name) -> Self {
        Self {
            secret: None,
            result: Err(format!("there is no Secret {name}")),
            last_valid: None,
        }
    }
}

fn read(
    secret: &Secret,
    name: &Name,
    by_content: &mut Interned<Certificate>,
) -> Result<Arc<Certificate>, CertificateError> {
    let source = name.to_string();
    let digest = |key| secret.get(key).map(fingerprint).unwrap_or_default();
    let content = digest("tls.crt") + &digest("tls.key");
    let certificate = by_content.get(&content, || from_secret(secret, &source))?;
    if *certificate.source == *source {
        return Ok(certificate);
    }
    Ok(Arc::new(Certificate {
        source: source.into(),
        ..Certificate::clone(&certificate)
    }))
}
