//! What the flags say about the cluster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use headgate_compile::Name;

use super::{Conflict, System};
use crate::args::Flags;

/// The controller's part of the configuration.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The way to the API server.
    pub(crate) api: Api,
    /// Labels of the namespaces to watch (`--watch-namespace-selector`).
    pub(crate) namespace_selector: Option<String>,
    /// Read everything again this often (`--sync-period`); zero: never.
    pub(crate) resync: Duration,
    /// The copy of the last objects.
    pub(crate) cache: Option<Cache>,
    /// Our Pod, by which replicas know each other.
    pub(crate) pod: Name,
    /// Who writes statuses; `None`: nobody (`--disable-leader-election`).
    pub(crate) election: Option<Election>,
    /// Statuses; `None`: none are written (`--update-status=false`).
    pub(crate) status: Option<Status>,
    /// Tell on each Ingress that it was taken in.
    pub(crate) sync_events: bool,
    /// The admission webhook.
    pub(crate) webhook: Option<Webhook>,
}

/// The way to the API server.
#[derive(Debug)]
pub(crate) struct Api {
    /// `--apiserver-host`
    pub(crate) server: Option<String>,
    /// `--certificate-authority`
    pub(crate) authority: Option<PathBuf>,
    /// `--kubeconfig`
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// The copy of the last objects.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The file with the key that seals it.
    pub(crate) key: Option<PathBuf>,
}

/// The election of a leader.
#[derive(Debug)]
pub(crate) struct Election {
    /// The Lease.
    pub(crate) lease: Name,
    /// How long it lasts.
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

/// The admission webhook.
#[derive(Debug)]
pub(crate) struct Webhook {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it proves to be itself with.
    pub(crate) certificate: WebhookCertificate,
    /// File with the authorities of those who may ask; `None`: everybody may.
    pub(crate) clients: Option<PathBuf>,
}

/// Where the webhook's certificate comes from.
#[derive(Debug)]
pub(crate) enum WebhookCertificate {
    /// From files, which somebody else renews.
    Files {
        /// Chain as PEM.
        certificate: PathBuf,
        /// Key as PEM.
        key: PathBuf,
    },
    /// From ourselves.
    Managed {
        /// Where replicas share it.
        secret: Name,
        /// Who is told its authority.
        configuration: Option<String>,
        /// Whose names it is for.
        service: Name,
    },
}

/// Shorter intervals would only repeat what is known (ingress-nginx has the same bound).
const LEAST_STATUS_INTERVAL: Duration = Duration::from_secs(5);

impl Cluster {
    /// What these flags mean on this system.
    pub(super) fn new(flags: &Flags, system: &System) -> Result<Self, Conflict> {
        let text = |name| Some(flags.text(name)).filter(|text| !text.is_empty());
        let pod = pod(system);
        let election = (!flags.switch("disable-leader-election")).then(|| Election {
            lease: Name::new(&pod.namespace, &flags.text("election-id")),
            ttl: flags.duration("election-ttl"),
        });
        Ok(Self {
            api: Api {
                server: text("apiserver-host"),
                authority: flags.file("certificate-authority"),
                kubeconfig: flags.file("kubeconfig"),
            },
            namespace_selector: text("watch-namespace-selector"),
            resync: flags.duration("sync-period"),
            cache: flags.file("cache-dir").map(|folder| Cache {
                folder,
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

/// Our Pod, or a name that no other process on this or another machine has.
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
            .max(LEAST_STATUS_INTERVAL),
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
