//! Allow and deny lists.

use super::{Annotation, Kind, Risk, Support, annotation};

pub(super) const ENTRIES: &[Annotation] = &[
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
