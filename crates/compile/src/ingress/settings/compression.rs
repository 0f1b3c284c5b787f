//! Compression of responses (behaviour.md 5.8).

use std::ops::RangeInclusive;
use std::sync::Arc;

use headgate_table::{Coder, Coding, Compression, MediaTypes, Pattern};

use super::read::Source;
use super::registry::{Setting, setting};
use crate::ingress::registry::{Key, When, differences, keys, types};

const GZIP_TYPES_DEFAULT: &str = "application/atom+xml application/javascript application/x-javascript application/json \
application/rss+xml application/vnd.ms-fontobject application/x-font-ttf application/x-web-app-manifest+json \
application/xhtml+xml application/xml font/opentype image/svg+xml image/x-icon text/css text/javascript text/plain \
text/x-component";

const BROTLI_TYPES_DEFAULT: &str = "application/xml+rss application/atom+xml application/javascript application/x-javascript \
application/json application/rss+xml application/vnd.ms-fontobject application/x-font-ttf \
application/x-web-app-manifest+json application/xhtml+xml application/xml font/opentype image/svg+xml image/x-icon \
text/css text/javascript text/plain text/x-component";

/// Higher levels take memory and time out of proportion: at level 9 a stream would need 32 MiB.
const HIGHEST: u32 = 6;

keys! { Setting {
    USE_GZIP: bool = setting("use-gzip", types::BOOL, "false", "Compresses responses with gzip, for clients that accept it.")
            .differs(differences![
                When::Sometimes =>
                    "A response with Cache-Control: no-transform is not compressed.",
            ]);
    GZIP_LEVEL: i64 = setting("gzip-level", types::INT, "1", "Compression level, 1 to 9.");
    GZIP_MIN_LENGTH: i64 =
        setting("gzip-min-length", types::INT, "256",
            "Shortest Content-Length that is compressed, in bytes; a response without one always is.");
    GZIP_DISABLE: String =
        setting("gzip-disable", types::RAW, "", "Regular expression of user agents that get no gzip; case-insensitive.");
    GZIP_TYPES: String =
        setting("gzip-types", types::RAW, GZIP_TYPES_DEFAULT,
            "Content types that are compressed, separated by spaces; text/html always is, and * is all.")
            .differs(differences![
                When::Is(&["*"]) =>
                    "Responses of gRPC are never compressed a second time.",
            ]);
    ENABLE_BROTLI: bool =
        setting("enable-brotli", types::BOOL, "false",
            "Compresses responses with brotli, for clients that accept it; preferred to gzip.")
            .differs(differences![
                When::Sometimes =>
                    "Responses carry Vary: Accept-Encoding also without use-gzip.",
            ]);
    BROTLI_LEVEL: i64 =
        setting("brotli-level", types::INT, "4", "Compression level, 0 to 11; those above 6 count as 6.")
            .differs(differences![
                When::Above(6) =>
                    "Levels above 6 count as 6, as they cost up to 32 MiB for each response.",
            ]);
    BROTLI_MIN_LENGTH: i64 =
        setting("brotli-min-length", types::INT, "20",
            "Shortest Content-Length that is compressed, in bytes; a response without one always is.");
    BROTLI_TYPES: String =
        setting("brotli-types", types::RAW, BROTLI_TYPES_DEFAULT,
            "Content types that are compressed, separated by spaces; text/html always is, and * is all.");
    ENABLE_ZSTD: bool =
        setting("enable-zstd", types::BOOL, "false",
            "Compresses responses with zstd, for clients that accept it; preferred to brotli. Types and length are those of gzip. Not a key of ingress-nginx.");
    ZSTD_LEVEL: i64 =
        setting("zstd-level", types::INT, "3", "Compression level, 1 to 19; those above 6 count as 6. Not a key of ingress-nginx.");
} }

/// Every coding as configured, and whether it is used.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Codings {
    /// The preferred one first.
    coders: [(bool, Coder); 3],
    gzip_disabled: Option<Pattern>,
}

impl Codings {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let zstd_level = moderate(source, &ZSTD_LEVEL, 1..=19);
        let gzip_level =
            source.within(&GZIP_LEVEL, |level| (1..=9).contains(&level), "from 1 to 9");
        let gzip_length = source.count(&GZIP_MIN_LENGTH);
        let gzip_types = MediaTypes::parse(source.text(&GZIP_TYPES));
        let zstd = Coder {
            coding: Coding::Zstd,
            level: zstd_level,
            min_length: gzip_length.into(),
            types: gzip_types.clone(),
        };
        let brotli = Coder {
            coding: Coding::Brotli,
            level: moderate(source, &BROTLI_LEVEL, 0..=11),
            min_length: source.count(&BROTLI_MIN_LENGTH).into(),
            types: MediaTypes::parse(source.text(&BROTLI_TYPES)),
        };
        let gzip = Coder {
            coding: Coding::Gzip,
            level: gzip_level,
            min_length: gzip_length.into(),
            types: gzip_types,
        };
        let used = |source: &Source<'_>, key: &Key<bool, Setting>| source.get(key);
        Self {
            coders: [
                (used(source, &ENABLE_ZSTD), zstd),
                (used(source, &ENABLE_BROTLI), brotli),
                (used(source, &USE_GZIP), gzip),
            ],
            gzip_disabled: disabled(source),
        }
    }

    /// What the data plane does; `None` if no coding is used.
    pub(super) fn used(&self) -> Option<Arc<Compression>> {
        let used = self.coders.iter().filter(|(used, _)| *used);
        let coders: Arc<[Coder]> = used.map(|(_, coder)| coder.clone()).collect();
        (!coders.is_empty()).then(|| {
            Arc::new(Compression {
                coders,
                gzip_disabled: self.gzip_disabled.clone(),
            })
        })
    }
}

/// A level of the coding, but not more than [`HIGHEST`].
fn moderate(source: &mut Source<'_>, key: &Key<i64, Setting>, levels: RangeInclusive<i64>) -> u32 {
    let expected = format!("from {} to {}", levels.start(), levels.end());
    let level = source.within(key, |level| levels.contains(&level), &expected);
    if level > HIGHEST {
        source.warn(key, "levels above 6 count as 6");
    }
    level.min(HIGHEST)
}

/// `msie6` is nginx's short form.
fn disabled(source: &mut Source<'_>) -> Option<Pattern> {
    let parse = |text: &str| match text {
        "msie6" => Pattern::case_insensitive(r"MSIE [4-6]\."),
        _ => Pattern::case_insensitive(text),
    };
    source.parsed(&GZIP_DISABLE, parse)
}
