//! Certificates of Secrets. Each version of a Secret is parsed once, and the last valid certificate of each is kept.

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
    entries: HashMap<Name, Entry, RandomState>,
    /// Certificates by the digest of their Secret's content: a wildcard certificate that is copied into a hundred
    /// namespaces is parsed and stored once.
    by_content: Interned<Certificate>,
}

struct Entry {
    /// The version of the Secret that was parsed.
    secret: Option<Arc<Secret>>,
    result: Result<Arc<Certificate>, String>,
    last_valid: Option<Arc<Certificate>>,
}

impl Certificates {
    /// The certificate in the current version of the Secret `name`.
    ///
    /// # Errors
    /// The reason why there is none, for a finding.
    pub(crate) fn current(
        &mut self,
        name: &Name,
        snapshot: &Snapshot,
    ) -> Result<Arc<Certificate>, String> {
        self.entry(name, snapshot).result.clone()
    }

    /// The certificate to serve: the current one or, while the Secret is invalid or missing, the last valid one and the
    /// reason why the current one cannot be used.
    pub(crate) fn serving(
        &mut self,
        name: &Name,
        snapshot: &Snapshot,
    ) -> (Option<Arc<Certificate>>, Option<String>) {
        let entry = self.entry(name, snapshot);
        match &entry.result {
            Ok(certificate) => (Some(certificate.clone()), None),
            Err(reason) => (entry.last_valid.clone(), Some(reason.clone())),
        }
    }

    /// Removes a Secret that is no longer referenced.
    pub(crate) fn forget(&mut self, name: &Name) {
        self.entries.remove(name);
    }

    fn entry(&mut self, name: &Name, snapshot: &Snapshot) -> &Entry {
        let secret = snapshot.get::<Secret>(name);
        let entry = self
            .entries
            .entry(name.clone())
            .or_insert_with(|| Entry::new(name));
        let same = match (secret, &entry.secret) {
            (Some(new), Some(old)) => Arc::ptr_eq(new, old),
            (None, None) => true,
            _ => false,
        };
        if !same {
            entry.secret = secret.cloned();
            entry.result = match secret {
                None => Err(format!("there is no Secret {name}")),
                Some(secret) => parse(secret, name, &mut self.by_content)
                    .map_err(|error| format!("Secret {name} {error}")),
            };
            if let Ok(certificate) = &entry.result {
                entry.last_valid = Some(certificate.clone());
            }
        }
        entry
    }
}

impl Entry {
    fn new(name: &Name) -> Self {
        Self {
            secret: None,
            result: Err(format!("there is no Secret {name}")),
            last_valid: None,
        }
    }
}

fn parse(
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
