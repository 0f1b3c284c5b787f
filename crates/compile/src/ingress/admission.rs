//! Reviews of Ingresses: whether one is allowed (behaviour.md 9.2).
//!
//! A review reads the object, the settings and the Ingresses that share a host with it, in the served state. It compiles no host
//! and changes nothing, so it costs the same whether or not the Ingress is stored. It reads no Secret or Service: these may be
//! created after the Ingress, and missing ones are findings until then.

mod keys;
mod overlap;
mod paths;
mod warnings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use headgate_table::CATCH_ALL;
use k8s_openapi::api::networking::v1::Ingress;

use crate::ingress::annotations::excerpt;
use crate::ingress::annotations::full_name;
use crate::ingress::class::{has_selected_class, is_watched};
use crate::ingress::inspect::inspect;
use crate::ingress::parsed::{ParsedIngress, Reading};
use crate::{Compiled, Name, Options, Review, Snapshot};

/// Reviews `ingress` as it would be stored. `compiled` is what `snapshot` was compiled to under `options`. Never fails.
pub(crate) fn review(
    ingress: &Ingress,
    compiled: &Compiled,
    snapshot: &Snapshot,
    options: &Options,
) -> Review {
    let mut review = Review::default();
    if ingress.metadata.deletion_timestamp.is_some() {
        return review;
    }
    if options.deep_inspect
        && let Err(forbidden) = inspect(ingress)
    {
        review.denied = Some(forbidden.to_string());
        return review;
    }
    let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
    review.selected = has_selected_class(ingress, snapshot, &options.class)
        && is_watched(namespace, snapshot, options);
    if !review.selected {
        return review;
    }
    review.tested = 1;
    let candidate = Candidate {
        ingress,
        compiled,
        snapshot,
        options,
    };
    review.denied = candidate.check(&mut review).err();
    if review.denied.is_some() {
        review.warnings.clear();
    }
    review
}

/// A selected Ingress under review.
struct Candidate<'a> {
    ingress: &'a Ingress,
    compiled: &'a Compiled,
    snapshot: &'a Snapshot,
    options: &'a Options,
}

impl Candidate<'_> {
    /// Runs the checks in order; the first that fails denies.
    fn check(&self, review: &mut Review) -> Result<(), String> {
        self.catch_all()?;
        self.uid()?;
        let path_problem = paths::strict(self.ingress);
        let settings = self.compiled.settings();
        if settings.annotations.strict_paths
            && let Some(problem) = path_problem
        {
            return Err(problem);
        }
        keys::check(self.ingress, settings, &self.options.annotations_prefix)?;
        let reading = Reading {
            settings,
            options: self.options,
            // Policies have reports of their own.
            values: &Arc::default(),
            expressions: paths::MAX_EXPRESSIONS,
        };
        let parsed = Arc::new(ParsedIngress::read(
            &Arc::new(self.ingress.clone()),
            reading,
        ));
        if let Some(reason) = &parsed.annotations.refused {
            return Err(full_name(&self.options.annotations_prefix, reason));
        }
        if let Some(reason) = self.compiled.expressions_beyond(&parsed) {
            return Err(reason);
        }
        review.tested += overlap::check(&parsed, self)?;
        let unchecked = paths::expressions(&parsed, self.compiled)?;
        let remarks = path_problem.into_iter().chain(unchecked);
        review.warnings = warnings::of(&parsed, &self.options.annotations_prefix, remarks);
        Ok(())
    }

    fn catch_all(&self) -> Result<(), String> {
        let spec = self.ingress.spec.as_ref();
        if self.options.disable_catch_all && spec.is_some_and(|spec| spec.default_backend.is_some())
        {
            return Err(
                "spec.defaultBackend would catch all requests, which --disable-catch-all forbids"
                    .into(),
            );
        }
        Ok(())
    }

    /// The API server sets the UID of every object before it calls the webhook, so any other text is not from the API server.
    fn uid(&self) -> Result<(), String> {
        let uid = self.ingress.metadata.uid.as_deref().unwrap_or_default();
        if is_uuid(uid) {
            Ok(())
        } else {
            Err(format!("metadata.uid is not a UUID: {}", quoted(uid)))
        }
    }

    /// Whether a stored Ingress has a canary annotation, of any value (behaviour.md 9.2).
    fn has_canary_annotation(&self, name: &Name) -> bool {
        let stored = self.snapshot.get::<Ingress>(name);
        stored.is_some_and(|ingress| has_canary_annotation(ingress, self.options))
    }
}

fn has_canary_annotation(ingress: &Ingress, options: &Options) -> bool {
    let annotations = ingress.metadata.annotations.as_ref();
    annotations
        .is_some_and(|all| all.contains_key(&format!("{}/canary", options.annotations_prefix)))
}

/// Thirty-two hexadecimal digits in groups of 8, 4, 4, 4 and 12 (RFC 9562, section 4).
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A host as written; rules without a host are those of the catch-all.
fn shown_host(host: Option<&str>) -> &str {
    match host {
        None | Some("") => CATCH_ALL,
        Some(host) => host,
    }
}

/// Text of an object in a message: short and escaped.
fn quoted(text: &str) -> String {
    format!("\"{}\"", excerpt(text))
}
