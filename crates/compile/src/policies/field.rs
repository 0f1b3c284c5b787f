//! Fields of policies: their names, their types, and their values as the text of an annotation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::ingress::annotations::{
    self, Annotation, Class, Kind, OWN_PREFIX, PolicyUse, Validation, excerpt,
};
use crate::ingress::registry::Value as Parsed;

/// Every annotation with a field of its own, by its name as a field.
static NAMES: LazyLock<BTreeMap<String, &'static Annotation>> = LazyLock::new(|| {
    let rows = annotations::all().filter(|row| !matches!(row.policy, PolicyUse::FieldOf(_)));
    rows.map(|row| (field_name(row.entry.name), row)).collect()
});

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Boolean,
    Integer,
    /// A number of bytes, or a text with a unit.
    Size,
    Text,
    /// One of these.
    Word(&'static [&'static str]),
    /// Members of a list, which the annotation separates by this text.
    List(&'static str, Member),
}

/// The type of the members of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Integer,
    Text,
    Word(&'static [&'static str]),
}

/// The words of `proxy-next-upstream`.
const CONDITIONS: &[&str] = &[
    "error",
    "timeout",
    "invalid_header",
    "http_403",
    "http_404",
    "http_429",
    "http_500",
    "http_502",
    "http_503",
    "http_504",
    "non_idempotent",
    "off",
];

/// The name of an annotation as a field: `limitRps` for `limit-rps`.
pub(crate) fn field_name(annotation: &str) -> String {
    let bare = annotation.strip_prefix(OWN_PREFIX).unwrap_or(annotation);
    let mut name = String::with_capacity(bare.len());
    for (position, word) in bare.split('-').enumerate() {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if position > 0 => name.push(first.to_ascii_uppercase()),
            first => name.extend(first),
        }
        name.extend(letters);
    }
    name
}

/// The annotation that a field is.
pub(super) fn find(field: &str) -> Option<&'static Annotation> {
    NAMES.get(field).copied()
}

/// The annotations that policies can have, in the order of the documentation.
pub(super) fn all() -> impl Iterator<Item = &'static Annotation> {
    annotations::all()
        .filter(|row| !matches!(row.policy, PolicyUse::None(_) | PolicyUse::FieldOf(_)))
}

/// The type of the field of an annotation of this type.
pub(super) fn shape(kind: Kind) -> Shape {
    match kind {
        Kind::Bool | Kind::OnOff => Shape::Boolean,
        Kind::Int => Shape::Integer,
        Kind::Size | Kind::SizeText => Shape::Size,
        Kind::OneOf(words) | Kind::AnyCaseOf(words) => Shape::Word(words),
        Kind::Codes => Shape::List(",", Member::Integer),
        Kind::NextUpstream => Shape::List(" ", Member::Word(CONDITIONS)),
        Kind::Cidrs | Kind::ServerNames | Kind::List => Shape::List(",", Member::Text),
        Kind::Chars(Class::Methods | Class::HeaderList | Class::ExposedHeaders | Class::Times) => {
            Shape::List(", ", Member::Text)
        }
        Kind::Duration
        | Kind::Chars(_)
        | Kind::Spaced(_)
        | Kind::AppRoot
        | Kind::Service
        | Kind::CommonName
        | Kind::Buffers
        | Kind::Raw => Shape::Text,
    }
}

/// The text of the annotation for the value of its field; `None` for null, which is as if the field were absent.
///
/// # Errors
/// The value is of another type: what is wrong.
pub(super) fn text(row: &Annotation, value: &Value) -> Option<Result<String, String>> {
    let on_off = row.entry.kind == Kind::OnOff;
    let found = match (shape(row.entry.kind), value) {
        (_, Value::Null) => return None,
        (Shape::Boolean, Value::Bool(on)) => Some(match (on_off, on) {
            (false, on) => on.to_string(),
            (true, true) => "on".to_owned(),
            (true, false) => "off".to_owned(),
        }),
        (Shape::Integer | Shape::Size, Value::Number(number)) => {
            number.as_i64().map(|number| number.to_string())
        }
        (Shape::Size | Shape::Text | Shape::Word(_), Value::String(text)) => present(text),
        (Shape::List(separator, of), Value::Array(members)) => list(members, separator, of),
        _ => None,
    };
    Some(found.ok_or_else(|| {
        format!(
            "\"{}\" is not {}",
            excerpt(&value.to_string()),
            expected(shape(row.entry.kind))
        )
    }))
}

/// The value of the field for the text of an annotation; `None` if the text is not valid.
pub(crate) fn json_of(row: &Annotation, text: &str) -> Option<Value> {
    let parsed = row.entry.kind.parse(text, Validation::TypesOnly).ok()?;
    let members = |separator: char| {
        let members = text.split(separator).map(str::trim);
        members.filter(|member| !member.is_empty())
    };
    let text = text.trim();
    Some(match shape(row.entry.kind) {
        Shape::Boolean => Value::from(parsed == Parsed::Bool(true)),
        Shape::Integer => Value::from(text.parse::<i64>().ok()?),
        Shape::Size | Shape::Text => Value::from(text),
        Shape::Word(words) => {
            let same = |word: &&&str| word.eq_ignore_ascii_case(text);
            Value::from(*words.iter().find(same)?)
        }
        Shape::List(_, Member::Integer) => members(',')
            .map(|member| member.parse::<u16>().ok().map(Value::from))
            .collect::<Option<Vec<_>>>()?
            .into(),
        Shape::List(separator, _) => {
            let separator = if separator == " " { ' ' } else { ',' };
            members(separator).collect::<Vec<_>>().into()
        }
    })
}

/// The annotation for a name that tutorials use.
pub(crate) fn meant(name: &str) -> Option<&'static Annotation> {
    annotations::meant_by(name)
}

/// An empty text is no value: in an annotation it would mean that nothing is set.
fn present(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text.to_owned())
}

fn list(members: &[Value], separator: &str, of: Member) -> Option<String> {
    let member = |member: &Value| match (of, member) {
        (Member::Integer, Value::Number(number)) => Some(number.as_u64()?.to_string()),
        (Member::Text | Member::Word(_), Value::String(text)) => present(text),
        _ => None,
    };
    let texts: Option<Vec<String>> = members.iter().map(member).collect();
    texts
        .filter(|texts| !texts.is_empty())
        .map(|texts| texts.join(separator))
}

fn expected(shape: Shape) -> String {
    match shape {
        Shape::Boolean => "true or false".to_owned(),
        Shape::Integer => "a whole number".to_owned(),
        Shape::Size => "a number of bytes or a size such as 8k".to_owned(),
        Shape::Text => "a text".to_owned(),
        Shape::Word(words) => format!("one of {}", words.join(", ")),
        Shape::List(_, Member::Integer) => "a list of whole numbers".to_owned(),
        Shape::List(_, Member::Text) => "a list of texts".to_owned(),
        Shape::List(_, Member::Word(words)) => format!("a list of {}", words.join(", ")),
    }
}
