//! Annotations of an Ingress, and defaults of the ConfigMap, as fields of policies.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Converter;
use crate::Name;
use crate::ingress::annotations::{Annotation, PolicyUse, Risk, all, find, short_name};
use crate::ingress::parsed::ParsedIngress;
use crate::ingress::registry::{OnInvalid, Support};
use crate::objects::ConfigMap;
use crate::policies::{field_name, json_of, meant};

/// The annotations of rewriting, which not all rules have.
const OF_REWRITES: [&str; 2] = ["rewrite-target", "x-forwarded-prefix"];

/// Annotations that the routes say: what they do is in the table.
const OF_ROUTES: &[&str] = &[
    "ssl-redirect",
    "force-ssl-redirect",
    "permanent-redirect",
    "permanent-redirect-code",
    "temporal-redirect",
    "temporal-redirect-code",
    "from-to-www-redirect",
    "app-root",
    "use-regex",
    "server-alias",
    "ssl-passthrough",
    "canary",
    "canary-by-header",
    "canary-by-header-value",
    "canary-by-header-pattern",
    "canary-by-cookie",
    "canary-weight",
    "canary-weight-total",
    "auth-tls-secret",
    "auth-tls-verify-client",
    "auth-tls-verify-depth",
    "auth-tls-error-page",
    "auth-tls-pass-certificate-to-upstream",
    "auth-tls-match-cn",
];

/// Keys whose defaults are other ones for Ingresses than for routes of the Gateway API.
const OTHER_DEFAULTS: [&str; 3] = [
    "proxy-body-size",
    "proxy-request-buffering",
    "proxy-buffer-size",
];

/// What policies are to say for the routes of an Ingress.
#[derive(Debug, Default)]
pub(super) struct OfIngress {
    pub(super) fields: Map<String, Value>,
    /// The fields of rewriting, if the Ingress has any.
    pub(super) rewrite: Option<Map<String, Value>>,
    /// The targets of the policy.
    pub(super) routes: Vec<Value>,
    /// The rules that are rewritten by policy.
    pub(super) rewritten: Vec<Value>,
    /// Why its routes are left out.
    pub(super) left_out: Option<String>,
}

impl Converter<'_> {
    /// Reads the annotations of all Ingresses that have routes.
    pub(super) fn ingresses(&mut self) {
        let names: Vec<Name> = self.compiled.statuses().keys().cloned().collect();
        for name in names {
            let Some(attached) = self.compiled.attached(&name) else {
                self.lost(
                    &name,
                    "",
                    "it is refused and not served, so it is not converted",
                );
                continue;
            };
            if !attached.ingress.is_canary() {
                let of = self.of_ingress(&attached.ingress);
                self.ingresses.insert(name, of);
            }
        }
    }

    fn of_ingress(&mut self, ingress: &ParsedIngress) -> OfIngress {
        let mut of = OfIngress::default();
        for (row, text) in ingress.texts() {
            let (annotation, policy) = (row.entry.name, row.policy);
            match policy {
                // An annotation with the field as its own comes first.
                PolicyUse::FieldOf(other) => match json_of(other, &text) {
                    Some(value) => drop(of.fields.entry(field_name(annotation)).or_insert(value)),
                    None => self.invalid(&ingress.name, row),
                },
                _ if OF_ROUTES.contains(&annotation) => {}
                PolicyUse::Routes => match json_of(row, &text) {
                    Some(value) if OF_REWRITES.contains(&annotation) => {
                        let rewrite = of.rewrite.get_or_insert_default();
                        rewrite.insert(field_name(annotation), value);
                    }
                    Some(value) => drop(of.fields.insert(field_name(annotation), value)),
                    None => self.invalid(&ingress.name, row),
                },
                PolicyUse::None(_) if row.entry.support != Support::Honoured => {}
                PolicyUse::Ingresses(why) | PolicyUse::None(why) => {
                    if row.protects() || row.risk == Risk::Critical {
                        of.left_out = Some(format!("{annotation} may protect them"));
                    }
                    self.lost(&ingress.name, annotation, format!("not converted: {why}"));
                }
            }
        }
        if let Some(reason) = &of.left_out {
            let message = format!("its routes are left out: {reason}");
            self.lost(&ingress.name, "", message);
        }
        of
    }

    fn invalid(&mut self, ingress: &Name, row: &Annotation) {
        let lost = row.entry.on_invalid != OnInvalid::Ignore;
        let object = format!("Ingress {ingress}");
        self.remark(
            &object,
            row.entry.name,
            "its value is invalid; left out",
            lost,
        );
    }

    /// The fields of the defaults that the ConfigMap, or ingress-nginx itself, has for all Ingresses.
    pub(super) fn defaults(&mut self) -> Map<String, Value> {
        let name = self.options.settings.as_ref();
        let map = name.and_then(|name| self.snapshot.get::<ConfigMap>(name));
        let empty = BTreeMap::new();
        let data = map.map_or(&empty, |map| map.data());
        let mut fields = Map::new();
        let mut invalid = Vec::new();
        for row in all().filter(|row| row.policy == PolicyUse::Routes) {
            let Some(key) = row.configmap_key else {
                continue;
            };
            let own = data.get(key).filter(|text| !text.trim().is_empty());
            let default = OTHER_DEFAULTS.contains(&key).then_some(row.entry.default);
            let Some(text) = own.map(String::as_str).or(default) else {
                continue;
            };
            match json_of(row, text) {
                Some(value) => drop(fields.insert(field_name(row.entry.name), value)),
                None => invalid.push(key),
            }
        }
        for key in invalid {
            self.remark("the ConfigMap", key, "its value is invalid; left out", true);
        }
        fields
    }
}

impl ParsedIngress {
    /// Its annotations with their texts, those of policies included.
    pub(crate) fn texts(&self) -> Vec<(&'static Annotation, String)> {
        let written = self.written().into_iter().flatten();
        let written = written.filter_map(|(key, text)| {
            let name = short_name(key, self.subject().prefix)?;
            let row = find(name).or_else(|| meant(name))?;
            let is_main = row.entry.name == name;
            (!text.trim().is_empty()).then(|| (row, is_main, text.clone()))
        });
        let mut texts: BTreeMap<&str, (&'static Annotation, bool, String)> = BTreeMap::new();
        for (row, is_main, text) in written {
            let known = texts.get(row.entry.name);
            if is_main || known.is_none_or(|(_, known_main, _)| !known_main) {
                texts.insert(row.entry.name, (row, is_main, text));
            }
        }
        for value in self.subject().values.all() {
            if let Ok(text) = &value.text {
                let entry = (value.row, true, text.to_string());
                texts.insert(value.row.entry.name, entry);
            }
        }
        texts
            .into_values()
            .map(|(row, _, text)| (row, text))
            .collect()
    }
}
