//! Filters that edit header fields (gateway-api.md 3.6).

use headgate_table::FieldEdit;
use http::{HeaderName, HeaderValue};

use super::condition::Problem;
use crate::objects::custom::HeaderFilter;

/// The edits of a filter, in the order set, add, remove; a name is in one of these lists only.
///
/// # Errors
/// A name or value that is not one of a header field.
pub(crate) fn edits(filter: &HeaderFilter) -> Result<Vec<FieldEdit>, Problem> {
    let fields = |list: &[crate::objects::custom::HeaderValue],
                  edit: fn(HeaderName, HeaderValue) -> FieldEdit| {
        let edits = list
            .iter()
            .map(|field| Ok(edit(name(&field.name)?, value(&field.value)?)));
        edits.collect::<Result<Vec<_>, Problem>>()
    };
    let mut edits = fields(&filter.set, FieldEdit::Set)?;
    edits.extend(fields(&filter.add, FieldEdit::Add)?);
    for removed in &filter.remove {
        edits.push(FieldEdit::Remove(name(removed)?));
    }
    Ok(edits)
}

fn name(text: &str) -> Result<HeaderName, Problem> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        let message = format!("{text:?} is not the name of a header field");
        Problem::new("UnsupportedValue", message)
    })
}

fn value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|_| {
        let message = format!("{text:?} is not the value of a header field");
        Problem::new("UnsupportedValue", message)
    })
}
