//! Edits of the client's request by a script.

use headgate_table::{FieldChoice, InputEdit};
use http::{HeaderName, HeaderValue};

use crate::request::Context;

/// Applies `edits` in order. Later steps, such as limits and authentication, see their result.
pub(in crate::pipeline) fn apply(context: &mut Context<'_>, edits: &[InputEdit]) {
    for edit in edits {
        let value = edit.value.as_ref().and_then(|value| context.field(value));
        match &edit.field {
            FieldChoice::Name(name) => set(context, name, value, edit.only_present),
            FieldChoice::Prefix(_) => {
                let fields = context.headers.keys();
                let named = fields.filter(|name| edit.field.includes(name));
                let named: Vec<HeaderName> = named.cloned().collect();
                for name in named {
                    context.headers.remove(name);
                }
            }
        }
    }
    context.headers_edited();
}

fn set(
    context: &mut Context<'_>,
    name: &HeaderName,
    value: Option<HeaderValue>,
    only_present: bool,
) {
    if only_present && !context.headers.contains_key(name) {
        return;
    }
    match value {
        Some(value) => drop(context.headers.insert(name, value)),
        None => drop(context.headers.remove(name)),
    }
}
