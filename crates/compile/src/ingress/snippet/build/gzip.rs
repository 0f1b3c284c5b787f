//! Compression by the directives of nginx's gzip module, beside that of the settings.

use std::sync::Arc;

use headgate_table::{Coder, Coding, Compression, MediaTypes};

use crate::ingress::snippet::directive::Gzip;

/// nginx's defaults: responses of type text/html of at least 20 bytes, at level 1.
const DEFAULT: (u32, u64, &str) = (1, 20, "text/html");

/// Compression at one level of configuration.
#[derive(Clone, Default)]
pub(super) struct GzipDraft {
    by_settings: Option<Arc<Compression>>,
    changed: bool,
    on: bool,
    level: Option<u32>,
    min_length: Option<u64>,
    types: Option<MediaTypes>,
}

impl GzipDraft {
    /// As in the settings.
    pub(super) fn new(by_settings: Option<&Arc<Compression>>) -> Self {
        let on = by_settings.is_some_and(|compression| gzip(compression).is_some());
        Self {
            by_settings: by_settings.cloned(),
            on,
            ..Self::default()
        }
    }

    pub(super) fn set(&mut self, directive: &Gzip) {
        self.changed = true;
        match directive {
            Gzip::On(on) => self.on = *on,
            Gzip::Types(types) => self.types = Some(MediaTypes::parse(types)),
            Gzip::MinLength(bytes) => self.min_length = Some(*bytes),
            Gzip::Level(level) => self.level = Some(*level),
        }
    }

    /// The compression, if it differs from that of the settings; inner `None`: none. Other codings stay as they are.
    pub(super) fn changed(self) -> Option<Option<Arc<Compression>>> {
        if !self.changed {
            return None;
        }
        let settings = self.by_settings.as_deref();
        let own = settings.and_then(gzip);
        let mut coders: Vec<Coder> = settings
            .map(|compression| compression.coders.to_vec())
            .unwrap_or_default();
        coders.retain(|coder| coder.coding != Coding::Gzip);
        if self.on {
            let (level, min_length, types) = DEFAULT;
            coders.push(Coder {
                coding: Coding::Gzip,
                level: self
                    .level
                    .or_else(|| own.map(|own| own.level))
                    .unwrap_or(level),
                min_length: self
                    .min_length
                    .or_else(|| own.map(|own| own.min_length))
                    .unwrap_or(min_length),
                types: self
                    .types
                    .or_else(|| own.map(|own| own.types.clone()))
                    .unwrap_or_else(|| MediaTypes::parse(types)),
            });
        }
        let changed = Compression {
            coders: coders.into(),
            gzip_disabled: settings.and_then(|settings| settings.gzip_disabled.clone()),
        };
        if settings == Some(&changed) {
            return None;
        }
        Some((!changed.coders.is_empty()).then(|| Arc::new(changed)))
            .filter(|changed| changed.is_some() || settings.is_some())
    }
}

fn gzip(compression: &Compression) -> Option<&Coder> {
    let mut coders = compression.coders.iter();
    coders.find(|coder| coder.coding == Coding::Gzip)
}
