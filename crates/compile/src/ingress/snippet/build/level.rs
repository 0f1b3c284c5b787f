//! The edits of one block with what it inherits, by nginx's rules of inheritance.

use std::sync::Arc;

use headgate_table::{AddedField, AddressRule, Expires, InputEdit, Level, OutputEdit};
use http::{HeaderName, HeaderValue};

use super::Around;
use super::gzip::GzipDraft;
use crate::ingress::snippet::directive::{Directive, Placed};

/// The edits at one level. Lists of `more_…_headers` are continued further in; other lists replace those of outer blocks.
#[derive(Clone, Default)]
pub(crate) struct LevelDraft {
    input: Vec<InputEdit>,
    output: Vec<OutputEdit>,
    added: Vec<AddedField>,
    replaces_added: bool,
    expires: Option<Expires>,
    gzip: GzipDraft,
    access_log: Option<bool>,
    default_type: Option<HeaderValue>,
    /// `None`: as outside.
    hide: Option<Vec<HeaderName>>,
    pub(super) passed: Vec<HeaderName>,
    pub(super) rules: Vec<AddressRule>,
    hidden_by_settings: Vec<HeaderName>,
}

impl LevelDraft {
    /// The outermost level.
    pub(super) fn of(around: Around<'_>) -> Self {
        Self {
            gzip: GzipDraft::new(around.compression),
            hidden_by_settings: around.hidden.to_vec(),
            ..Self::default()
        }
    }

    /// The level of a block of these directives here.
    pub(super) fn inner(&self, directives: &[Placed]) -> Self {
        let mut inner = Self {
            replaces_added: false,
            ..self.clone()
        };
        let own = Own::of(directives);
        inner.input.extend(own.input);
        inner.output.extend(own.output);
        if !own.added.is_empty() {
            inner.added = own.added;
            inner.replaces_added = true;
        }
        if !own.rules.is_empty() {
            inner.rules = own.rules;
        }
        if !own.hide.is_empty() {
            inner.hide = Some(own.hide);
        }
        if !own.passed.is_empty() {
            inner.passed = own.passed;
        }
        inner.expires = own.expires.or(inner.expires);
        inner.access_log = own.access_log.or(inner.access_log);
        inner.default_type = own.default_type.or(inner.default_type);
        for placed in directives {
            if let Directive::Gzip(gzip) = &placed.directive {
                inner.gzip.set(gzip);
            }
        }
        inner
    }

    /// Adds the directives of the settings to those of the outermost block: they are in one block, so they add up. Without any
    /// here, the settings' own are applied elsewhere.
    pub(super) fn beside_settings(mut self, around: Around<'_>) -> Self {
        if !self.rules.is_empty() {
            let blocked = around.blocked.iter().copied().map(Some);
            let deny = blocked.map(|net| AddressRule { allow: false, net });
            self.rules.extend(deny);
        }
        if let Some(hide) = &mut self.hide {
            hide.extend(self.hidden_by_settings.iter().cloned());
        }
        self
    }

    /// Added fields are not inherited.
    pub(super) fn forget_added(&mut self) {
        self.added.clear();
    }

    /// Fields of the backend that clients do not get, if they differ from those of the settings.
    pub(super) fn hidden(&self) -> Option<Vec<HeaderName>> {
        let by_settings = &self.hidden_by_settings;
        let hidden = self.hide.as_ref().unwrap_or(by_settings);
        let hidden: Vec<HeaderName> = hidden
            .iter()
            .filter(|name| !self.passed.contains(name))
            .cloned()
            .collect();
        (hidden != *by_settings).then_some(hidden)
    }

    pub(super) fn finish(self) -> Level {
        Level {
            input: self.input.into(),
            output: self.output.into(),
            added: Arc::from(self.added),
            replaces_added: self.replaces_added,
            expires: self.expires,
            compression: self.gzip.changed(),
            access_log: self.access_log,
            default_type: self.default_type,
        }
    }
}

/// The directives of one block by what they are about.
#[derive(Default)]
struct Own {
    input: Vec<InputEdit>,
    output: Vec<OutputEdit>,
    added: Vec<AddedField>,
    expires: Option<Expires>,
    access_log: Option<bool>,
    default_type: Option<HeaderValue>,
    hide: Vec<HeaderName>,
    passed: Vec<HeaderName>,
    rules: Vec<AddressRule>,
}

impl Own {
    fn of(directives: &[Placed]) -> Self {
        let mut own = Self::default();
        for placed in directives {
            match &placed.directive {
                Directive::Input(edits) => own.input.extend(edits.iter().cloned()),
                Directive::Output(edits) => own.output.extend(edits.iter().cloned()),
                Directive::Add(added) => own.added.push(added.clone()),
                Directive::Expires(expires) => own.expires = Some(expires.clone()),
                Directive::AccessLog(log) => own.access_log = Some(*log),
                Directive::DefaultType(media) => own.default_type = Some(media.clone()),
                Directive::Hide(name) => own.hide.push(name.clone()),
                Directive::Pass(name) => own.passed.push(name.clone()),
                Directive::Address(rule) => own.rules.push(*rule),
                _ => {}
            }
        }
        own
    }
}
