//! Checks of annotation names, and of forbidden words, before values are parsed.

use k8s_openapi::api::networking::v1::Ingress;

use super::quoted;
use crate::ingress::annotations::{DEFAULT_PREFIX, find, short_name};
use crate::ingress::settings::Settings;

/// # Errors
/// The first annotation that is not allowed, as a message.
pub(super) fn check(ingress: &Ingress, settings: &Settings, prefix: &str) -> Result<(), String> {
    let rules = &settings.annotations;
    for (key, value) in ingress.metadata.annotations.iter().flatten() {
        let under = |prefix: &str| key.strip_prefix(prefix)?.strip_prefix('/');
        if prefix != DEFAULT_PREFIX && under(DEFAULT_PREFIX).is_some() {
            return Err(format!(
                "annotation {}: this controller reads annotations under the prefix {prefix}, not {DEFAULT_PREFIX}",
                quoted(key)
            ));
        }
        let own = short_name(key, prefix);
        let is_forbidden = |word: &&String| !word.is_empty() && value.contains(word.as_str());
        let word = rules.blocklist.iter().find(is_forbidden);
        if let Some(word) = word.filter(|_| own.is_some()) {
            return Err(format!(
                "annotation {} contains the word {}, which annotation-value-word-blocklist forbids",
                quoted(key),
                quoted(word)
            ));
        }
        if key.ends_with("-snippet") && !rules.snippets {
            return Err(format!(
                "annotation {} cannot be used: snippets are disabled (allow-snippet-annotations)",
                quoted(key)
            ));
        }
        // Compilation closes the routes of snippets above the level; a review can deny them.
        let risk = own.and_then(find).map(|entry| entry.risk);
        if let Some(risk) = risk.filter(|risk| *risk > rules.max_risk) {
            return Err(format!(
                "annotation {}: its risk is {} and annotations-risk-level allows {}",
                quoted(key),
                risk.as_str(),
                rules.max_risk.as_str()
            ));
        }
    }
    Ok(())
}
