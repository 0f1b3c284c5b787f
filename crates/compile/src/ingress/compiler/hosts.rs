//! The phase of hosts: those of changed Ingresses, and those that depend on the existence of these hosts.

use super::*;
use crate::build::SplitDraft;

impl Pass<'_> {
    /// Builds `touched` hosts and the hosts that depend on them.
    pub(super) fn hosts(&mut self, touched: BTreeSet<Arc<str>>) {
        if touched.is_empty() {
            return;
        }
        let mut aliases = BTreeSet::new();
        for host in self.dependent(touched) {
            self.host(&host, &mut aliases);
        }
        for alias in aliases {
            self.alias(&alias);
        }
        let names = self.state.index.regex_names();
        let names = names.filter_map(|(host, pattern)| {
            Some(RegexName {
                pattern: pattern.clone(),
                host: self.served(host)?.clone(),
            })
        });
        let names = names.collect();
        self.builder.set_regex_names(&self.state.universe, names);
    }

    /// Adds the hosts that depend on the existence of one of these: its `www.` counterpart and those that claim its name as an
    /// alias.
    fn dependent(&self, mut hosts: BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let mut more = BTreeSet::new();
        for host in &hosts {
            let counterpart = www_counterpart(host);
            let known =
                self.state.index.has_host(&counterpart) || self.served(&counterpart).is_some();
            if known || host::redirects_www(&self.state.attached_to(host)) {
                more.insert(counterpart.into());
            }
            more.extend(self.state.index.claimants(host).cloned());
        }
        hosts.extend(more);
        hosts
    }

    /// The served host with this configured name.
    fn served(&self, name: &str) -> Option<&Arc<Host>> {
        self.builder.hosts(&self.state.universe)?.get(name)
    }

    fn host(&mut self, name: &Arc<str>, aliases: &mut BTreeSet<Arc<str>>) {
        let former = self.served(name);
        aliases.extend(former.iter().flat_map(|host| host.aliases.iter().cloned()));
        let IngressHost {
            served,
            passthrough,
            claimed,
            regex_names,
            findings,
        } = self.draft(name);
        let index = &mut self.state.index;
        index.set_claims(name, claimed);
        index.set_regex_names(name, regex_names);
        self.findings.replace(Source::Host(name.clone()), findings);
        let universe = &self.state.universe;
        self.builder
            .set_passthrough(universe, name, passthrough.map(SplitDraft::new).as_ref());
        let Some(ServedHost { host, root, routes }) = served else {
            self.builder.remove_host(universe, name);
            return;
        };
        aliases.extend(host.aliases.iter().cloned());
        // The draft of the host has resolved and reported duplicate paths, so there are no conflicts.
        self.builder.set_host(universe, host, root, routes);
    }

    fn draft(&mut self, name: &Arc<str>) -> IngressHost {
        let State {
            patterns,
            index,
            attached,
            settings,
            plain_policy,
            universe,
            rules_field,
            ..
        } = &mut *self.state;
        let of = |host: &str| -> Vec<&AttachedIngress> {
            let names = index.of_host(host);
            names
                .filter_map(|name| attached.get(name).map(|attached| &**attached))
                .collect()
        };
        let defines = |host: &str| {
            of(host)
                .iter()
                .any(|attached| !attached.ingress.is_canary())
        };
        let mut inputs = host::Inputs {
            snapshot: self.snapshot,
            settings,
            options: self.options,
            certificates: &mut *self.certificates,
            patterns,
            universe,
            rules_field,
            plain_policy,
            defines: &defines,
        };
        host::draft(name, &of(name), &of(&www_counterpart(name)), &mut inputs)
    }

    /// Gives an alias to the first by name of the hosts that claim it.
    fn alias(&mut self, alias: &Arc<str>) {
        let claimants = self.state.index.claimants(alias);
        let mut claimants = claimants
            .filter_map(|host| self.served(host))
            .filter(|host| host.aliases.contains(alias));
        let owner = claimants.next().map(|owner| owner.name.clone());
        let findings = claimants.filter_map(|late| {
            let attached = self.state.attached_to(&late.name);
            let attached = attached.into_iter().find(|attached| {
                let aliases = &attached.ingress.annotations.routing.server_aliases;
                !attached.ingress.is_canary() && aliases.is_some()
            })?;
            let owner = owner.as_ref()?;
            let message = format!("\"{alias}\" is an alias of host {owner} already; left out");
            let ingress = &attached.ingress;
            Some(ingress.annotation_finding(Severity::Warning, "server-alias", message))
        });
        let findings = findings.collect();
        self.findings
            .replace(Source::Alias(alias.clone()), findings);
        let universe = &self.state.universe;
        self.builder.set_alias(universe, alias, owner.as_deref());
    }
}
