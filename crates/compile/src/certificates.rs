//! Certificates of Secrets, read once each, with the last valid one of every Secret kept.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::Certificate;
use k8s_openapi::api::core::v1::Secret;

use crate::certificate::from_secret;
use crate::{Name, Snapshot};

/// Certificates by Secret.
#[derive(Default)]
pub(crate) struct Certificates {
    known: HashMap<Name, Known, RandomState>,
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
        let secret = snapshot.secrets.get(name);
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
                Some(secret) => from_secret(secret, &name.to_string())
                    .map(Arc::new)
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
