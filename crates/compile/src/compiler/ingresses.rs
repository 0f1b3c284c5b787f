//! The step over Ingresses: those that changed, or whose class, Secrets or ConfigMaps did.

use super::*;

impl Step<'_> {
    /// Reads the Ingresses that changed, or whose class, Secrets or ConfigMaps did.
    pub(super) fn ingresses(&mut self, changes: &Changes) {
        self.everything |= changes.everything;
        self.everything |= changes
            .objects
            .iter()
            .any(|object| matches!(object.kind, Kind::IngressClass | Kind::Namespace));
        let mut names: BTreeSet<Name> = BTreeSet::new();
        for object in &changes.objects {
            match object.kind {
                Kind::Ingress => drop(names.insert(object.name.clone())),
                Kind::Secret | Kind::ConfigMap => names.extend(
                    self.compiled
                        .index
                        .users
                        .get(object)
                        .into_iter()
                        .flatten()
                        .cloned(),
                ),
                _ => {}
            }
        }
        if self.everything {
            names.extend(self.snapshot.ingresses.keys().cloned());
            names.extend(self.compiled.members.keys().cloned());
        }
        for name in &names {
            self.ingress(name);
        }
        for name in std::mem::take(&mut self.released) {
            let secret = ObjectRef {
                kind: Kind::Secret,
                name,
            };
            let default = self.options.default_certificate.as_ref();
            if default != Some(&secret.name) && !self.compiled.index.users.contains_key(&secret) {
                self.compiled.certificates.forget(&secret.name);
            }
        }
    }

    pub(super) fn ingress(&mut self, name: &Name) {
        let former = self.compiled.members.remove(name);
        let was_ours = self.compiled.statuses.contains_key(name);
        if let Some(former) = &former {
            self.take_out(former);
        }
        let ours = self
            .snapshot
            .ingresses
            .get(name)
            .filter(|ingress| is_ours(ingress, self.snapshot, self.options));
        let Some(ingress) = ours else {
            self.compiled.statuses.remove(name);
            if was_ours {
                self.compiled.left.push(name.clone());
            }
            self.compiled
                .findings
                .replace(Source::Ingress(name.clone()), Vec::new());
            return;
        };
        if !was_ours {
            self.compiled.joined.push(name.clone());
        }
        let mut parsed = ParsedIngress::read(ingress, &self.compiled.settings, self.options);
        let mut findings = std::mem::take(&mut parsed.findings);
        let refused = parsed.annotations.refused.is_some();
        // What is served instead of a refused version gets a policy anew as well: settings that protect go on applying.
        let (served, status) = match former.as_ref().filter(|_| refused) {
            Some(former) => (Some(former.ingress.clone()), IngressStatus::LastGood),
            None if refused => (None, IngressStatus::Refused),
            None => (Some(Arc::new(parsed)), IngressStatus::Served),
        };
        self.compiled.statuses.insert(name.clone(), status);
        let Some(served) = served else {
            self.compiled
                .findings
                .replace(Source::Ingress(name.clone()), findings);
            return;
        };
        let counters = former
            .as_ref()
            .and_then(|former| Some(former.policy.limits.as_ref()?.slot.clone()));
        let mut around = policy::Surroundings {
            snapshot: self.snapshot,
            settings: &self.compiled.settings,
            certificates: &mut self.compiled.certificates,
            plain_forwarding: &self.compiled.plain_forwarding,
        };
        let built = policy::build(&served, &mut around, counters);
        findings.extend(built.findings);
        self.compiled
            .findings
            .replace(Source::Ingress(name.clone()), findings);
        self.compiled.index.uses.insert(name.clone(), built.uses);
        self.put_in(Arc::new(Member {
            ingress: served,
            policy: built.policy,
            transport: built.transport,
            closed: built.closed,
        }));
    }
}
