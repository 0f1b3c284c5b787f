//! Load-balancer statuses, as far as they are read and written.

use std::net::IpAddr;
use std::sync::Arc;

/// An entry of `status.loadBalancer.ingress`. Ports are neither read nor written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// An IP address, in its original notation.
    pub ip: Option<Arc<str>>,
    /// A host name.
    pub hostname: Option<Arc<str>>,
}

impl Address {
    /// `text` as an IP address if it is one, else as a host name.
    pub fn parse(text: &str) -> Self {
        let text: Arc<str> = text.into();
        if text.parse::<IpAddr>().is_ok() {
            Self {
                ip: Some(text),
                hostname: None,
            }
        } else {
            Self {
                ip: None,
                hostname: Some(text),
            }
        }
    }

    /// An entry with these fields, empty ones counting as absent.
    pub fn new(ip: Option<&str>, hostname: Option<&str>) -> Self {
        let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(Arc::from);
        Self {
            ip: given(ip),
            hostname: given(hostname),
        }
    }
}

/// The status of an Ingress as last observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// `metadata.uid`: an Ingress that was deleted and created again is another one.
    pub uid: Arc<str>,
    /// `status.loadBalancer.ingress`, in its order.
    pub entries: Arc<[Address]>,
    /// Whether the field manager `headgate` owns `status.loadBalancer`; see
    /// [`owns_status`](super::owns_status).
    pub managed: bool,
}

/// The fields of the Service of `--publish-service`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishService {
    /// `spec.type`.
    pub kind: ServiceKind,
    /// `status.loadBalancer.ingress`.
    pub load_balancer: Vec<Address>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<Arc<str>>,
    /// `spec.clusterIP`; `None` when it is empty or `"None"`.
    pub cluster_ip: Option<Arc<str>>,
    /// `spec.externalName`.
    pub external_name: Option<Arc<str>>,
}

/// The type of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the Kubernetes API")]
pub enum ServiceKind {
    #[default]
    ClusterIp,
    NodePort,
    LoadBalancer,
    ExternalName,
}
