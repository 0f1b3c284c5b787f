//! The annotation or ConfigMap key that a step comes from.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_compile::{ConfigMap, Name};
use k8s_openapi::api::networking::v1::Ingress;

use super::answer::State;

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
    ("password", &["auth-type", "auth-secret"], &[]),
    ("authentication service", &["auth-url"], &["global-auth-url"]),
    ("error page", &["custom-http-errors"], &["custom-http-errors"]),
    ("response", &["app-root", "from-to-www-redirect"], &[]),
];

/// Where the configuration of a request is.
pub(super) struct Provenance<'a> {
    /// The Ingress of the route comes first.
    ingresses: Vec<&'a Arc<Ingress>>,
    settings: Option<(&'a Name, &'a BTreeMap<String, String>)>,
    prefix: &'a str,
}

impl<'a> Provenance<'a> {
    /// For a route of `owner` on a host of `ingresses`.
    pub(super) fn new(
        state: &State<'a>,
        owner: Option<&Name>,
        ingresses: &[&'a Arc<Ingress>],
    ) -> Self {
        let (mut first, others): (Vec<_>, Vec<_>) = ingresses
            .iter()
            .copied()
            .partition(|ingress| Some(&Name::of(&ingress.metadata)) == owner);
        first.extend(others);
        let settings = state.options.settings.as_ref();
        Self {
            ingresses: first,
            settings: settings.and_then(|name| {
                let map = state.snapshot.get::<ConfigMap>(name)?;
                Some((name, map.data()))
            }),
            prefix: &state.options.annotations_prefix,
        }
    }

    /// Annotations with their Ingress, or keys with the ConfigMap; empty for a default.
    pub(super) fn of(&self, step: &str) -> Vec<String> {
        let Some((_, annotations, keys)) = SOURCES.iter().find(|(name, ..)| *name == step) else {
            return Vec::new();
        };
        for ingress in &self.ingresses {
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
