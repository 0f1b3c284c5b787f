//! Directives that edit header fields: `more_…_headers`, `add_header`, `expires` and `proxy_…_header`.

use headgate_table::{
    AddedField, Expires, ExpiresTime, FieldChoice, FieldTemplate, InputEdit, OutputEdit, Phase,
};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, StatusCode};

use super::directive::Directive;
use super::values::{field, field_name, shown, status, template};

/// What `more_set_headers` and its like do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Set,
    Clear,
}

/// The options of `more_…_headers`.
#[derive(Default)]
struct Options {
    statuses: Vec<StatusCode>,
    types: Vec<String>,
    append: bool,
    only_present: bool,
}

/// `more_set_headers` and `more_clear_headers`.
pub(super) fn output(edit: Edit, arguments: &[String]) -> Result<Directive, String> {
    let (options, fields) = options(arguments, "sta")?;
    let edits = fields.iter().map(|written| {
        let (field, value) = assignment(edit, written, Phase::Response)?;
        refuse_framing(&field)?;
        Ok(OutputEdit {
            field,
            value,
            append: options.append && edit == Edit::Set,
            statuses: options.statuses.clone().into(),
            types: options.types.clone().into(),
        })
    });
    edits.collect::<Result<_, String>>().map(Directive::Output)
}

/// `more_set_input_headers` and `more_clear_input_headers`.
pub(super) fn input(edit: Edit, arguments: &[String]) -> Result<Directive, String> {
    let (options, fields) = options(arguments, "tr")?;
    if !options.types.is_empty() {
        return Err("-t is not supported".to_owned());
    }
    let edits = fields.iter().map(|written| {
        let (field, value) = assignment(edit, written, Phase::Request)?;
        refuse_framing(&field)?;
        if field.includes(&HOST) {
            return Err(
                "Host cannot be edited in requests; proxy_set_header sets that of the backend"
                    .to_owned(),
            );
        }
        Ok(InputEdit {
            field,
            value,
            only_present: options.only_present,
        })
    });
    edits.collect::<Result<_, String>>().map(Directive::Input)
}

/// The options at the start, and the fields after them. `allowed` has the letters of options.
fn options<'a>(arguments: &'a [String], allowed: &str) -> Result<(Options, &'a [String]), String> {
    let mut options = Options::default();
    let mut rest = arguments;
    while let [first, others @ ..] = rest {
        let Some(letter) = first.strip_prefix('-') else {
            break;
        };
        if letter.len() != 1 || !allowed.contains(letter) {
            return Err(format!("unknown option \"{}\"", shown(first)));
        }
        rest = match (letter, others) {
            ("a", _) => {
                options.append = true;
                others
            }
            ("r", _) => {
                options.only_present = true;
                others
            }
            (_, [list, others @ ..]) => {
                options.add_list(letter, list)?;
                others
            }
            (_, []) => return Err(format!("-{letter} needs a list")),
        };
    }
    if rest.is_empty() {
        return Err("it names no header field".to_owned());
    }
    Ok((options, rest))
}

impl Options {
    fn add_list(&mut self, letter: &str, list: &str) -> Result<(), String> {
        if letter == "s" {
            let statuses = list.split_ascii_whitespace().map(status);
            self.statuses
                .extend(statuses.collect::<Result<Vec<_>, _>>()?);
        } else {
            let types = list.split([' ', '\t', ';']).filter(|word| !word.is_empty());
            self.types.extend(types.map(str::to_ascii_lowercase));
        }
        Ok(())
    }
}

/// `Name: value` or `Name value`; without a value the field is removed.
fn assignment(
    edit: Edit,
    written: &str,
    phase: Phase,
) -> Result<(FieldChoice, Option<FieldTemplate>), String> {
    let written = written.trim_start();
    let end = written.find([':', ' ', '\t']).unwrap_or(written.len());
    let (name, rest) = written.split_at(end);
    let value = rest.trim_start_matches([':', ' ', '\t']);
    let choice = match name.strip_suffix('*') {
        Some("") | None if name == "*" => {
            return Err("\"*\" alone names no header field".to_owned());
        }
        // A header name is lower-case.
        Some(prefix) => FieldChoice::Prefix(field_name(prefix)?.as_str().into()),
        None => FieldChoice::Name(field_name(name)?),
    };
    let value = match (edit, value) {
        (Edit::Clear, _) | (_, "") => None,
        (Edit::Set, value) => Some(field(value, phase)?),
    };
    if value.is_some() && matches!(choice, FieldChoice::Prefix(_)) {
        return Err("a name with \"*\" cannot be set".to_owned());
    }
    Ok((choice, value))
}

/// Fields that frame a message are the proxy's.
fn refuse_framing(field: &FieldChoice) -> Result<(), String> {
    let framing = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE, TE];
    match framing.iter().find(|name| field.includes(name)) {
        Some(name) => Err(format!("{name} is made by the proxy and cannot be edited")),
        None => Ok(()),
    }
}

/// `add_header NAME VALUE [always]`
pub(super) fn add(arguments: &[String]) -> Result<Directive, String> {
    let (name, value, always) = match arguments {
        [name, value] => (name, value, false),
        [name, value, word] if word == "always" => (name, value, true),
        _ => return Err("expected a name, a value and perhaps \"always\"".to_owned()),
    };
    let name = field_name(name)?;
    refuse_framing(&FieldChoice::Name(name.clone()))?;
    Ok(Directive::Add(AddedField {
        name,
        value: field(value, Phase::Response)?,
        always,
    }))
}

/// `expires [modified] TIME`
pub(super) fn expires(arguments: &[String]) -> Result<Directive, String> {
    let (text, modified) = match arguments {
        [text] => (text, false),
        [word, text] if word == "modified" => (text, true),
        _ => return Err("expected a time, epoch, max or off".to_owned()),
    };
    if text.contains('$') && !modified {
        let text = template(text, Phase::Response)?;
        return Ok(Directive::Expires(Expires::Text(Box::new(text))));
    }
    let time = ExpiresTime::parse(text, modified);
    let time =
        time.ok_or_else(|| format!("\"{}\" is not a time, epoch, max or off", shown(text)))?;
    Ok(Directive::Expires(Expires::At(time)))
}

/// `NAME VALUE` of `proxy_set_header` and `grpc_set_header`
pub(super) fn request_field(
    arguments: &[String],
    directive: impl Fn(HeaderName, FieldTemplate) -> Directive,
) -> Result<Directive, String> {
    let [name, value] = arguments else {
        return Err("expected a name and a value".to_owned());
    };
    let name = field_name(name)?;
    if [CONTENT_LENGTH, TRANSFER_ENCODING, TE].contains(&name) {
        return Err(format!("{name} is made by the proxy and cannot be set"));
    }
    Ok(directive(name, field(value, Phase::Request)?))
}

/// `proxy_hide_header` and `proxy_pass_header`: the only argument.
pub(super) fn response_field(arguments: &[String]) -> Result<HeaderName, String> {
    match arguments {
        [name] => field_name(name),
        _ => Err("expected one header name".to_owned()),
    }
}
