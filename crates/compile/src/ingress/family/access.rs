//! Allow and deny lists of client addresses.

use std::sync::Arc;

use headgate_table::{AccessRules, IpSet};
use ipnet::IpNet;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Protection, Reader, keys, types};
use crate::ingress::settings::{self, AccessDefaults};

keys! { Annotation {
    ALLOWLIST_SOURCE_RANGE: Vec<IpNet> =
        annotation("allowlist-source-range", types::CIDRS, "Only these clients are allowed; others get 403.")
            .alias(&["whitelist-source-range"]).setting(&settings::security::WHITELIST_SOURCE_RANGE).risk(Risk::Medium)
            .protects(Protection::Routes);
    DENYLIST_SOURCE_RANGE: Vec<IpNet> =
        annotation("denylist-source-range", types::CIDRS, "These clients get 403; takes precedence over the allow list.")
            .setting(&settings::security::DENYLIST_SOURCE_RANGE).risk(Risk::Medium).protects(Protection::Routes);
    // It only combines the address lists with authentication, and a route with authentication is closed anyway.
    SATISFY: &'static str =
        annotation("satisfy", types::words(&["any", "all"]), "any: one of address list and authentication is enough.")
            .default("all").inert();
} }

/// Address lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Access {
    /// Only these clients are allowed. Replaces the ConfigMap's `whitelist-source-range`.
    pub(crate) allowlist: Option<Vec<IpNet>>,
    /// These clients are denied. Replaces the ConfigMap's `denylist-source-range`.
    pub(crate) denylist: Option<Vec<IpNet>>,
}

impl Access {
    pub(crate) fn read(reader: &Reader) -> Self {
        Self {
            allowlist: reader.get(&ALLOWLIST_SOURCE_RANGE),
            denylist: reader.get(&DENYLIST_SOURCE_RANGE),
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
        }))
    }
}
