//! The step over upstreams: those that changed Ingresses name, and those of changed Services.

use super::*;

impl Step<'_> {
    /// Upstreams of Services whose ports or endpoints changed.
    pub(super) fn services(&mut self, changes: &Changes) {
        for object in &changes.objects {
            if matches!(object.kind, Kind::Service | Kind::Endpoints) {
                let upstreams = self.compiled.index.of_service.get(&object.name);
                self.dirty
                    .upstreams
                    .extend(upstreams.into_iter().flatten().cloned());
            }
        }
    }

    /// The default backend is an upstream that no Ingress names.
    pub(super) fn default_backend(&mut self) {
        let Some(service) = self.options.default_backend.clone() else {
            return;
        };
        let id = UpstreamId::new(&service.namespace, &service.name, FIRST_PORT);
        if !self.compiled.index.upstreams.contains_key(&id) {
            let new = UpstreamUse {
                service: service.clone(),
                port: FIRST_PORT.into(),
                users: ByAge::default(),
            };
            self.compiled.index.upstreams.insert(id.clone(), new);
            self.compiled
                .index
                .of_service
                .entry(service)
                .or_default()
                .insert(id.clone());
            self.dirty.upstreams.insert(id);
        } else if self.everything {
            self.dirty.upstreams.insert(id);
        }
    }

    pub(super) fn upstreams(&mut self) {
        for id in std::mem::take(&mut self.dirty.upstreams) {
            let Some(used) = self.compiled.index.upstreams.get(&id) else {
                self.table.upstreams.remove(id.as_str());
                self.compiled
                    .findings
                    .replace(Source::Upstream(id.key()), Vec::new());
                continue;
            };
            let users = self.compiled.parsed(age::names(&used.users));
            let wanted = upstream::Wanted {
                inherited_affinity: self.inherited_affinity(&id, &users),
                id: id.clone(),
                service: used.service.clone(),
                port: used.port.clone(),
                users,
            };
            let around = upstream::Surroundings {
                snapshot: self.snapshot,
                settings: &self.compiled.settings,
                options: self.options,
            };
            let slot = self
                .table
                .upstreams
                .get(id.as_str())
                .map_or_else(Slot::default, |former| former.slot.clone());
            let (compiled, findings) = upstream::compile(&wanted, &around, slot);
            self.compiled
                .findings
                .replace(Source::Upstream(id.key()), findings);
            self.table.upstreams.insert(id.key(), Arc::new(compiled));
        }
    }

    /// The affinity of the first primary beside which a canary names this upstream, unless the canary declines it.
    pub(super) fn inherited_affinity(
        &self,
        id: &UpstreamId,
        users: &[&ParsedIngress],
    ) -> Option<Arc<Affinity>> {
        let canaries = users.iter().filter(|user| {
            let canary = user.annotations.canary.as_ref();
            canary.is_some_and(|canary| canary.sticky)
        });
        canaries
            .flat_map(|canary| canary.touched_hosts())
            .filter_map(|host| self.in_table(&host))
            .find_map(|host| {
                let primaries = primaries_beside(&host, id);
                primaries.iter().find_map(|primary| {
                    let used = self.compiled.index.upstreams.get(primary)?;
                    upstream::affinity(&self.compiled.parsed(age::names(&used.users)))
                })
            })
    }
}

/// The upstreams of a host's routes whose canary is `id`.
fn primaries_beside(host: &Host, id: &UpstreamId) -> Vec<UpstreamId> {
    let HostBehaviour::Routes { paths, .. } = &host.behaviour else {
        return Vec::new();
    };
    let splits = paths
        .routes()
        .into_iter()
        .filter_map(|route| match &route.target {
            Target::Forward(split) => Some(split),
            Target::DefaultBackend(_) | Target::Closed(_) => None,
        });
    let beside = splits.filter(|split| {
        let canary = split.canary.as_ref();
        canary.is_some_and(|canary| canary.upstream == *id)
    });
    beside.map(|split| split.primary.clone()).collect()
}
