//! The step over hosts: those that changed Ingresses touch, and those that depend on whether these exist.

use super::*;

impl Step<'_> {
    pub(super) fn hosts(&mut self) {
        self.spread();
        let hosts = std::mem::take(&mut self.dirty.hosts);
        let mut aliases = BTreeSet::new();
        for host in &hosts {
            self.host(host, &mut aliases);
        }
        for alias in aliases {
            self.alias(&alias);
        }
        let regex_names = self
            .compiled
            .index
            .regex_names
            .iter()
            .flat_map(|(name, patterns)| {
                let host = self.compiled.hosts.get(name);
                let named = move |pattern: &Pattern| {
                    Some(RegexName {
                        pattern: pattern.clone(),
                        host: host?.clone(),
                    })
                };
                patterns.iter().filter_map(named)
            });
        let regex_names = regex_names.collect();
        self.compiled.hosts.set_regex_names(regex_names);
    }

    /// Hosts that depend on whether a dirty host exists: its `www.` counterpart and those that want its name as an alias.
    pub(super) fn spread(&mut self) {
        let mut more = BTreeSet::new();
        for host in &self.dirty.hosts {
            let counterpart = www_counterpart(host);
            let known = self.compiled.index.hosts.contains_key(&*counterpart)
                || self.compiled.hosts.get(&counterpart).is_some();
            if known || host::wants_www(&self.compiled.members_of(host)) {
                more.insert(counterpart.into());
            }
            more.extend(
                self.compiled
                    .index
                    .wishes
                    .get(host)
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        self.dirty.hosts.extend(more);
    }

    pub(super) fn host(&mut self, name: &Arc<str>, aliases: &mut BTreeSet<Arc<str>>) {
        let former = self.compiled.hosts.get(name).cloned();
        let mut compiled = self.compile_host(name, former.as_deref());
        for key in former.iter().flat_map(|former| upstreams(former)) {
            self.compiled.upstreams.release(key);
        }
        aliases.extend(former.iter().flat_map(|host| host.aliases.iter().cloned()));
        let index = &mut self.compiled.index;
        for wish in index.wished.remove(name).into_iter().flatten() {
            if let Some(hosts) = index.wishes.get_mut(&wish) {
                hosts.remove(name);
                if hosts.is_empty() {
                    index.wishes.remove(&wish);
                }
            }
        }
        let findings = std::mem::take(&mut compiled.findings);
        self.compiled
            .findings
            .replace(Source::Host(name.clone()), findings);
        let Some(host) = compiled.host else {
            index.regex_names.remove(name);
            self.compiled.hosts.remove(name);
            return;
        };
        if compiled.regex_names.is_empty() {
            index.regex_names.remove(name);
        } else {
            index.regex_names.insert(name.clone(), compiled.regex_names);
        }
        for wish in &compiled.wished {
            index
                .wishes
                .entry(wish.clone())
                .or_default()
                .insert(name.clone());
        }
        if !compiled.wished.is_empty() {
            index.wished.insert(name.clone(), compiled.wished);
        }
        aliases.extend(host.aliases.iter().cloned());
        self.compiled.hosts.insert(host);
    }

    pub(super) fn compile_host(
        &mut self,
        name: &Arc<str>,
        former: Option<&Host>,
    ) -> host::CompiledHost {
        let Compiled {
            certificates,
            patterns,
            upstreams,
            index,
            members,
            settings,
            plain_policy,
            ..
        } = &mut self.compiled;
        let of = |host: &str| -> Vec<&Member> {
            let names = index.hosts.get(host).into_iter().flat_map(age::names);
            names
                .filter_map(|name| members.get(name).map(|member| &**member))
                .collect()
        };
        let defines = |host: &str| of(host).iter().any(|member| !member.ingress.is_canary());
        let mut around = host::Surroundings {
            snapshot: self.snapshot,
            settings,
            options: self.options,
            certificates,
            patterns,
            upstreams,
            plain_policy,
            defines: &defines,
        };
        host::compile(
            name,
            &of(name),
            &of(&www_counterpart(name)),
            &mut around,
            former,
        )
    }

    /// Of several hosts that want an alias, the first by name has it.
    pub(super) fn alias(&mut self, alias: &Arc<str>) {
        let wishing = self.compiled.index.wishes.get(alias).into_iter().flatten();
        let mut claims = wishing
            .filter_map(|host| self.compiled.hosts.get(host).cloned())
            .filter(|host| host.aliases.contains(alias));
        let owner = claims.next();
        let findings = claims.filter_map(|late| {
            let members = self.compiled.members_of(&late.name);
            let member = members.into_iter().find(|member| {
                let aliases = &member.ingress.annotations.routing.server_aliases;
                !member.ingress.is_canary() && !aliases.is_empty()
            })?;
            let message = format!(
                "\"{alias}\" is an alias of host {} already; left out",
                owner.as_ref()?.name
            );
            Some(
                member
                    .ingress
                    .annotation_finding(Severity::Warning, "server-alias", message),
            )
        });
        let findings = findings.collect();
        self.compiled
            .findings
            .replace(Source::Alias(alias.clone()), findings);
        self.compiled.hosts.set_alias(alias, owner);
    }
}

/// Every upstream that the routes of a host lead to, as often as they do.
fn upstreams(host: &Host) -> impl Iterator<Item = &UpstreamKey> {
    let paths = match &host.behaviour {
        HostBehaviour::Routes { paths, .. } => Some(paths),
        HostBehaviour::Redirect { .. } => None,
    };
    let routes = paths.into_iter().flat_map(|paths| paths.routes());
    routes.flat_map(|route| {
        let (split, default) = match &route.target {
            Target::Forward(split) => (Some(split), None),
            Target::DefaultBackend(key) => (None, key.as_ref()),
            Target::Closed(_) => (None, None),
        };
        split.into_iter().flat_map(Split::upstreams).chain(default)
    })
}
