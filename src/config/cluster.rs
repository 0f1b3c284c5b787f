//! Flags that concern the cluster.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use headgate_compile::Name;

use super::{Conflict, System};
use crate::args::Flags;

/// Configuration of `controller` alone.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) api: Api,
    /// Resync period (`--sync-period`); zero: never.
    pub(crate) resync: Duration,
    /// `--cache-dir`; `None`: no cache.
    pub(crate) cache: Option<Cache>,
    /// This replica's Pod: the identity in leader election.
    pub(crate) pod: Name,
    /// `None`: no statuses are written (`--disable-leader-election`).
    pub(crate) election: Option<Election>,
    /// `None`: no statuses are written (`--update-status=false`).
    pub(crate) status: Option<Status>,
    /// Whether to write Sync Events (`--disable-sync-events`).
    pub(crate) sync_events: bool,
    /// `None`: no webhook.
    pub(crate) webhook: Option<Webhook>,
    /// `None`: Gateways get no Services.
    pub(crate) gateways: Option<GatewayServices>,
}

/// How to reach the API server.
#[derive(Debug)]
pub(crate) struct Api {
    /// `--apiserver-host`
    pub(crate) server: Option<String>,
    /// `--certificate-authority`
    pub(crate) authority: Option<PathBuf>,
    /// `--kubeconfig`
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// The object cache on disk.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) directory: PathBuf,
    /// File with the encryption key; `None`: Secrets are not cached.
    pub(crate) key: Option<PathBuf>,
}

/// Leader election.
#[derive(Debug)]
pub(crate) struct Election {
    pub(crate) lease: Name,
    /// Duration of the Lease.
    pub(crate) ttl: Duration,
}

/// What is written to `status.loadBalancer`.
#[derive(Debug)]
pub(crate) struct Status {
    /// `--publish-service`
    pub(crate) service: Option<Name>,
    /// `--publish-status-address`
    pub(crate) addresses: Vec<String>,
    /// `--report-node-internal-ip-address`
    pub(crate) internal: bool,
    /// `--status-update-interval`
    pub(crate) interval: Duration,
    /// `--update-status-on-shutdown`
    pub(crate) clear: bool,
}

/// Services of Gateways.
#[derive(Debug)]
pub(crate) struct GatewayServices {
    /// The ConfigMap with their local ports.
    pub(crate) record: Name,
    /// `--gateway-port-range`
    pub(crate) range: RangeInclusive<u16>,
    /// `--gateway-endpoints-service`, else `--publish-service`
    pub(crate) endpoints: Name,
}

/// The admission webhook.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: WebhookCertificate,
    /// File with the CA of clients; `None`: no client certificate is required.
    pub(crate) clients: Option<PathBuf>,
}

/// Where the webhook's certificate comes from.
#[derive(Debug)]
pub(crate) enum WebhookCertificate {
    /// From files, which another program renews.
    Files {
        /// PEM file with the chain.
        certificate: PathBuf,
        /// PEM file with the key.
        key: PathBuf,
    },
    /// Generated and renewed by the replicas.
    Managed {
        /// Secret in which the replicas share it.
        secret: Name,
        /// ValidatingWebhookConfiguration whose caBundle is updated.
        configuration: Option<String>,
        /// Service whose DNS names the certificate has.
        service: Name,
    },
}

/// Minimum of `--status-update-interval`, as in ingress-nginx.
const MIN_STATUS_INTERVAL: Duration = Duration::from_secs(5);

impl Api {
    /// How flags say to reach it.
    pub(crate) fn new(flags: &Flags) -> Self {
        Self {
            server: Some(flags.text("apiserver-host")).filter(|text| !text.is_empty()),
            authority: flags.file("certificate-authority"),
            kubeconfig: flags.file("kubeconfig"),
        }
    }
}

impl Cluster {
    /// # Errors
    /// Flags of the webhook that contradict each other.
    pub(super) fn new(flags: &Flags, system: &System) -> Result<Self, Conflict> {
        let pod = pod(system);
        let election = (!flags.switch("disable-leader-election")).then(|| Election {
            lease: Name::new(&pod.namespace, &flags.text("election-id")),
            ttl: flags.duration("election-ttl"),
        });
        Ok(Self {
            gateways: election
                .as_ref()
                .and_then(|election| gateways(flags, election)),
            api: Api::new(flags),
            resync: flags.duration("sync-period"),
            cache: flags.file("cache-dir").map(|directory| Cache {
                directory,
                key: flags.file("cache-key-file"),
            }),
            election,
            status: flags.switch("update-status").then(|| status(flags)),
            sync_events: !flags.switch("disable-sync-events"),
            webhook: webhook(flags, system, &pod)?,
            pod,
        })
    }
}

/// This replica's Pod, or a name that is unique to this process.
fn pod(system: &System) -> Name {
    let namespace = match system.pod_namespace.as_str() {
        "" => "default",
        namespace => namespace,
    };
    if system.pod_name.is_empty() {
        let name = format!("{}-{}", system.host_name.trim(), std::process::id());
        Name::new(namespace, &name)
    } else {
        Name::new(namespace, &system.pod_name)
    }
}

/// Without an election no replica allocates local ports, and without endpoints nothing leads to them.
fn gateways(flags: &Flags, election: &Election) -> Option<GatewayServices> {
    let endpoints = flags.object("gateway-endpoints-service");
    let Name { namespace, name } = &election.lease;
    Some(GatewayServices {
        record: Name::new(namespace, &format!("{name}-gateway-ports")),
        range: flags.port_range("gateway-port-range")?,
        endpoints: endpoints.or_else(|| flags.object("publish-service"))?,
    })
}

fn status(flags: &Flags) -> Status {
    let addresses = flags.text("publish-status-address");
    let addresses = addresses.split(',').map(str::trim);
    Status {
        service: flags.object("publish-service"),
        addresses: addresses
            .filter(|address| !address.is_empty())
            .map(str::to_owned)
            .collect(),
        internal: flags.switch("report-node-internal-ip-address"),
        interval: flags
            .seconds("status-update-interval")
            .max(MIN_STATUS_INTERVAL),
        clear: flags.switch("update-status-on-shutdown"),
    }
}

fn webhook(flags: &Flags, system: &System, pod: &Name) -> Result<Option<Webhook>, Conflict> {
    let Some(address) = flags.host_port("validating-webhook") else {
        return Ok(None);
    };
    let host = address.host.unwrap_or_else(|| system.all_addresses());
    let file = |name| flags.file(name);
    let certificate = match (
        file("validating-webhook-certificate"),
        file("validating-webhook-key"),
    ) {
        (Some(certificate), Some(key)) => WebhookCertificate::Files { certificate, key },
        (None, None) => {
            let service = flags.object("validating-webhook-service");
            let service = service.ok_or(Conflict::WebhookWithoutCertificate)?;
            WebhookCertificate::Managed {
                secret: flags
                    .object("validating-webhook-secret")
                    .unwrap_or_else(|| Name::new(&pod.namespace, &service.name)),
                configuration: Some(flags.text("validating-webhook-configuration"))
                    .filter(|name| !name.is_empty()),
                service,
            }
        }
        _ => return Err(Conflict::HalfACertificate),
    };
    Ok(Some(Webhook {
        address: SocketAddr::new(host, address.port),
        certificate,
        clients: flags.file("validating-webhook-client-ca"),
    }))
}
