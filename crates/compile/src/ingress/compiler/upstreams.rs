//! Upstreams: how the Ingresses that use a Service port configure it.

use super::*;

impl Pass<'_> {
    /// Builds the upstream `key` of Ingresses or of the ConfigMaps of TCP and UDP services, or removes it.
    pub(crate) fn upstream(&mut self, key: UpstreamKey) {
        let source = Source::Upstream(key.text());
        let Some(draft) = self.builder.upstream(&key).cloned() else {
            self.table.remove_upstream(&key);
            self.state.streams.set_problem(&key, None);
            self.findings.replace(source, Vec::new());
            return;
        };
        if let Some(protocol) = draft.transport.stream_protocol() {
            return self.stream_upstream(key, &draft.port, protocol);
        }
        let users = self.state.parsed(self.state.index.of_port(draft.port.id()));
        let referenced = ReferencedPort {
            inherited_affinity: self.inherited_affinity(&key, &users),
            port: &draft.port,
            users,
        };
        let policy = upstream::policy(&referenced, &self.state.settings, self.options);
        let inputs = build::Inputs {
            snapshot: self.snapshot,
            options: self.options.endpoints,
        };
        let problem = self.builder.build_upstream(key, policy, inputs, self.table);
        let mut findings = Vec::new();
        upstream::findings(&referenced, &problem, self.options, &mut findings);
        self.findings.replace(source, findings);
    }

    /// The affinity of the first primary of which this upstream is a canary, unless the canary is `legacy`.
    fn inherited_affinity(
        &self,
        key: &UpstreamKey,
        users: &[&ParsedIngress],
    ) -> Option<Arc<Affinity>> {
        let canaries = users.iter().filter(|user| {
            let canary = user.annotations.canary.as_ref();
            canary.is_some_and(|canary| canary.sticky)
        });
        let mut hosts = canaries.flat_map(|canary| canary.touched_hosts());
        hosts.find_map(|host| {
            let universe = &self.state.universe;
            let primaries = self.builder.primaries_beside(universe, &host, key);
            primaries.iter().find_map(|primary| {
                let port = self.builder.upstream(primary)?.port.id();
                upstream::affinity(&self.state.parsed(self.state.index.of_port(port)))
            })
        })
    }
}
