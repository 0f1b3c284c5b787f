//! Parses a map of texts with a registry, and collects the problems for its author.
//!
//! It reads both the annotations of an Ingress and the keys of the ConfigMap. A getter takes a key of the registry and returns
//! `None` if the value is absent, empty or invalid, so that the default applies.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use http::StatusCode;

use super::value::{excerpt, printable};
use super::{Entry, FromValue, Key, OnInvalid, Problem, Protection, Support, Validation, Value};
use crate::Severity;
use crate::ingress::annotations::{Annotation, full_name};
use crate::ingress::closed::Denial;

/// Parsed values by name and the problems so far. `R` is the row type of the registry, so that keys of another one do not
/// compile.
#[derive(Debug)]
pub(crate) struct Reader<R = Annotation> {
    prefix: String,
    values: BTreeMap<&'static str, Value>,
    invalid: Vec<&'static str>,
    problems: Vec<Problem>,
    denied: Option<Denial>,
    refused: Option<String>,
    /// Entries that policies set: these cannot refuse an object.
    of_policies: Vec<&'static str>,
    /// The status of routes that are closed.
    closed: StatusCode,
    rows: PhantomData<fn() -> R>,
}

/// Why an entry that is not honoured closes routes.
pub(crate) struct Unhonoured {
    pub(crate) reason: &'static str,
    /// What would be right.
    pub(crate) advice: Cow<'static, str>,
}

/// The result of a reader besides its values.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// In the order in which they occurred.
    pub(crate) problems: Vec<Problem>,
    /// Why the routes respond with 503.
    pub(crate) denied: Option<Denial>,
    /// Why the whole object is refused.
    pub(crate) refused: Option<String>,
}

impl<R: AsRef<Entry> + 'static> Reader<R> {
    /// A reader without values; `prefix`, unless it is empty, precedes names in problems.
    pub(crate) fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            values: BTreeMap::new(),
            invalid: Vec::new(),
            problems: Vec::new(),
            denied: None,
            refused: None,
            of_policies: Vec::new(),
            closed: StatusCode::SERVICE_UNAVAILABLE,
            rows: PhantomData,
        }
    }

    /// With this status of routes that are closed; by default 503.
    pub(crate) fn closing_with(self, closed: StatusCode) -> Self {
        Self { closed, ..self }
    }

    /// Notes that a policy has the entry: what is wrong with it closes the routes where it would refuse the object.
    pub(crate) fn set_by_policy(&mut self, row: &'static R) {
        self.of_policies.push(row.as_ref().name);
    }

    /// Rejects an entry that has no text.
    pub(crate) fn reject_text(&mut self, row: &'static R, reason: &str) {
        let entry = row.as_ref();
        self.invalid.push(entry.name);
        self.reject_entry(entry, entry.on_invalid, reason);
    }

    /// Parses one text. An empty text counts as absent.
    pub(crate) fn accept(&mut self, row: &'static R, text: &str, validation: Validation) {
        if text.trim().is_empty() {
            return;
        }
        let entry = row.as_ref();
        match entry.kind.parse(text, validation) {
            Ok(value) => {
                self.report_support(entry, &value);
                self.values.insert(entry.name, value);
            }
            Err(error) => {
                self.invalid.push(entry.name);
                self.reject_entry(entry, entry.on_invalid, &error.to_string());
            }
        }
    }

    /// Warns about support, except for the default value, which changes nothing.
    fn report_support(&mut self, entry: &Entry, value: &Value) {
        if entry.closes() || is_default(entry, value) {
            return;
        }
        match entry.support {
            Support::Honoured => {}
            Support::NotYet => self.warn_entry(entry, "not honoured yet; ignored"),
            Support::Inert => self.info_entry(entry, "accepted; it changes nothing here"),
        }
    }

    /// Closes the routes for every entry that is switched on, protects them and is not honoured. `describe` has the reason, or
    /// `None` for an entry that is excused.
    pub(crate) fn close_unhonoured(
        &mut self,
        rows: impl Iterator<Item = &'static R>,
        mut describe: impl FnMut(&mut Self, &'static R) -> Option<Unhonoured>,
    ) {
        for row in rows.filter(|row| row.as_ref().closes()) {
            if !self.is_on(row) {
                continue;
            }
            if let Some(Unhonoured { reason, advice }) = describe(self, row) {
                let message = format!("{}; {advice}", Denial::message(reason, self.closed));
                self.deny(row.as_ref(), true, reason);
                self.report(row.as_ref().name, Severity::Error, message);
            }
        }
    }

    /// The text of an entry that takes any text.
    pub(crate) fn raw(&self, row: &R) -> Option<&str> {
        match self.values.get(row.as_ref().name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether a value is present and is not "false" or "off".
    pub(crate) fn is_on(&self, row: &R) -> bool {
        let value = self.values.get(row.as_ref().name);
        value.is_some_and(|value| *value != Value::Bool(false))
    }

    /// Whether the entry is present with another value than its default, valid or not.
    pub(crate) fn is_changed(&self, row: &R) -> bool {
        let entry = row.as_ref();
        match self.values.get(entry.name) {
            Some(value) => !is_default(entry, value),
            None => self.invalid.contains(&entry.name),
        }
    }

    /// The problems, and whether the routes are closed or the object is refused.
    pub(crate) fn finish(self) -> Outcome {
        Outcome {
            problems: self.problems,
            denied: self.denied,
            refused: self.refused,
        }
    }
}

// === problems ===

impl<R: AsRef<Entry>> Reader<R> {
    /// Records an invalid value with its consequence.
    pub(crate) fn reject<T>(&mut self, key: &Key<T, R>, on_invalid: OnInvalid, reason: &str) {
        self.reject_entry(key.entry(), on_invalid, reason);
    }

    /// Closes the routes with 503; the first reason is kept.
    pub(crate) fn close<T>(&mut self, key: &Key<T, R>, reason: &str) {
        self.close_entry(key.entry(), true, reason);
    }

    /// Closes the routes with 503, and says what would be right.
    pub(crate) fn close_with_advice<T>(&mut self, key: &Key<T, R>, reason: &str, advice: &str) {
        self.deny(key.entry(), true, reason);
        let message = format!("{}; {advice}", Denial::message(reason, self.closed));
        self.report(key.entry().name, Severity::Error, message);
    }

    /// Records something that does not work as configured.
    pub(crate) fn error<T>(&mut self, key: &Key<T, R>, message: String) {
        self.report(key.entry().name, Severity::Error, message);
    }

    /// Records something that has no effect although configured.
    pub(crate) fn warn<T>(&mut self, key: &Key<T, R>, message: impl Into<String>) {
        self.warn_entry(key.entry(), message);
    }

    pub(crate) fn warn_entry(&mut self, entry: &Entry, message: impl Into<String>) {
        self.report(entry.name, Severity::Warning, message.into());
    }

    /// Records a note.
    pub(crate) fn info_entry(&mut self, entry: &Entry, message: impl Into<String>) {
        self.report(entry.name, Severity::Info, message.into());
    }

    /// Records a problem with a name that is spelled as in its object, without the prefix.
    pub(crate) fn report(&mut self, name: &str, severity: Severity, message: String) {
        self.problems.push(Problem {
            field: match self.prefix.as_str() {
                "" => name.to_owned(),
                prefix => full_name(prefix, name),
            },
            severity,
            message: printable(message),
        });
    }

    /// Records a problem with a full name, including its prefix.
    pub(crate) fn report_full(&mut self, field: &str, severity: Severity, message: String) {
        self.problems.push(Problem {
            field: excerpt(field),
            severity,
            message,
        });
    }

    /// Refuses the whole object because of a name that is spelled as in the object; the first reason is kept.
    pub(crate) fn refuse(&mut self, name: &str, reason: &str) {
        if self.of_policies.contains(&name) {
            Denial::add(&mut self.denied, name, reason, false);
            self.report(name, Severity::Error, Denial::message(reason, self.closed));
            return;
        }
        self.refused
            .get_or_insert_with(|| printable(format!("{name}: {reason}")));
        let message = format!(
            "{reason}; the object is refused; its last good version stays in service, and without one it is not served"
        );
        self.report(name, Severity::Error, message);
    }

    fn reject_entry(&mut self, entry: &Entry, on_invalid: OnInvalid, reason: &str) {
        match on_invalid {
            OnInvalid::RefuseIngress => self.refuse(entry.name, reason),
            OnInvalid::Close => self.close_entry(entry, false, reason),
            OnInvalid::Ignore => {
                self.warn_entry(entry, format!("{reason}; ignored, the default applies"));
            }
        }
    }

    fn close_entry(&mut self, entry: &Entry, is_valid: bool, reason: &str) {
        self.deny(entry, is_valid, reason);
        let message = Denial::message(reason, self.closed);
        self.report(entry.name, Severity::Error, message);
    }

    /// Paths that are exempt from authentication stay open only if nothing but authentication is missing; it is unknown what an
    /// invalid value protects.
    fn deny(&mut self, entry: &Entry, is_valid: bool, reason: &str) {
        let only_authentication = is_valid && entry.protects == Some(Protection::Authentication);
        Denial::add(&mut self.denied, entry.name, reason, only_authentication);
    }
}

// === getters ===

impl<R: AsRef<Entry>> Reader<R> {
    /// The value, if it is valid.
    pub(crate) fn get<T: FromValue>(&self, key: &Key<T, R>) -> Option<T> {
        T::from_value(self.values.get(key.entry().name)?)
    }

    /// The value, else the documented default, else that of its type.
    pub(crate) fn or_default<T: FromValue + Default>(&self, key: &Key<T, R>) -> T {
        self.get(key)
            .or_else(|| key.default_value())
            .unwrap_or_default()
    }

    /// Whether a boolean is present and true.
    pub(crate) fn on(&self, key: &Key<bool, R>) -> bool {
        self.get(key) == Some(true)
    }

    /// A text, borrowed.
    pub(crate) fn text(&self, key: &Key<String, R>) -> Option<&str> {
        match self.values.get(key.entry().name)? {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Whether the entry was present, valid or not.
    pub(crate) fn present<T>(&self, key: &Key<T, R>) -> bool {
        self.is_present(key.entry())
    }

    pub(crate) fn is_present(&self, entry: &Entry) -> bool {
        self.values.contains_key(entry.name) || self.invalid.contains(&entry.name)
    }

    /// Whether the entry was present and invalid.
    pub(crate) fn was_invalid<T>(&self, key: &Key<T, R>) -> bool {
        self.invalid.contains(&key.entry().name)
    }

    /// A whole number of at least zero, capped at `u32::MAX`. A negative one is reported and ignored.
    pub(crate) fn count(&mut self, key: &Key<i64, R>) -> Option<u32> {
        self.at_least(key, 0, "is negative")
    }

    /// A number of at least one, capped at `u32::MAX`. Anything less is reported and ignored.
    pub(crate) fn positive(&mut self, key: &Key<i64, R>) -> Option<u32> {
        self.at_least(key, 1, "is not at least 1")
    }

    /// As [`Self::count`], else the documented default.
    pub(crate) fn count_or_default(&mut self, key: &Key<i64, R>) -> u32 {
        self.count(key).unwrap_or_else(|| default_count(key))
    }

    /// As [`Self::positive`], else the documented default.
    pub(crate) fn positive_or_default(&mut self, key: &Key<i64, R>) -> u32 {
        self.positive(key).unwrap_or_else(|| default_count(key))
    }

    fn at_least(&mut self, key: &Key<i64, R>, least: i64, problem: &str) -> Option<u32> {
        let value = self.get(key)?;
        if value < least {
            self.reject(key, OnInvalid::Ignore, &format!("{value} {problem}"));
            return None;
        }
        Some(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// A number within bounds, else the documented default.
    pub(crate) fn within(
        &mut self,
        key: &Key<i64, R>,
        allowed: impl Fn(i64) -> bool,
        expected: &str,
    ) -> u32 {
        match self.get(key) {
            None => default_count(key),
            Some(value) => match u32::try_from(value) {
                Ok(number) if allowed(value) => number,
                _ => {
                    let reason = format!("{value} is not {expected}");
                    self.reject(key, OnInvalid::Ignore, &reason);
                    default_count(key)
                }
            },
        }
    }

    /// A size of at least one byte; zero is reported and ignored.
    pub(crate) fn positive_size(&mut self, key: &Key<u64, R>) -> Option<u64> {
        let size = self.get(key)?;
        if size == 0 {
            self.reject(key, OnInvalid::Ignore, "0 is not a usable size");
        }
        (size > 0).then_some(size)
    }

    /// A timeout in whole seconds, at least one: zero would end every request.
    pub(crate) fn timeout(&mut self, key: &Key<i64, R>) -> Option<Duration> {
        self.positive(key)
            .map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// The parsed text; an invalid one is reported and ignored.
    pub(crate) fn parsed<T, E: Display>(
        &mut self,
        key: &Key<String, R>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.parsed_or(OnInvalid::Ignore, key, parse)
    }

    /// The parsed text; an invalid one closes the routes.
    pub(crate) fn parsed_or_close<T, E: Display>(
        &mut self,
        key: &Key<String, R>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.parsed_or(OnInvalid::Close, key, parse)
    }

    fn parsed_or<T, E: Display>(
        &mut self,
        on_invalid: OnInvalid,
        key: &Key<String, R>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(self.text(key)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.reject(key, on_invalid, &error.to_string());
                None
            }
        }
    }

    /// The valid members of a list; invalid ones are reported and dropped.
    pub(crate) fn each<T, E: Display>(
        &mut self,
        key: &Key<Vec<String>, R>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let mut parsed = Vec::new();
        for member in self.get(key)? {
            match parse(&member) {
                Ok(value) => parsed.push(value),
                Err(error) => self.warn(key, format!("{error}; dropped from the list")),
            }
        }
        Some(parsed)
    }
}

fn is_default(entry: &Entry, value: &Value) -> bool {
    let default = entry.kind.parse(entry.default, Validation::TypesOnly);
    default.is_ok_and(|default| default == *value)
}

fn default_count<R: AsRef<Entry>>(key: &Key<i64, R>) -> u32 {
    let default = key.default_value().unwrap_or_default();
    u32::try_from(default).unwrap_or_default()
}
