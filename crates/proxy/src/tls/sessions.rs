//! The session cache and ticket keys, which handshakes share so that sessions can be resumed.
//!
//! They belong to a universe of hosts and, in it, to a source of certificates, not to a listener: a client that reconnects
//! by IPv6, or to another worker, resumes its session. A session is never resumed in another universe, where the same
//! server name may belong to another site. Hosts and listeners that request client certificates have sessions and keys of their
//! own, which end with any change of their rules.

use std::sync::Arc;

use arc_swap::ArcSwap;
use headgate_table::{
    Certificates, ClientRules, Host, HostCiphers, ListenerClients, Settings, Slot, Terminate,
    TlsRoute, TlsSettings,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert,
    ServerSessionMemoryCache, StoresServerSessions, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::ciphers;
use super::clients::Requested;
use super::tickets::{Shared, Timed};

/// Memory that a session counts, bytes.
const SESSION: u64 = 1 << 10;

/// Maximum number of sessions, over all workers, for each universe and source of certificates.
const MAX_SESSIONS: u64 = 1 << 20;

/// Sources of certificates whose sessions a universe keeps. Beyond, the oldest are dropped.
const SOURCES: usize = 16;

/// The configurations of a universe, or of rules for clients, newest first.
#[derive(Default)]
struct Configs(ArcSwap<Vec<Arc<Built>>>);

/// A configuration without a certificate, for one source of certificates, the suites of a host and one version of the settings.
struct Built {
    source: Certificates,
    ciphers: HostCiphers,
    settings: TlsSettings,
    http2: bool,
    is_stream: bool,
    config: ServerConfig,
}

/// What a configuration is built from.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    source: &'a Certificates,
    settings: &'a Settings,
    ciphers: &'a HostCiphers,
    /// They request a certificate of the client.
    rules: Option<Rules<'a>>,
    /// The connection carries no HTTP, so that no protocol is chosen by ALPN.
    is_stream: bool,
}

/// Rules for the certificates of clients.
#[derive(Clone, Copy)]
enum Rules<'a> {
    /// The result of verification is judged with each request.
    OfHost(&'a ClientRules),
    /// The handshake may fail by them.
    OfListener(&'a ListenerClients),
}

/// The library's form of `settings` for a handshake that `terminate`, of `route`, configures for `host`, with the certificate
/// `key`.
pub(super) fn config(
    route: &TlsRoute,
    terminate: &Terminate,
    (settings, host): (&Settings, &Host),
    key: Arc<CertifiedKey>,
) -> Result<ServerConfig, rustls::Error> {
    let of_listener = terminate.clients.as_deref().map(Rules::OfListener);
    let of_host = || host.clients.requested().map(|rules| Rules::OfHost(rules));
    let rules = of_listener.or_else(of_host);
    let inputs = Inputs {
        source: &terminate.certificates,
        settings,
        ciphers: &host.ciphers,
        rules,
        is_stream: matches!(route, TlsRoute::Stream { .. }),
    };
    let slot = rules.map_or_else(|| terminate.hosts.slot(), |rules| rules.slot());
    let configs: Option<&Configs> = slot.get_or_init(Arc::default);
    let mut config = match configs {
        Some(configs) => configs.config(inputs)?,
        None => build(inputs)?,
    };
    config.cert_resolver = Arc::new(Certificate(Some(key)));
    Ok(config)
}

impl Configs {
    /// The configuration for `inputs`. Rebuilt only when the settings have changed, because it holds the sessions.
    ///
    /// Two workers that see a change at the same time both build it, and the later one stays; that costs a few resumptions.
    fn config(&self, inputs: Inputs<'_>) -> Result<ServerConfig, rustls::Error> {
        let settings = inputs.settings;
        let known = self.0.load();
        let of_source = |built: &&Arc<Built>| {
            is_same(&built.source, inputs.source)
                && built.ciphers == *inputs.ciphers
                && built.is_stream == inputs.is_stream
        };
        if let Some(built) = known.iter().find(of_source)
            && built.settings == settings.tls
            && built.http2 == settings.http2
        {
            return Ok(built.config.clone());
        }
        let config = build(inputs)?;
        let built = Arc::new(Built {
            source: inputs.source.clone(),
            ciphers: inputs.ciphers.clone(),
            settings: settings.tls.clone(),
            http2: settings.http2,
            is_stream: inputs.is_stream,
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
        (Certificates::OfListener(one), Certificates::OfListener(other)) => are_same(one, other),
        (Certificates::Shared(one), Certificates::Shared(other)) => {
            are_same(&one.listener, &other.listener)
        }
        _ => false,
    }
}

fn are_same(
    one: &[Arc<headgate_table::Certificate>],
    other: &[Arc<headgate_table::Certificate>],
) -> bool {
    let fingerprints = one.iter().map(|certificate| &certificate.fingerprint);
    fingerprints.eq(other.iter().map(|certificate| &certificate.fingerprint))
}

/// The certificate of one handshake, already chosen.
#[derive(Debug)]
struct Certificate(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

fn build(inputs: Inputs<'_>) -> Result<ServerConfig, rustls::Error> {
    let (tls, own) = (&inputs.settings.tls, inputs.ciphers);
    let names = own.names.as_ref().unwrap_or(&tls.ciphers);
    let provider = Arc::new(ciphers::provider(names, &tls.groups));
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(tls))?;
    let builder = match inputs.rules {
        None => builder.with_no_client_auth(),
        Some(rules) => builder.with_client_cert_verifier(rules.verifier(provider)?),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Certificate(None)));
    config.ignore_client_order = !own.client_order.unwrap_or(tls.client_order);
    config.max_early_data_size = 0; // it can be replayed (RFC 8446 section 8)
    config.alpn_protocols = match (inputs.is_stream, inputs.settings.http2) {
        (true, _) => Vec::new(),
        (false, true) => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        (false, false) => vec![b"http/1.1".to_vec()],
    };
    if tls.session_cache {
        let sessions = (tls.session_cache_size / SESSION).clamp(1, MAX_SESSIONS);
        let cache = ServerSessionMemoryCache::new(usize::try_from(sessions).unwrap_or(usize::MAX));
        let cache: Arc<dyn StoresServerSessions> = cache;
        config.session_storage = Arc::new(Timed::new(tls.session_timeout, cache));
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    if tls.session_tickets {
        config.ticketer = Arc::new(Timed::new(tls.session_timeout, tickets(tls, inputs.rules)?));
        config.send_tls13_tickets = 2;
    }
    Ok(config)
}

impl<'a> Rules<'a> {
    /// Rules with the same id have the same result for every certificate.
    fn id(self) -> &'a str {
        match self {
            Self::OfHost(rules) => &rules.trust.id,
            Self::OfListener(clients) => &clients.trust.id,
        }
    }

    fn slot(self) -> &'a Slot {
        match self {
            Self::OfHost(rules) => &rules.slot,
            Self::OfListener(clients) => &clients.slot,
        }
    }

    fn verifier(
        self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
        let trust = match self {
            Self::OfListener(clients) if clients.required => &clients.trust,
            Self::OfListener(ListenerClients { trust, .. })
            | Self::OfHost(ClientRules { trust, .. }) => {
                return Ok(Arc::new(Requested::new(trust)));
            }
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trust.authorities.iter().cloned());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build();
        // Without a usable authority.
        verifier
            .map(|verifier| verifier as _)
            .map_err(|error| rustls::Error::General(error.to_string()))
    }
}

/// Rules for clients have tickets of their own, even under a shared key.
fn tickets(
    tls: &TlsSettings,
    rules: Option<Rules<'_>>,
) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    match &tls.ticket_key {
        None => aws_lc_rs::Ticketer::new(),
        Some(key) => {
            let purpose = rules.map_or("", |rules| rules.id());
            Ok(Arc::new(Shared::new(&key.0, purpose.as_bytes())?))
        }
    }
}

/// The versions of `tls`; both when it allows none, since no client could connect then.
fn versions(tls: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    match (tls.tls12, tls.tls13) {
        (true, false) => vec![&version::TLS12],
        (false, true) => vec![&version::TLS13],
        (true, true) | (false, false) => vec![&version::TLS13, &version::TLS12],
    }
}
