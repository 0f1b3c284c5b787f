//! Ingresses as objects of the Gateway API with HeadgatePolicies, which serve the same.
//!
//! The routes are those of the compiled table, so conflicts, expressions, canaries and redirects are resolved already; what a
//! route has no field for is in policies, field by field as in the annotations. Everything that cannot be said is a remark.

mod backends;
mod fields;
mod host;
mod listeners;
mod names;
mod paths;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use self::fields::OfIngress;
use self::listeners::Listeners;
use self::names::Names;
use crate::{Compiled, Name, Options, Snapshot};

/// The most rules of an HTTPRoute.
const MAX_RULES: usize = 16;
/// The most targets of a policy.
const MAX_TARGETS: usize = 16;

/// The Gateway to convert to.
#[derive(Clone, Debug)]
pub struct GatewayTarget {
    /// Its namespace and name.
    pub name: Name,
    /// Its GatewayClass.
    pub class: String,
}

/// The result of a conversion.
#[derive(Clone, Debug, Default)]
pub struct Conversion {
    /// Objects of the Gateway API and policies, in the order in which to apply them.
    pub objects: Vec<Value>,
    /// What the objects do not say, in order.
    pub remarks: Vec<Remark>,
}

/// Something that the objects do not say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// The object that says it, such as `Ingress shop/web`.
    pub object: String,
    /// The annotation, key or field.
    pub field: String,
    /// What is lost or different.
    pub message: String,
    /// Whether requests may be served otherwise; else it is only worth knowing.
    pub lost: bool,
}

/// Converts the served Ingresses of `compiled`, which `snapshot` was compiled to under `options`.
pub fn convert(
    compiled: &Compiled,
    snapshot: &Snapshot,
    options: &Options,
    target: &GatewayTarget,
) -> Conversion {
    let mut converter = Converter {
        compiled,
        snapshot,
        options,
        target,
        listeners: Listeners::default(),
        names: Names::default(),
        ingresses: BTreeMap::new(),
        routes: Vec::new(),
        grants: BTreeSet::new(),
        remarks: BTreeSet::new(),
    };
    converter.ingresses();
    converter.hosts();
    converter.finish()
}

struct Converter<'a> {
    compiled: &'a Compiled,
    snapshot: &'a Snapshot,
    options: &'a Options,
    target: &'a GatewayTarget,
    listeners: Listeners,
    names: Names,
    ingresses: BTreeMap<Name, OfIngress>,
    routes: Vec<Value>,
    grants: BTreeSet<Grant>,
    remarks: BTreeSet<Remark>,
}

/// A reference into another namespace: the kind and namespace that it is from, and the kind and name that it is to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    from: (&'static str, String),
    to: (&'static str, Name),
}

impl Converter<'_> {
    fn remark(&mut self, object: &str, field: &str, message: impl Into<String>, lost: bool) {
        self.remarks.insert(Remark {
            object: object.to_owned(),
            field: field.to_owned(),
            message: message.into(),
            lost,
        });
    }

    fn lost(&mut self, ingress: &Name, field: &str, message: impl Into<String>) {
        self.remark(&format!("Ingress {ingress}"), field, message, true);
    }

    /// Notes a reference that needs a ReferenceGrant.
    fn grant(&mut self, from: (&'static str, &str), to: (&'static str, &Name)) {
        if from.1 != &*to.1.namespace {
            self.grants.insert(Grant {
                from: (from.0, from.1.to_owned()),
                to: (to.0, to.1.clone()),
            });
        }
    }

    fn finish(mut self) -> Conversion {
        let policies = self.policies();
        let mut objects = self.listeners.objects(self.target);
        objects.extend(self.grants.iter().map(|grant| self.names.grant(grant)));
        objects.append(&mut self.routes);
        objects.extend(policies);
        Conversion {
            objects,
            remarks: self.remarks.into_iter().collect(),
        }
    }

    /// The policies: the defaults of the ConfigMap, then those of Ingresses.
    fn policies(&mut self) -> Vec<Value> {
        let mut policies = Vec::new();
        let defaults = self.defaults();
        if !defaults.is_empty() && !self.routes.is_empty() {
            let Name { namespace, name } = &self.target.name;
            let target = json!({
                "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": &**name,
            });
            let wanted = format!("{name}-defaults");
            policies.push(self.policy(namespace, &wanted, vec![target], defaults));
        }
        for (ingress, of) in std::mem::take(&mut self.ingresses) {
            let all = [
                (of.routes, of.fields),
                (of.rewritten, of.rewrite.unwrap_or_default()),
            ];
            for (targets, fields) in all {
                if fields.is_empty() {
                    continue;
                }
                for targets in targets.chunks(MAX_TARGETS) {
                    let targets = targets.to_vec();
                    let policy =
                        self.policy(&ingress.namespace, &ingress.name, targets, fields.clone());
                    policies.push(policy);
                }
            }
        }
        policies
    }

    fn policy(
        &mut self,
        namespace: &str,
        wanted: &str,
        targets: Vec<Value>,
        fields: Map<String, Value>,
    ) -> Value {
        let mut spec = Map::from_iter([("targetRefs".to_owned(), targets.into())]);
        spec.extend(fields);
        let name = self.names.unique("HeadgatePolicy", namespace, wanted);
        json!({
            "apiVersion": "headgate.dev/v1alpha1",
            "kind": "HeadgatePolicy",
            "metadata": { "name": name, "namespace": namespace },
            "spec": spec,
        })
    }
}
