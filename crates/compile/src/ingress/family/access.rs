//! Allow and deny lists of client addresses.

use ipnet::IpNet;

use crate::ingress::annotations::{Annotation, Kind, Reader, Risk, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "allowlist-source-range",
        Kind::Cidrs,
        "Only these clients pass, others get 403.",
    )
    .alias(&["whitelist-source-range"])
    .setting("whitelist-source-range", "")
    .risk(Risk::Medium)
    .denies(),
    annotation(
        "denylist-source-range",
        Kind::Cidrs,
        "These clients get 403; decides before the allow list.",
    )
    .setting("denylist-source-range", "")
    .risk(Risk::Medium)
    .denies(),
    // It only relates the address lists to authentication, and a route with authentication is closed anyway.
    annotation(
        "satisfy",
        Kind::OneOf(&["any", "all"]),
        "any: one of address list and authentication is enough.",
    )
    .default("all")
    .support(Support::Inert),
];

/// Address lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Only these clients pass. Replaces the ConfigMap's `whitelist-source-range`.
    pub allowlist: Option<Vec<IpNet>>,
    /// These clients never pass. Replaces the ConfigMap's `denylist-source-range`.
    pub denylist: Option<Vec<IpNet>>,
}

impl Access {
    pub(crate) fn read(reader: &Reader) -> Self {
        let list = |name| reader.cidrs(name).map(<[IpNet]>::to_vec);
        Self {
            allowlist: list("allowlist-source-range"),
            denylist: list("denylist-source-range"),
        }
    }
}
