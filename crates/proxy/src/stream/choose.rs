//! The choice of the upstream of a session.

use std::sync::Arc;

use headgate_table::{
    Arm, Backend, Pick, RoutingTable, RuleInput, Split, Unavailable, Upstream, UpstreamKey,
};
use http::HeaderName;

use crate::upstream::Upstreams;

/// The upstream that the weights pick; `None`: no endpoints, or a status, which a stream cannot express.
pub(crate) fn choose<'t>(
    split: &Split,
    table: &'t RoutingTable,
    upstreams: &Upstreams,
) -> Option<&'t Arc<Upstream>> {
    by_dice(split, table, upstreams, |total| fastrand::u32(1..=total))
}

/// As [`choose`]; `dice` returns a number from 1 to its argument, by which weights decide.
pub(crate) fn by_dice<'t>(
    split: &Split,
    table: &'t RoutingTable,
    upstreams: &Upstreams,
    dice: impl FnOnce(u32) -> u32,
) -> Option<&'t Arc<Upstream>> {
    let with_endpoints = |key: &UpstreamKey| {
        table
            .upstream(key)
            .filter(|upstream| upstreams.has_endpoints(upstream))
    };
    let usable = |backend: &Backend| backend.upstream().and_then(with_endpoints);
    let primary = || match &split.primary().arm {
        Arm::Upstream(key) => {
            with_endpoints(key).or_else(|| split.fallback().and_then(with_endpoints))
        }
        Arm::Status(_) => None,
    };
    let picked = split.alternatives().and_then(|others| {
        match others.pick(&NoFields, dice(others.total())) {
            Pick::Alternative(index) => others.get(index),
            Pick::Primary => None,
        }
    });
    let Some(other) = picked else {
        return primary();
    };
    match (&other.backend.arm, other.unavailable) {
        (Arm::Upstream(_), Unavailable::UsePrimary) => usable(&other.backend).or_else(primary),
        _ => usable(&other.backend),
    }
}

/// The input of rules: a stream has no headers or cookies.
struct NoFields;

impl RuleInput for NoFields {
    fn header(&self, _name: &HeaderName) -> Option<&[u8]> {
        None
    }

    fn cookie(&self, _name: &str) -> Option<&str> {
        None
    }
}
