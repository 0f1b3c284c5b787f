//! Text with variables, parsed once: hash keys, header values, rewrite targets, log formats.
//!
//! There is one vocabulary, [`Variable`], for every place that takes variables; each variable has the [`Phase`] from which it
//! is known, and text that needs more than its place knows is refused when it is parsed.

mod docs;
mod field;
mod geo;
mod names;
mod stream;
mod trace;
mod variable;

use std::fmt;

use http::HeaderName;

pub use self::docs::variables_markdown;
pub use self::field::FieldTemplate;
pub use self::geo::GeoVariable;
pub use self::stream::{StreamFormat, StreamPiece, StreamVariable};
pub use self::trace::TraceVariable;
pub use self::variable::{ClientVariable, Phase, TlsVariable, UpstreamVariable, Variable};

/// Text with variables, e.g. `$request_uri` or `user-$http_x_user`. The data plane evaluates it for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    source: String,
    reads: Reads,
}

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Literal text.
    Text(String),
    /// `$1`..`$9`: a capture group of the matched path; empty if the group does not exist.
    Capture(usize),
    /// A named capture group of the matched path, or a variable that configuration sets, lower-case; only in templates of
    /// [`Template::with_groups`] and [`Template::with_locals`].
    Group(String),
    /// A variable.
    Variable(Variable),
}

/// Header fields that a template reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Of the client's request.
    pub request: Box<[HeaderName]>,
    /// Of the response to the client.
    pub response: Box<[HeaderName]>,
    /// Of the upstream's response.
    pub upstream: Box<[HeaderName]>,
}

/// Why text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` without `}`.
    #[error("\"${{\" without \"}}\"")]
    Unclosed,
    /// A `$` without a name after it.
    #[error("\"$\" is not followed by a variable name")]
    NoName,
    /// There are no variables of these names, which are without `$`.
    #[error("there is no variable {}", listed(.0))]
    Unknown(Vec<String>),
    /// A variable that is known only later than the text is evaluated.
    #[error("variable ${name} is known only {phase}")]
    TooEarly {
        /// Name without `$`.
        name: String,
        /// When it is known.
        phase: Phase,
    },
}

impl Template {
    /// Parses `$name`, `${name}` and `$1`..`$9` in `source`, for use in [`Phase::Request`]; everything else is literal.
    ///
    /// # Errors
    /// A `$` without a variable name after it, an unclosed `${`, names that no variable has, or a variable that is known only
    /// later.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        Self::parse_for(source, Phase::Request)
    }

    /// As [`Template::parse`], for use in `phase`.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_for(source: &str, phase: Phase) -> Result<Self, TemplateError> {
        let mut unknown = Vec::new();
        let pieces = pieces(source, |name| {
            let known = known(name, phase)?;
            Ok(known.unwrap_or_else(|| {
                unknown.push(name.to_owned());
                Piece::Text(String::new())
            }))
        })?;
        if unknown.is_empty() {
            Ok(Self::new(pieces, source))
        } else {
            Err(TemplateError::Unknown(unknown))
        }
    }

    /// As [`Template::parse`], where other names are capture groups of the path: the caller checks them
    /// ([`Template::groups`]) when it knows the path.
    ///
    /// # Errors
    /// As [`Template::parse`], without unknown names.
    pub fn with_groups(source: &str) -> Result<Self, TemplateError> {
        Self::with_locals(source, Phase::Request)
    }

    /// As [`Template::with_groups`], for use in `phase`: other names are also those of variables that configuration sets.
    ///
    /// # Errors
    /// As [`Template::with_groups`].
    pub fn with_locals(source: &str, phase: Phase) -> Result<Self, TemplateError> {
        let pieces = pieces(source, |name| {
            let known = known(name, phase)?;
            // nginx ignores case in names of variables.
            Ok(known.unwrap_or_else(|| Piece::Group(name.to_ascii_lowercase())))
        })?;
        Ok(Self::new(pieces, source))
    }

    /// Parses a log format, and returns the problems of it. It cannot fail: a variable that does not exist is written as `-`,
    /// and a `$` without name literally.
    pub fn log_format(source: &str) -> (Self, Vec<TemplateError>) {
        let mut problems = Vec::new();
        let mut unknown = Vec::new();
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some(at) = rest.find('$') {
            let (text, after) = rest.split_at(at);
            push_text(&mut pieces, text);
            let after = after.get(1..).unwrap_or_default();
            rest = match name(after) {
                Ok((name, rest)) => {
                    pieces.push(Variable::named(name).map_or_else(
                        || {
                            unknown.push(name.to_owned());
                            Piece::Text("-".to_owned())
                        },
                        Piece::Variable,
                    ));
                    rest
                }
                Err(error) => {
                    problems.push(error);
                    push_text(&mut pieces, "$");
                    after
                }
            };
        }
        push_text(&mut pieces, rest);
        if !unknown.is_empty() {
            problems.push(TemplateError::Unknown(unknown));
        }
        (Self::new(pieces, source), problems)
    }

    fn new(pieces: Vec<Piece>, source: &str) -> Self {
        Self {
            reads: Reads::of(&pieces),
            pieces,
            source: source.to_owned(),
        }
    }

    /// A template of literal `text`, in which `$` has no meaning.
    pub fn literal(text: &str) -> Self {
        let mut pieces = Vec::new();
        push_text(&mut pieces, text);
        Self::new(pieces, text)
    }

    /// `$binary_remote_addr`: the default key of limits.
    pub fn binary_remote_addr() -> Self {
        let pieces = vec![Piece::Variable(Variable::BinaryRemoteAddr)];
        Self::new(pieces, "$binary_remote_addr")
    }

    /// The parts in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The source text of the template.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The header fields that it reads.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The text, if there is no variable in it.
    pub fn as_text(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it reads the client's location itself, not through other variables.
    pub fn reads_location(&self) -> bool {
        let geo = |piece: &Piece| matches!(piece, Piece::Variable(Variable::Geo(_)));
        self.pieces.iter().any(geo)
    }

    /// The variable, if the template consists of exactly one.
    pub fn only_variable(&self) -> Option<&Variable> {
        match self.pieces.as_slice() {
            [Piece::Variable(variable)] => Some(variable),
            _ => None,
        }
    }

    /// The names of capture groups in it.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Group(name) => Some(name.as_str()),
            Piece::Text(_) | Piece::Capture(_) | Piece::Variable(_) => None,
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Reads {
    /// What any of these reads.
    pub(crate) fn all<'r>(parts: impl Iterator<Item = &'r Self>) -> Self {
        let (mut request, mut response, mut upstream) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            request.extend_from_slice(&part.request);
            response.extend_from_slice(&part.response);
            upstream.extend_from_slice(&part.upstream);
        }
        for list in [&mut request, &mut response, &mut upstream] {
            list.sort_by(|one, other| one.as_str().cmp(other.as_str()));
            list.dedup();
        }
        Self {
            request: request.into(),
            response: response.into(),
            upstream: upstream.into(),
        }
    }

    fn of(pieces: &[Piece]) -> Self {
        let (mut request, mut response, mut upstream) = (Vec::new(), Vec::new(), Vec::new());
        let variables = pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(variable),
            Piece::Text(_) | Piece::Capture(_) | Piece::Group(_) => None,
        });
        for variable in variables {
            let (list, name) = match variable {
                Variable::SentHeader(name) => (&mut response, Some(name.clone())),
                Variable::Upstream(UpstreamVariable::Header(name)) => {
                    (&mut upstream, Some(name.clone()))
                }
                Variable::Upstream(UpstreamVariable::Cookie(_)) => {
                    (&mut upstream, Some(http::header::SET_COOKIE))
                }
                other => (&mut request, other.request_field()),
            };
            if let Some(name) = name.filter(|name| !list.contains(name)) {
                list.push(name);
            }
        }
        Self {
            request: request.into(),
            response: response.into(),
            upstream: upstream.into(),
        }
    }
}

/// The piece of a name that exists, as far as it is known in `phase`.
fn known(name: &str, phase: Phase) -> Result<Option<Piece>, TemplateError> {
    if let [digit @ b'0'..=b'9'] = name.as_bytes() {
        return Ok(Some(Piece::Capture(usize::from(digit - b'0'))));
    }
    let Some(variable) = Variable::named(name) else {
        return Ok(None);
    };
    if variable.phase() > phase {
        return Err(TemplateError::TooEarly {
            name: name.to_owned(),
            phase: variable.phase(),
        });
    }
    Ok(Some(Piece::Variable(variable)))
}

/// The pieces of `source`; `piece` makes that of a name.
fn pieces(
    source: &str,
    mut piece: impl FnMut(&str) -> Result<Piece, TemplateError>,
) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find('$') {
        let (text, after) = rest.split_at(at);
        push_text(&mut pieces, text);
        let (name, after) = name(after.get(1..).unwrap_or_default())?;
        pieces.push(piece(name)?);
        rest = after;
    }
    push_text(&mut pieces, rest);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// Splits the variable name at the start of `text` from what follows it.
fn name(text: &str) -> Result<(&str, &str), TemplateError> {
    let (name, rest) = if let Some(braced) = text.strip_prefix('{') {
        braced.split_once('}').ok_or(TemplateError::Unclosed)?
    } else {
        // A capture is one digit: `$10` is group 1 and the text "0".
        let end = if text.starts_with(|c: char| c.is_ascii_digit()) {
            1
        } else {
            text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(text.len())
        };
        text.split_at(end)
    };
    if name.is_empty() {
        Err(TemplateError::NoName)
    } else {
        Ok((name, rest))
    }
}

/// Names for a message; what is long is cut.
fn listed(names: &[String]) -> String {
    let shown = names.iter().take(5).map(|name| {
        let name: String = name.chars().take(64).flat_map(char::escape_debug).collect();
        format!("${name}")
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
