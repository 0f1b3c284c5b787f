//! Rate and connection limits.

use super::{Annotation, Kind, Support, annotation};

pub(super) const ENTRIES: &[Annotation] = &[
    annotation(
        "limit-rps",
        Kind::Int,
        "Requests per second and client; zero or less is off.",
    )
    .default("0")
    .refuses(),
    annotation(
        "limit-rpm",
        Kind::Int,
        "Requests per minute and client; zero or less is off.",
    )
    .default("0")
    .refuses(),
    annotation(
        "limit-connections",
        Kind::Int,
        "Requests in progress at a time per client; zero or less is off.",
    )
    .default("0")
    .refuses(),
    annotation(
        "limit-burst-multiplier",
        Kind::Int,
        "Burst as a multiple of the limit, served without delay.",
    )
    .default("5"),
    annotation(
        "limit-allowlist",
        Kind::Cidrs,
        "Clients that are not counted.",
    )
    .alias(&["limit-whitelist"])
    .refuses(),
    // A throttle slows answers down and never refuses one, so without it nothing is open that should be closed.
    annotation(
        "limit-rate",
        Kind::Int,
        "Kilobytes per second of one response.",
    )
    .setting("limit-rate", "0")
    .support(Support::NotYet),
    annotation(
        "limit-rate-after",
        Kind::Int,
        "Kilobytes of a response before limit-rate begins.",
    )
    .setting("limit-rate-after", "0")
    .support(Support::NotYet),
];
