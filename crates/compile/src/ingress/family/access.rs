//! Allow and deny lists of client addresses.

use std::sync::Arc;

use headgate_table::{AccessRules, IpSet, Satisfy};
use ipnet::IpNet;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Protection, Reader, keys, types, words};
use crate::ingress::settings::{self, AccessDefaults};
use crate::ingress::snippet::Built;

keys! { Annotation {
    ALLOWLIST_SOURCE_RANGE: Vec<IpNet> =
        annotation("allowlist-source-range", types::CIDRS, "Only these clients are allowed; others get 403.")
            .alias(&["whitelist-source-range"]).setting(&settings::security::WHITELIST_SOURCE_RANGE).risk(Risk::Medium)
            .protects(Protection::Routes);
    DENYLIST_SOURCE_RANGE: Vec<IpNet> =
        annotation("denylist-source-range", types::CIDRS, "These clients get 403; takes precedence over the allow list.")
            .setting(&settings::security::DENYLIST_SOURCE_RANGE).risk(Risk::Medium).protects(Protection::Routes);
    SATISFY: Satisfy =
        annotation("satisfy", types::one_of::<Satisfy>(), "any: one of address list and authentication is enough.")
            .default("all");
} }

words! { Satisfy {
    "any" => Satisfy::Any,
    "all" => Satisfy::All,
} }

/// Address lists, and how they are combined with authentication.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Access {
    /// Only these clients are allowed. Replaces the ConfigMap's `whitelist-source-range`.
    pub(crate) allowlist: Option<Vec<IpNet>>,
    /// These clients are denied. Replaces the ConfigMap's `denylist-source-range`.
    pub(crate) denylist: Option<Vec<IpNet>>,
    /// Whether a client on the allow list needs no authentication.
    pub(crate) satisfy: Satisfy,
}

impl Access {
    pub(crate) fn read(reader: &Reader) -> Self {
        Self {
            allowlist: reader.get(&ALLOWLIST_SOURCE_RANGE),
            denylist: reader.get(&DENYLIST_SOURCE_RANGE),
            satisfy: reader.or_default(&SATISFY),
        }
    }

    /// Each list of the Ingress replaces that of the settings; any list of the Ingress replaces `block-cidrs`.
    pub(crate) fn policy(&self, defaults: &AccessDefaults) -> Option<Arc<AccessRules>> {
        if self.allowlist.is_none() && self.denylist.is_none() {
            return defaults.rules.clone();
        }
        let set = |list: &[IpNet]| list.iter().copied().collect::<IpSet>();
        let deny = self.denylist.as_deref().unwrap_or(&defaults.denylist);
        let allow = self.allowlist.as_deref().unwrap_or(&defaults.allowlist);
        Some(Arc::new(AccessRules {
            deny: set(deny),
            allow: (!allow.is_empty()).then(|| set(allow)),
            rules: Box::default(),
        }))
    }

    /// `access`, which is that of [`Self::policy`], with the rules of snippets after its lists. Rules replace `block-cidrs`, which
    /// are those of an outer block, unless they are of that block and end with these; lists replace rules of an outer block.
    pub(crate) fn with_rules(
        &self,
        access: Option<Arc<AccessRules>>,
        defaults: &AccessDefaults,
        built: &Built,
    ) -> Option<Arc<AccessRules>> {
        if built.rules.is_empty() {
            return access;
        }
        let deny = self.denylist.as_deref().unwrap_or(&defaults.denylist);
        let allow = self.allowlist.as_deref().unwrap_or(&defaults.allowlist);
        let has_lists = !deny.is_empty() || !allow.is_empty();
        if has_lists && built.inherits_rules {
            return access;
        }
        Some(Arc::new(AccessRules {
            deny: deny.iter().copied().collect(),
            allow: (!allow.is_empty()).then(|| allow.iter().copied().collect()),
            rules: built.rules.as_slice().into(),
        }))
    }
}
