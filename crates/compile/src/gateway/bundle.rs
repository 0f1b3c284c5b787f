//! Authorities in ConfigMaps (gateway-api.md 2.10, 5.1).

use rustls_pki_types::CertificateDer;

use crate::build::certificate::{authorities, fingerprint};
use crate::objects::ConfigMap;
use crate::{Name, Snapshot};

/// The authorities of several ConfigMaps.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// Digests of the texts that they are from.
    pub(super) digest: String,
}

impl Bundle {
    /// Adds the authorities in `ca.crt` of a ConfigMap.
    ///
    /// # Errors
    /// Why there are none, as a message.
    pub(super) fn add(&mut self, name: &Name, snapshot: &Snapshot) -> Result<(), String> {
        let map = snapshot.get::<ConfigMap>(name);
        let map = map.ok_or_else(|| format!("there is no ConfigMap {name}"))?;
        let text = map.data().get("ca.crt").filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| {
            format!("ConfigMap {name} has no key \"ca.crt\" with PEM certificates of authorities")
        })?;
        let read = authorities(text.as_bytes()).map_err(|error| {
            let error = error.to_string().replacen("tls.crt", "ca.crt", 1);
            format!("ConfigMap {name}: {error}")
        })?;
        self.authorities.extend(read.iter().cloned());
        self.digest.push_str(&fingerprint(text.as_bytes()));
        Ok(())
    }
}
