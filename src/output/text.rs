//! Text for a terminal, with colours that the writer removes elsewhere.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const RED: Style = AnsiColor::Red.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();

/// Lines of text.
#[derive(Default)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn line(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{}", line.trim_end());
    }

    /// The title of a section, after an empty line.
    pub(crate) fn heading(&mut self, title: &str) {
        self.line("");
        self.line(&format!("{BOLD}{title}{BOLD:#}"));
    }

    /// A finding: its severity, its object or field or both, and its message.
    pub(crate) fn finding(&mut self, severity: &str, place: &str, message: &str) {
        let style = match severity {
            "error" => RED,
            "warning" => YELLOW,
            _ => DIM,
        };
        let place = match place {
            "" => String::new(),
            place => format!(" {place}"),
        };
        self.line(&format!("  {style}{severity}{style:#}{place}: {message}"));
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}
