//! Reads the ConfigMap through the registry. Every getter answers: the default comes from the registry.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;

use super::{Setting, all, find};
use crate::Severity;
use crate::ingress::annotations::{
    Bad, Field, NextUpstream, Outcome, Reader, Support, Validation, Value,
};

/// The parsed ConfigMap, defaults included.
pub(super) struct Source<'a> {
    data: &'a BTreeMap<String, String>,
    reader: Reader,
}

impl From<&Setting> for Field {
    fn from(entry: &Setting) -> Self {
        Self {
            name: entry.name,
            kind: entry.kind,
            bad: entry.bad,
            support: entry.support,
            default: entry.default,
        }
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(data: &'a BTreeMap<String, String>) -> Self {
        let mut reader = Reader::new("");
        for entry in all() {
            if let Some(text) = data.get(entry.name) {
                reader.accept(Field::from(entry), text, Validation::Full);
            }
        }
        for key in data.keys().filter(|key| find(key).is_none()) {
            reader.push_full(key, Severity::Info, "unknown key; ignored".to_owned());
        }
        close_unhonoured(&mut reader);
        Self { data, reader }
    }

    pub(super) fn finish(self) -> Outcome {
        self.reader.finish()
    }

    /// Whether the key is written with nothing in it, which for some lists means "none" rather than the default.
    pub(super) fn blank(&self, name: &str) -> bool {
        self.data
            .get(name)
            .is_some_and(|text| text.trim().is_empty())
    }

    /// An unusable value: the default applies.
    pub(super) fn reject(&mut self, name: &str, reason: &str) {
        self.reader.reject(name, Bad::Ignore, reason);
    }

    /// Something worth a warning.
    pub(super) fn warn(&mut self, name: &str, message: &str) {
        self.reader.warn(name, message);
    }

    pub(super) fn on(&self, name: &str) -> bool {
        self.reader
            .bool(name)
            .unwrap_or_else(|| default(name) == Some(Value::Bool(true)))
    }

    /// A number from zero up.
    pub(super) fn count(&mut self, name: &str) -> u32 {
        self.reader
            .count(name)
            .unwrap_or_else(|| default_count(name))
    }

    /// A number from one up.
    pub(super) fn positive(&mut self, name: &str) -> u32 {
        self.reader
            .positive(name)
            .unwrap_or_else(|| default_count(name))
    }

    /// A number within bounds.
    pub(super) fn int_where(
        &mut self,
        name: &str,
        allowed: impl Fn(i64) -> bool,
        expected: &str,
    ) -> u32 {
        if let Some(value) = self.reader.int(name) {
            match u32::try_from(value).ok().filter(|_| allowed(value)) {
                Some(value) => return value,
                None => self.reject(name, &format!("{value} is not {expected}")),
            }
        }
        default_count(name)
    }

    /// Seconds from one up.
    pub(super) fn timeout(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.positive(name).into())
    }

    /// Seconds from zero up.
    pub(super) fn seconds(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.count(name).into())
    }

    pub(super) fn duration(&self, name: &str) -> Duration {
        self.reader
            .duration(name)
            .unwrap_or_else(|| match default(name) {
                Some(Value::Duration(value)) => value,
                _ => Duration::ZERO,
            })
    }

    pub(super) fn size(&self, name: &str) -> u64 {
        self.reader
            .size(name)
            .unwrap_or_else(|| match default(name) {
                Some(Value::Size(value)) => value,
                _ => 0,
            })
    }

    /// A size of at least one byte.
    pub(super) fn positive_size(&mut self, name: &str) -> u64 {
        let size = self.size(name);
        if size > 0 {
            return size;
        }
        self.reject(name, "0 leaves no room at all");
        match default(name) {
            Some(Value::Size(value)) => value,
            _ => 1,
        }
    }

    pub(super) fn buffers(&self, name: &str) -> (u32, u64) {
        match self.reader.value(name).cloned().or_else(|| default(name)) {
            Some(Value::Buffers(number, size)) => (number, size),
            _ => (1, 1024),
        }
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.reader
            .text(name)
            .unwrap_or_else(|| find(name).map_or("", |entry| entry.default))
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        match self.reader.value(name).cloned().or_else(|| default(name)) {
            Some(Value::List(list)) => list,
            _ => Vec::new(),
        }
    }

    /// Networks. A list with a bad member has closed every route already.
    pub(super) fn cidrs(&self, name: &str) -> Vec<IpNet> {
        self.reader
            .cidrs(name)
            .map(<[IpNet]>::to_vec)
            .unwrap_or_default()
    }

    pub(super) fn next_upstream(&self, name: &str) -> NextUpstream {
        self.reader
            .next_upstream(name)
            .unwrap_or_else(NextUpstream::usual)
    }

    /// What a checked text parses to, if it does.
    pub(super) fn parsed<T, E>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T>
    where
        E: std::fmt::Display,
    {
        self.reader.parsed(name, parse)
    }

    /// The members of a list that parse, or `None` when the key is not set.
    pub(super) fn each<T, E>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>>
    where
        E: std::fmt::Display,
    {
        self.reader.each(name, parse)
    }
}

/// The documented default of a key as a value.
fn default(name: &str) -> Option<Value> {
    let entry = find(name)?;
    entry.kind.parse(entry.default, Validation::Full).ok()
}

fn default_count(name: &str) -> u32 {
    match default(name) {
        Some(Value::Int(value)) => u32::try_from(value).unwrap_or_default(),
        _ => 0,
    }
}

/// Every route is closed while something is to protect them all and can't.
fn close_unhonoured(reader: &mut Reader) {
    for entry in all().filter(|entry| entry.support == Support::Protects) {
        let on = reader
            .value(entry.name)
            .is_some_and(|value| *value != Value::Bool(false));
        if on {
            reader.close(
                entry.name,
                None,
                "protects every route and is not honoured yet",
            );
        }
    }
}
