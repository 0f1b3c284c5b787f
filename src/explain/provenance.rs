//! The annotation or ConfigMap key that a step comes from.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_compile::Name;
use k8s_openapi::api::networking::v1::Ingress;

use super::json::Objects;

/// What a step reads: its name, annotations, and ConfigMap keys.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

#[rustfmt::skip] // one line for each step
const SOURCES: &[Row] = &[
    ("client certificate", &["auth-tls-secret", "auth-tls-verify-client", "auth-tls-verify-depth", "auth-tls-error-page"], &[]),
    ("client subject", &["auth-tls-match-cn"], &[]),
    ("block list", &[], &["block-user-agents", "block-referers"]),
    ("body size", &["proxy-body-size"], &["proxy-body-size"]),
    ("CORS", &["enable-cors", "cors-allow-origin"], &[]),
    ("redirect", &["temporal-redirect", "permanent-redirect"], &[]),
    ("rewrite", &["rewrite-target", "use-regex"], &[]),
    ("redirect to https", &["force-ssl-redirect", "ssl-redirect"], &["force-ssl-redirect", "ssl-redirect", "no-tls-redirect-locations"]),
    ("backend", &["default-backend"], &[]),
    ("limits", &["limit-rps", "limit-rpm", "limit-connections", "limit-burst-multiplier", "limit-allowlist"], &[]),
    ("addresses", &["allowlist-source-range", "whitelist-source-range", "denylist-source-range"], &["whitelist-source-range", "denylist-source-range", "block-cidrs"]),
    ("password", &["auth-type", "auth-secret", "auth-secret-type", "auth-realm", "satisfy"], &[]),
    ("authentication service", &["auth-url", "auth-signin", "auth-snippet", "satisfy"], &["global-auth-url", "global-auth-signin"]),
    ("snippet", &["configuration-snippet"], &["location-snippet"]),
    ("mirror", &["mirror-target", "mirror-host", "mirror-request-body"], &[]),
    ("tracing", &["enable-opentelemetry"], &["enable-opentelemetry"]),
    ("protocol", &["backend-protocol"], &[]),
    ("error page", &["custom-http-errors"], &["custom-http-errors"]),
    ("refused clients", &["auth-tls-secret"], &[]),
    ("server snippet", &["server-snippet"], &["server-snippet"]),
    ("redirect to www", &["from-to-www-redirect"], &[]),
    ("app root", &["app-root"], &[]),
];

/// Steps that any Ingress of the host may configure; the others belong to the Ingress of the route.
const OF_HOST: [&str; 6] = [
    "client certificate",
    "client subject",
    "refused clients",
    "server snippet",
    "redirect to www",
    "app root",
];

/// Where the configuration of a request is.
pub(super) struct Provenance<'a> {
    /// The Ingress of the route.
    own: Vec<&'a Arc<Ingress>>,
    /// The other Ingresses of the host.
    others: Vec<&'a Arc<Ingress>>,
    settings: Option<(&'a Name, &'a BTreeMap<String, String>)>,
    prefix: &'a str,
}

impl<'a> Provenance<'a> {
    /// The sources in `objects`.
    pub(super) fn new(objects: &'a Objects) -> Self {
        let owner = objects.owner.as_ref();
        let ingresses = objects.ingresses.iter();
        let (own, others): (Vec<_>, Vec<_>) =
            ingresses.partition(|ingress| Some(&Name::of(&ingress.metadata)) == owner);
        let settings = objects.settings.as_ref();
        Self {
            own,
            others,
            settings: settings.map(|(name, map)| (name, map.data())),
            prefix: &objects.prefix,
        }
    }

    /// Annotations with their Ingress, or keys with the ConfigMap; empty for a default.
    pub(super) fn of(&self, step: &str) -> Vec<String> {
        let Some((_, annotations, keys)) = SOURCES.iter().find(|(name, ..)| *name == step) else {
            return Vec::new();
        };
        let others = if OF_HOST.contains(&step) {
            &*self.others
        } else {
            &[]
        };
        for ingress in self.own.iter().chain(others) {
            let has = |name: &&&str| {
                let all = ingress.metadata.annotations.as_ref();
                all.is_some_and(|all| all.contains_key(&format!("{}/{name}", self.prefix)))
            };
            let found: Vec<_> = annotations.iter().filter(has).collect();
            if !found.is_empty() {
                let name = Name::of(&ingress.metadata);
                let found = found.into_iter();
                return found
                    .map(|annotation| format!("{annotation} of Ingress {name}"))
                    .collect();
            }
        }
        let Some((map, data)) = self.settings else {
            return Vec::new();
        };
        let found = keys.iter().filter(|key| data.contains_key(**key));
        found
            .map(|key| format!("{key} of ConfigMap {map}"))
            .collect()
    }
}

impl Provenance<'_> {
    /// The canary annotations of the Ingresses that send requests to a Service as a canary; `backend` is
    /// `namespace/service/port`.
    pub(super) fn of_canary(&self, backend: &str) -> Vec<String> {
        let mut parts = backend.split('/');
        let (namespace, service) = (parts.next(), parts.next());
        let sends = |ingress: &&&Arc<Ingress>| {
            let spec = ingress.spec.as_ref();
            let rules = spec
                .and_then(|spec| spec.rules.as_ref())
                .into_iter()
                .flatten();
            let paths = rules
                .filter_map(|rule| rule.http.as_ref())
                .flat_map(|http| &http.paths);
            let mut services = paths.filter_map(|path| path.backend.service.as_ref());
            ingress.metadata.namespace.as_deref() == namespace
                && services.any(|one| Some(one.name.as_str()) == service)
        };
        let start = format!("{}/canary", self.prefix);
        let found = self.own.iter().chain(&self.others).filter(sends);
        let found = found.flat_map(|ingress| {
            let name = Name::of(&ingress.metadata);
            let annotations = ingress.metadata.annotations.iter().flatten();
            let start = &start;
            annotations.filter_map(move |(key, _)| {
                let short = key.strip_prefix(self.prefix)?.strip_prefix('/')?;
                key.starts_with(start)
                    .then(|| format!("{short} of Ingress {name}"))
            })
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use headgate_compile::{annotations, settings};

    use super::SOURCES;

    #[test]
    fn every_source_is_registered() {
        for (step, names, keys) in SOURCES {
            for name in *names {
                assert!(annotations::find(name).is_some(), "{step}: {name}");
            }
            for key in *keys {
                assert!(settings::find(key).is_some(), "{step}: {key}");
            }
        }
    }
}
