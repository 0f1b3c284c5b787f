//! HeadgatePolicies of routes and of their Gateways.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::Slot;

use super::Pass;
use crate::ObjectRef;
use crate::findings::Source;
use crate::gateway::applied::{self, Applied, Scope};
use crate::gateway::backend::Origin;
use crate::gateway::state::{PolicyDefaults, Route};
use crate::ingress::policy;
use crate::objects::custom::{Custom, HeadgatePolicySpec};
use crate::policies::{TargetKind, Values};

/// The policies of a rule, in the order in which they override each other, and its name if it has one of its own.
type Levels<'r> = (Vec<Arc<Custom<HeadgatePolicySpec>>>, Option<&'r str>);

impl Pass<'_> {
    /// Reads the defaults of what policies leave out. Returns whether they changed.
    pub(super) fn defaults_of_policies(&mut self) -> bool {
        let settings = applied::defaults(self.settings);
        let changed = self.state.defaults.settings != settings;
        if changed {
            self.state.defaults = PolicyDefaults::new(settings);
        }
        changed
    }

    /// What policies configure of each rule, for requests from `origin`. Rules with the same policies share it.
    pub(super) fn applied(
        &mut self,
        object: &ObjectRef,
        rules: &[Option<&str>],
        (origin, counters): (&Origin, &mut BTreeMap<String, Slot>),
    ) -> Vec<Option<Arc<Applied>>> {
        if self.policies.is_empty() {
            return Vec::new();
        }
        let of_route = self.policies.of(object, None);
        let mut known: Vec<(Levels<'_>, Arc<Applied>)> = Vec::new();
        let mut all = Vec::with_capacity(rules.len());
        for rule in rules {
            let own = rule.and_then(|rule| Some((rule, self.policies.of(object, Some(rule))?)));
            let levels = origin.defaults.iter().chain(of_route);
            let levels: Vec<_> = levels.chain(own.map(|(_, own)| own)).cloned().collect();
            if levels.is_empty() {
                all.push(None);
                continue;
            }
            let levels = (levels, own.map(|(rule, _)| rule));
            let same = known.iter().find(|(known, _)| *known == levels);
            let applied = match same {
                Some((_, applied)) => applied.clone(),
                None => self.apply(object, &levels, counters),
            };
            known.push((levels, applied.clone()));
            all.push(Some(applied));
        }
        all
    }

    fn apply(
        &mut self,
        object: &ObjectRef,
        (levels, rule): &Levels<'_>,
        counters: &mut BTreeMap<String, Slot>,
    ) -> Arc<Applied> {
        let values = Values::of(levels, TargetKind::Route);
        let scope = Scope {
            route: object,
            rule: *rule,
        };
        let defaults = &self.state.defaults;
        let mut inputs = applied::Inputs {
            policy: policy::Inputs {
                snapshot: self.snapshot,
                settings: &defaults.settings,
                certificates: &mut *self.certificates,
                plain_forwarding: &defaults.forwarding,
            },
            options: self.options,
            counters,
        };
        Arc::new(applied::apply(&values, scope, &mut inputs))
    }

    /// Notes what the policies of a route refer to, and the findings about them.
    pub(super) fn use_policies(&mut self, object: &ObjectRef, route: &Route) {
        for used in route.uses() {
            let users = self.state.users.entry(used.clone()).or_default();
            users.insert(object.clone());
        }
        for pool in route.pools() {
            let known = self.state.pools.entry(pool.name.clone());
            known.or_insert_with(|| (0, pool.clone())).0 += 1;
        }
        let variants = route.variants.iter();
        let findings = variants.flat_map(|variant| {
            let of_values = variant.applied.iter();
            let of_values = of_values.flat_map(|applied| &applied.findings);
            of_values.chain(&variant.findings).cloned()
        });
        let findings = findings.collect();
        self.findings
            .replace(Source::Object(object.clone()), findings);
    }

    /// Undoes [`Self::use_policies`].
    pub(super) fn release_policies(&mut self, object: &ObjectRef, route: &Route) {
        for used in route.uses() {
            if let Some(users) = self.state.users.get_mut(used) {
                users.remove(object);
                if users.is_empty() {
                    self.state.users.remove(used);
                }
            }
        }
        for pool in route.pools() {
            if let Some((count, _)) = self.state.pools.get_mut(&pool.name) {
                *count -= 1;
                if *count == 0 {
                    self.state.pools.remove(&pool.name);
                }
            }
        }
        self.findings
            .replace(Source::Object(object.clone()), Vec::new());
    }
}

/// The counters of a former version of a route.
pub(super) fn counters(former: Option<&Route>) -> BTreeMap<String, Slot> {
    let variants = former.into_iter().flat_map(|former| &former.variants);
    let applied = variants.flat_map(|variant| &variant.applied);
    applied.filter_map(|applied| applied.counters()).collect()
}

/// Each once.
pub(super) fn distinct(applied: Vec<Option<Arc<Applied>>>) -> Vec<Arc<Applied>> {
    let mut distinct: Vec<Arc<Applied>> = Vec::new();
    for one in applied.into_iter().flatten() {
        if !distinct.iter().any(|known| Arc::ptr_eq(known, &one)) {
            distinct.push(one);
        }
    }
    distinct
}
