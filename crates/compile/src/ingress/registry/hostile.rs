//! Hostile texts for tests of both registries.

/// Shell, nginx, HTTP and terminal syntax, and values of wrong types.
pub(crate) const HOSTILE: &[&str] = &[
    "x\r\nSet-Cookie: a=b",
    "x\ny",
    "x\ry",
    "a\0b",
    "\u{1b}[31mred",
    "\u{202e}eurt",
    "\u{fffd}é日本",
    "x; deny all",
    "} location / { return 200; }",
    "{",
    "$(reboot)",
    "`reboot`",
    "\"quoted\"",
    "it's",
    "# comment",
    "back\\slash",
    "../../etc/passwd",
    "%0d%0aSet-Cookie:%20a=b",
    "-1",
    "99999999999999999999",
    "nonsense nonsense nonsense",
    "true false",
    "[(",
    "~^(a+)+$",
    "javascript:alert(1)",
];

/// Whether a table is free of control characters but its line ends.
pub(crate) fn has_lines_only(table: &str) -> bool {
    !table.contains(|c: char| c.is_control() && c != '\n')
}

/// Whether a message is one line that a terminal shows as it is.
pub(crate) fn is_printable(message: &str) -> bool {
    !message.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
}
