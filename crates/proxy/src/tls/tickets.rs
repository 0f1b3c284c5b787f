//! Sessions that end: a timeout for those in memory and in tickets, and tickets under a key that replicas share.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, rand};
use rustls::server::{ProducesTickets, StoresServerSessions};
use rustls_pki_types::UnixTime;

/// Length of the time before a session, bytes.
const TIME: usize = 8;

/// Sessions of `inner`, each with the time at which it was made. After the timeout they are not found. Tickets, which another
/// replica may read, have the time of the day; if that is set back, they are not found until it has caught up.
#[derive(Debug)]
pub(super) struct Timed<T: ?Sized> {
    timeout: Duration,
    inner: Arc<T>,
}

impl<T: ?Sized> Timed<T> {
    pub(super) fn new(timeout: Duration, inner: Arc<T>) -> Self {
        Self { timeout, inner }
    }

    fn unless_old(&self, stored: &[u8], now: u64) -> Option<Vec<u8>> {
        let (time, session) = stored.split_first_chunk::<TIME>()?;
        let age = now.checked_sub(u64::from_be_bytes(*time))?;
        (age <= self.timeout.as_secs()).then(|| session.to_vec())
    }
}

fn now() -> u64 {
    UnixTime::now().as_secs()
}

/// Seconds on a clock of this process that cannot be set.
fn uptime() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed().as_secs()
}

fn with_time(session: &[u8], now: u64) -> Vec<u8> {
    let mut stored = Vec::with_capacity(TIME + session.len());
    stored.extend_from_slice(&now.to_be_bytes());
    stored.extend_from_slice(session);
    stored
}

impl StoresServerSessions for Timed<dyn StoresServerSessions> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.inner.put(key, with_time(&value, uptime()))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.unless_old(&self.inner.get(key)?, uptime())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.unless_old(&self.inner.take(key)?, uptime())
    }

    fn can_cache(&self) -> bool {
        self.inner.can_cache()
    }
}

impl ProducesTickets for Timed<dyn ProducesTickets> {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&with_time(plain, now()))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.unless_old(&self.inner.decrypt(cipher)?, now())
    }
}

/// Tickets under a configured key: AES-256-GCM with a random nonce before it.
pub(super) struct Shared(LessSafeKey);

impl Shared {
    /// The key for one `purpose`: tickets for one purpose are not valid for another.
    pub(super) fn new(key: &[u8], purpose: &[u8]) -> Result<Self, rustls::Error> {
        let unusable = |_| rustls::Error::General("unusable ticket key".to_owned());
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"headgate session tickets").extract(key);
        let info = [purpose];
        let derived = secret.expand(&info, &AES_256_GCM).map_err(unusable)?;
        Ok(Self(LessSafeKey::new(UnboundKey::from(derived))))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl ProducesTickets for Shared {
    fn enabled(&self) -> bool {
        true
    }

    /// [`Timed`] replaces it.
    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?; // without randomness there is no ticket
        let mut sealed = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let result = self
            .0
            .seal_in_place_append_tag(unique, Aad::empty(), &mut sealed);
        result.ok()?;
        let mut ticket = nonce.to_vec();
        ticket.append(&mut sealed);
        Some(ticket)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = cipher.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, Aad::empty(), &mut sealed);
        plain.ok().map(|plain| plain.to_vec()) // any other ticket means a full handshake
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn replicas_with_one_key_share_tickets_of_one_purpose() {
        let made = |key: u8, purpose: &[u8]| Shared::new(&[key; 48], purpose).unwrap();
        let ticket = made(1, b"a").encrypt(b"session").unwrap();
        assert_eq!(made(1, b"a").decrypt(&ticket).unwrap(), b"session");
        for other in [made(2, b"a"), made(1, b"b")] {
            assert_eq!(other.decrypt(&ticket), None);
        }
        for broken in [&ticket[..5], &ticket[..ticket.len() - 1], b""] {
            assert_eq!(made(1, b"a").decrypt(broken), None);
        }
    }

    /// Sessions in memory, which remembers what is stored.
    #[derive(Debug, Default)]
    struct Memory(parking_lot::Mutex<Vec<u8>>);

    impl StoresServerSessions for Memory {
        fn put(&self, _key: Vec<u8>, value: Vec<u8>) -> bool {
            *self.0.lock() = value;
            true
        }

        fn get(&self, _key: &[u8]) -> Option<Vec<u8>> {
            Some(self.0.lock().clone())
        }

        fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
            self.get(key)
        }

        fn can_cache(&self) -> bool {
            true
        }
    }

    #[test]
    fn sessions_in_memory_do_not_depend_on_the_time_of_the_day() {
        let memory = Arc::new(Memory::default());
        let inner: Arc<dyn StoresServerSessions> = memory.clone();
        let timed = Timed::new(Duration::from_secs(600), inner);
        assert!(timed.put(Vec::new(), b"session".to_vec()));
        let stored = memory.0.lock().clone();
        let time = u64::from_be_bytes(stored[..TIME].try_into().unwrap());
        assert!(time <= uptime() && uptime() < now(), "{time}");
        assert_eq!(timed.get(b"").unwrap(), b"session");
    }

    #[test]
    fn sessions_end_after_the_timeout() {
        let inner: Arc<dyn ProducesTickets> = Arc::new(Shared::new(&[1; 48], b"").unwrap());
        let timed = Timed::new(Duration::from_secs(60), inner.clone());
        assert_eq!(timed.lifetime(), 60);
        assert_eq!(
            timed.decrypt(&timed.encrypt(b"session").unwrap()).unwrap(),
            b"session"
        );
        // The last is of a clock that was set back since.
        for (age, found) in [(30, true), (61, false), (-3600, false)] {
            let mut stored = now().saturating_add_signed(-age).to_be_bytes().to_vec();
            stored.extend_from_slice(b"session");
            let ticket = inner.encrypt(&stored).unwrap();
            assert_eq!(timed.decrypt(&ticket).is_some(), found, "{age}");
        }
    }
}
