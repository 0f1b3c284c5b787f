//! The step over upstreams: those that changed Ingresses name, and those of changed Services.

use super::*;
use headgate_table::Alternatives;

impl Step<'_> {
    /// Upstreams of Services whose ports or endpoints changed.
    pub(super) fn services(&mut self, changes: &Changes) {
        for object in &changes.objects {
            if matches!(object.kind, Kind::Service | Kind::Endpoints) {
                self.compiled.upstreams.touch(&object.name);
            }
        }
    }

    /// The default backend is an upstream also where no route leads to it: what is wrong with it is a finding.
    pub(super) fn default_backend(&mut self) {
        let Some(service) = self.options.default_backend.clone() else {
            return;
        };
        let port = ServicePort::new(service, FIRST_PORT.into());
        let transport = Transport::default();
        let key = port.id().upstream(&transport);
        if self.compiled.upstreams.get(&key).is_none() {
            let draft = || UpstreamDraft { port, transport };
            self.compiled.upstreams.acquire(&key, draft);
        }
    }

    pub(super) fn upstreams(&mut self) {
        if self.everything {
            self.compiled.upstreams.touch_all();
        }
        for key in self.compiled.upstreams.take_dirty() {
            self.upstream(key);
        }
    }

    fn upstream(&mut self, key: UpstreamKey) {
        let source = Source::Upstream(key.text());
        let Some(draft) = self.compiled.upstreams.get(&key).cloned() else {
            self.table.remove_upstream(&key);
            self.compiled.findings.replace(source, Vec::new());
            return;
        };
        let users = self.compiled.index.ports.get(draft.port.id());
        let users = users.map_or_else(Vec::new, |users| self.compiled.parsed(age::names(users)));
        let named = upstream::Named {
            inherited_affinity: self.inherited_affinity(&key, &users),
            port: &draft.port,
            users,
        };
        let mut findings = Vec::new();
        let settings = &self.compiled.settings;
        let policy = upstream::policy(&named, settings, self.options, &mut findings);
        let inputs = build::upstream::Inputs {
            snapshot: self.snapshot,
            options: self.options,
        };
        let former = self.table.upstream(&key);
        let slot = former.map_or_else(Slot::default, |former| former.slot.clone());
        let built = build::upstream::build(key, &draft, policy, inputs, slot);
        upstream::findings(&named, &built, self.options, &mut findings);
        self.compiled.findings.replace(source, findings);
        self.table.insert_upstream(Arc::new(built.upstream));
    }

    /// The affinity of the first primary beside which a canary names this upstream, unless the canary declines it.
    pub(super) fn inherited_affinity(
        &self,
        key: &UpstreamKey,
        users: &[&ParsedIngress],
    ) -> Option<Arc<Affinity>> {
        let canaries = users.iter().filter(|user| {
            let canary = user.annotations.canary.as_ref();
            canary.is_some_and(|canary| canary.sticky)
        });
        canaries
            .flat_map(|canary| canary.touched_hosts())
            .filter_map(|host| self.compiled.hosts.get(&host))
            .find_map(|host| {
                let primaries = primaries_beside(host, key);
                primaries.iter().find_map(|primary| {
                    let draft = self.compiled.upstreams.get(primary)?;
                    let users = self.compiled.index.ports.get(draft.port.id())?;
                    upstream::affinity(&self.compiled.parsed(age::names(users)))
                })
            })
    }
}

/// The upstreams of a host's routes that have `key` for an alternative.
fn primaries_beside(host: &Host, key: &UpstreamKey) -> Vec<UpstreamKey> {
    let HostBehaviour::Routes { paths, .. } = &host.behaviour else {
        return Vec::new();
    };
    let splits = paths.routes().filter_map(|route| match &route.target {
        Target::Forward(split) => Some(split),
        Target::DefaultBackend(_) | Target::Closed(_) => None,
    });
    let beside = splits.filter(|split| {
        let others = split.alternatives().into_iter();
        let mut others = others.flat_map(Alternatives::list);
        others.any(|other| other.backend.upstream() == Some(key))
    });
    let primaries = beside.filter_map(|split| split.primary().upstream());
    primaries.cloned().collect()
}
