//! Reads the ConfigMap through the registry. Every getter returns a value: the default comes from the registry.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use headgate_table::Template;
use http::{HeaderName, StatusCode};

use super::{Setting, all, find, logs, security};
use crate::Severity;
use crate::ingress::family::snippets;
use crate::ingress::registry::{
    FromValue, Key, OnInvalid, Outcome, Reader, Unhonoured, Validation, nearest,
};
use crate::ingress::snippet::{self, ONLY_FIELDS, Place, Snippet};

/// How many unknown keys are compared with known ones.
const MAX_COMPARED: usize = 20;

/// The finding about an unknown key. One that resembles a protecting key is an error: nothing is protected.
fn unknown_key(key: &str, compare: bool) -> (Severity, String) {
    let meant = nearest(key, all().map(|known| known.name)).filter(|_| compare);
    let meant = meant.and_then(find);
    match meant {
        None => (Severity::Info, "unknown key; ignored".to_owned()),
        Some(meant) if meant.protects.is_some() => {
            let meant = meant.name;
            let message =
                format!("unknown key; ignored, so it protects nothing: did you mean {meant}?");
            (Severity::Error, message)
        }
        Some(meant) => {
            let meant = meant.name;
            let message = format!("unknown key; ignored: did you mean {meant}?");
            (Severity::Warning, message)
        }
    }
}

/// The parsed ConfigMap, defaults included.
pub(super) struct Source<'a> {
    data: &'a BTreeMap<String, String>,
    /// Ports of HTTP and HTTPS.
    ports: &'a [u16],
    reader: Reader<Setting>,
}

impl<'a> Source<'a> {
    pub(super) fn new(data: &'a BTreeMap<String, String>, ports: &'a [u16]) -> Self {
        let mut reader = Reader::new("");
        for entry in all() {
            if let Some(text) = data.get(entry.name) {
                reader.accept(entry, text, Validation::Full);
            }
        }
        let unknown = data.keys().filter(|key| find(key).is_none());
        for (key, position) in unknown.zip(0..) {
            let (severity, message) = unknown_key(key, position < MAX_COMPARED);
            reader.report_full(key, severity, message);
        }
        // An Ingress can switch the firewall off, so its key is read apart.
        let closing = all().filter(|key| *key != security::ENABLE_MODSECURITY.row());
        reader.close_unhonoured(closing, |reader, key| {
            let snippet = key.name.ends_with("-snippet");
            let snippet = reader.raw(key).filter(|_| snippet).map(snippets::advice);
            Some(Unhonoured {
                reason: "protects every route and is not honoured yet",
                advice: snippet.unwrap_or_else(|| "delete the key to serve them without it".into()),
            })
        });
        Self {
            data,
            ports,
            reader,
        }
    }

    pub(super) fn finish(self) -> Outcome {
        self.reader.finish()
    }

    /// The value, else the default.
    pub(super) fn get<T: FromValue + Default>(&self, key: &Key<T, Setting>) -> T {
        self.reader.or_default(key)
    }

    /// A text, borrowed.
    pub(super) fn text(&self, key: &Key<String, Setting>) -> &str {
        self.reader.text(key).unwrap_or_else(|| key.row().default)
    }

    /// Whether the key is present with an empty value, which for some lists means "none" rather than the default.
    pub(super) fn blank<T>(&self, key: &Key<T, Setting>) -> bool {
        self.data
            .get(key.row().name)
            .is_some_and(|text| text.trim().is_empty())
    }

    /// A list for which an empty value means "none".
    pub(super) fn unless_blank(&self, key: &Key<Vec<String>, Setting>) -> Vec<String> {
        if self.blank(key) {
            Vec::new()
        } else {
            self.get(key)
        }
    }

    /// Reports an invalid value, so that the default applies.
    pub(super) fn reject<T>(&mut self, key: &Key<T, Setting>, reason: &str) {
        self.reader.reject(key, OnInvalid::Ignore, reason);
    }

    /// The directives of a key; what is not honoured closes every route, or is a finding.
    pub(super) fn snippet(&mut self, key: &Key<String, Setting>, place: Place) -> Option<Snippet> {
        let text = self.reader.text(key)?.to_owned();
        let reading = snippet::read_beside(&text, place, self.ports);
        for remark in reading.remarks {
            self.reader
                .report(key.row().name, remark.severity, remark.message);
        }
        let Some(reason) = reading.closed else {
            return Some(Snippet {
                key: Some(key.row().name),
                ..reading.snippet
            });
        };
        self.reader
            .close_with_advice(key, &reason, &snippets::advice(&text));
        None
    }

    /// The fields that directives set in requests to the authentication service; others close every route.
    pub(super) fn authentication_fields(
        &mut self,
        key: &Key<String, Setting>,
    ) -> Vec<(HeaderName, Template)> {
        let text = self.reader.text(key).unwrap_or_default().to_owned();
        let knows_location = logs::location(self);
        let (fields, closed) = snippet::authentication_fields(&text, knows_location);
        if let Some(reason) = closed {
            self.reader.close_with_advice(key, &reason, ONLY_FIELDS);
        }
        fields
    }

    /// Closes every route; paths that are exempt from authentication stay open.
    pub(super) fn close<T>(&mut self, key: &Key<T, Setting>, reason: &str) {
        self.reader.close(key, reason);
    }

    /// The parsed text; an invalid one closes every route.
    pub(super) fn parsed_or_close<T, E: Display>(
        &mut self,
        key: &Key<String, Setting>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.reader.parsed_or_close(key, parse)
    }

    /// Reports a warning.
    pub(super) fn warn<T>(&mut self, key: &Key<T, Setting>, message: &str) {
        self.reader.warn(key, message);
    }

    /// Reports an error that affects all routes.
    pub(super) fn error<T>(&mut self, key: &Key<T, Setting>, message: String) {
        self.reader.error(key, message);
    }

    /// A number of at least zero.
    pub(super) fn count(&mut self, key: &Key<i64, Setting>) -> u32 {
        self.reader.count_or_default(key)
    }

    /// A number of at least one.
    pub(super) fn positive(&mut self, key: &Key<i64, Setting>) -> u32 {
        self.reader.positive_or_default(key)
    }

    /// A number that `allowed` accepts.
    pub(super) fn within(
        &mut self,
        key: &Key<i64, Setting>,
        allowed: impl Fn(i64) -> bool,
        expected: &str,
    ) -> u32 {
        self.reader.within(key, allowed, expected)
    }

    /// A number of at least one, or `None` if the key is not set.
    pub(super) fn positive_if_set(&mut self, key: &Key<i64, Setting>) -> Option<u32> {
        self.reader.positive(key)
    }

    /// A status that `allowed` accepts.
    pub(super) fn status(
        &mut self,
        key: &Key<i64, Setting>,
        allowed: impl Fn(i64) -> bool,
        expected: &str,
    ) -> StatusCode {
        let code = self.reader.within(key, allowed, expected);
        let status = u16::try_from(code).map(StatusCode::from_u16);
        match status {
            Ok(Ok(status)) => status,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Seconds, at least one.
    pub(super) fn timeout(&mut self, key: &Key<i64, Setting>) -> Duration {
        Duration::from_secs(self.positive(key).into())
    }

    /// Seconds, at least zero.
    pub(super) fn seconds(&mut self, key: &Key<i64, Setting>) -> Duration {
        Duration::from_secs(self.count(key).into())
    }

    /// A size of at least one byte.
    pub(super) fn positive_size(&mut self, key: &Key<u64, Setting>) -> u64 {
        let size = self.reader.positive_size(key);
        size.or_else(|| key.default_value()).unwrap_or(1)
    }

    /// The parsed text, if it is valid.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        key: &Key<String, Setting>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.reader.parsed(key, parse)
    }

    /// The valid members of a list, or `None` if the key is not set.
    pub(super) fn each<T, E: Display>(
        &mut self,
        key: &Key<Vec<String>, Setting>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        self.reader.each(key, parse)
    }
}
