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
                let host = self
                    .table
                    .hosts
                    .get(name)
                    .or_else(|| self.table.wildcards.get(name.strip_prefix("*.")?));
                let named = move |pattern: &Pattern| {
                    Some(RegexName {
                        pattern: pattern.clone(),
                        host: host?.clone(),
                    })
                };
                patterns.iter().filter_map(named)
            });
        self.table.regex_names = regex_names.collect();
    }

    /// Hosts that depend on whether a dirty host exists: its `www.` counterpart and those that want its name as an alias.
    pub(super) fn spread(&mut self) {
        let mut more = BTreeSet::new();
        for host in &self.dirty.hosts {
            let counterpart = www_counterpart(host);
            let known = self.compiled.index.hosts.contains_key(&*counterpart)
                || self.table.hosts.get(&counterpart).is_some();
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
        let former = self.in_table(name);
        let mut compiled = self.compile_host(name, former.as_deref());
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
            match name.strip_prefix("*.") {
                Some(parent) => drop(self.table.wildcards.remove(parent)),
                None => drop(self.table.hosts.remove(name)),
            }
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
        match name.strip_prefix("*.") {
            _ if &**name == CATCH_ALL => self.table.catch_all = host,
            Some(parent) => drop(self.table.wildcards.insert(parent.into(), host)),
            None => drop(self.table.hosts.insert(name.clone(), host)),
        }
    }

    pub(super) fn compile_host(
        &mut self,
        name: &Arc<str>,
        former: Option<&Host>,
    ) -> host::CompiledHost {
        let Compiled {
            certificates,
            patterns,
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

    /// The host of that name as the table has it now.
    pub(super) fn in_table(&self, name: &str) -> Option<Arc<Host>> {
        if name == CATCH_ALL {
            return Some(self.table.catch_all.clone());
        }
        match name.strip_prefix("*.") {
            Some(parent) => self.table.wildcards.get(parent).cloned(),
            None => self.table.hosts.get(name).cloned(),
        }
    }

    /// Of several hosts that want an alias, the first by name has it.
    pub(super) fn alias(&mut self, alias: &Arc<str>) {
        let wishing = self.compiled.index.wishes.get(alias).into_iter().flatten();
        let mut claims = wishing
            .filter_map(|host| self.in_table(host))
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
        let (map, key) = match alias.strip_prefix("*.") {
            Some(parent) => (&mut self.table.suffix_aliases, Arc::from(parent)),
            None => (&mut self.table.aliases, alias.clone()),
        };
        match owner {
            Some(host) => drop(map.insert(key, host)),
            None => drop(map.remove(&key)),
        }
    }
}
