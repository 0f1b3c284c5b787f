//! The phase of Ingresses: those that changed, or whose class, Secrets or ConfigMaps changed.

use k8s_openapi::api::networking::v1::Ingress;

use super::*;
use crate::ingress::family::errors;
use crate::ingress::parsed::Reading;

/// What changed Ingresses affect.
#[derive(Default)]
pub(super) struct Touched {
    /// Hosts to recompile.
    pub(super) hosts: BTreeSet<Arc<str>>,
    /// Ingresses that became selected.
    pub(super) adopted: Vec<Name>,
    /// Ingresses that were deleted or stopped being selected.
    pub(super) released: Vec<Name>,
    /// Objects that an Ingress no longer refers to, unless it is attached again.
    unused: Vec<ObjectRef>,
}

impl Pass<'_> {
    /// Reads the Ingresses that changed, or whose Secrets, ConfigMaps or policies changed, or all.
    pub(super) fn ingresses(&mut self, changes: &Changes, all: bool) -> Touched {
        self.state.recompiled.clear();
        let mut names: BTreeSet<Name> = BTreeSet::new();
        for object in &changes.objects {
            match object.kind {
                Kind::Ingress => drop(names.insert(object.name.clone())),
                Kind::Secret | Kind::ConfigMap => {
                    names.extend(self.state.index.affected_by(object).cloned());
                }
                _ => {}
            }
        }
        let of_policies = self.touched.of(Kind::Ingress);
        names.extend(of_policies.map(|object| object.name.clone()));
        if all {
            names.extend(self.snapshot.names(Kind::Ingress).cloned());
            names.extend(self.state.attached.keys().cloned());
        }
        let mut touched = Touched::default();
        if !self.policies.is_empty() {
            self.state.recompiled = names.iter().map(ingress_ref).collect();
        }
        for name in names {
            // With the weight of its expressions, others of its namespace may come to be served or not.
            let mut due = vec![name];
            while let Some(name) = due.pop() {
                due.extend(self.ingress(&name, &mut touched));
            }
        }
        let default = self.options.default_certificate.as_ref();
        for object in std::mem::take(&mut touched.unused) {
            let is_secret = object.kind == Kind::Secret && default != Some(&object.name);
            if is_secret && !self.state.index.is_used(&object) {
                self.certificates.forget(&object.name);
            }
        }
        touched
    }

    /// Returns the Ingresses that must be read as well.
    fn ingress(&mut self, name: &Name, touched: &mut Touched) -> Vec<Name> {
        let former = self.state.attached.remove(name);
        let was_selected = self.state.statuses.contains_key(name);
        if let Some(former) = &former {
            self.detach(former, touched);
        }
        let source = Source::Object(ingress_ref(name));
        let all = self.snapshot.get::<Ingress>(name);
        let ingress = all.filter(|ingress| is_selected(ingress, self.snapshot, self.options));
        let Some(ingress) = ingress else {
            self.state.statuses.remove(name);
            if was_selected {
                touched.released.push(name.clone());
            }
            let finding = all.and_then(|ingress| self.unserved(name, ingress));
            self.findings.replace(source, finding.into_iter().collect());
            return self.weigh(name, None);
        };
        if !was_selected {
            touched.adopted.push(name.clone());
        }
        let reading = Reading {
            settings: &self.state.settings,
            options: self.options,
            values: &self.policies.of_ingress(name),
            expressions: usize::MAX,
        };
        let mut parsed = ParsedIngress::read(ingress, reading);
        // The names of the snapshot, not copies of them.
        parsed.name = name.clone();
        parsed.age.name = name.clone();
        self.state.repeated.parsed(&mut parsed);
        let mut findings = std::mem::take(&mut parsed.findings);
        let refused = parsed.annotations.refused.is_some();
        // The last good version gets a new policy too, because changed settings may protect it.
        let (served, status) = match former.as_ref().filter(|_| refused) {
            Some(former) => {
                let with_values = former.ingress.with_values(reading).map(Arc::new);
                let last = with_values.unwrap_or_else(|| former.ingress.clone());
                (Some(last), IngressStatus::LastGood)
            }
            None if refused => (None, IngressStatus::Refused),
            None => (Some(Arc::new(parsed)), IngressStatus::Served),
        };
        let due = self.weigh(name, served.as_deref());
        let bound = self.state.settings.annotations.regex_memory;
        let (served, status) = match served {
            Some(served) if self.state.expressions.are_beyond(name) => {
                let message = expressions::message(name, bound);
                findings.push(served.finding(Severity::Error, "spec.rules", message));
                (None, IngressStatus::Refused)
            }
            served => (served, status),
        };
        self.state.statuses.insert(name.clone(), status);
        if let Some(served) = served {
            findings.extend(self.attach(served, former.as_deref(), touched));
        }
        self.findings.replace(source, findings);
        due
    }

    /// Counts the expressions of an Ingress that would be served. Returns the others for which that changes whether they are.
    fn weigh(&mut self, name: &Name, served: Option<&ParsedIngress>) -> Vec<Name> {
        let bound = self.state.settings.annotations.regex_memory;
        let weight = served.map(|served| (&served.age, served.expression_weight()));
        self.state.expressions.set(name, weight, bound)
    }

    /// The finding about an Ingress that is not served because of its class or namespace, if such findings are wanted.
    fn unserved(&self, name: &Name, ingress: &Ingress) -> Option<Finding> {
        let wanted = self.options.explain_unserved;
        let reason = wanted.then(|| class::unserved(ingress, self.snapshot, self.options));
        let (field, message) = reason.flatten()?;
        Some(Finding {
            severity: Severity::Info,
            subject: Subject::Object(ingress_ref(name)),
            field: field.into(),
            message: message.into(),
        })
    }

    /// Attaches an Ingress to its hosts. The run-time state of its former version is carried over.
    fn attach(
        &mut self,
        ingress: Arc<ParsedIngress>,
        former: Option<&AttachedIngress>,
        touched: &mut Touched,
    ) -> Vec<Finding> {
        let counters = former.and_then(|former| {
            let limits = former.policy.limits.as_ref()?;
            Some(limits.slot.clone())
        });
        let mut inputs = policy::Inputs {
            snapshot: self.snapshot,
            settings: &self.state.settings,
            certificates: &mut *self.certificates,
            plain_forwarding: &self.state.plain_forwarding,
        };
        let mut built = policy::build(ingress.subject(), &mut inputs, counters);
        self.state.repeated.policy(&mut built.policy, &ingress);
        let page_finding = errors::finding(ingress.subject(), self.options);
        let attached = Arc::new(AttachedIngress {
            ingress,
            policy: built.policy,
            transport: built.transport,
            clients: former
                .map(|former| &former.clients)
                .filter(|former| **former == built.clients)
                .cloned()
                .unwrap_or(built.clients),
            closed: built.closed,
            undefined: built.undefined,
        });
        for draft in upstreams(&attached) {
            self.builder.acquire(draft);
        }
        let crowded = self.state.index.insert(&attached, built.uses);
        self.touch(&attached.ingress, touched);
        self.state
            .attached
            .insert(attached.ingress.name.clone(), attached);
        for host in crowded {
            self.state.index_paths(&host);
        }
        let mut findings = built.findings;
        findings.extend(page_finding);
        findings
    }

    fn detach(&mut self, attached: &AttachedIngress, touched: &mut Touched) {
        self.touch(&attached.ingress, touched);
        touched.unused.extend(self.state.index.remove(attached));
        for draft in upstreams(attached) {
            self.builder.release_upstream(&draft.key());
        }
    }

    /// Marks the hosts of an Ingress, its upstreams, and those of canaries that may inherit its affinity: canaries of its hosts
    /// and, as affinity belongs to Service ports, of the hosts that share one with it.
    fn touch(&mut self, ingress: &ParsedIngress, touched: &mut Touched) {
        let mut hosts: BTreeSet<Arc<str>> = ingress.touched_hosts().collect();
        touched.hosts.extend(hosts.iter().cloned());
        if ingress.annotations.affinity.is_some() {
            for backend in ingress.backends() {
                let sharing = self.state.parsed(self.state.index.of_port(&backend.id));
                hosts.extend(sharing.into_iter().flat_map(ParsedIngress::touched_hosts));
            }
        }
        let attached = hosts.iter().flat_map(|host| self.state.attached_to(host));
        let canaries = attached.filter(|attached| attached.ingress.is_canary());
        let services = canaries.flat_map(|canary| canary.ingress.services());
        let services: BTreeSet<Name> = services.chain(ingress.services()).collect();
        for service in &services {
            self.builder.touch(service);
        }
    }
}

/// The upstreams of all Service ports of an Ingress, even if no route uses them, and those of its authentication service and
/// its error pages, and its mirror.
fn upstreams(attached: &AttachedIngress) -> impl Iterator<Item = UpstreamDraft> {
    let namespace = &attached.ingress.name.namespace;
    let backends = attached.ingress.backends().map(|backend| UpstreamDraft {
        port: backend.service_port(namespace),
        transport: attached.transport.clone(),
    });
    let service = attached.ingress.annotations.external_auth.as_ref();
    let pages = errors::own_upstream(attached.ingress.subject());
    let mirror = attached.ingress.annotations.mirror.as_ref();
    backends
        .chain(service.and_then(|service| service.service()))
        .chain(pages)
        .chain(mirror.and_then(|mirror| mirror.service()))
}

fn ingress_ref(name: &Name) -> ObjectRef {
    ObjectRef {
        kind: Kind::Ingress,
        name: name.clone(),
    }
}
