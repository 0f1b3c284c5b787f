//! The Services of Gateways: what the leader makes for each of them, so that clients reach its listeners.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::ports::{GatewayPort, PortRecord};
use super::seniority::Seniority;
use super::universe::Universe;
use crate::objects::custom::{Custom, GatewayClassSpec, GatewaySpec, ServiceParameters};
use crate::{Name, Options, Protocol, Service, Snapshot, stable_hash};

/// Longest name of a Service (RFC 1035 label).
const MAX_NAME: usize = 63;
/// Labels of objects that are made for a Gateway (gateway-api.md 2.12).
const LABELS: [&str; 2] = [
    "gateway.networking.k8s.io/gateway-name",
    "gateway.networking.k8s.io/gateway-class-name",
];

/// The Service of a Gateway, as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayService {
    /// The Gateway, which owns it.
    pub gateway: Name,
    /// Its `metadata.uid`.
    pub uid: Arc<str>,
    /// The Service, in the namespace of the Gateway.
    pub name: Name,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its ports with the local ports that they lead to. `None`: not allocated yet.
    pub ports: BTreeMap<(u16, Protocol), Option<u16>>,
    /// Its other fields. `None`: they are not known, and what there is stays.
    pub parameters: Option<ServiceParameters>,
    /// The address that a load balancer should have, by `spec.addresses` of the Gateway.
    pub load_balancer_ip: Option<IpAddr>,
}

impl GatewayService {
    /// The Service of a Gateway. `None`: the Gateway has no identity, as in files.
    pub(super) fn of(gateway: &Universe, record: &PortRecord) -> Option<Self> {
        let object = &gateway.gateway;
        let spec = &object.spec;
        let infrastructure = spec.infrastructure.clone().unwrap_or_default();
        let mut labels = infrastructure.labels;
        let values = [&*object.name.name, &spec.gateway_class_name];
        for (label, value) in LABELS.into_iter().zip(values) {
            labels.insert(label.to_owned(), label_value(value));
        }
        let ports = gateway.ports().into_iter().map(|(port, protocol)| {
            let local = record.local(&GatewayPort {
                gateway: object.name.clone(),
                port,
                protocol,
            });
            ((port, protocol), local)
        });
        let requested = spec.addresses.iter();
        let mut requested = requested.filter_map(|address| address.value.as_deref()?.parse().ok());
        Some(Self {
            gateway: object.name.clone(),
            uid: object.uid.as_deref()?.into(),
            name: gateway.service.clone(),
            labels,
            annotations: infrastructure.annotations,
            ports: ports.collect(),
            parameters: gateway.placement.parameters.clone(),
            load_balancer_ip: requested.next(),
        })
    }

    /// Its ports, to be allocated.
    pub fn gateway_ports(&self) -> impl Iterator<Item = GatewayPort> {
        self.ports.keys().map(|(port, protocol)| GatewayPort {
            gateway: self.gateway.clone(),
            port: *port,
            protocol: *protocol,
        })
    }
}

/// The `metadata.uid` of the Gateways that another controller serves, by their class. Gateways without a class are not among
/// them: it may come back.
pub fn foreign_gateways(snapshot: &Snapshot, options: &Options) -> impl Iterator<Item = Arc<str>> {
    let controller = options.gateway.as_ref().map(|own| &*own.controller);
    let gateways = snapshot.all::<Custom<GatewaySpec>>();
    gateways.filter_map(move |gateway| {
        let class = Name::new("", &gateway.spec.gateway_class_name);
        let class = snapshot.get::<Custom<GatewayClassSpec>>(&class)?;
        let is_foreign = Some(&*class.spec.controller_name) != controller;
        gateway
            .uid
            .as_deref()
            .filter(|_| is_foreign)
            .map(Into::into)
    })
}

/// The name of the Service of a Gateway: the plain one. Of several Gateways with the same, such as `a-b` of class `c` and `a` of
/// class `b-c`, the most senior one has it, and the others have one with a hash. A Service that a Gateway has keeps its name.
pub(super) fn service_name(gateway: &Custom<GatewaySpec>, snapshot: &Snapshot) -> Name {
    let (plain, distinct) = (plain_name(gateway), distinct_name(gateway));
    let has = |name: &Name, gateway: &Custom<GatewaySpec>| {
        let service = snapshot.get::<Service>(name);
        service.is_some_and(|service| is_own(service, gateway))
    };
    if has(&plain, gateway) {
        return plain;
    }
    if has(&distinct, gateway) {
        return distinct;
    }
    let mut others = snapshot.all::<Custom<GatewaySpec>>().filter(|other| {
        other.name.namespace == gateway.name.namespace
            && other.name != gateway.name
            && plain_name(other) == plain
    });
    let comes_first = |other: &Arc<Custom<GatewaySpec>>| {
        has(&plain, other) || Seniority::of(other) < Seniority::of(gateway)
    };
    match others.any(comes_first) {
        true => distinct,
        false => plain,
    }
}

/// No other Gateway has it, as neither part contains a slash.
fn distinct_name(gateway: &Custom<GatewaySpec>) -> Name {
    let plain = plain_name(gateway);
    let both = format!("{}/{}", gateway.name.name, gateway.spec.gateway_class_name);
    let hash = format!("-{:08x}", stable_hash(both.bytes()));
    let length = plain.name.len().min(MAX_NAME - hash.len());
    let beginning = plain.name.get(..length).unwrap_or_default();
    let name = format!("{}{hash}", beginning.trim_end_matches('-'));
    Name::new(&gateway.name.namespace, &name)
}

/// `<gateway>-<class>`, or as much of it as fits, with a hash of the whole.
pub(super) fn plain_name(gateway: &Custom<GatewaySpec>) -> Name {
    let full = format!("{}-{}", gateway.name.name, gateway.spec.gateway_class_name);
    let name = short(&full, MAX_NAME, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'-'
    });
    // Unlike that of a Gateway, the name of a Service begins with a letter.
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let name = if begins_well {
        name
    } else {
        short(&format!("gateway-{full}."), MAX_NAME, |byte| {
            byte.is_ascii_alphanumeric() || byte == b'-'
        })
    };
    Name::new(&gateway.name.namespace, &name)
}

/// A label's value for the name of an object: the name, or as much of it as fits, with a hash of the whole.
fn label_value(name: &str) -> String {
    short(name, MAX_NAME, |byte| byte.is_ascii_graphic())
}

/// `text` if it has at most `max` bytes, all of them `allowed`; else its beginning, with `-` for other bytes, and a hash.
fn short(text: &str, max: usize, allowed: impl Fn(u8) -> bool) -> String {
    if text.len() <= max && text.bytes().all(&allowed) {
        return text.to_owned();
    }
    let hash = format!("-{:08x}", stable_hash(text.bytes()));
    let bytes = text.bytes().take(max.saturating_sub(hash.len()));
    let mut shortened: String = bytes
        .map(|byte| {
            if allowed(byte) && byte.is_ascii() {
                char::from(byte)
            } else {
                '-'
            }
        })
        .collect();
    shortened.truncate(shortened.trim_end_matches(['-', '.']).len());
    shortened + &hash
}

/// Whether a Service of a Gateway's name is that of the Gateway, not of somebody else.
pub(super) fn is_own(service: &Service, gateway: &Custom<GatewaySpec>) -> bool {
    service.owner.is_some() && service.owner.as_deref() == gateway.uid.as_deref()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use k8s_openapi::api::core::v1;

    use super::*;
    use crate::objects::custom::Delivered;
    use crate::{Kind, Object, ObjectRef};

    fn name(gateway: &str, class: &str) -> String {
        let gateway = Custom {
            name: Name::new("infra", gateway),
            uid: None,
            generation: 0,
            created: None,
            spec: GatewaySpec {
                gateway_class_name: class.to_owned(),
                ..GatewaySpec::default()
            },
        };
        plain_name(&gateway).name.to_string()
    }

    #[test]
    fn gateways_have_services_of_their_own() {
        let object = |kind: &str, name: &str, more: serde_json::Value| {
            let mut object = serde_json::json!({
                "metadata": { "name": name, "namespace": "infra", "uid": format!("uid-of-{name}") },
            });
            object["spec"] = more["spec"].clone();
            object["metadata"]["ownerReferences"] = more["owners"].clone();
            match kind {
                "Gateway" => {
                    serde_json::from_value::<Delivered<GatewaySpec>>(object).map(Object::from)
                }
                _ => serde_json::from_value::<v1::Service>(object).map(Object::from),
            }
        };
        let gateway = |name: &str, class: &str| {
            let spec = serde_json::json!({ "spec": { "gatewayClassName": class } });
            object("Gateway", name, spec).unwrap()
        };
        let mut snapshot = Snapshot::default();
        snapshot.apply(gateway("a", "b-c"));
        snapshot.apply(gateway("a-b", "c"));
        snapshot.take_changes();
        let name = |snapshot: &Snapshot, gateway: &str| {
            let gateway = Name::new("infra", gateway);
            let gateway = snapshot.get::<Custom<GatewaySpec>>(&gateway).unwrap();
            service_name(gateway, snapshot).name.to_string()
        };
        assert_eq!(name(&snapshot, "a"), "a-b-c");
        let second = name(&snapshot, "a-b");
        assert!(
            second.starts_with("a-b-c-") && second.len() == 14,
            "{second}"
        );
        let service = |name: &str, owner: &str| {
            let owner = serde_json::json!([{
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "controller": true,
                "name": owner, "uid": format!("uid-of-{owner}"),
            }]);
            object(
                "Service",
                name,
                serde_json::json!({ "spec": {}, "owners": owner }),
            )
            .unwrap()
        };
        // A Gateway that has a Service keeps it.
        snapshot.apply(service("a-b-c", "a-b"));
        snapshot.take_changes();
        assert_eq!(name(&snapshot, "a-b"), "a-b-c");
        let first = name(&snapshot, "a");
        assert!(first.starts_with("a-b-c-") && first != second, "{first}");
        snapshot.apply(service(&first, "a"));
        snapshot.delete(&ObjectRef {
            kind: Kind::Gateway,
            name: Name::new("infra", "a-b"),
        });
        snapshot.take_changes();
        assert_eq!(name(&snapshot, "a"), first);
    }

    #[test]
    fn names_of_services_are_labels() {
        assert_eq!(
            name("same-namespace", "headgate"),
            "same-namespace-headgate"
        );
        assert_eq!(name("a.b", "headgate"), "a-b-headgate-ece9484e");
        let digits = name("1st", "headgate");
        assert!(digits.starts_with("gateway-1st-headgate-"), "{digits}");
        let long = name(&"x".repeat(253), "headgate");
        assert_eq!(long.len(), MAX_NAME);
        assert_ne!(long, name(&"x".repeat(252), "headgate"));
        assert_eq!(label_value(&"x".repeat(253)).len(), MAX_NAME);
    }
}
