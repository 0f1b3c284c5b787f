//! One host: its listeners, and the routes of each of its Ingresses.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::{
    CATCH_ALL, Host, HostBehaviour, HostClients, HostTls, HttpsRedirect, PathIndex, PathKind,
    Route, Target,
};
use serde_json::{Value, json};

use super::rules::{Groups, Rule};
use super::{Converter, MAX_RULES, paths};
use crate::Name;
use crate::ingress::host::www_counterpart;

/// The listeners of a host, by their positions.
#[derive(Clone, Debug, Default)]
struct Parents {
    http: Vec<usize>,
    https: Vec<usize>,
}

/// A path of a host, in the order in which paths are tried.
struct Entry {
    path: Value,
    route: Arc<Route>,
    /// The request is redirected to this path.
    slash: Option<String>,
}

impl Converter<'_> {
    pub(super) fn hosts(&mut self) {
        let Some(all) = self.compiled.hosts_of_ingresses() else {
            return;
        };
        let mut hosts: BTreeMap<Arc<str>, Arc<Host>> = BTreeMap::new();
        hosts.extend(all.iter().map(|host| (host.name.clone(), host.clone())));
        // The catch-all comes first, so that its listeners have the shortest names.
        let catch_all = hosts.remove(CATCH_ALL);
        let all: Vec<Arc<Host>> = catch_all.into_iter().chain(hosts.into_values()).collect();
        for host in &all {
            if let Some(reason) = self.unspeakable(host) {
                self.remark(&format!("host {}", host.name), "", reason, true);
                continue;
            }
            let mut aliases = host.aliases.iter().filter(|_| &*host.name == CATCH_ALL);
            let hidden = aliases.find(|alias| {
                let mut others = all.iter().flat_map(|other| self.names(other));
                others.any(|other| other == &***alias || is_below(alias, other))
            });
            if let Some(alias) = hidden {
                let message = format!("its alias {alias} is served as the host of that name");
                self.remark("host _", "server-alias", message, true);
            }
            if host.name.starts_with('*') {
                let message = "names with more labels below it are served too";
                let lost = all
                    .iter()
                    .any(|other| &*other.name == CATCH_ALL && covers(other, host));
                self.remark(&format!("host {}", host.name), "", message, lost);
            }
            match &host.behaviour {
                HostBehaviour::Redirect { to } => self.www(host, to, &all),
                HostBehaviour::Routes { paths, app_root } => {
                    let app_root = app_root.as_ref().map(|root| &*root.path);
                    self.routes_of(host, (paths, app_root), &all);
                }
            }
        }
    }

    /// Why a host cannot be converted; it must not be served without what protects it.
    fn unspeakable(&self, host: &Host) -> Option<String> {
        let attached = self.compiled.attached_to(&host.name);
        let passes = |one: &&crate::ingress::host::AttachedIngress| {
            one.ingress.annotations.passthrough && !one.ingress.is_canary()
        };
        if host.clients != HostClients::Any {
            let reason = "left out: client certificates are demanded by spec.tls.frontend of a Gateway, with authorities in a \
                          ConfigMap";
            return Some(reason.to_owned());
        }
        if attached.iter().any(passes) {
            return Some(
                "left out: its TLS is passed through, for which write a TLSRoute".to_owned(),
            );
        }
        host.script
            .as_ref()
            .map(|_| "left out: directives of nginx apply to it".to_owned())
    }

    /// A host that redirects to its counterpart.
    fn www(&mut self, host: &Host, to: &str, all: &[Arc<Host>]) {
        let owner = self
            .compiled
            .ingresses_of(&www_counterpart(&host.name))
            .next();
        let Some(owner) = owner.cloned() else {
            return;
        };
        let filter = json!({ "type": "RequestRedirect", "requestRedirect": {
            "hostname": to, "statusCode": self.redirect_status(),
        } });
        let rule = Rule::new(json!({ "filters": [filter] }));
        let mut groups = BTreeMap::new();
        let of_owner: &mut Groups = groups.entry(owner).or_default();
        of_owner.plain.push(vec![rule]);
        let parents = self.parents(host, false, all);
        self.documents(host, parents, groups);
    }

    /// The name of a host, and those of its aliases that are no expressions and no other host has. The catch-all needs none.
    fn names<'h>(&self, host: &'h Host) -> Vec<&'h str> {
        let mut names = vec![&*host.name];
        if let Some(hosts) = self.compiled.hosts_of_ingresses()
            && &*host.name != CATCH_ALL
        {
            let aliases = host.aliases.iter().filter(|alias| !alias.starts_with('~'));
            names.extend(
                aliases
                    .map(|alias| &**alias)
                    .filter(|alias| hosts.find(alias).name == host.name),
            );
        }
        names
    }

    /// The status of redirects; the API has no other ones.
    fn redirect_status(&self) -> u16 {
        let status = self.compiled.table().settings.redirect_status.as_u16();
        if [301, 302, 303, 307, 308].contains(&status) {
            status
        } else {
            308
        }
    }

    fn routes_of(
        &mut self,
        host: &Host,
        (index, app_root): (&PathIndex, Option<&str>),
        all: &[Arc<Host>],
    ) {
        let (entries, root) = self.entries(host, index);
        let mut groups: BTreeMap<Name, Groups> = BTreeMap::new();
        if let Some(path) = app_root {
            let filter = json!({ "type": "RequestRedirect", "requestRedirect": {
                "statusCode": 302, "path": { "type": "ReplaceFullPath", "replaceFullPath": path },
            } });
            let rule = json!({ "matches": [{ "path": paths::exact("/") }], "filters": [filter] });
            let owner = self.owner(index.root()).or_else(|| {
                let first = entries.first()?;
                self.owner(&first.route)
            });
            if let Some(owner) = owner {
                groups
                    .entry(owner)
                    .or_default()
                    .plain
                    .push(vec![Rule::new(rule)]);
            }
        }
        let mut has_root = false;
        let is_taken = |entry: &Entry| app_root.is_some() && entry.path == paths::exact("/");
        let listed = entries.into_iter().filter(|entry| !is_taken(entry));
        for entry in listed.chain([root]) {
            let Some(owner) = self.owner(&entry.route) else {
                continue;
            };
            if self.is_left_out(&owner) {
                continue;
            }
            let redirected = match entry.route.https {
                HttpsRedirect::Always => true,
                HttpsRedirect::WhenHostHasTls => host.tls != HostTls::None,
                HttpsRedirect::Never => false,
            };
            let is_root = entry.path == paths::prefix("/");
            let of_owner = groups.entry(owner.clone()).or_default();
            if redirected {
                let redirect = json!({ "type": "RequestRedirect", "requestRedirect": {
                    "scheme": "https", "statusCode": self.redirect_status(),
                } });
                let matches = json!([{ "path": entry.path }]);
                let rule = json!({ "matches": matches, "filters": [redirect] });
                of_owner.redirect.push(vec![Rule::new(rule)]);
            }
            let rules =
                match self.rules(&entry.path, &entry.route, (&owner, entry.slash.as_deref())) {
                    Ok(rules) => rules,
                    Err(reason) => {
                        let message =
                            format!("path {} of host {}: {reason}", entry.route.path, host.name);
                        self.lost(&owner, "spec.rules", message);
                        continue;
                    }
                };
            has_root |= is_root && !rules.is_empty();
            let of_owner = groups.entry(owner).or_default();
            match (rules.is_empty(), redirected) {
                (true, _) => {}
                (false, true) => of_owner.secure.push(rules),
                (false, false) => of_owner.plain.push(rules),
            }
        }
        groups.retain(|_, group| !group.is_empty());
        if groups.is_empty() {
            return;
        }
        let is_alone = !has_root && all.iter().any(|other| covers(other, host));
        let parents = self.parents(host, is_alone, all);
        self.documents(host, parents, groups);
    }

    /// The paths of a host, and its root.
    fn entries(&mut self, host: &Host, index: &PathIndex) -> (Vec<Entry>, Entry) {
        let mut listing = index.listing();
        listing.pop();
        let root = Entry {
            path: paths::prefix("/"),
            route: index.root().clone(),
            slash: None,
        };
        let texts: Vec<&str> = listing.iter().map(|(text, ..)| *text).collect();
        let matches = match index.is_regex() {
            true => paths::expressions(&texts),
            false => listing
                .iter()
                .map(|(_, _, route)| match paths::refused(&route.path) {
                    Some(reason) => Err(reason),
                    None if route.kind == PathKind::Exact => Ok(paths::exact(&route.path)),
                    None => Ok(paths::prefix(&route.path)),
                })
                .collect(),
        };
        // Whether requests without the final slash of a route have a route.
        let has_other = |bare: &str, of: PathKind| {
            let mut routes = listing.iter().map(|(_, _, route)| route);
            routes.any(|route| match route.kind {
                PathKind::Exact => *route.path == *bare,
                _ => {
                    of == PathKind::Exact
                        && route.path.strip_suffix('/').unwrap_or(&route.path) == bare
                }
            })
        };
        let mut entries = Vec::with_capacity(listing.len());
        let mut refused = Vec::new();
        for ((_, _, route), path) in listing.iter().zip(matches) {
            let path = match path {
                Ok(path) => path,
                Err(reason) => {
                    refused.push(((*route).clone(), reason));
                    continue;
                }
            };
            let bare = route.path.strip_suffix('/').filter(|bare| !bare.is_empty());
            if let Some(bare) =
                bare.filter(|bare| !index.is_regex() && !has_other(bare, route.kind))
            {
                entries.push(Entry {
                    path: paths::exact(bare),
                    route: (*route).clone(),
                    slash: Some(route.path.to_string()),
                });
            }
            entries.push(Entry {
                path,
                route: (*route).clone(),
                slash: None,
            });
        }
        for (route, reason) in refused {
            if let Some(owner) = self.owner(&route) {
                let message = format!("host {}: {reason}; left out", host.name);
                self.lost(&owner, "spec.rules", message);
            }
        }
        (entries, root)
    }

    /// The Ingress of a route; of a built-in one, a name for its route.
    fn owner(&self, route: &Route) -> Option<Name> {
        let origin = &route.origin;
        if !origin.name.is_empty() {
            return Some(Name {
                namespace: origin.namespace.clone(),
                name: origin.name.clone(),
            });
        }
        let service = self.options.default_backend.as_ref();
        let service = service.filter(|_| !matches!(route.target, Target::DefaultBackend(None)))?;
        Some(Name::new(&service.namespace, "default-backend"))
    }

    fn is_left_out(&self, owner: &Name) -> bool {
        let of = self.ingresses.get(owner);
        of.is_some_and(|of| of.left_out.is_some())
    }

    /// The listeners of a host. One that `is_alone` shares none, so that requests which it does not serve reach no other host.
    fn parents(&mut self, host: &Host, is_alone: bool, all: &[Arc<Host>]) -> Parents {
        let mut parents = Parents::default();
        let default = self.options.default_certificate.clone();
        let secret = self.secret(host);
        if secret.is_some() && host.tls == HostTls::Default {
            let object = format!(
                "Secret {}",
                secret.iter().map(ToString::to_string).collect::<String>()
            );
            self.remark(&object, "", "there is no usable certificate in it", false);
        }
        for name in self.names(host) {
            let hostname = (name != CATCH_ALL).then_some(name);
            // The listener of a wildcard takes the requests for all names below it.
            let mut wildcards = all.iter().filter(|other| other.name != host.name);
            let wildcard = wildcards.find(|other| {
                let names = self.names(other);
                names.iter().any(|other| is_below(name, other))
            });
            let own = hostname.filter(|_| is_alone || wildcard.is_some());
            parents.http.push(self.listeners.position(own, &[]));
            let (mut secrets, of) = match &secret {
                Some(secret) => (vec![secret.clone()], hostname),
                None => (Vec::new(), own),
            };
            // The default certificate serves while the own one cannot be used.
            if secrets.is_empty() || host.tls == HostTls::Default {
                secrets.extend(
                    default
                        .clone()
                        .filter(|default| secret.as_ref() != Some(default)),
                );
            }
            if secrets.is_empty() {
                secrets.extend(wildcard.and_then(|wildcard| self.secret(wildcard)));
            }
            if secrets.is_empty() {
                let message = "has no certificate of its own, and over TLS it is served with a generated one; without \
                               --default-ssl-certificate it gets no HTTPS listener";
                let lost = host.tls != HostTls::None;
                self.remark(&format!("host {}", host.name), "", message, lost);
                continue;
            }
            let namespace = self.target.name.namespace.clone();
            let https = self.listeners.position(of, &secrets);
            let kind = match self.listeners.is_in_set(https) {
                true => "ListenerSet",
                false => "Gateway",
            };
            for secret in &secrets {
                self.grant((kind, &namespace), ("Secret", secret));
            }
            parents.https.push(https);
        }
        for positions in [&mut parents.http, &mut parents.https] {
            positions.sort_unstable();
            positions.dedup();
        }
        parents
    }

    /// The Secret with the certificate of a host.
    fn secret(&self, host: &Host) -> Option<Name> {
        let attached = self.compiled.attached_to(&host.name);
        let mut primaries = attached.iter().filter(|one| !one.ingress.is_canary());
        let first = primaries.find(|one| !one.ingress.tls.is_empty());
        let mut entries = first.iter().flat_map(|first| &first.ingress.tls);
        let listed = entries.find(|entry| entry.hosts.iter().any(|name| **name == *host.name));
        if let Some(entry) = listed {
            return entry.secret.clone();
        }
        let HostTls::Own(certificate) = &host.tls else {
            return None;
        };
        let (namespace, name) = certificate.source.split_once('/')?;
        Some(Name::new(namespace, name))
    }

    /// The HTTPRoutes of a host.
    fn documents(&mut self, host: &Host, parents: Parents, groups: BTreeMap<Name, Groups>) {
        let mut hostnames = self.names(host);
        hostnames.retain(|name| *name != CATCH_ALL);
        for (owner, group) in groups {
            let Groups {
                plain,
                secure,
                redirect,
            } = group;
            if parents.https.is_empty() && !secure.is_empty() {
                let message = format!(
                    "requests for host {} are redirected to https, which has no listener for it",
                    host.name
                );
                self.lost(&owner, "spec.tls", message);
            }
            let Parents { http, https } = &parents;
            let all = [
                (plain, [&**http, &**https].concat(), true),
                (secure, https.clone(), true),
                (redirect, http.clone(), false),
            ];
            for (rules, listeners, has_policies) in all {
                let listeners: Vec<Value> = listeners
                    .into_iter()
                    .filter_map(|position| self.listeners.parent(position, self.target))
                    .collect();
                if listeners.is_empty() {
                    continue;
                }
                for rules in chunks(rules) {
                    let spec = (&*hostnames, &*listeners);
                    self.document(&owner, spec, rules, has_policies);
                }
            }
        }
    }

    fn document(
        &mut self,
        owner: &Name,
        (hostnames, listeners): (&[&str], &[Value]),
        rules: Vec<Rule>,
        has_policies: bool,
    ) {
        let Name { namespace, name } = owner;
        let wanted = match has_policies {
            true => name.to_string(),
            false => format!("{name}-redirect"),
        };
        let name = self.names.unique("HTTPRoute", namespace, &wanted);
        let target = json!({
            "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name,
        });
        if let Some(of) = self.ingresses.get_mut(owner).filter(|_| has_policies) {
            for rule in rules.iter().filter_map(|rule| rule.rewritten.as_ref()) {
                let mut target = target.clone();
                target["sectionName"] = json!(rule);
                of.rewritten.push(target);
            }
            of.routes.push(target);
        }
        let rules: Vec<Value> = rules.into_iter().map(|rule| rule.spec).collect();
        let mut spec = json!({ "parentRefs": listeners, "rules": rules });
        if !hostnames.is_empty() {
            spec["hostnames"] = json!(hostnames);
        }
        self.routes.push(json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": { "name": name, "namespace": &**namespace },
            "spec": spec,
        }));
    }
}

/// As many rules as an HTTPRoute can have; those of one path stay together.
fn chunks(groups: Vec<Vec<Rule>>) -> Vec<Vec<Rule>> {
    let mut chunks: Vec<Vec<Rule>> = Vec::new();
    for group in groups {
        match chunks.last_mut() {
            Some(last) if last.len() + group.len() <= MAX_RULES => last.extend(group),
            _ => chunks.push(group),
        }
    }
    for chunk in &mut chunks {
        // Names of rules are unique in their route.
        for (number, rule) in (1..).zip(chunk) {
            if rule.rewritten.is_some() {
                let name = format!("rule-{number}");
                rule.spec["name"] = json!(name);
                rule.rewritten = Some(name);
            }
        }
    }
    chunks
}

/// Whether `other` is a wildcard for `name`.
fn is_below(name: &str, other: &str) -> bool {
    let suffix = other.strip_prefix('*');
    name != other && suffix.is_some_and(|suffix| name.ends_with(suffix))
}

/// Whether requests for names of `host` are also names of another host.
fn covers(other: &Host, host: &Host) -> bool {
    if other.name == host.name {
        return false;
    }
    match other.name.strip_prefix('*') {
        Some(suffix) => host.name.ends_with(suffix),
        None => {
            let has_paths = match &other.behaviour {
                HostBehaviour::Routes { paths, .. } => {
                    let routes = paths.listing().len() > 1;
                    routes || !matches!(paths.root().target, Target::DefaultBackend(None))
                }
                HostBehaviour::Redirect { .. } => true,
            };
            &*other.name == CATCH_ALL && has_paths
        }
    }
}
