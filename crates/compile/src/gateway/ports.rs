//! The record of local ports: which port of the replicas serves which port of which Gateway.
//!
//! All replicas listen on the same local ports, to which the Services of Gateways lead. The leader allocates them and writes the
//! record, a ConfigMap; the others read it. A port keeps its Gateway, and the port of a Gateway that is gone is not allocated to
//! another one for [`HOLD`], so that what is still sent to it reaches no other Gateway.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::RangeInclusive;

use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};

use crate::objects::Protocol;
use crate::{ConfigMap, Name};

/// How long the port of a Gateway that is gone stays allocated.
const HOLD: SignedDuration = SignedDuration::from_hours(1);
/// Between the port and the time since which it is not used.
const SINCE: &str = " unused since ";

/// A port of a Gateway, as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayPort {
    /// The Gateway.
    pub gateway: Name,
    /// The port of its listeners.
    pub port: u16,
    /// That of the port; all listeners but those for UDP are on TCP.
    pub protocol: Protocol,
}

/// Allocated local ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortRecord {
    /// By local port.
    allocated: BTreeMap<u16, Allocation>,
    local: HashMap<GatewayPort, u16, RandomState>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Allocation {
    port: GatewayPort,
    /// Since when no Gateway has the port.
    unused: Option<Timestamp>,
}

impl PortRecord {
    /// The record that a ConfigMap has. Entries that cannot be read are left out.
    pub fn read(map: &ConfigMap) -> Self {
        Self::of(map.data())
    }

    /// The record of the data of a ConfigMap.
    pub fn of(data: &BTreeMap<String, String>) -> Self {
        let mut record = Self::default();
        for (key, value) in data {
            if let (Ok(local @ 1..), Some(allocation)) = (key.parse(), Allocation::parse(value)) {
                record.insert(local, allocation);
            }
        }
        record
    }

    /// The data of the ConfigMap, such as `20000: infra/edge:443/TCP`.
    pub fn data(&self) -> BTreeMap<String, String> {
        let all = self.allocated.iter();
        all.map(|(local, allocation)| (local.to_string(), allocation.to_string()))
            .collect()
    }

    /// The local port of a port.
    pub fn local(&self, port: &GatewayPort) -> Option<u16> {
        self.local.get(port).copied()
    }

    /// Allocates a port of `range` to each of `wanted`; ports that are not among them are unused from `now` on. Returns those
    /// for which there is no port.
    pub fn allocate(
        &mut self,
        wanted: &BTreeSet<GatewayPort>,
        range: RangeInclusive<u16>,
        now: Timestamp,
    ) -> Vec<GatewayPort> {
        let is_kept = |local: u16, allocation: &Allocation| {
            let held = allocation
                .unused
                .is_none_or(|since| now.duration_since(since) < HOLD);
            (wanted.contains(&allocation.port) && range.contains(&local)) || held
        };
        let former = std::mem::take(self);
        for (local, mut allocation) in former.allocated {
            if !is_kept(local, &allocation) {
                continue;
            }
            let is_used = wanted.contains(&allocation.port) && range.contains(&local);
            allocation.unused = (!is_used).then(|| allocation.unused.unwrap_or(now));
            self.insert(local, allocation);
        }
        let mut free = range.filter(|local| *local > 0);
        let mut missing = Vec::new();
        for port in wanted {
            if self.local.contains_key(port) {
                continue;
            }
            match free.find(|local| !self.allocated.contains_key(local)) {
                Some(local) => self.insert(
                    local,
                    Allocation {
                        port: port.clone(),
                        unused: None,
                    },
                ),
                None => missing.push(port.clone()),
            }
        }
        missing
    }

    /// Of two local ports for one port, the first is used.
    fn insert(&mut self, local: u16, allocation: Allocation) {
        let port = allocation.port.clone();
        let is_usable = allocation.unused.is_none();
        self.allocated.insert(local, allocation);
        if is_usable {
            self.local.entry(port).or_insert(local);
        }
    }
}

impl Allocation {
    fn parse(text: &str) -> Option<Self> {
        let (port, unused) = match text.split_once(SINCE) {
            Some((port, since)) => (port, Some(since.parse().ok()?)),
            None => (text, None),
        };
        let (gateway, port) = port.split_once(':')?;
        let (namespace, name) = gateway.split_once('/')?;
        let (port, protocol) = port.split_once('/')?;
        Some(Self {
            port: GatewayPort {
                gateway: Name::new(namespace, name),
                port: port.parse().ok()?,
                protocol: Protocol::of(Some(protocol))?,
            },
            unused,
        })
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.port.fmt(f)?;
        match self.unused {
            Some(since) => write!(f, "{SINCE}{since}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for GatewayPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            gateway,
            port,
            protocol,
        } = self;
        write!(f, "{gateway}:{port}/{}", protocol.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn ports(names: &[(&str, u16)]) -> BTreeSet<GatewayPort> {
        let all = names.iter().map(|(name, port)| GatewayPort {
            gateway: Name::new("infra", name),
            port: *port,
            protocol: Protocol::Tcp,
        });
        all.collect()
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    fn shown(record: &PortRecord) -> Vec<String> {
        let data = record.data();
        assert_eq!(PortRecord::of(&data), *record);
        data.into_iter()
            .map(|(key, value)| format!("{key} {value}"))
            .collect()
    }

    #[test]
    fn ports_are_stable_and_held_after_their_gateway_is_gone() {
        let mut record = PortRecord::default();
        let both = ports(&[("b", 80), ("c", 80)]);
        assert!(record.allocate(&both, 20000..=20002, at(0)).is_empty());
        let first = record.clone();
        assert!(record.allocate(&both, 20000..=20002, at(1)).is_empty());
        assert_eq!(record, first, "nothing changed");
        let others = ports(&[("a", 80), ("c", 80)]);
        assert!(record.allocate(&others, 20000..=20002, at(2)).is_empty());
        let held = [
            "20000 infra/b:80/TCP unused since 1970-01-01T00:02:00Z",
            "20001 infra/c:80/TCP",
            "20002 infra/a:80/TCP",
        ];
        assert_eq!(shown(&record), held);
        let (gone, kept) = (ports(&[("b", 80)]), ports(&[("c", 80)]));
        assert_eq!(record.local(gone.first().unwrap()), None);
        assert_eq!(record.local(kept.first().unwrap()), Some(20001));
        let more = ports(&[("a", 80), ("c", 80), ("d", 80)]);
        let missing = record.allocate(&more, 20000..=20002, at(61));
        assert_eq!(missing, ports(&[("d", 80)]).into_iter().collect::<Vec<_>>());
        let mut again = record.clone();
        let back = ports(&[("a", 80), ("b", 80), ("c", 80)]);
        assert!(again.allocate(&back, 20000..=20002, at(61)).is_empty());
        assert_eq!(again.local(gone.first().unwrap()), Some(20000));
        assert!(record.allocate(&more, 20000..=20002, at(62)).is_empty());
        assert_eq!(shown(&record)[0], "20000 infra/d:80/TCP");
    }

    #[test]
    fn another_range_moves_ports_and_what_cannot_be_read_is_left_out() {
        let data = [
            ("20000", "infra/a:80/TCP"),
            ("20001", "infra/a:80/UDP"),
            ("0", "infra/x:80/TCP"),
            ("x", "infra/x:80/TCP"),
            ("20002", "infra/x:80"),
            ("20003", "infra:80/TCP"),
            ("20004", "infra/x:80/TCP unused since yesterday"),
        ];
        let data = data.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut record = PortRecord::of(&data.into());
        assert_eq!(record.data().len(), 2);
        let wanted = ports(&[("a", 80)]);
        assert!(record.allocate(&wanted, 30000..=30001, at(0)).is_empty());
        assert_eq!(record.local(wanted.first().unwrap()), Some(30000));
        assert_eq!(record.data().len(), 3);
    }
}
