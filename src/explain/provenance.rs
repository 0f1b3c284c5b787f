//! The annotation or ConfigMap key that a step comes from.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use headgate_compile::{Name, StreamEntry, Verdict};
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
    ("TLS passthrough", &["ssl-passthrough"], &[]),
];

/// Steps that the oldest Ingress of the host that switches them on configures; the others belong to the Ingress of the route.
const OF_HOST: [&str; 7] = [
    "client certificate",
    "client subject",
    "refused clients",
    "server snippet",
    "redirect to www",
    "app root",
    "TLS passthrough",
];
/// Texts that switch an annotation off.
const OFF: [&str; 2] = ["false", "off"];

/// The step that a TCP or UDP service configures in its entry of the ConfigMap.
const OF_ENTRY: &str = "PROXY protocol";

/// Where the configuration of a request is.
pub(super) struct Provenance<'a> {
    /// The Ingresses of the host, oldest first.
    ingresses: Vec<Source<'a>>,
    /// The Ingress of the route.
    owner: Option<&'a Name>,
    settings: Option<(&'a Name, &'a BTreeMap<String, String>)>,
    entry: Option<&'a StreamEntry>,
    prefix: &'a str,
}

/// An Ingress with its annotations that have an effect, without prefix.
struct Source<'a> {
    name: Name,
    ingress: &'a Ingress,
    effective: BTreeSet<Cow<'static, str>>,
}

impl<'a> Provenance<'a> {
    /// The sources in `objects`.
    pub(super) fn new(objects: &'a Objects) -> Self {
        let ingresses = objects.ingresses.iter().map(|ingress| {
            let verdicts = objects.judge.verdicts(ingress, &[]).into_iter();
            let verdicts = verdicts.filter(|judged| judged.verdict != Verdict::NoEffect);
            Source {
                name: Name::of(&ingress.metadata),
                ingress,
                effective: verdicts.map(|judged| judged.name).collect(),
            }
        });
        let settings = objects.settings.as_ref();
        Self {
            ingresses: ingresses.collect(),
            owner: objects.owner.as_ref(),
            settings: settings.map(|(name, map)| (name, map.data())),
            entry: objects.port.as_ref().and_then(|port| port.entry.as_ref()),
            prefix: &objects.prefix,
        }
    }

    /// Annotations with their Ingress, or keys with the ConfigMap; empty for a default.
    pub(super) fn of(&self, step: &str) -> Vec<String> {
        if step == OF_ENTRY {
            let entry = self.entry.into_iter();
            return entry
                .map(|entry| format!("{} of ConfigMap {}", entry.key, entry.map))
                .collect();
        }
        let Some((_, annotations, keys)) = SOURCES.iter().find(|(name, ..)| *name == step) else {
            return Vec::new();
        };
        let is_of_host = OF_HOST.contains(&step);
        let candidates = self.ingresses.iter();
        let candidates = candidates.filter(|source| is_of_host || Some(&source.name) == self.owner);
        for source in candidates {
            let is_on = |name: &str| {
                let text = source.text(self.prefix, name);
                text.is_some_and(|text| !OFF.contains(&text.trim()))
            };
            let applies =
                |name: &&&str| source.effective.contains(**name) && (!is_of_host || is_on(name));
            let found: Vec<_> = annotations.iter().filter(applies).collect();
            if !found.is_empty() {
                let found = found.into_iter();
                return found
                    .map(|annotation| format!("{annotation} of Ingress {}", source.name))
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

    /// The canary annotations of the Ingresses that send requests to a Service as a canary; `backend` is
    /// `namespace/service/port`.
    pub(super) fn of_canary(&self, backend: &str) -> Vec<String> {
        let mut parts = backend.split('/');
        let (namespace, service) = (parts.next(), parts.next());
        let sends = |source: &&Source<'_>| {
            source.ingress.metadata.namespace.as_deref() == namespace
                && source.services().any(|one| Some(one) == service)
        };
        let found = self.ingresses.iter().filter(sends).flat_map(|source| {
            let names = source.effective.iter();
            let names = names.filter(|name| name.starts_with("canary"));
            names.map(|name| format!("{name} of Ingress {}", source.name))
        });
        found.collect()
    }
}

impl Source<'_> {
    /// The text of an annotation, which is named without prefix.
    fn text(&self, prefix: &str, name: &str) -> Option<&str> {
        let all = self.ingress.metadata.annotations.as_ref()?;
        Some(all.get(&format!("{prefix}/{name}"))?)
    }

    /// The Services of its paths.
    fn services(&self) -> impl Iterator<Item = &str> {
        let rules = self.ingress.spec.iter().flat_map(|spec| &spec.rules);
        let rules = rules.flatten().filter_map(|rule| rule.http.as_ref());
        let paths = rules.flat_map(|http| &http.paths);
        paths.filter_map(|path| Some(path.backend.service.as_ref()?.name.as_str()))
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
