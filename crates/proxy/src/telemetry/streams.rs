//! Counters of TCP and UDP sessions by port.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chain::Chain;
use super::count::Count;
use super::family::{Families, sample};
use super::names;
use super::worker::Counters;

/// The protocol of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// As in logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// A port and its protocol.
pub(crate) type Port = (Protocol, u16);

/// Counters of the sessions of one port and worker.
#[derive(Debug, Default)]
pub(crate) struct PortCounts {
    /// Sessions that are open now.
    open: Count,
    /// Sessions that ended, by status.
    ended: Chain<(u16, Count)>,
    /// Bytes from clients.
    received: Count,
    /// Bytes to clients.
    sent: Count,
}

/// The counters of one worker, by port.
pub(super) type Ports = Chain<(Port, Arc<PortCounts>)>;

impl PortCounts {
    /// Those of `port` among `ports`.
    pub(super) fn of(ports: &Ports, port: Port) -> Arc<Self> {
        let known = ports.iter().find(|(known, _)| *known == port);
        let (_, counts) = known.unwrap_or_else(|| ports.push(|| (port, Arc::default())));
        counts.clone()
    }

    pub(crate) fn begin(&self) {
        self.open.add(1);
    }

    pub(crate) fn end(&self, status: u16) {
        self.open.decrement();
        let known = self.ended.iter().find(|(known, _)| *known == status);
        let (_, count) = known.unwrap_or_else(|| self.ended.push(|| (status, Count::default())));
        count.add(1);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.received.add(bytes);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.add(bytes);
    }
}

/// The sums of all workers.
pub(super) fn collect(families: &mut Families, workers: &[Arc<Counters>]) {
    let mut open: BTreeMap<Port, u64> = BTreeMap::new();
    let mut ended: BTreeMap<(Port, u16), u64> = BTreeMap::new();
    let mut bytes: BTreeMap<(Port, &str), u64> = BTreeMap::new();
    for (port, counts) in workers.iter().flat_map(|worker| worker.ports.iter()) {
        *open.entry(*port).or_default() += counts.open.value();
        *bytes.entry((*port, "received")).or_default() += counts.received.value();
        *bytes.entry((*port, "sent")).or_default() += counts.sent.value();
        for (status, count) in counts.ended.iter() {
            *ended.entry((*port, *status)).or_default() += count.value();
        }
    }
    let open = open.into_iter().map(|(port, count)| (port, None, count));
    add(families, &names::STREAM_OPEN, open);
    let ended = ended.into_iter();
    let ended = ended.map(|((port, status), n)| (port, Some(("status", status.to_string())), n));
    add(families, &names::STREAM_SESSIONS, ended);
    let bytes = bytes.into_iter();
    let bytes = bytes.map(|((port, way), n)| (port, Some(("direction", way.to_owned())), n));
    add(families, &names::STREAM_BYTES, bytes);
}

/// Adds a metric by protocol, port, and perhaps another label.
fn add(
    families: &mut Families,
    name: &names::Name,
    values: impl Iterator<Item = (Port, Option<(&'static str, String)>, u64)>,
) {
    let samples = values.map(|((protocol, port), other, value)| {
        let port = port.to_string();
        let mut labels = vec![("protocol", protocol.as_str()), ("port", &*port)];
        let other = other.as_ref();
        labels.extend(other.map(|(label, text)| (*label, text.as_str())));
        sample(name, families.labels(&labels), value as f64)
    });
    let samples = samples.collect();
    families.add(name, samples);
}
