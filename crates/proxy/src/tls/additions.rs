//! What completes a certificate while the process runs: a stapled OCSP response (RFC 6066 section 8) and missing intermediate
//! certificates.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use headgate_table::Certificate;
use rustls::sign::CertifiedKey;
use rustls_pki_types::UnixTime;

/// The run-time state of a certificate, in its slot.
#[derive(Default)]
pub(crate) struct Additions {
    /// With its missing intermediates.
    completed: ArcSwapOption<CertifiedKey>,
    stapled: ArcSwapOption<Stapled>,
}

/// A certificate with an OCSP response.
struct Stapled {
    key: Arc<CertifiedKey>,
    /// Seconds since the epoch after which the response must not be sent.
    until: u64,
}

impl Additions {
    /// The key with its complete chain, if it was completed.
    pub(crate) fn completed(&self) -> Option<Arc<CertifiedKey>> {
        self.completed.load_full()
    }

    /// Removes the OCSP response.
    pub(crate) fn remove_staple(&self) {
        self.stapled.store(None);
    }

    /// Sets the complete chain, also of what is stapled.
    pub(crate) fn complete(&self, key: CertifiedKey) {
        let key = Arc::new(key);
        self.completed.store(Some(key.clone()));
        if let Some(stapled) = self.stapled.load_full() {
            let mut key = CertifiedKey::clone(&key);
            key.ocsp.clone_from(&stapled.key.ocsp);
            self.stapled.store(Some(Arc::new(Stapled {
                key: Arc::new(key),
                until: stapled.until,
            })));
        }
    }

    /// Sets the OCSP response for `own`, the key as it is in the table; it must not be sent after `until`, seconds since the epoch.
    pub(crate) fn staple(&self, own: &CertifiedKey, response: Vec<u8>, until: u64) {
        let completed = self.completed.load();
        let mut key = CertifiedKey::clone(completed.as_deref().unwrap_or(own));
        key.ocsp = Some(response);
        self.stapled.store(Some(Arc::new(Stapled {
            key: Arc::new(key),
            until,
        })));
    }
}

/// The chain and key for a handshake with `certificate`, with an OCSP response if `staples` and there is a current one.
pub(super) fn serving_key(certificate: &Certificate, staples: bool) -> Arc<CertifiedKey> {
    let Some(additions) = certificate.slot.get::<Additions>() else {
        return certificate.key.clone();
    };
    let stapled = additions.stapled.load();
    let stapled = stapled.as_ref().filter(|_| staples);
    if let Some(stapled) = stapled.filter(|stapled| UnixTime::now().as_secs() < stapled.until) {
        return stapled.key.clone();
    }
    let completed = additions.completed.load_full();
    completed.unwrap_or_else(|| certificate.key.clone())
}
