//! Annotations that have no effect on a canary (behaviour.md 1.2): a canary has no routes, it only takes requests of its
//! primary's.

use super::{Annotation, Rules};
use crate::ingress::annotations::load::Texts;
use crate::ingress::family::canary::CANARY;
use crate::ingress::registry::{OnInvalid, Reader, Value};

/// The finding about every other annotation.
const MESSAGE: &str = "has no effect on a canary: what the primary Ingress of the same host and path has applies; set it there";

/// Whether the Ingress with these annotations is a canary.
pub(super) fn is_canary(rules: &Rules<'_>, texts: &Texts<'_>) -> bool {
    let entry = CANARY.entry();
    let text = texts.get(entry.name);
    text.is_some_and(|text| entry.kind.parse(text, rules.validation) == Ok(Value::Bool(true)))
}

/// Reports an annotation without effect. Its value is not used; an invalid one refuses the object as on any other Ingress.
pub(super) fn report(reader: &mut Reader, rules: &Rules<'_>, row: &'static Annotation, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    let entry = &row.entry;
    let default = entry.kind.parse(entry.default, rules.validation);
    match entry.kind.parse(text, rules.validation) {
        Err(error) if entry.on_invalid == OnInvalid::RefuseIngress => {
            reader.refuse(entry.name, &error.to_string());
        }
        Ok(value) if default == Ok(value.clone()) => {}
        _ => reader.warn_entry(entry, MESSAGE),
    }
}
