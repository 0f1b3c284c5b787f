//! Directives for requests to an authentication service.

use headgate_table::{FieldTemplate, Template};
use http::HeaderName;
use http::header::{CONNECTION, HOST, UPGRADE};

use super::directive::Directive;
use super::names::Names;
use super::place::Place;
use super::read::read;

/// What a snippet for such requests may hold.
pub(crate) const ONLY_FIELDS: &str =
    "proxy_set_header is supported there; auth-proxy-set-headers does the same";

/// The fields that `text` sets, and why it cannot be honoured, if it cannot: what else it does could decide about access.
pub(crate) fn authentication_fields(text: &str) -> (Vec<(HeaderName, Template)>, Option<String>) {
    let reading = read(text, Place::Location);
    let names = Names::default();
    let mut closed = reading.closed;
    if let Some(remark) = reading.remarks.into_iter().next() {
        closed.get_or_insert(remark.message);
    }
    let mut fields = Vec::new();
    for placed in reading.snippet.directives {
        let at = |reason: &str| format!("line {}: {}: {reason}", placed.line, placed.name);
        if let Some(name) = names.undefined(&placed.directive) {
            closed.get_or_insert_with(|| at(&format!("there is no variable ${name}")));
            continue;
        }
        match placed.directive {
            Directive::RequestField(name, value)
                if ![HOST, CONNECTION, UPGRADE].contains(&name) =>
            {
                fields.push((name, template(value)));
            }
            Directive::Nothing => {}
            _ => {
                closed.get_or_insert_with(|| {
                    at("not supported for requests to the authentication service")
                });
            }
        }
    }
    (fields, closed)
}

fn template(value: FieldTemplate) -> Template {
    match value {
        FieldTemplate::Fixed(value) => Template::literal(value.to_str().unwrap_or_default()),
        FieldTemplate::Template(template) => *template,
    }
}
