//! The session cache and ticket keys, which handshakes share so that sessions can be resumed.
//!
//! They belong to a universe of hosts and, in it, to a source of certificates, not to a listener: a client that reconnects
//! by IPv6, or to another worker, resumes its session. A session is never resumed in another universe, where the same
//! server name may belong to another site.

use std::sync::Arc;

use arc_swap::ArcSwap;
use headgate_table::{Certificates, Settings, Terminate, TlsSettings};
use rustls::crypto::aws_lc_rs;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache,
};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use super::ciphers;

/// Sessions that are kept for resumption, over all workers, for each universe and source of certificates.
const SESSIONS: usize = 10_000;

/// Sources of certificates whose sessions a universe keeps. Beyond, the oldest are dropped.
const SOURCES: usize = 16;

/// The configurations of a universe, newest first.
#[derive(Default)]
struct Configs(ArcSwap<Vec<Arc<Built>>>);

/// A configuration without a certificate, for one source of certificates and one version of the settings.
struct Built {
    source: Certificates,
    settings: TlsSettings,
    http2: bool,
    config: ServerConfig,
}

/// The library's form of `settings` for a handshake that `terminate` configures, with the certificate `key`.
pub(super) fn config(
    terminate: &Terminate,
    settings: &Settings,
    key: Arc<CertifiedKey>,
) -> Result<ServerConfig, rustls::Error> {
    let slot = terminate.hosts.slot();
    let configs: Option<&Configs> = slot.get_or_init(Arc::default);
    let mut config = match configs {
        Some(configs) => configs.config(&terminate.certificates, settings)?,
        None => build(settings)?,
    };
    config.cert_resolver = Arc::new(Certificate(Some(key)));
    Ok(config)
}

impl Configs {
    /// The configuration for `source`. Rebuilt only when the settings have changed, because it holds the sessions.
    ///
    /// Two workers that see a change at the same time both build it, and the later one stays; that costs a few resumptions.
    fn config(
        &self,
        source: &Certificates,
        settings: &Settings,
    ) -> Result<ServerConfig, rustls::Error> {
        let known = self.0.load();
        let of_source = |built: &&Arc<Built>| is_same(&built.source, source);
        if let Some(built) = known.iter().find(of_source)
            && built.settings == settings.tls
            && built.http2 == settings.http2
        {
            return Ok(built.config.clone());
        }
        let config = build(settings)?;
        let built = Arc::new(Built {
            source: source.clone(),
            settings: settings.tls.clone(),
            http2: settings.http2,
            config: config.clone(),
        });
        let others = known.iter().filter(|built| !of_source(built)).cloned();
        let all = std::iter::once(built).chain(others).take(SOURCES);
        self.0.store(Arc::new(all.collect()));
        Ok(config)
    }
}

/// The hosts of a universe are one source, whatever certificates they have.
fn is_same(one: &Certificates, other: &Certificates) -> bool {
    match (one, other) {
        (Certificates::OfHosts { .. }, Certificates::OfHosts { .. }) => true,
        (Certificates::OfListener(one), Certificates::OfListener(other)) => {
            let fingerprints = one.iter().map(|certificate| &certificate.fingerprint);
            fingerprints.eq(other.iter().map(|certificate| &certificate.fingerprint))
        }
        _ => false,
    }
}

/// The certificate of one handshake, already chosen.
#[derive(Debug)]
struct Certificate(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

fn build(settings: &Settings) -> Result<ServerConfig, rustls::Error> {
    let tls = &settings.tls;
    let provider = Arc::new(ciphers::provider(&tls.ciphers));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(tls))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Certificate(None)));
    config.ignore_client_order = true; // `ssl_prefer_server_ciphers on`
    config.max_early_data_size = 0; // it can be replayed (RFC 8446 section 8)
    config.alpn_protocols = match settings.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    if tls.session_cache {
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    if tls.session_tickets {
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.send_tls13_tickets = 2;
    }
    Ok(config)
}

/// The versions of `tls`; both when it allows none, since no client could connect then.
fn versions(tls: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    match (tls.tls12, tls.tls13) {
        (true, false) => vec![&version::TLS12],
        (false, true) => vec![&version::TLS13],
        (true, true) | (false, false) => vec![&version::TLS13, &version::TLS12],
    }
}
