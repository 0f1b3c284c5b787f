//! Reads a map of texts through a registry: what parsed, by name, and everything worth telling the owner.
//!
//! The annotations of an Ingress and the keys of the ConfigMap are both read with it. A getter names an entry of the
//! registry; it answers `None` when the value is absent, empty or was not usable, so that the default applies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::value::members;
use super::{Bad, Kind, NextUpstream, Problem, Support, Validation, Value};
use crate::Severity;

/// What the reader needs to know of a registry entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// The name without prefix.
    pub(crate) name: &'static str,
    /// The type.
    pub(crate) kind: Kind,
    /// What an invalid value does.
    pub(crate) bad: Bad,
    /// Whether it is honoured.
    pub(crate) support: Support,
    /// The documented default; writing it out needs no warning.
    pub(crate) default: &'static str,
}

/// Parsed values by name and the problems met so far.
#[derive(Debug, Default)]
pub struct Reader {
    prefix: String,
    values: BTreeMap<&'static str, Value>,
    invalid: Vec<&'static str>,
    problems: Vec<Problem>,
    denied: Option<Denial>,
    refused: Option<String>,
}

/// Why routes answer 503.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// In words.
    pub reason: Arc<str>,
    /// All that is missing is authentication that is not honoured yet, so that paths which are exempt from authentication
    /// stay open (`no-auth-locations`, ingress-nginx reference 1.7).
    pub only_authentication: bool,
}

/// What is left of a reader once every value was taken.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// In the order they were met.
    pub(crate) problems: Vec<Problem>,
    /// Why the routes answer 503.
    pub(crate) denied: Option<Denial>,
    /// Why the whole object is refused.
    pub(crate) refused: Option<String>,
}

impl Reader {
    /// A reader without values; `prefix` (empty, or ending in `/`) is put before names in problems.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            ..Self::default()
        }
    }

    /// Parses one text. An empty text counts as absent.
    pub(crate) fn accept(&mut self, field: Field, text: &str, validation: Validation) {
        if text.trim().is_empty() {
            return;
        }
        match field.kind.parse(text, validation) {
            Ok(value) => {
                self.tell_support(field, &value);
                self.values.insert(field.name, value);
            }
            Err(error) => {
                self.invalid.push(field.name);
                let bad = match (field.bad, field.support) {
                    // Somebody wanted protection; what kind can't be told.
                    (Bad::Ignore, Support::Protects) => Bad::Deny,
                    (bad, _) => bad,
                };
                self.reject(field.name, bad, &error.to_string());
            }
        }
    }

    fn tell_support(&mut self, field: Field, value: &Value) {
        if field
            .kind
            .parse(field.default, Validation::TypesOnly)
            .is_ok_and(|default| default == *value)
        {
            return;
        }
        match field.support {
            Support::Honoured | Support::Protects => {}
            Support::NotYet => self.warn(field.name, "not honoured yet; ignored"),
            Support::Inert => self.info(field.name, "accepted; it changes nothing here"),
        }
    }

    /// Records an unusable value and what it does.
    pub(crate) fn reject(&mut self, name: &str, bad: Bad, reason: &str) {
        match bad {
            Bad::RefuseIngress => self.refuse(name, Some(bad), reason),
            Bad::Deny => self.close(name, Some(bad), reason),
            Bad::Ignore => {
                let message = format!("{reason}; ignored, the default applies");
                self.push(name, Severity::Warning, Some(bad), message);
            }
        }
    }

    /// Refuses the whole object; the first reason is kept.
    pub(crate) fn refuse(&mut self, name: &str, class: Option<Bad>, reason: &str) {
        self.refused
            .get_or_insert_with(|| format!("{name}: {reason}"));
        let message =
            format!("{reason}; the object is refused and its last good version stays in service");
        self.push(name, Severity::Error, class, message);
    }

    /// Closes the routes with 503; the first reason is kept.
    pub(crate) fn close(&mut self, name: &str, class: Option<Bad>, reason: &str) {
        let only_authentication = class.is_none() && asks_for_authentication(name);
        let denial = self.denied.get_or_insert_with(|| Denial {
            reason: format!("{name}: {reason}").into(),
            only_authentication,
        });
        denial.only_authentication &= only_authentication;
        self.push(
            name,
            Severity::Error,
            class,
            format!("{reason}; the routes answer 503"),
        );
    }

    /// Something the owner asked for does not happen.
    pub(crate) fn warn(&mut self, name: &str, message: impl Into<String>) {
        self.push(name, Severity::Warning, None, message.into());
    }

    /// Worth knowing, and nothing is lost.
    pub(crate) fn info(&mut self, name: &str, message: impl Into<String>) {
        self.push(name, Severity::Info, None, message.into());
    }

    /// A problem with a name that is written in full, prefix included.
    pub(crate) fn push_full(&mut self, field: &str, severity: Severity, message: String) {
        self.problems.push(Problem {
            field: super::value::excerpt(field),
            severity,
            class: None,
            message,
        });
    }

    fn push(&mut self, name: &str, severity: Severity, class: Option<Bad>, message: String) {
        self.problems.push(Problem {
            field: format!("{}{name}", self.prefix),
            severity,
            class,
            message,
        });
    }

    /// The problems and verdicts.
    pub(crate) fn finish(self) -> Outcome {
        Outcome {
            problems: self.problems,
            denied: self.denied,
            refused: self.refused,
        }
    }
}

/// Client certificates are no authentication of this kind: they hold for a whole host, and no path is exempt.
fn asks_for_authentication(name: &str) -> bool {
    name.starts_with("global-auth-") || name.starts_with("auth-") && !name.starts_with("auth-tls-")
}

// === getters ===

impl Reader {
    /// Whether the entry was present, whatever became of it.
    pub fn present(&self, name: &str) -> bool {
        self.values.contains_key(name) || self.was_invalid(name)
    }

    /// Whether the entry was present and its text was not a value.
    pub fn was_invalid(&self, name: &str) -> bool {
        self.invalid.contains(&name)
    }

    /// A boolean, or `on`/`off`.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.values.get(name)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Whether a boolean is present and true.
    pub fn on(&self, name: &str) -> bool {
        self.bool(name) == Some(true)
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// A whole number from zero up, capped at `u32::MAX`. A negative one is reported and ignored.
    pub(crate) fn count(&mut self, name: &str) -> Option<u32> {
        let value = self.int(name)?;
        if value < 0 {
            self.reject(name, Bad::Ignore, &format!("{value} is negative"));
            return None;
        }
        Some(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// A number of at least one, capped at `u32::MAX`. Anything less is reported and ignored.
    pub(crate) fn positive(&mut self, name: &str) -> Option<u32> {
        let value = self.int(name)?;
        if value < 1 {
            self.reject(name, Bad::Ignore, &format!("{value} is not at least 1"));
            return None;
        }
        Some(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// A time limit in whole seconds, at least one: a limit of zero would end every request.
    pub(crate) fn timeout(&mut self, name: &str) -> Option<Duration> {
        self.positive(name)
            .map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// A size in bytes.
    pub fn size(&self, name: &str) -> Option<u64> {
        match self.values.get(name)? {
            Value::Size(value) => Some(*value),
            _ => None,
        }
    }

    /// A span of time.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.values.get(name)? {
            Value::Duration(value) => Some(*value),
            _ => None,
        }
    }

    /// Text, or the word of a fixed set in the registry's spelling.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name)? {
            Value::Text(value) => Some(value),
            Value::Choice(word) => Some(word),
            _ => None,
        }
    }

    /// An owned copy of a text.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// The members of a list.
    pub fn list(&self, name: &str) -> Option<&[String]> {
        match self.values.get(name)? {
            Value::List(value) => Some(value),
            _ => None,
        }
    }

    /// The value under a name.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Networks.
    pub fn cidrs(&self, name: &str) -> Option<&[ipnet::IpNet]> {
        match self.values.get(name)? {
            Value::Cidrs(value) => Some(value),
            _ => None,
        }
    }

    /// Conditions for another try.
    pub fn next_upstream(&self, name: &str) -> Option<NextUpstream> {
        match self.values.get(name)? {
            Value::NextUpstream(value) => Some(*value),
            _ => None,
        }
    }

    /// What a header list or another checked text parses to; a text that does not is reported and ignored.
    pub(crate) fn parsed<T, E>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T>
    where
        E: std::fmt::Display,
    {
        match parse(self.text(name)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.reject(name, Bad::Ignore, &error.to_string());
                None
            }
        }
    }

    /// The members of a list that parse; those that do not are reported and dropped.
    pub(crate) fn each<T, E>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>>
    where
        E: std::fmt::Display,
    {
        let (mut parsed, mut dropped) = (Vec::new(), Vec::new());
        let mut take = |member: &str| match parse(member) {
            Ok(value) => parsed.push(value),
            Err(error) => dropped.push(format!("{error}; dropped from the list")),
        };
        match self.values.get(name)? {
            Value::List(list) => list.iter().for_each(|member| take(member)),
            Value::Text(text) => members(text).for_each(take),
            _ => return None,
        }
        for message in dropped {
            self.push(name, Severity::Warning, Some(Bad::Ignore), message);
        }
        Some(parsed)
    }
}
