//! Parsed values, and the errors of invalid texts.

mod lists;
mod scalar;
mod texts;

pub(crate) use lists::{NextUpstream, TlsVersions, parse_cidr, parse_cidrs};
pub(crate) use lists::{members, parse_codes, parse_next_upstream, parse_server_names};
pub(crate) use scalar::{Buffers, parse_buffers, parse_on_off, parse_size_text};
pub(crate) use scalar::{SizeText, parse_bool, parse_duration, parse_int, parse_size};
pub(crate) use texts::is_service_name;
pub(crate) use texts::{NameRef, Origin, parse_header_name, parse_header_value, parse_replacement};

use std::time::Duration;

use http::StatusCode;
use ipnet::IpNet;

/// Maximum length of a value in bytes: Kubernetes limits all annotations of an object to 256 KiB in total.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// Maximum number of characters of an invalid value in an error.
const SHOWN_CHARS: usize = 80;

/// A value, parsed by its registry entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A boolean, or `on`/`off`.
    Bool(bool),
    /// A signed whole number.
    Int(i64),
    /// A size in bytes.
    Size(u64),
    /// A size, and whether its unit is accepted.
    SizeText(SizeText),
    /// A span of time.
    Duration(Duration),
    /// Text whose characters were checked.
    Text(String),
    /// One of the fixed words of the entry.
    Word {
        /// All words of the entry.
        words: &'static [&'static str],
        /// Index of the word.
        at: usize,
    },
    /// The trimmed, non-empty members of a list.
    List(Vec<String>),
    /// Networks, host bits cleared.
    Cidrs(Vec<IpNet>),
    /// Status codes.
    Codes(Vec<StatusCode>),
    /// Conditions for a retry.
    NextUpstream(NextUpstream),
    /// A number of buffers and their size.
    Buffers(Buffers),
}

/// Maximum length of a message in bytes.
const MAX_MESSAGE: usize = 1000;

/// Why a text is invalid. The message has at most 80 characters of it, with control bytes escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ValueError {
    /// Not of the expected form.
    #[error("\"{shown}\" is not {expected}")]
    Invalid {
        /// The start of the text, escaped.
        shown: String,
        /// A description of valid texts.
        expected: String,
    },
    /// Contains a line break or another control byte, which no value may.
    #[error("\"{shown}\" contains a control character; expected {expected}")]
    Control {
        /// The start of the text, escaped.
        shown: String,
        /// A description of valid texts.
        expected: String,
    },
    /// Longer than any legitimate value.
    #[error("the value starting \"{shown}\" is longer than 262144 bytes; expected {expected}")]
    TooLong {
        /// The start of the text, escaped.
        shown: String,
        /// A description of valid texts.
        expected: String,
    },
}

impl ValueError {
    /// `text` is not `expected`.
    pub(crate) fn invalid(text: &str, expected: impl Into<String>) -> Self {
        Self::Invalid {
            shown: excerpt(text),
            expected: expected.into(),
        }
    }

    /// `text` holds a control byte.
    pub(crate) fn control(text: &str, expected: impl Into<String>) -> Self {
        Self::Control {
            shown: excerpt(text),
            expected: expected.into(),
        }
    }

    /// `text` is too long.
    pub(crate) fn too_long(text: &str, expected: impl Into<String>) -> Self {
        Self::TooLong {
            shown: excerpt(text),
            expected: expected.into(),
        }
    }
}

/// The first characters of a text, safe to print on one line.
pub(crate) fn excerpt(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN_CHARS) {
        if is_plain(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// A message with everything escaped that would break a line of a log or mislead a reader, and of bounded length.
pub(crate) fn printable(message: String) -> String {
    let is_fine = |c: char| is_plain(c) || matches!(c, '"' | '\\');
    if message.len() <= MAX_MESSAGE && message.chars().all(is_fine) {
        return message;
    }
    let mut shown = String::new();
    for c in message.chars() {
        if shown.len() > MAX_MESSAGE {
            shown.push('…');
            break;
        }
        if is_fine(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    shown
}

/// Whether a character may be printed unescaped: not a control character, a delimiter, or one that reorders or hides text.
fn is_plain(c: char) -> bool {
    let hides = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !c.is_control() && c != '"' && c != '\\' && !hides
}
