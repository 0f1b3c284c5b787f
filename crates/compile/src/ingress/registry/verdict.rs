//! What happens to one annotation, ConfigMap key or flag of ingress-nginx here.

use std::borrow::Cow;

use super::{Difference, Entry, OnInvalid, Support, Validation, Value, When};

/// What happens to a name with its value, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It is not done; the reason says what happens instead.
    NotSupported,
    /// It is done, with the difference that the reason names.
    Differs,
    /// It changes nothing here; the reason says why.
    NoEffect,
    /// It is done as in ingress-nginx.
    Honoured,
}

impl Verdict {
    /// All, the gravest first.
    pub const ALL: [Self; 4] = [
        Self::NotSupported,
        Self::Differs,
        Self::NoEffect,
        Self::Honoured,
    ];

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSupported => "not supported",
            Self::Differs => "honoured with a difference",
            Self::NoEffect => "no effect here",
            Self::Honoured => "honoured",
        }
    }

    /// For programs.
    pub fn key(self) -> &'static str {
        match self {
            Self::NotSupported => "notSupported",
            Self::Differs => "differs",
            Self::NoEffect => "noEffect",
            Self::Honoured => "honoured",
        }
    }

    /// Whether requests and their responses are those of ingress-nginx.
    pub fn is_same(self) -> bool {
        matches!(self, Self::NoEffect | Self::Honoured)
    }
}

/// The verdict about a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The annotation without its prefix, key, flag without its dashes, or value.
    pub name: Cow<'static, str>,
    /// The difference, why there is no effect, or what happens instead; empty if it is honoured.
    pub reason: Cow<'static, str>,
}

impl Judgement {
    /// A verdict about `name`.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        verdict: Verdict,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            verdict,
            name: name.into(),
            reason: reason.into(),
        }
    }

    /// Honoured without a difference.
    pub fn honoured(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Verdict::Honoured, "")
    }
}

/// The reason for an entry that is not honoured.
const NOT_YET: &str = "not honoured yet; ignored";
/// The reason for an invalid value that ingress-nginx ignores as well.
const INVALID: &str = "invalid; ignored, as in ingress-nginx";

/// The verdict about `entry` with this value. `closes` is the consequence of a protection that is not honoured; `others` says
/// whether another annotation is present.
pub(crate) fn judge(
    entry: &'static Entry,
    text: &str,
    closes: &str,
    others: impl Fn(&str) -> bool,
) -> Judgement {
    let name = entry.name;
    if text.trim().is_empty() {
        return Judgement::honoured(name);
    }
    let value = entry.kind.parse(text, Validation::TypesOnly);
    let default = entry.kind.parse(entry.default, Validation::TypesOnly);
    let is_default = value.is_ok() && value == default;
    match entry.support {
        _ if is_default => Judgement::honoured(name),
        Support::Inert => Judgement::new(name, Verdict::NoEffect, inert(entry)),
        Support::NotYet if value == Ok(Value::Bool(false)) => Judgement::honoured(name),
        Support::NotYet if entry.closes() => {
            let reason = format!("not honoured yet; {closes}");
            Judgement::new(name, Verdict::NotSupported, reason)
        }
        Support::NotYet => Judgement::new(name, Verdict::NotSupported, NOT_YET),
        Support::Honoured => honoured(entry, text, others),
    }
}

fn honoured(entry: &'static Entry, text: &str, others: impl Fn(&str) -> bool) -> Judgement {
    let holds = |difference: &&Difference| {
        let kind = (entry.kind, entry.default);
        difference.when.holds(text, kind, &others)
    };
    let differences = entry.differences.iter().filter(holds);
    let texts: Vec<&str> = differences.map(|difference| difference.text).collect();
    if !texts.is_empty() {
        return Judgement::new(entry.name, Verdict::Differs, joined(&texts));
    }
    let is_invalid = entry.kind.parse(text, Validation::Full).is_err();
    if is_invalid && entry.on_invalid == OnInvalid::Ignore {
        return Judgement::new(entry.name, Verdict::NoEffect, INVALID);
    }
    Judgement::honoured(entry.name)
}

fn joined(texts: &[&'static str]) -> Cow<'static, str> {
    match texts {
        [one] => Cow::Borrowed(*one),
        several => several.join(" ").into(),
    }
}

/// Why an entry is accepted without effect: its documentation, if it has no text of its own.
pub(crate) fn inert(entry: &Entry) -> &'static str {
    entry
        .differences
        .first()
        .map_or(entry.doc, |difference| difference.text)
}

/// The difference of an entry that is not set.
pub(crate) fn unset(entry: &'static Entry) -> Option<Judgement> {
    let mut differences = entry.differences.iter();
    let difference = differences.find(|difference| difference.when == When::Unset)?;
    let verdict = Verdict::Differs;
    Some(Judgement::new(entry.name, verdict, difference.text))
}
