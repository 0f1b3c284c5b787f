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
/// `knows_location`: whether settings look up the location of clients.
pub(crate) fn authentication_fields(
    text: &str,
    knows_location: bool,
) -> (Vec<(HeaderName, Template)>, Option<String>) {
    let reading = read(text, Place::Location);
    let names = Names::new(knows_location);
    let mut closed = reading.closed;
    if let Some(remark) = reading.remarks.into_iter().next() {
        closed.get_or_insert(remark.message);
    }
    let mut fields = Vec::new();
    for placed in reading.snippet.directives {
        let at = |reason: &str| format!("line {}: {}: {reason}", placed.line, placed.name);
        if let Some(reason) = names.undefined(&placed.directive) {
            closed.get_or_insert_with(|| at(&reason));
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
        // The value was a text, so it is one: also outside of ASCII.
        FieldTemplate::Fixed(value) => {
            Template::literal(&String::from_utf8_lossy(value.as_bytes()))
        }
        FieldTemplate::Template(template) => *template,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_of_ascii_is_sent_as_written() {
        let (fields, closed) = authentication_fields("proxy_set_header X-Team \"Käse\";", false);
        let values: Vec<&str> = fields.iter().map(|(_, value)| value.source()).collect();
        assert_eq!((values, closed), (vec!["Käse"], None));
    }

    #[test]
    fn a_location_is_known_only_if_settings_look_it_up() {
        let text = "proxy_set_header X-Country $geoip2_country_code;";
        assert!(authentication_fields(text, true).1.is_none());
        assert!(authentication_fields(text, false).1.is_some());
    }
}
