//! Reviews of policies: whether each field can be used as it is written.

use super::index::Target;
use super::values::{TargetKind, invalid};
use crate::ingress::annotations::excerpt;
use crate::objects::custom::{Custom, HeadgatePolicySpec};

/// Reviews a policy. Its targets may be created after it.
///
/// # Errors
/// The first field that has no effect on a target, or a value that cannot be used.
pub(crate) fn review(policy: &Custom<HeadgatePolicySpec>) -> Result<(), String> {
    let namespace = &policy.name.namespace;
    let targets = policy.spec.target_refs.iter();
    let targets = targets.filter_map(|reference| Target::of(reference, namespace));
    let mut kinds: Vec<TargetKind> = Vec::new();
    for kind in targets.filter_map(|target| TargetKind::of(target.object.kind)) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    match invalid(policy, &kinds) {
        Some((field, reason)) => Err(format!("spec.{}: {reason}", excerpt(&field))),
        None => Ok(()),
    }
}
